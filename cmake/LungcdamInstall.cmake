# Installation: the program, one shared library, its public headers, documentation, manual pages,
# completions of bash and zsh, a pkg-config file and a CMake package. Each thing belongs to the
# component that packages it (LungcdamPackage.cmake).
#
# Nothing that is installed knows where it was built or will lie: it can be moved as a whole.
include(CMakePackageConfigHelpers)

# All rooms but the command line. What other libraries' templates leave in the objects stays inside.
file(WRITE ${CMAKE_BINARY_DIR}/lungcdam.map
     "{ global: lc_*; ct_*; vit_*; cdam_*; pl_*; local: *; };\n")
add_library(lungcdam_library SHARED)
foreach(room common ct_io vit cdam pipeline)
  get_target_property(folders lungcdam_${room} LUNGCDAM_FOLDERS)
  list(REMOVE_ITEM folders folder_pipeline_cli)
  target_link_libraries(lungcdam_library PRIVATE ${folders})
endforeach()
target_link_options(lungcdam_library PRIVATE
  "LINKER:--version-script=${CMAKE_BINARY_DIR}/lungcdam.map")
target_include_directories(lungcdam_library INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/lungcdam>)
set_target_properties(lungcdam_library PROPERTIES
  OUTPUT_NAME lungcdam EXPORT_NAME lungcdam
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

install(TARGETS lungcdam RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(TARGETS lungcdam_reader RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/lungcdam COMPONENT program)
install(TARGETS lungcdam_library EXPORT lungcdam LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        COMPONENT library NAMELINK_COMPONENT development)

install(DIRECTORY include/lungcdam DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

# Configurations, recipes, and the model that ships.
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/lungcdam COMPONENT program)

set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pkgconfig /prefix/${pkgconfig_dir} /prefix)
string(REGEX REPLACE "/$" "" prefix_from_pkgconfig "${prefix_from_pkgconfig}")
configure_file(cmake/lungcdam.pc.in lungcdam.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/lungcdam.pc DESTINATION ${pkgconfig_dir} COMPONENT development)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lungcdam)
install(EXPORT lungcdam NAMESPACE lungcdam:: FILE lungcdamConfig.cmake DESTINATION ${package_dir}
        COMPONENT development)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/lungcdamConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/lungcdamConfigVersion.cmake DESTINATION ${package_dir}
        COMPONENT development)

# Completions hold one reader of --help between them. Debian's zsh looks for those of packages in a
# folder of its own, every other zsh in site-functions.
file(READ cmake/completion.awk COMPLETION_AWK)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/completion.awk)
configure_file(cmake/lungcdam.bash-completion.in completion/lungcdam @ONLY)
configure_file(cmake/lungcdam.zsh-completion.in completion/_lungcdam @ONLY)
set(zsh_dir site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND EXISTS /etc/debian_version)
  set(zsh_dir vendor-completions)
endif()
install(FILES ${CMAKE_BINARY_DIR}/completion/lungcdam
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)
install(FILES ${CMAKE_BINARY_DIR}/completion/_lungcdam
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_dir} COMPONENT program)

# The README's links to docs/ hold after installation; the program finds docs/ there (pl_docs.h).
install(FILES README.md CHANGELOG.md CITATION.cff CONTRIBUTING.md SECURITY.md TESTING.md DESTINATION ${CMAKE_INSTALL_DOCDIR}
        COMPONENT documentation)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documentation)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT licence)

# Manual pages come from the program's own --help, one page a command.
install(CODE "
  find_program(HELP2MAN help2man)
  if(HELP2MAN)
    execute_process(COMMAND \"${CMAKE_SOURCE_DIR}/cmake/manual.sh\" \"$<TARGET_FILE:lungcdam>\"
      \"${CMAKE_BINARY_DIR}/man\" COMMAND_ERROR_IS_FATAL ANY)
  else()
    message(STATUS \"Manual pages are left out: help2man, which makes them, is not installed\")
  endif()" COMPONENT program)
install(DIRECTORY ${CMAKE_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1
        COMPONENT program OPTIONAL FILES_MATCHING PATTERN "*.1.gz")

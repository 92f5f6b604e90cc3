# Installation: the program, one shared library with the four rooms, their headers, manual pages,
# bash completion, a pkg-config file and a CMake package.
include(CMakePackageConfigHelpers)

set(rooms lungcdam_common lungcdam_ct_io lungcdam_vit lungcdam_cdam)

# Only names with a room's prefix leave the library.
file(WRITE ${CMAKE_BINARY_DIR}/lungcdam.map
     "{ global: lc_*; ct_*; vit_*; cdam_*; local: *; };\n")
add_library(lungcdam_library SHARED)
foreach(room ${rooms})
  target_sources(lungcdam_library PRIVATE $<TARGET_OBJECTS:${room}>)
endforeach()
target_link_libraries(lungcdam_library PRIVATE ${rooms})
target_link_options(lungcdam_library PRIVATE
  "LINKER:--version-script=${CMAKE_BINARY_DIR}/lungcdam.map")
target_include_directories(lungcdam_library INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/lungcdam>)
set_target_properties(lungcdam_library PROPERTIES
  OUTPUT_NAME lungcdam EXPORT_NAME lungcdam
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

install(TARGETS lungcdam RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS lungcdam_library EXPORT lungcdam LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

file(GLOB headers common/lc_*.h ct_io/ct_*.h vit/vit_*.h cdam/cdam_*.h)
list(FILTER headers EXCLUDE REGEX "_internal\\.h$")
install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lungcdam)

# Configurations, recipes, and the model that ships.
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/lungcdam)

configure_file(cmake/lungcdam.pc.in lungcdam.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/lungcdam.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lungcdam)
install(EXPORT lungcdam NAMESPACE lungcdam:: FILE lungcdamConfig.cmake DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/lungcdamConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/lungcdamConfigVersion.cmake DESTINATION ${package_dir})

install(FILES cmake/lungcdam.bash-completion
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME lungcdam)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Manual pages come from the program's own --help, one page a command.
install(CODE "
  find_program(HELP2MAN help2man)
  if(HELP2MAN)
    execute_process(COMMAND \"${CMAKE_SOURCE_DIR}/cmake/manual.sh\" \"$<TARGET_FILE:lungcdam>\"
      \"${CMAKE_BINARY_DIR}/man\" COMMAND_ERROR_IS_FATAL ANY)
  endif()")
install(DIRECTORY ${CMAKE_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL
  FILES_MATCHING PATTERN "*.1")

# Debian packages by CPack: the program, the shared library, what builds against it, and the
# documentation. cmake/package.sh configures, builds and checks them; docs/install.md describes them.
#
# Libraries of Debian are found by dpkg-shlibdeps, so the packages of each release depend on the
# libraries of that release; the release is part of the version, and so of the file names.

set(LUNGCDAM_MAINTAINER "lungcdam maintainers <lungcdam@packages.invalid>" CACHE STRING
    "Name and address of whoever builds the packages")

set(release "")
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release release REGEX "^VERSION_ID=")
  string(REGEX REPLACE "[^0-9.]" "" release "${release}")
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lungcdam)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "${LUNGCDAM_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL program library development documentation)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE "1~deb${release}")
set(CPACK_DEBIAN_VERSION ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has a first line of its own
set(about "One native program that takes a lung CT in DICOM, finds its nodules,
classifies them with a vision transformer, shows why with
class-discriminative attention maps, and writes the result as DICOM
objects, HDF5 and pictures.

Research use only. Not a medical device.")

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME lungcdam)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
"lung CT from DICOM to an explained prediction (research use only)
${about}
.
This package holds the program, its configurations and the model that
ships.")
# Not linked and so not seen by dpkg-shlibdeps: PLplot loads its driver, cairo looks for a font, TLS
# for certificates.
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "plplot-driver-cairo, fonts-dejavu-core")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "ca-certificates, lungcdam-doc")

set(library_package liblungcdam${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library_package})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS fonts-dejavu-core)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS lungcdam) # its lungcdam-reader
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
"shared library of lungcdam (research use only)
${about}
.
This package holds the shared library.")
# CPack adds scripts that call ldconfig, where Debian has a trigger now. It leaves out a script that is
# named here, and copies what exists.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/cmake/debian/triggers
    ${CMAKE_SOURCE_DIR}/cmake/debian/none/postinst ${CMAKE_SOURCE_DIR}/cmake/debian/none/postrm)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=") # no promise on the binary interface yet

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME liblungcdam-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# The public headers use nothing but the standard library.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "${library_package} (= ${CPACK_DEBIAN_VERSION}), libc6-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
"headers of lungcdam's library (research use only)
${about}
.
This package holds what programs need that are built with the library:
headers, a pkg-config file and a CMake package.")

set(CPACK_DEBIAN_DOCUMENTATION_PACKAGE_NAME lungcdam-doc)
set(CPACK_DEBIAN_DOCUMENTATION_PACKAGE_SECTION doc)
set(CPACK_DEBIAN_DOCUMENTATION_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DOCUMENTATION_PACKAGE_SHLIBDEPS OFF)
set(CPACK_COMPONENT_DOCUMENTATION_DESCRIPTION
"documentation of lungcdam (research use only)
${about}
.
This package holds the documentation, with the card of the model that
ships.")

# Every package carries its licence and its history, as Debian wants them; a plain installation has
# LICENSE and CHANGELOG.md instead. The date is SOURCE_DATE_EPOCH where that is set.
find_program(GZIP gzip)
if(GZIP)
  string(TIMESTAMP package_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
  configure_file(cmake/debian/changelog.in debian/changelog.Debian @ONLY)
  execute_process(COMMAND ${GZIP} -9nf ${CMAKE_BINARY_DIR}/debian/changelog.Debian
                  COMMAND_ERROR_IS_FATAL ANY)
  foreach(component program library development documentation)
    string(TOUPPER ${component} upper)
    install(FILES cmake/debian/copyright ${CMAKE_BINARY_DIR}/debian/changelog.Debian.gz
            DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME}
            COMPONENT ${component} EXCLUDE_FROM_ALL)
  endforeach()
endif()

include(CPack)

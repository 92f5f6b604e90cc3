# The libraries of others, each found once.
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(ZLIB REQUIRED)
find_package(DCMTK REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C HL)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(EXPAT REQUIRED IMPORTED_TARGET expat)
pkg_check_modules(OPENJPEG REQUIRED IMPORTED_TARGET libopenjp2)
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo cairo-pdf cairo-svg)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
if(LUNGCDAM_WITH_NET)
  pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
  pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
endif()
if(LUNGCDAM_WITH_PTH)
  pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
endif()
if(LUNGCDAM_WITH_PLOT)
  pkg_check_modules(PLPLOT REQUIRED IMPORTED_TARGET plplot)
endif()
# Optional, for HTJ2K; Debian's pkg-config file of it names no library.
find_path(OPENJPH_INCLUDE_DIR openjph/ojph_codestream.h)
find_library(OPENJPH_LIBRARY openjph)

# DCMTK's own targets do not say where its headers lie.
add_library(lungcdam_dcmtk INTERFACE)
target_include_directories(lungcdam_dcmtk SYSTEM INTERFACE ${DCMTK_INCLUDE_DIRS})
target_link_libraries(lungcdam_dcmtk INTERFACE
  DCMTK::cmr DCMTK::dcmsr DCMTK::dcmjpls DCMTK::dcmjpeg DCMTK::dcmimgle DCMTK::dcmdata DCMTK::oflog DCMTK::ofstd)
add_library(lungcdam_hdf5 INTERFACE)
target_include_directories(lungcdam_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(lungcdam_hdf5 INTERFACE ${HDF5_C_HL_LIBRARIES} ${HDF5_C_LIBRARIES})

# ITK's package loads every module it has, and some of those look for VTK, Python or other libraries
# that nothing here uses: they pass for loaded. The function keeps their many variables to itself.
function(lungcdam_find_itk)
  foreach(module ITKDCMTK ITKGDCM ITKHDF5 ITKMINC ITKVtkGlue)
    set(${module}_LOADED TRUE)
  endforeach()
  find_package(ITK 5.2 REQUIRED COMPONENTS ITKCommon ITKIOMeta ITKIONRRD)
  set(itk_include_dirs ${ITKCommon_INCLUDE_DIRS} PARENT_SCOPE)
endfunction()
lungcdam_find_itk()

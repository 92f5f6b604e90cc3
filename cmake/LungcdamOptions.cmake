# Flags every room shares, and the function that makes a room.
#
# A room is one static library whose headers are visible only to the targets that link it, so that an
# include which the architecture forbids does not compile.

find_package(OpenMP REQUIRED COMPONENTS C CXX)
find_package(PkgConfig REQUIRED)

add_library(lungcdam_flags INTERFACE)
target_compile_definitions(lungcdam_flags INTERFACE _GNU_SOURCE)
target_compile_options(lungcdam_flags INTERFACE
  -Wall -Wextra -Wshadow
  # Warnings are errors with the compiler that CI uses; others warn about other things.
  $<$<COMPILE_LANG_AND_ID:C,GNU>:-Werror -Wno-format-truncation>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Werror -Wno-format-truncation>
  $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla>
  -fno-math-errno -ffp-contract=on
  $<$<CONFIG:Debug>:-O0 -g3>)
if(LUNGCDAM_SANITIZE)
  target_compile_options(lungcdam_flags INTERFACE -fsanitize=address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(lungcdam_flags INTERFACE -fsanitize=address,undefined)
endif()
if(LUNGCDAM_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "LUNGCDAM_FUZZ needs clang; use the preset `fuzz`")
  endif()
  target_compile_options(lungcdam_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(lungcdam_flags INTERFACE -fsanitize=address,undefined)
endif()

# lungcdam_room(NAME SOURCES... ) makes the library lungcdam_NAME from the folder of the same name.
function(lungcdam_room name)
  add_library(lungcdam_${name} STATIC ${ARGN})
  target_include_directories(lungcdam_${name} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>)
  target_link_libraries(lungcdam_${name} PRIVATE $<BUILD_INTERFACE:lungcdam_flags>)
endfunction()
add_link_options(-Wl,--as-needed)

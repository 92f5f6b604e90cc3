# Flags that every source shares.
include(CheckCCompilerFlag)
include(CheckPIESupported)

find_package(OpenMP REQUIRED COMPONENTS C CXX)
find_package(PkgConfig REQUIRED)

add_library(lungcdam_flags INTERFACE)
target_compile_definitions(lungcdam_flags INTERFACE _GNU_SOURCE)
target_compile_options(lungcdam_flags INTERFACE
  -Wall -Wextra -Wshadow
  $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
  # A loop that a sanitizer or -O1 keeps as it is is no fault.
  $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>
  $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla>
  -fno-math-errno -ffp-contract=on
  $<$<CONFIG:Debug>:-O0 -g3>)
if(LUNGCDAM_WERROR)
  target_compile_options(lungcdam_flags INTERFACE -Werror)
endif()

# Hardening. Sanitizers replace their allocator and check more, so they go without.
check_pie_supported(LANGUAGES C CXX)
add_link_options(-Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
if(NOT LUNGCDAM_SANITIZE AND NOT LUNGCDAM_FUZZ)
  target_compile_options(lungcdam_flags INTERFACE -fstack-protector-strong
    # What a distribution sets on the command line comes first; without optimisation it does nothing.
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  foreach(flag -fstack-clash-protection -fcf-protection)
    string(MAKE_C_IDENTIFIER "LUNGCDAM_HAS${flag}" has)
    check_c_compiler_flag("-Werror ${flag}" ${has})
    if(${has})
      target_compile_options(lungcdam_flags INTERFACE ${flag})
    endif()
  endforeach()
endif()

# checked(OPTION SANITIZERS...): these sanitizers in every source and program.
function(lungcdam_checked compile link)
  target_compile_options(lungcdam_flags INTERFACE -fsanitize=${compile} -fno-sanitize-recover=all
                         -fno-omit-frame-pointer -g1) # lines, which reports show
  target_link_options(lungcdam_flags INTERFACE -fsanitize=${link})
endfunction()
function(lungcdam_needs_clang what preset)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "${what} needs clang; use the preset `${preset}`")
  endif()
endfunction()
if(LUNGCDAM_FUZZ)
  lungcdam_needs_clang(LUNGCDAM_FUZZ fuzz)
  lungcdam_checked(fuzzer-no-link,address,undefined address,undefined)
elseif(LUNGCDAM_SANITIZE STREQUAL "address")
  lungcdam_checked(address,undefined address,undefined)
elseif(LUNGCDAM_SANITIZE STREQUAL "thread")
  # GCC's OpenMP does not report to the sanitizer how its threads wait for each other; clang's does.
  lungcdam_needs_clang("LUNGCDAM_SANITIZE=thread" tsan)
  lungcdam_checked(thread thread)
elseif(LUNGCDAM_SANITIZE)
  message(FATAL_ERROR
    "LUNGCDAM_SANITIZE is '${LUNGCDAM_SANITIZE}', expected address, thread or nothing")
endif()

# The tests' programs are many, and the ordinary linker takes longer for one than a test runs.
find_program(LUNGCDAM_MOLD mold)
mark_as_advanced(LUNGCDAM_MOLD)
add_library(lungcdam_test_linker INTERFACE)
if(LUNGCDAM_MOLD)
  target_link_options(lungcdam_test_linker INTERFACE -fuse-ld=mold)
endif()

# Counts which lines run, for ./run coverage. Threads and forked processes count too.
if(LUNGCDAM_COVERAGE)
  target_compile_options(lungcdam_flags INTERFACE --coverage -fprofile-update=atomic -O1 -g)
  target_link_options(lungcdam_flags INTERFACE --coverage)
endif()

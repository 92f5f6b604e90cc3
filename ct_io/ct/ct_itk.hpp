// What ITK's headers need before they are included.
#pragma once

// ITK 5.2 asks for the compiler it was built with, which is GCC at Debian. clang passes for one
// while it reads the header that asks, and for itself in all others. Later releases do not ask.
#if defined(__clang__) && __has_include(<itk_compiler_detection.h>)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wbuiltin-macro-redefined"
#pragma push_macro("__clang__")
#pragma push_macro("__GNUC__")
#undef __clang__
#undef __GNUC__
#define __GNUC__ 10
#include <itk_compiler_detection.h>
#pragma pop_macro("__GNUC__")
#pragma pop_macro("__clang__")
#pragma clang diagnostic pop
#endif

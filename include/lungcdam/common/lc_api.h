/* What every public header wraps its declarations in: C names for C++, and visible outside the
 * library, whose other names are hidden. LC_C_BEGIN and LC_C_END are the same for private headers
 * that C++ sources of the library include. */
#ifndef LC_API_H
#define LC_API_H

#ifdef __cplusplus
#define LC_C_BEGIN extern "C" {
#define LC_C_END }
#else
#define LC_C_BEGIN
#define LC_C_END
#endif

#ifdef __GNUC__
#define LC_API_BEGIN LC_C_BEGIN _Pragma("GCC visibility push(default)")
#define LC_API_END _Pragma("GCC visibility pop") LC_C_END
#else
#define LC_API_BEGIN LC_C_BEGIN
#define LC_API_END LC_C_END
#endif

#endif

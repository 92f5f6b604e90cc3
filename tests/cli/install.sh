#!/usr/bin/env bash
# What `./run install` puts down: a program that runs, and a library that pkg-config and CMake find.
set -euo pipefail
program=$1
build=$(cd "$(dirname "$program")/.." && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT

cmake --install "$build" --prefix "$prefix" >"$prefix/log" || { cat "$prefix/log"; exit 1; }
"$prefix/bin/lungcdam" --version | grep -q 'research use only'
test -s "$prefix/share/bash-completion/completions/lungcdam"

cat >"$prefix/user.c" <<'EOF'
#include <ct_series.h>
#include <stdio.h>
int main(int argc, char **argv) {
  struct ct_index index;
  struct lc_error err;
  const char *const paths[] = {argv[argc - 1]};
  lc_status status = ct_index_scan(&index, paths, 1, NULL, &err);
  puts(status == LC_OK ? "read" : err.message);
  return (int)status;
}
EOF
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# shellcheck disable=SC2046
gcc "$prefix/user.c" -o "$prefix/user" $(pkg-config --cflags --libs lungcdam) "-Wl,-rpath,$prefix/lib"
mkdir "$prefix/empty"
status=0
"$prefix/user" "$prefix/empty" >"$prefix/out" || status=$?
[[ $status == 5 ]] || { echo "expected 5 (no DICOM), got $status"; exit 1; }
grep -q 'no DICOM' "$prefix/out"

cat >"$prefix/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(lungcdam REQUIRED)
add_executable(other user.c)
target_link_libraries(other lungcdam::lungcdam)
EOF
cmake -S "$prefix" -B "$prefix/build" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$prefix/build" >/dev/null
status=0
"$prefix/build/other" "$prefix/empty" >/dev/null || status=$?
[[ $status == 5 ]]

# A page a command, titled as a user would type it.
if command -v help2man >/dev/null; then
  grep -q '^.TH LUNGCDAM-RUN' "$prefix/share/man/man1/lungcdam-run.1"
fi

#!/usr/bin/env bash
# What an installation puts down: a program that runs from there and knows where its documentation lies,
# and a library that C and C++ programs find by pkg-config and by CMake, with Ninja and with make.
set -euo pipefail
program=$1
build=$(cd "$(dirname "$program")/.." && pwd)
if ! grep -q '^LUNGCDAM_SANITIZE:[A-Z]*=\(OFF\)\?$' "$build/CMakeCache.txt"; then
  echo "skipped: clients of a library with sanitizers need them too"
  exit 77
fi
work=$(realpath "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

die() { echo "FAILED: $*" >&2 && exit 1; }

cmake --install "$build" --prefix "$work/before" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/before" "$prefix" # nothing installed may know where it was put down
"$prefix/bin/lungcdam" --version | grep 'research use only' >/dev/null
! readelf -d "$prefix/bin/lungcdam" "$prefix"/lib/*.so | grep -E 'R(UN)?PATH' || die 'a path of the build leaked'
for command in '' run weights; do
  # shellcheck disable=SC2086
  "$prefix/bin/lungcdam" $command --help | grep -xF "  $prefix/share/doc/lungcdam/docs" >/dev/null ||
    die "lungcdam $command --help does not say where the documentation lies"
done
for file in share/doc/lungcdam/{README.md,CHANGELOG.md,LICENSE,docs/exit-codes.md,docs/model_card.md} \
  share/bash-completion/completions/lungcdam share/zsh/site-functions/_lungcdam \
  share/lungcdam/configs/run.yaml; do
  [[ -s $prefix/$file ]] || die "$file is not installed"
done

# A page a command, titled as a user would type it; without help2man the installation says so.
if command -v help2man >/dev/null; then
  gzip -dc "$prefix/share/man/man1/lungcdam-run.1.gz" | grep '^.TH LUNGCDAM-RUN' >/dev/null
  pages=$(find "$prefix/share/man/man1" -name '*.1.gz' | wc -l)
  commands=$("$program" --help | sed -n '/^Commands:/,/^$/p' | grep -c '^  [a-z]')
  [[ $pages == $((commands + 1)) ]] || die "$pages manual pages for $commands commands"
else
  grep -q 'Manual pages are left out' "$work/log" || die 'nothing was said of missing manual pages'
fi

# Every header is enough by itself, in C and in C++, and none of them needs another library.
headers=0
while read -r header; do
  headers=$((headers + 1))
  echo "#include <$header>" >"$work/alone.c"
  cp "$work/alone.c" "$work/alone.cpp"
  gcc -std=c17 -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include/lungcdam" "$work/alone.c" ||
    die "$header does not compile alone in C"
  g++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include/lungcdam" "$work/alone.cpp" ||
    die "$header does not compile alone in C++"
done < <(cd "$prefix/include/lungcdam" && find . -name '*.h' -printf '%P\n')
((headers >= 35 && headers <= 55)) || die "$headers headers are installed, expected about 45"

# Only what they declare leaves the library.
nm -D --defined-only "$prefix/lib/liblungcdam.so" | awk '$2 != "A" { print $3 }' | sort -u >"$work/names"
grep -vE '^(lc|ct|vit|cdam|pl)_' "$work/names" && die 'these names leave the library'
while read -r name; do
  grep -rqw "$name" "$prefix/include/lungcdam" || die "$name leaves the library and is in no header"
done <"$work/names"

# The example of the documentation, as it says it is compiled; without phantoms it has nothing to look at.
(
  read -r -a flags <<<"$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs lungcdam)"
  gcc -std=c17 -Wall -Wextra -Werror "$prefix/share/doc/lungcdam/docs/example.c" -o "$work/example" "${flags[@]}"
  "$prefix/bin/lungcdam" phantom -o "$work/ct" --matrix 96 --slice-spacing 5 --seed 11 >/dev/null 2>&1 || exit 0
  "$prefix/bin/lungcdam" --log-level debug series "$work/ct" 2>&1 >/dev/null | grep -F "files are parsed by $prefix/" >/dev/null ||
    die 'the installed program does not start the installed lungcdam-reader'
  LD_LIBRARY_PATH=$prefix/lib "$work/example" "$work/ct" "$work/results" >"$work/out" 2>"$work/err" || die "the example: $(cat "$work/err")"
  grep -q '^1 series done' "$work/out" || die "the example said: $(cat "$work/out")"
  grep -qE '^nodule-1: malignancy -?[0-9.]+, most of it at row' "$work/out" || die "the example said: $(cat "$work/out")"
  compgen -G "$work/results/*/results.h5" >/dev/null || die 'the example wrote no results'
)

# The same client in both languages. It prints what the library says of a folder without DICOM.
mkdir "$work/empty" "$work/client"
cat >"$work/client/client.c" <<'SOURCE'
#include <ct_io/dicom_read/ct_index.h>
#include <stdio.h>

int main(int argc, char **argv) {
  struct ct_index index;
  struct lc_error err;
  const char *const paths[] = {argv[argc - 1]};
  lc_status status = ct_index_scan(&index, paths, 1, NULL, NULL, &err);
  puts(status == LC_OK ? "read" : err.message);
  return (int)status;
}
SOURCE
cp "$work/client/client.c" "$work/client/client.cpp"
cat >"$work/client/CMakeLists.txt" <<'SOURCE'
cmake_minimum_required(VERSION 3.25)
project(client C CXX)
find_package(lungcdam 0.1 REQUIRED)
add_executable(client_c client.c)
add_executable(client_cpp client.cpp)
target_link_libraries(client_c lungcdam::lungcdam)
target_link_libraries(client_cpp lungcdam::lungcdam)
SOURCE

check() { # check PROGRAM WHAT: it uses the library that was installed, and the library answers
  local status=0
  ldd "$1" | grep -F "liblungcdam.so.0 => $prefix/lib/" >/dev/null || die "$2 does not use the installed library"
  "$1" "$work/empty" >"$work/out" || status=$?
  [[ $status == 5 ]] || die "$2: expected 5 (no DICOM), got $status: $(cat "$work/out")"
  grep -q 'no DICOM' "$work/out" || die "$2 said: $(cat "$work/out")"
}

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
read -r -a flags <<<"$(pkg-config --cflags --libs lungcdam)"
gcc "$work/client/client.c" -o "$work/by_pkg_config_c" "${flags[@]}" "-Wl,-rpath,$prefix/lib"
g++ "$work/client/client.cpp" -o "$work/by_pkg_config_cpp" "${flags[@]}" "-Wl,-rpath,$prefix/lib"
check "$work/by_pkg_config_c" 'the C client by pkg-config'
check "$work/by_pkg_config_cpp" 'the C++ client by pkg-config'

unset PKG_CONFIG_PATH
for generator in Ninja 'Unix Makefiles'; do
  cmake -S "$work/client" -B "$work/$generator" -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 ||
    { cat "$work/log"; die "CMake does not configure the clients for $generator"; }
  cmake --build "$work/$generator" >"$work/log" 2>&1 ||
    { cat "$work/log"; die "the clients do not build with $generator"; }
  check "$work/$generator/client_c" "the C client by CMake and $generator"
  check "$work/$generator/client_cpp" "the C++ client by CMake and $generator"
done

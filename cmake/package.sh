#!/usr/bin/env bash
# package.sh BUILD_FOLDER OUT_FOLDER: configures this source tree for packages in BUILD_FOLDER (prefix
# /usr, no tests), builds it there, and leaves the Debian packages in OUT_FOLDER, with what was checked
# printed on standard output. Run it on the release that the packages are for.
#
# Needs what a build needs, and: dpkg-dev, file, help2man.
set -euo pipefail
(($# == 2)) || { echo 'usage: package.sh BUILD_FOLDER OUT_FOLDER' >&2 && exit 2; }
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$1 out=$2

say() { printf 'package: %s\n' "$*"; }
die() { say "$*" >&2 && exit 1; }

for tool in dpkg-shlibdeps:dpkg-dev dpkg-deb:dpkg file:file help2man:help2man readelf:binutils; do
  command -v "${tool%:*}" >/dev/null || die "${tool%:*} is missing; it is in Debian's package ${tool#*:}"
done

# The same source gives the same packages: dates are those of the commit.
if [[ -z ${SOURCE_DATE_EPOCH:-} ]] && epoch=$(git -C "$source" log -1 --format=%ct 2>/dev/null); then
  export SOURCE_DATE_EPOCH=$epoch
fi

# Messages of internal errors name source files, without the place where they were built.
map=-ffile-prefix-map=$source/=
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
  -DCMAKE_C_FLAGS="${CFLAGS:-} $map" -DCMAKE_CXX_FLAGS="${CXXFLAGS:-} $map" -DLUNGCDAM_TESTS=OFF >/dev/null
cmake --build "$build"
mkdir -p "$out"
out=$(cd "$out" && pwd)
build=$(cd "$build" && pwd)
rm -rf "$build/packages"
(umask 022 && cd "$build" && cpack -G DEB -B "$build/packages" >"$build/cpack.log" 2>&1) || {
  cat "$build/cpack.log" >&2
  die 'cpack failed'
}

# What must never leave this machine: packages without manual pages, and paths of the build.
checked=$(mktemp -d)
trap 'rm -rf "$checked"' EXIT
for deb in "$build"/packages/*.deb; do
  dpkg-deb -x "$deb" "$checked"
done
[[ -s $checked/usr/share/man/man1/lungcdam-run.1.gz ]] || die 'the manual pages are missing'
while read -r binary; do
  ! readelf -d "$binary" | grep -E 'R(UN)?PATH' || die "$binary has a path of the build in it"
done < <(find "$checked/usr/bin" "$checked/usr/lib" -type f \( -name lungcdam -o -name '*.so.*' \))
! grep -rlF -e "$source/pipeline/" -e "$source/docs/" -e "$build/" "$checked" || die 'these files name the folder of the source'

cp "$build"/packages/*.deb "$out/"
for deb in "$build"/packages/*.deb; do
  say "$out/${deb##*/}"
done

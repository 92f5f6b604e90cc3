#!/usr/bin/env bash
# lint.sh BUILD: formatting, static analysis, shell scripts, and the order between the folders.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$1
failed=0
step() { printf 'lint: %s\n' "$1"; }

step 'formatting (clang-format)'
git ls-files '*.c' '*.h' '*.cpp' '*.hpp' | xargs clang-format-14 --dry-run -Werror || failed=1

step 'shell scripts (shellcheck)'
{ git ls-files '*.sh'; printf '%s\n' run .ci/run; } | xargs shellcheck || failed=1

step 'no room includes a header of a room above it'
below() { # below ROOM PREFIXES: fails when a file of ROOM includes a header with one of the prefixes
  ! git grep -nE "#include \"($2)_" -- "$1/*" || failed=1
}
below common 'ct|vit|cdam|pl'
below ct_io 'vit|cdam|pl'
below vit 'ct|cdam|pl'
below cdam 'ct|pl'

step 'C++ only in ct_io'
! git ls-files '*.cpp' '*.hpp' | grep -v '^ct_io/' || failed=1

step 'static analysis (clang-tidy)'
# GCC's own option is unknown to clang.
git ls-files '*.c' '*.cpp' | grep -v '^tests/' |
  xargs -P "$(nproc)" -n 1 clang-tidy-14 -p "$build" --quiet \
    --extra-arg=-Wno-unknown-warning-option 2>build/lint-noise.log || failed=1

((failed == 0)) && step 'clean'
exit "$failed"

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

# CMake refuses a folder that uses one after it, and wrote down who may use whom. An include of an
# undeclared folder that a declared one brings along would compile: it is found here.
step 'each folder includes what it declares, by path from the top, and declares nothing else'
includes() { git grep "$@" --untracked '^# *include "[^"]+"' -- 'common/*' 'ct_io/*' 'vit/*' 'cdam/*' 'pipeline/*' 'include/*'; }
includes -hoE | grep -v '/' && failed=1
includes -oE | grep -v '^include/lungcdam/lungcdam.h:' | sed 's,^include/lungcdam/,,' |
  awk -v declared="$build/folders.txt" '
    function folder(path) { sub(/\/[^\/]*$/, "", path); return path }
    BEGIN {
      while ((getline line < declared) > 0) {
        split(line, part, ": *")
        n = split(part[2], used, " ")
        known[part[1]] = 1
        for (i = 1; i <= n; i++) may[part[1], used[i]] = 1
      }
    }
    {
      split($0, part, ":")
      file = part[1]
      split($0, quoted, "\"")
      from = folder(file); to = folder(quoted[2])
      if (!(from in known)) { print file ": lies in no folder that CMake knows"; bad = 1 }
      else if (from != to && !((from, to) in may)) {
        print file ": includes " quoted[2] ", but " from " does not declare that it uses " to; bad = 1
      }
      does[from, to] = 1
    }
    END {
      for (pair in may) if (!(pair in does)) {
        split(pair, part, SUBSEP); print part[1] ": declares that it uses " part[2] " and does not"; bad = 1
      }
      exit bad
    }' || failed=1

step 'no folder holds more than 30 sources'
git ls-files -- '*.c' '*.h' '*.cpp' '*.hpp' | sed 's,/[^/]*$,,' | sort | uniq -c |
  awk '$1 > 30 { print $2 ": " $1 " files"; bad = 1 } END { exit bad }' || failed=1

step 'C++ only in ct_io'
! git ls-files '*.cpp' '*.hpp' | grep -v '^ct_io/' || failed=1

step 'static analysis (clang-tidy)'
# GCC's own option is unknown to clang.
git ls-files '*.c' '*.cpp' | grep -vE '^(tests|docs)/' |
  xargs -P "$(nproc)" -n 1 clang-tidy-14 -p "$build" --quiet \
    --extra-arg=-Wno-unknown-warning-option 2>build/lint-noise.log || failed=1

((failed == 0)) && step 'clean'
exit "$failed"

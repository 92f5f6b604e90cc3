#!/usr/bin/env bash
# coverage.sh BUILD [ARGUMENT...]: runs the tests of a build that counts lines (LUNGCDAM_COVERAGE), all or those
# that the arguments for ctest choose, and prints for each folder of the program which share of its lines ran;
# the lines themselves are in BUILD/coverage.html. Ends with 1 when a test fails or less than 80 % of pipeline ran.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:?coverage: expected the build folder}
shift
least=80
find "$build" -name '*.gcda' -delete
failed=0
ctest --preset coverage "$@" || failed=$?

rooms=(common ct_io vit cdam pipeline)
gcovr --root . "${rooms[@]/#/--filter=}" --csv "$build/coverage.csv" --html "$build/coverage.html" "$build" >/dev/null
awk -F, -v least=$least '
  function line(name, all, ran) { printf "%-26s %6d lines %6.1f %%\n", name, all, all ? 100 * ran / all : 0 }
  NR > 1 {
    folder = $1
    sub("/[^/]*$", "", folder)
    room = folder
    sub("/.*", "", room)
    if (!(folder in all)) names[++n] = folder
    all[folder] += $2; ran[folder] += $3
    if (room != folder) { all[room] += $2; ran[room] += $3 }
    total += $2; total_ran += $3
  }
  END {
    for (i = 1; i <= n; i++) {
      room = names[i]
      sub("/.*", "", room)
      if (room != names[i] && !(room in said)) { line(room, all[room], ran[room]); said[room] = 1 }
      line(names[i], all[names[i]], ran[names[i]])
    }
    line("total", total, total_ran)
    share = all["pipeline"] ? 100 * ran["pipeline"] / all["pipeline"] : 0
    if (share < least) { printf "coverage: %.1f %% of pipeline ran, expected at least %d %%\n", share, least; exit 1 }
  }' "$build/coverage.csv" || failed=1
exit "$failed"

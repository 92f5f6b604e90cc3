#!/usr/bin/env bash
# fuzz.sh PROGRAM SECONDS [FOLDER]: runs a fuzzing program on its corpus here and on changes of it; the sanitizers
# and the program itself judge. FOLDER: keeps what reached new code (FOLDER/NAME), made smallest at the end, and
# findings (FOLDER/findings); without it the numbers drawn are the same each time and nothing is kept.
set -euo pipefail
program=$(realpath "$1") seconds=$2 folder=${3:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=$(basename "$program")
name=${name#fuzz_}
work=$(mktemp -d)
TMPDIR=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo /tmp)")
export TMPDIR
trap 'rm -rf "$work" "$TMPDIR"' EXIT
seeds=$here/corpus/$name
options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2560 -malloc_limit_mb=1025 -print_final_stats=1)
[[ ! -f $here/dictionaries/$name.dict ]] || options+=(-dict="$here/dictionaries/$name.dict")
# What asks for more memory than the program's children have gets none. DCMTK's associations keep some bytes, and the
# process that serves one ends after it.
checks=allocator_may_return_null=1:max_allocation_size_mb=1024
[[ $name != ct_scp ]] || checks+=:detect_leaks=0
export ASAN_OPTIONS=$checks OMP_NUM_THREADS=1
if [[ -z $folder ]]; then
  mkdir "$work/new"
  cd "$work"
  "$program" "${options[@]}" -seed=1 "$work/new" "$seeds"
  exit
fi
mkdir -p "$folder/$name" "$folder/findings"
folder=$(realpath "$folder")
status=0
"$program" "${options[@]}" -artifact_prefix="$folder/findings/$name-" "$folder/$name" "$seeds" >"$folder/$name.log" 2>&1 || status=$?
mkdir "$work/smallest"
"$program" -merge=1 -timeout=20 "$work/smallest" "$seeds" "$folder/$name" >>"$folder/$name.log" 2>&1 &&
  rm -r "${folder:?}/$name" && cp -r "$work/smallest" "$folder/$name"
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$name.log" | head -n 1)
echo "$name: ${runs:-0} inputs, $(find "$folder/$name" -type f | wc -l) kept$([[ $status == 0 ]] || echo ", A FINDING ($folder/$name.log)")"
exit "$status"

#!/usr/bin/env bash
# DICOM files changed at random, beside a good series: no command dies of them, and what is found out about the good
# series is the same to the byte. 300 files; LUNGCDAM_MUTATED=10000 for that many, LUNGCDAM_SEED for others.
# needs: phantom
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
total=${LUNGCDAM_MUTATED:-300} seed=${LUNGCDAM_SEED:-1}
each=97 in_series=3 # files on their own, and slices of one series, of a batch
make_inputs 2
mapfile -t patients < <(find "$work/phantom" -name annotation.xml -printf '%h\n' | sort)
uid=$(basename "${patients[0]}")
mkdir "$work/in"
mv "${patients[0]}" "$work/in/good"
# The seeds of the fuzzing program, and not what it found out by itself.
mapfile -t bases < <(find "$LUNGCDAM_SOURCE/tests/fuzz/corpus/ct_series" -type f | grep -vE '/[0-9a-f]{40}$' | sort)

# attempt ARGUMENT...: any exit code of its own, but no signal.
attempt() {
  local got=0
  timeout 120 "$program" --log-level error "$@" >"$work/out" 2>"$work/err" || got=$?
  ((got < 124)) || {
    fail "lungcdam $1: exit code $got; LUNGCDAM_SEED=$seed, files $first to $((first + each + in_series - 1)); $(tail -n 2 "$work/err")"
    cp -r "$work/in" "${TMPDIR:-/tmp}/lungcdam-mutated-$seed-$first"
  }
}
results() {
  rm -rf "$work/results"
  attempt run --input "$work/in" --series all --weights "$work/w.safetensors" --output "$work/results" \
    --set figure.write=false --set capture.write=false
  cat "$work/results/$uid/results.h5" "$work/results/$uid/nodules.csv" 2>/dev/null | sha256sum
}
verdict() {
  attempt series "$work/in"
  grep -F "$uid" "$work/out" | tr -s ' '
}

codings=("dcmcjpls" "dcmcrle" "dcmconv +td" "dcmconv +ti" "dcmconv +tb" "dcmcjpeg +e1")
# encode NUMBER: the second patient's series in one of the codings, made once.
encode() {
  local folder=$work/coding-$1 command slice
  [[ ! -d $folder ]] || return 0
  read -ra command <<<"${codings[$1]}"
  mkdir "$folder"
  cp "${patients[1]}/annotation.xml" "$folder"
  for slice in "${patients[1]}"/*.dcm; do "${command[@]}" "$slice" "$folder/$(basename "$slice")" 2>/dev/null; done
}

first=0
right=$(results) same=$(verdict)
grep -q "$uid" <<<"$same" || fail "the good series is not listed"
[[ -s $work/results/$uid/results.h5 ]] || fail "no result of the good series: $(cat "$work/err")"
for ((first = 0; first < total; first += each + in_series)); do
  coding=$((first / (each + in_series) % ${#codings[@]}))
  encode "$coding"
  cp -r "$work/coding-$coding" "$work/in/other"
  mapfile -t slices < <(find "$work/in/other" -name '*.dcm' | sort | shuf -n "$in_series" --random-source=<(yes "$seed$first"))
  python3 "$(dirname "$0")/lib/mutate.py" "$seed" "$((first + each))" "$in_series" - "${slices[@]}"
  python3 "$(dirname "$0")/lib/mutate.py" "$seed" "$first" "$each" "$work/in/alone" "${bases[@]}"
  [[ $(verdict) == "$same" ]] || fail "files $first and on change what 'series' says of the good one: $(cat "$work/out")"
  [[ $(results) == "$right" ]] || fail "files $first and on change the result of the good series: $(tail -n 3 "$work/err")"
  rm -rf "$work/in/other" "$work/in/alone"
done
finish

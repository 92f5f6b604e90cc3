#!/usr/bin/env bash
# A detector of the user's is asked for the nodules of a series: what it writes is read like any other file,
# what it does wrong costs the series and says why; and the program's own detector writes such a file.
# needs: phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
make_inputs 2
mapfile -t patients < <(find "$work/phantom" -mindepth 1 -maxdepth 1 -type d | sort)
series=$(dirname "$(find "${patients[0]}" -name '*.dcm' | head -n 1)")
uid=$(basename "$series")
job=(--weights "$work/w.safetensors" --set figure.write=false --set capture.write=false)

detector() { # detector NAME: makes a program of what is on standard input
  { printf '#!/bin/sh\n' && cat; } >"$work/$1.sh"
  chmod +x "$work/$1.sh"
}
ask() { # ask NAME ARGUMENT...: a run that asks this detector
  local name=$1
  shift
  "$program" run --input "${patients[0]}" "${job[@]}" --nodules detect \
    --set "nodules.command=$work/$name.sh" "$@"
}

# It is given the slices of the series and nothing else, and its places give what a file of them gives.
cat >"$work/places.csv" <<EOF
seriesuid,coordX,coordY,coordZ,probability
$uid,108.788,48.613,-253.5,0.75
$uid,-106.837,9.238,-241,0.25
EOF
detector good <<EOF
ls "\$1" | wc -l >"$work/count"
for file in "\$1"/*.dcm; do cat "\$file" >/dev/null || exit 1; done
cp "$work/places.csv" "\$2"
EOF
ask good -o "$work/asked" >/dev/null 2>&1 || fail "a detector"
[ "$(cat "$work/count")" -eq "$(find "${patients[0]}" -name '*.dcm' | wc -l)" ] || fail "given $(cat "$work/count") files"
"$program" run --input "${patients[0]}" "${job[@]}" --nodules "$work/places.csv" -o "$work/named" >/dev/null 2>&1 ||
  fail "a file"
diff "$work/asked/$uid/nodules.csv" "$work/named/$uid/nodules.csv" >&2 || fail "other nodules than the file's"
cmp "$work"/asked/candidates/"$uid"-*.csv "$work/places.csv" || fail "the candidates are not kept"
[ -z "$(find "$work/asked" -name '.command*')" ] || fail "its folder is left"

# What was made of the same slices by the same command is kept: it is not asked again.
rm "$work/count"
ask good -o "$work/asked" --resume >"$work/out" 2>&1 || fail "resume"
[ ! -e "$work/count" ] || fail "asked again"
grep -q "kept, made from the same input" "$work/out" || fail "not kept: $(tail -n 2 "$work/out")"
"$program" export -i "${patients[0]}" -O report -o "$work/objects" "$work/asked" >/dev/null 2>"$work/out" ||
  fail "export of candidates: $(tail -n 1 "$work/out")"

# What goes wrong: named, and nothing is written.
wrong() { # wrong CODE WORDS NAME ARGUMENT...
  local code=$1 words=$2 name=$3 status=0
  shift 3
  ask "$name" -o "$work/wrong" "$@" >"$work/out" 2>&1 || status=$?
  [ "$status" -eq "$code" ] || fail "$name: exit code $status, expected $code: $(tail -n 1 "$work/out")"
  grep -q "$words" "$work/out" || fail "$name: said: $(tail -n 1 "$work/out")"
  [ ! -e "$work/wrong/$uid" ] || fail "$name: results"
  [ -z "$(find "$work/wrong" -name '.command*')" ] || fail "$name: its folder is left"
}
detector fails <<<'exit 3'
wrong 8 "ended with code 3" fails
# shellcheck disable=SC2016 # the detector's own
detector crashes <<<'kill -SEGV $$'
wrong 8 "ended by signal 11" crashes
detector silent <<<'exit 0'
wrong 8 "did not write the file that it was given: candidates.csv" silent
# shellcheck disable=SC2016
detector link <<<'ln -s /etc/hosts "$2"'
wrong 8 "did not write the file" link
# shellcheck disable=SC2016
detector pipe <<<'mkfifo "$2"'
wrong 8 "did not write the file" pipe
# shellcheck disable=SC2016
detector noise <<<'head -c 3000 /dev/urandom >"$2"'
wrong 8 "candidates/$uid-" noise
[ -z "$(find "$work/wrong/candidates" -type f)" ] || fail "what cannot be read is kept"
detector slow <<<'sleep 60'
began=$SECONDS
wrong 8 "took more than 1 s and was ended" slow --set nodules.command_s=1
[ $((SECONDS - began)) -lt 30 ] || fail "it was not ended"
# shellcheck disable=SC2016
detector large <<<'exec python3 -c "b = bytearray(1 << 30)"'
wrong 8 "ended with code" large --set nodules.command_mb=200
wrong 8 "cannot be started" none
status=0
"$program" run --input "${patients[0]}" "${job[@]}" -o "$work/wrong" --set "nodules.command=$work/good.sh" >"$work/out" 2>&1 || status=$?
[ "$status" -eq 3 ] || fail "a command that is not asked: exit code $status"
grep -q "expected nodules.source: \[detect\]" "$work/out" || fail "a command that is not asked: $(cat "$work/out")"

# The program's own detector: candidates, kept as a file, named as what they are.
"$program" run --input "${patients[0]}" "${job[@]}" --nodules detect --set nodules.most_a_lung=2 -o "$work/own" \
  >/dev/null 2>"$work/out" || fail "the own detector: $(tail -n 1 "$work/out")"
grep -q "candidates by a classical method.*places for review, not findings" "$work/out" || fail "not said what they are"
[ "$(wc -l <"$(find "$work/own/candidates" -name "$uid-*.csv")")" -le 5 ] || fail "more than 2 a side"
[ -s "$work/own/$uid/nodules.csv" ] || fail "no results"
echo ok

#!/usr/bin/env bash
# Killing the program at any moment leaves a complete result or none; a signal it can catch ends it
# cleanly with exit code 19; what a killed run left is removed by the next.
# needs: phantom
# slow: 40
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
make_inputs 2
run=("$program" --log-level error run --series all --input "$work/phantom" --weights
  "$work/w.safetensors" --set figure.panel_pixels=128)

began=$(date +%s%N)
"${run[@]}" -o "$work/whole" >/dev/null || fail "a run that nobody kills"
took=$((($(date +%s%N) - began) / 1000))
whole=$(cd "$work/whole" && find . -type f ! -name lungcdam.h5 -exec sha256sum {} + | sort -k 2)

# complete FOLDER: each visible series is byte for byte what an undisturbed run makes.
complete() {
  local series
  for series in "$1"/*/; do
    [ -d "$series" ] || continue
    series=$(basename "$series")
    diff -r "$1/$series" "$work/whole/$series" >/dev/null || fail "$1/$series is not complete"
  done
}

for i in $(seq 1 14); do
  out=$work/killed
  "${run[@]}" -o "$out" --resume >/dev/null 2>&1 &
  process=$!
  sleep "$(awk -v i="$i" -v t="$took" 'BEGIN { printf "%.3f", t / 1e6 * i / 13 }')"
  kill -9 "$process" 2>/dev/null
  wait "$process" 2>/dev/null
  complete "$out"
  [ "$i" -eq 7 ] && rm -rf "$out"
done
"${run[@]}" -o "$work/killed" --resume >/dev/null || fail "resuming after the kills"
complete "$work/killed"
[ "$whole" = "$(cd "$work/killed" && find . -type f ! -name lungcdam.h5 -exec sha256sum {} + |
  sort -k 2)" ] || fail "resuming gives other results: $(ls -A "$work/killed")"
cmp -s "$work/killed/lungcdam.h5" "$work/whole/lungcdam.h5" || fail "the master file differs"

for signal in INT TERM; do
  rm -rf "$work/stopped"
  # A program started in the background by a script ignores SIGINT unless that is changed.
  python3 - "$signal" "$took" "${run[@]}" -o "$work/stopped" >"$work/err" 2>&1 <<'PYTHON'
import signal, subprocess, sys, time
number, took = getattr(signal, "SIG" + sys.argv[1]), float(sys.argv[2]) / 1e6
process = subprocess.Popen(sys.argv[3:], preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
time.sleep(took * 0.3)
process.send_signal(number)
sys.exit(process.wait())
PYTHON
  got=$?
  [ "$got" -eq 19 ] || fail "SIG$signal: exit code $got, expected 19: $(cat "$work/err")"
  grep -q "stopped by SIG$signal" "$work/err" || fail "SIG$signal: $(cat "$work/err")"
  [ -z "$(find "$work/stopped" -maxdepth 1 -name '.*partial' 2>/dev/null)" ] ||
    fail "SIG$signal left a draft"
  complete "$work/stopped"
done
finish

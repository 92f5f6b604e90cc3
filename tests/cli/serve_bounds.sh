#!/usr/bin/env bash
# What a series' job and an association may take ends where the options say, and the server goes on.
# needs: net, phantom
# slow: 15
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
command -v storescu >/dev/null || {
  echo "skipped: no storescu (package dcmtk)"
  exit 77
}
"$program" --log-level error phantom -o "$work/phantom" --matrix 64 --slice-spacing 10 --nodules 1 >/dev/null ||
  fail "phantom"
"$program" weights init vit_small_patch8 -o "$work/large.safetensors" >/dev/null 2>&1 || fail "weights init"
"$program" weights init vit_tiny_patch16 -o "$work/small.safetensors" >/dev/null 2>&1 || fail "weights init"
mapfile -t slices < <(find "$work/phantom" -name '*.dcm' | sort)
job=(--nodules "$work/phantom" --quiet 0.5 --set figure.write=false --set capture.write=false)

# An association that stays, and a job of many seconds.
serve time "${job[@]}" -w "$work/large.safetensors" --set "preprocess.views=[axial, coronal, sagittal]" \
  -o "$work/time" --job-time 1 --association-life 2
life=$(python3 "$LUNGCDAM_SOURCE/tests/cli/lib/hostile_peer.py" "$port" life) || fail "no association"
[ "$life" -ge 1 ] || fail "an association was ended after $life s of 2"
[ "$life" -lt 20 ] || fail "an association went on for $life s"
storescu 127.0.0.1 "$port" "${slices[@]}" || fail "storescu"
logged "the job took more than 1 s and was ended"
[ "$(in_spool time quarantine)" -eq ${#slices[@]} ] || fail "not in quarantine"
nothing_in "$work/time"
stop

# A bound that no job keeps is said at once; a job that goes beyond may be a victim of chance, and is
# tried again later. (Sanitizers take memory of their own.)
[ -z "${LUNGCDAM_FAULT:-}" ] || {
  export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 # stacks of threads count
  job+=(-w "$work/small.safetensors" --set cube.edge=256)
  expect 17 "" serve --spool "$work/none" "${job[@]}" -o "$work/none" -p 0 --job-memory 0.02
  serve memory "${job[@]}" -o "$work/memory" --job-memory 0.2
  storescu 127.0.0.1 "$port" "${slices[@]}" || fail "storescu"
  logged "waits 60 s: "
  says "(memory)" || fail "the reason is another: $(tail -n 3 "$log")"
  [ "$(in_spool memory work)" -eq ${#slices[@]} ] || fail "the series does not wait"
  stop
}
finish

#!/usr/bin/env bash
# LIDC-IDRI-0001 over the network: whole, without the slices of its nodule, and interleaved with a series
# of another scanner.
# needs: net
# slow: 25
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
need_data
command -v dcmsend >/dev/null || {
  echo "skipped: no dcmsend (package dcmtk)"
  exit 77
}
uid=1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192
lidc=$(dirname "$(find "$data/LIDC-IDRI" -path "*$uid/*.dcm" | head -n 1)")
mapfile -t slices < <(find "$lidc" -name '*.dcm' | sort)
mapfile -t siemens < <(find "$data/other_vendors/siemens_sensation10_8mm" -name '*.dcm' | sort)
"$program" weights init vit_tiny_patch8 -o "$work/w.safetensors" --seed 1 >/dev/null || fail "weights"
job=(--weights "$work/w.safetensors" --nodules "$data/LIDC-IDRI")
expect 0 "nodule-1" --log-level error run --input "$lidc" --weights "$work/w.safetensors" -o "$work/run"

# Whole and interleaved: the LIDC series gives what a run on its files gives, the other has no nodules.
serve both "${job[@]}" -o "$work/both" --quiet 3
mixed=()
for i in "${!slices[@]}"; do mixed+=("${slices[$i]}" ${siemens[$i]:+"${siemens[$i]}"}); done
dcmsend 127.0.0.1 "$port" "${mixed[@]}" || fail "dcmsend"
logged "series $uid: ${#slices[@]} objects, done"
logged "${#siemens[@]} objects, no nodules"
diff -r "$work/both/$uid" "$work/run/$uid" >&2 || fail "not what a run on the files gives"
[ "$(in_spool both quarantine)" -eq 0 ] || fail "in quarantine"
stop

# Without the slices around the nodule (z -117.5 mm): quarantine, with the reason; later, with them, done.
near=() rest=()
for file in "${slices[@]}"; do
  z=$(dcmdump +P ImagePositionPatient "$file" | sed 's/.*\\\(.*\)\].*/\1/')
  if awk -v z="$z" 'BEGIN {exit !((z + 117.5) ^ 2 < 60)}'; then near+=("$file"); else rest+=("$file"); fi
done
[ "${#near[@]}" -gt 2 ] || fail "no slices around the nodule"
serve gap "${job[@]}" -o "$work/gap" --quiet 3
dcmsend 127.0.0.1 "$port" "${rest[@]}" || fail "dcmsend"
logged "series $uid: to quarantine"
"$program" serve --status --json --spool "$work/gap.spool" >"$work/out"
grep -q '"status": "geometry"' "$work/out" || fail "no reason"
dcmsend 127.0.0.1 "$port" "${near[@]}" || fail "dcmsend"
logged "series $uid: ${#slices[@]} objects, done"
diff -r "$work/gap/$uid" "$work/run/$uid" >&2 || fail "late slices do not give the whole"
stop
finish

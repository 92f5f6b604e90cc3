#!/usr/bin/env bash
# Images and the files that hold their nodules meet in a server, whichever comes first and in whatever
# company: a segmentation, a report; its own results that are routed back are no nodules, and images for which
# none came are said to be without.
# needs: net, phantom
# slow: 25
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
for tool in dcmsend dcmodify dcmdump; do
  command -v "$tool" >/dev/null || {
    echo "skipped: no $tool (package dcmtk)"
    exit 77
  }
done
make_inputs 2
job=(--weights "$work/w.safetensors" --set figure.write=false --set capture.write=false)
"$program" --log-level error run --series all --input "$work/phantom" "${job[@]}" -o "$work/marked" >/dev/null ||
  fail "run"
"$program" --log-level error export -i "$work/phantom" -O segmentation,report -o "$work/own" "$work/marked" >/dev/null ||
  fail "export"

# What somebody else made of the same nodules: the same objects by another manufacturer.
uids=() count=()
for n in 1 2; do
  mkdir "$work/ct$n" "$work/other$n"
  find "$work/phantom/PHANTOM-11-000$n" -name '*.dcm' -exec cp -t "$work/ct$n" {} +
  uids[n]=$(basename "$(dirname "$(find "$work/phantom/PHANTOM-11-000$n" -name '*.dcm' | head -n 1)")")
  count[n]=$(find "$work/ct$n" -type f | wc -l)
  cp "$work/own/${uids[n]}"/{segmentation,report}.dcm "$work/other$n"
  dcmodify -nb -m "(0008,0070)=Elsewhere" "$work/other$n"/*.dcm 2>/dev/null || fail "dcmodify"
  "$program" --log-level error run --input "$work/ct$n" "${job[@]}" --nodules "$work/other$n/segmentation.dcm" \
    -o "$work/seg" --overwrite >/dev/null || fail "run on a segmentation"
done
"$program" --log-level error run --input "$work/ct1" "${job[@]}" --nodules "$work/other1/report.dcm" \
  --nodules "$work/other1/segmentation.dcm" -o "$work/both" >/dev/null || fail "run on a segmentation and a report"
# A sender may write another meta header, so that the hash of the nodules' file is another.
same() { diff "$1/$3/nodules.csv" "$2/$3/nodules.csv" >&2 || fail "$1/$3 differs from a run on the files"; }

# The first patient's images first, the second one's segmentation first, in turn.
serve mixed "${job[@]}" -o "$work/mixed" --quiet 1
dcmsend 127.0.0.1 "$port" +sd "$work/ct1" || fail "dcmsend"
logged "series ${uids[1]}: ${count[1]} objects, no nodules yet"
nothing_in "$work/mixed" 2>/dev/null
dcmsend 127.0.0.1 "$port" "$work/other2/segmentation.dcm" || fail "dcmsend"
logged "it waits for them"
dcmsend 127.0.0.1 "$port" "$work/other1/segmentation.dcm" +sd "$work/ct2" || fail "dcmsend"
logged "series ${uids[1]}: ${count[1]} objects, done"
logged "series ${uids[2]}: ${count[2]} objects, done"
same "$work/mixed" "$work/seg" "${uids[1]}"
same "$work/mixed" "$work/seg" "${uids[2]}"
# A report comes later: what it rates is worked on again.
dcmsend 127.0.0.1 "$port" "$work/other1/report.dcm" || fail "dcmsend"
logged "series ${uids[1]}: ${count[1]} objects, done" 2
same "$work/mixed" "$work/both" "${uids[1]}"
# Its own results are known again, and what tells of no nodule is no fault.
dcmsend 127.0.0.1 "$port" "$work/own/${uids[1]}/segmentation.dcm" || fail "dcmsend"
logged "results of lungcdam itself: ignored"
cp "$work/other2/report.dcm" "$work/text.dcm"
dcmodify -nb -gin -gse -m "(0008,0016)=1.2.840.10008.5.1.4.1.1.88.11" -e "(0040,A730)" -e "(0040,A504)" \
  "$work/text.dcm" 2>/dev/null || fail "dcmodify"
dcmsend 127.0.0.1 "$port" "$work/text.dcm" || fail "dcmsend"
logged "tells of no nodules"
[ "$(in_spool mixed quarantine)" -eq 0 ] || fail "in quarantine: $("$program" serve --status --csv --spool "$work/mixed.spool")"
# A segmentation that is damaged is: its frames are larger than its pixels.
cp "$work/other2/segmentation.dcm" "$work/bad.dcm"
dcmodify -nb -gin -gse -m "(0028,0010)=4096" "$work/bad.dcm" 2>/dev/null || fail "dcmodify"

dcmsend 127.0.0.1 "$port" "$work/bad.dcm" || fail "dcmsend"
logged ": to quarantine as"
stop

# Nothing came: said once the time is over.
serve none "${job[@]}" -o "$work/none" --quiet 1 --nodule-wait 1
dcmsend 127.0.0.1 "$port" +sd "$work/ct1" || fail "dcmsend"
logged "series ${uids[1]}: no nodules came in 1 s"
"$program" serve --status --json --spool "$work/none.spool" >"$work/out"
grep -q '"outcome": "no nodules"' "$work/out" || fail "no outcome: $(cat "$work/out")"
# Later is not too late.
dcmsend 127.0.0.1 "$port" "$work/other1/segmentation.dcm" || fail "dcmsend"
logged "series ${uids[1]}: ${count[1]} objects, done"
same "$work/none" "$work/seg" "${uids[1]}"
stop
echo ok

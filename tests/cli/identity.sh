#!/usr/bin/env bash
# The identity of patient and study belongs to a result: when PatientID or AccessionNumber are corrected
# under the same UIDs, no command keeps or names the wrong patient, and objects get UIDs of their own.
# needs: net, phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
# shellcheck source=tests/cli/lib/serve.bash
source "$(dirname "$0")/lib/serve.bash"
for tool in storescu dcmsend dcmodify dcmdump; do
  command -v "$tool" >/dev/null || {
    echo "skipped: no $tool (package dcmtk)"
    exit 77
  }
done
make_inputs 1
mapfile -t slices < <(find "$work/phantom" -name '*.dcm' | sort)
uid=$(basename "$(dirname "${slices[0]}")")
patient=$(dcmdump +P PatientID "${slices[0]}" | sed 's/.*\[\(.*\)\].*/\1/')
cp -r "$work/phantom" "$work/corrected"
mapfile -t corrected < <(find "$work/corrected" -name '*.dcm' | sort)
dcmodify -nb -m PatientID=RIGHT-PATIENT -m PatientName=Right^Patient -i AccessionNumber=A-2 \
  "${corrected[@]}" || fail "dcmodify"
job=(--weights "$work/w.safetensors" --set figure.write=false --set export.objects=report)

# of FOLDER TAG: the values of an attribute of all objects below, each once; not those in sequences.
of() {
  find "$1" -name '*.dcm' -exec dcmdump +L {} + | grep "^($2)" | sed 's/[^[]*\[\(.*\)\].*/\1/; t; s/.*/none/' | sort -u
}
# right FOLDER: objects are there, and all are the right patient's.
right() {
  [ "$(of "$1" 0010,0020)" = RIGHT-PATIENT ] || fail "$1: PatientID $(of "$1" 0010,0020)"
  [ "$(of "$1" 0008,0050)" = A-2 ] || fail "$1: AccessionNumber $(of "$1" 0008,0050)"
}
# apart FOLDER OTHER: no object or series has the same UID in both.
apart() {
  local tag
  for tag in 0008,0018 0020,000e; do
    [ -n "$(of "$1" "$tag")" ] || fail "no $tag in $1"
    [ -z "$(comm -12 <(of "$1" "$tag") <(of "$2" "$tag"))" ] || fail "$1 and $2 share $tag"
  done
}

# run --resume
run=("$program" run --weights "$work/w.safetensors" --set figure.write=false
  --set export.objects=report)
"${run[@]}" -i "$work/phantom" -o "$work/run" >/dev/null 2>&1 || fail "run"
[ "$(of "$work/run" 0010,0020)" = "$patient" ] || fail "PatientID of the first run"
cp -r "$work/run" "$work/first"
"${run[@]}" --resume -i "$work/phantom" -o "$work/run" >/dev/null 2>&1 || fail "run --resume"
diff -r "$work/first" "$work/run" >/dev/null || fail "results of the same patient are not kept"
"${run[@]}" --resume -i "$work/corrected" -o "$work/run" >/dev/null 2>"$work/log" || fail "run --resume"
grep -q "is replaced: patient or study is another" "$work/log" || fail "run does not say it"
grep -qF RIGHT-PATIENT "$work/log" && fail "the log names the patient"
right "$work/run"
apart "$work/run" "$work/first"

# export of a result that was made before the correction
expect 0 "patient or study is another" export -i "$work/corrected" -o "$work/new" "$work/first"
expect 0 "" export -i "$work/phantom" -o "$work/old" "$work/first"
right "$work/new"
[ "$(of "$work/old" 0010,0020)" = "$patient" ] || fail "PatientID of the first export"
apart "$work/new" "$work/old"
tracked() { dcmdump +P TrackingUID "$1/$uid/segmentation.dcm" | sort; }
[ -n "$(tracked "$work/new")" ] || fail "no tracking UID"
[ -z "$(comm -12 <(tracked "$work/new") <(tracked "$work/old"))" ] ||
  fail "nodules of two patients share a tracking UID"

# a series that is half corrected is refused by name
cp -r "$work/phantom" "$work/half"
find "$work/half" -name '*.dcm' | sort | head -n 3 | xargs dcmodify -nb -i AccessionNumber=A-2
expect 7 "AccessionNumber differs within the series" run -i "$work/half" -o "$work/no" \
  -w "$work/w.safetensors"

# serve: the corrected objects replace those at hand, and the series is worked on again
serve one "${job[@]}" --nodules "$work/phantom" -o "$work/served" --quiet 0.5
dcmsend 127.0.0.1 "$port" "${slices[@]}" || fail "dcmsend"
logged "series $uid: ${#slices[@]} objects, done"
[ "$(of "$work/served" 0010,0020)" = "$patient" ] || fail "PatientID of what was served first"
cp -r "$work/served" "$work/before"
storescu -aet OTHER 127.0.0.1 "$port" "${slices[@]}" || fail "storescu"
logged "series $uid: ${#slices[@]} objects, results kept"
grep -q "objects differ" "$log" && fail "the same objects of another sender are said to differ"
dcmsend 127.0.0.1 "$port" "${corrected[@]}" || fail "dcmsend"
logged "series $uid: objects differ from those that are here"
logged "is replaced: patient or study is another"
logged "series $uid: ${#slices[@]} objects, done" 2
right "$work/served"
apart "$work/served" "$work/before"
stop

# --keep-first: they are refused as duplicates, and said to be
serve two "${job[@]}" --nodules "$work/phantom" -o "$work/kept" --quiet 0.5 --keep-first
dcmsend 127.0.0.1 "$port" "${slices[@]}" || fail "dcmsend"
logged "series $uid: ${#slices[@]} objects, done"
storescu -v 127.0.0.1 "$port" "${corrected[0]}" >"$work/out" 2>&1
grep -qi '0x0*111' "$work/out" || fail "no 0111: $(tail -n 3 "$work/out")"
logged "refused: it differs from the object that is here under its UID"
[ "$(of "$work/kept" 0010,0020)" = "$patient" ] || fail "PatientID of what was kept"
stop
finish

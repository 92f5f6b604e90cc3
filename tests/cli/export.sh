#!/usr/bin/env bash
# DICOM objects from results: every kind validates, twice the same, and nothing for the wrong patient.
# needs: phantom
# slow: 50
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"

make_inputs 1
mv "$work/phantom" "$work/in"
"$program" weights init -f "$work/small.yaml" -o "$work/w.safetensors" \
  -H malignancy -H biomarkers:outputs=8:regression >/dev/null 2>&1 || fail "weights"
"$program" run -i "$work/in" -w "$work/w.safetensors" -o "$work/results" >/dev/null 2>&1 || fail "run"
folder=$(dirname "$work"/results/*/results.h5)
uid=$(basename "$folder")

expect 0 "presentation" export -i "$work/in" -o "$work/dicom" "$work/results"
expect 16 "exists" export -i "$work/in" -o "$work/dicom" "$work/results"
expect 0 "" export -f -i "$work/in" -o "$work/dicom" "$work/results"
expect 0 "" export -i "$work/in" -o "$work/again" "$folder"
diff -r "$work/dicom" "$work/again" >&2 || fail "a second export differs"
"$program" run -f -i "$work/in" -w "$work/w.safetensors" -o "$work/both" \
  --set export.objects=all >/dev/null 2>&1 || fail "run with export.objects"
[ "$(ls "$work/both/$uid/objects")" = "$(ls "$work/dicom/$uid")" ] || fail "a run writes other objects"
# what a run writes from memory is what the export makes of its store
expect 0 "" export -i "$work/in" -o "$work/later" "$work/both"
diff -r "$work/both/$uid/objects" "$work/later/$uid" >&2 || fail "objects of the run and of its store differ"
expect 3 "export.objects" config --set 'export.objects=[pictures]'
expect 0 "" config --print --set 'export.objects=[captures]' --set capture.write=false
grep -q 'write: true' <(grep -A3 '^capture:' "$work/out") || fail "captures among the objects are not written"
for kind in slices maps segmentation relevance report presentation; do
  compgen -G "$work/dicom/$uid/$kind*.dcm" >/dev/null || fail "no object of kind $kind"
done
if command -v dciodvfy >/dev/null && command -v dcentvfy >/dev/null && command -v dcmdump >/dev/null; then
  for file in "$work/dicom/$uid"/*.dcm; do
    dciodvfy "$file" 2>&1 | grep -q '^Error' && fail "$file: $(dciodvfy "$file" 2>&1 | grep '^Error')"
    # what readers marked does not depend on weights
    case ${file##*/} in segmentation.dcm | presentation.dcm) wanted=1 ;; *) wanted=0 ;; esac
    dcmdump "$file" | grep -q 'UNTRAINED'
    [ $? -eq "$wanted" ] || fail "$file: weights that are untrained, said or not"
  done
  # what belongs to patient and study is the same in the source and in every object
  sources=$(find "$work/in" -name '00001*.dcm')
  # shellcheck disable=SC2086
  dcentvfy "$work/dicom/$uid"/*.dcm "$folder"/captures/*.dcm $sources 2>&1 | grep '^Error' >&2 &&
    fail "dcentvfy"
  # all objects join the patient's study, and no two share an instance
  [ "$(dcmdump +L +P StudyInstanceUID "$work/dicom/$uid"/*.dcm | grep ' UI ' | sed 's/^ *//' |
    sort -u | wc -l)" -eq 1 ] || fail "objects of several studies"
  instances=$(for f in "$work/dicom/$uid"/*.dcm; do dcmdump +P MediaStorageSOPInstanceUID "$f"; done)
  [ "$(sort -u <<<"$instances" | wc -l)" -eq "$(wc -l <<<"$instances")" ] || fail "an instance twice"
  # a report that names other objects is another object
  expect 0 "" export -i "$work/in" -o "$work/alone" -O report "$work/results"
  [ "$(dcmdump +P SOPInstanceUID "$work/alone/$uid/report.dcm")" != \
    "$(dcmdump +P SOPInstanceUID "$work/dicom/$uid/report.dcm")" ] || fail "two reports under one UID"
  # whatever an object names is there: a source slice, a capture, or another object
  uids() { dcmdump +P "$1" "${@:2}" | grep -o '\[[0-9.]*\]' | sort -u; }
  mapfile -t there < <(find "$work/in" "$work/dicom/$uid" "$folder/captures" -name '*.dcm')
  uids SOPInstanceUID "${there[@]}" >"$work/there"
  uids ReferencedSOPInstanceUID "$work/dicom/$uid"/*.dcm >"$work/named"
  [ "$(wc -l <"$work/named")" -gt 5 ] || fail "the objects name hardly anything"
  [ -z "$(comm -13 "$work/there" "$work/named")" ] || fail "named, but not there: $(comm -13 "$work/there" "$work/named" | head -n 3)"
  expect 0 "" export -i "$work/in" -o "$work/rooted" -O report --uid-root 1.2.826.0.1.99 \
    --series-number 300 --description "Our lab" "$work/results"
  dump=$(dcmdump +L "$work/rooted/$uid/report.dcm")
  grep -q '(0008,0018) UI \[1\.2\.826\.0\.1\.99\.' <<<"$dump" || fail "the UID root is not used"
  grep -q '\[Our lab report UNTRAINED (research use only)\]' <<<"$dump" || fail "description"
  grep -q 'IS \[700\]' <<<"$dump" || fail "series number"
else
  echo "not judged: dciodvfy and dcmdump are not installed" >&2
fi

# a kind that cannot be made costs itself: no view lies along the slices
"$program" run -i "$work/in" -w "$work/w.safetensors" -o "$work/coronal" --set 'preprocess.views=[coronal]' \
  --set export.objects=all >/dev/null 2>"$work/err" || fail "run with a coronal view"
grep -q 'no objects of kind "slices": .*no stored view is parallel' "$work/err" || fail "not said: $(cat "$work/err")"
for kind in maps segmentation relevance report presentation; do
  compgen -G "$work/coronal/$uid/objects/$kind*.dcm" >/dev/null || fail "slices cost the kind $kind"
done
expect 9 "no stored view is parallel" export -i "$work/in" -o "$work/no" -O slices "$work/coronal"
nothing_in "$work/no"
# what a model is called is in its file
if command -v python3 >/dev/null; then
  command python3 - "$work/w.safetensors" "$work/named.safetensors" <<'PYTHON' || fail "python3"
import json, struct, sys
data = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", data[:8])
head = json.loads(data[8:8 + n])
head["__metadata__"].update(model_name="Lung Eye", model_version="2.1")
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + n:])
PYTHON
  "$program" run -i "$work/in" -w "$work/named.safetensors" -o "$work/entitled" --set 'export.objects=[report, relevance]' \
    >/dev/null 2>&1 || fail "run with a named model"
  for file in "$work/entitled/$uid"/objects/*.dcm "$work/entitled/$uid"/captures/*.dcm; do
    dcmdump +L "$file" | grep -q 'Lung Eye' || fail "$file does not name the model"
    dcmdump +L "$file" | grep -q '2\.1' || fail "$file does not name its version"
  done
fi

# what must not happen
expect 2 "'pictures' is no kind of object" export -i "$work/in" -O maps,pictures "$work/results"
expect 2 "captures are made by 'lungcdam run' alone" export -i "$work/in" -O captures "$work/results"
expect 2 "which results?" export -i "$work/in"
expect 2 "where is the source series?" export "$work/results"
expect 2 "expected digits and dots" export -i "$work/in" --uid-root 1..2 "$work/results"
expect 4 "holds no result" export -i "$work/in" -o "$work/no" "$work/in"
expect 9 "PatientIdentityRemoved" --log-level error export --anonymised -i "$work/in" -o "$work/no" "$work/results"
one_line
nothing_in "$work/no"
"$program" phantom -o "$work/other" --matrix 64 --seed 4 >/dev/null 2>&1 || fail "phantom"
expect 4 "$uid" export -i "$work/other" -o "$work/no" "$work/results"
one_line
other=$(basename "$(dirname "$(find "$work/other" -name '*.dcm' | head -n 1)")")
grep -q "results.h5: the input lacks the series.* among the 1 found: $other (id-[0-9a-f]*, " \
  "$work/err" || fail "not said which series there is: $(cat "$work/err")"
nothing_in "$work/no"

# the same series with a slice taken away, and another annotation beside it
cp -r "$work/in" "$work/short"
rm "$(find "$work/short" -name '000001.dcm')"
expect 10 "other slices" export -i "$work/short" -o "$work/no" "$work/results"
nothing_in "$work/no"
cp -r "$work/in" "$work/edited"
sed -i 's/<malignancy>./<malignancy>3/' "$(find "$work/edited" -name '*.xml')"
expect 10 "another annotation" export -i "$work/edited" -o "$work/no" "$work/results"
nothing_in "$work/no"

# a store that is broken, or none
cp -r "$folder" "$work/broken"
for size in 0 100 4000; do
  truncate -s "$size" "$work/broken/results.h5"
  expect 8 "results.h5" export -i "$work/in" -o "$work/no" "$work/broken"
  one_line
  nothing_in "$work/no"
  cp "$folder/results.h5" "$work/broken/results.h5"
done
if [ "$(id -u)" -ne 0 ]; then
  mkdir "$work/readonly"
  chmod a-w "$work/readonly"
  expect 14 "" export -i "$work/in" -o "$work/readonly/x" "$work/results"
fi
finish

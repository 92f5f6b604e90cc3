#!/usr/bin/env bash
# Series that lack files, units or an unambiguous volume, as users meet them: exit codes, words, and
# what tables, stores and objects say afterwards.
# needs: phantom
# slow: 40
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
command -v dcmodify >/dev/null || {
  echo "skipped: dcmodify is not installed"
  exit 77
}
make_inputs 1
source=$(dirname "$(find "$work/phantom" -name 000001.dcm)")
uid=$(basename "$source")
study=$(basename "$(dirname "$source")")
run=(run -w "$work/w.safetensors" -S figure.write=false)

# says FILE WORDS: the store's reason holds the words.
says() {
  h5dump -A "$1" 2>/dev/null | grep -A9 '"verdict_reason"' | tr -d '\n' | grep -qF -- "$2" ||
    fail "$1: verdict_reason lacks '$2'"
}
# describes FOLDER WORDS: the derivation of every object holds the words.
describes() {
  local object
  for object in "$1"/*.dcm; do
    case $object in *report.dcm | *presentation.dcm) continue ;; esac # have no derivation
    dcmdump -q +L +P DerivationDescription "$object" | grep -qF -- "$2" ||
      fail "$object: no '$2' in its derivation"
  done
}
n_of() { h5dump -H -d /nodules/label "$1" | sed -n 's/.*SIMPLE { ( \([0-9]*\).*/\1/p'; }

# A slice that is a link to nowhere: the series is refused by name, and used when that is allowed.
cp -r "$source" "$work/lost"
ln -sf /nowhere "$work/lost/000005.dcm"
expect 21 "lost/000005.dcm: a link to a file that is not there" series "$work/lost"
grep -q "refused .*1 file cannot be read, first 000005.dcm: .*--allow-missing" "$work/out" ||
  fail "the table does not say it: $(cat "$work/out")"
expect 0 "slices may be missing, as allowed" series --allow-missing --csv "$work/lost"
expect 7 "1 file cannot be read, first 000005.dcm" "${run[@]}" -i "$work/lost" -o "$work/none"
nothing_in "$work/none"
expect 7 "slices may be missing" prepare "$work/lost" -o "$work/none.h5"
nothing_in "$work/none.h5"
expect 0 "repaired: 000006.dcm: slice 5 lies 10.00 mm" "${run[@]}" -i "$work/lost" \
  -o "$work/allowed" --allow-missing
grep -q "^series $uid: repaired: .*slices may be missing, as allowed" "$work/out" ||
  fail "the summary does not say it: $(cat "$work/out")"
grep -q "slices may be missing, as allowed" "$work/allowed/$uid/nodules.csv" || fail "nodules.csv"
says "$work/allowed/$uid/results.h5" "1 file cannot be read, first 000005.dcm"
describes "$work/allowed/$uid/captures" "1 file cannot be read, first 000005.dcm"
expect 0 "" "${run[@]}" -i "$work/lost" -o "$work/by_key" -S input.allow_missing=true
expect 0 "" prepare "$work/lost" -o "$work/allowed.h5" --allow-missing
h5dump -d /scanner/verdict "$work/allowed.h5" | grep -q "first 000005.dcm: slices may be missing" ||
  fail "the data set does not say it"
expect 7 "--allow-missing" export -i "$work/lost" -o "$work/dicom" "$work/allowed"
expect 0 "segmentation" export -i "$work/lost" -o "$work/dicom" --allow-missing "$work/allowed"
describes "$work/dicom/$uid" "1 file cannot be read, first 000005.dcm"
expect 0 "" explain -i "$work/lost" -w "$work/w.safetensors" -e cdam -o "$work/maps" --allow-missing

# A slice that is no number, beside good ones.
cp -r "$source" "$work/comma"
dcmodify -nb -q -m "RescaleIntercept=-1024,0" "$work/comma/000005.dcm" 2>/dev/null
expect 0 "RescaleIntercept \"-1024,0\" is not a number" series "$work/comma"
expect 7 "first 000005.dcm" "${run[@]}" -i "$work/comma" -o "$work/none"

# Permissions bind all but root.
if [ "$(id -u)" -ne 0 ]; then
  cp -r "$source" "$work/locked"
  chmod 0 "$work/locked/000005.dcm"
  expect 21 "locked/000005.dcm: cannot be opened: Permission denied" series "$work/locked"
  expect 7 "slices may be missing" "${run[@]}" -i "$work/locked" -o "$work/none"
fi

# Links to the files of a store elsewhere are followed, and copies are not counted twice.
mkdir "$work/links"
ln -s "$source"/* "$work/links"
expect 0 "usable" series "$work/links"
expect 0 "" "${run[@]}" -i "$work/links" -o "$work/linked"
cmp -s "$work/linked/$uid/nodules.csv" <("$program" "${run[@]}" -i "$source" -o "$work/direct" \
  >/dev/null 2>&1; cat "$work/direct/$uid/nodules.csv") || fail "links give other results"

# Stored values without rescaling.
cp -r "$source" "$work/units"
dcmodify -nb -q -ea RescaleIntercept -ea RescaleSlope "$work"/units/*.dcm
expect 7 "Hounsfield units unknown; --assume-hu" "${run[@]}" -i "$work/units" -o "$work/none"
nothing_in "$work/none"
# An option is no proof: stored values of this scanner are 1024 above.
expect 8 "no air: values from" "${run[@]}" -i "$work/units" -o "$work/none" --assume-hu
nothing_in "$work/none"
expect 20 "no air: values from" prepare "$work/units" -o "$work/none.h5" --assume-hu
for file in "$work"/units/*.dcm; do
  dcmdump -q +W "$work" "$file" >"$work/out"
  perl -0777 -ne 'print pack("s<*", map { $_ - 1024 } unpack("s<*", $_))' \
    "$work/${file##*/}.0.raw" >"$work/hu.raw"
  dcmodify -nb -q -m PixelRepresentation=1 -mf "PixelData=$work/hu.raw" "$file"
done
expect 0 "56 slices without RescaleIntercept" "${run[@]}" -i "$work/units" -o "$work/assumed" \
  --assume-hu
says "$work/assumed/$uid/results.h5" "stored values assumed to be Hounsfield units"
describes "$work/assumed/$uid/captures" "stored values assumed to be Hounsfield units"
expect 7 "Hounsfield units unknown" prepare "$work/units" -o "$work/none.h5"
expect 0 "" prepare "$work/units" -o "$work/units.h5" --assume-hu
expect 0 "repaired" series --assume-hu "$work/units"

cmp -s <(cut -d, -f1-16 "$work/assumed/$uid/nodules.csv") \
  <(cut -d, -f1-16 "$work/direct/$uid/nodules.csv") || fail "assumed units give other results"

# Pixels that changed under the same headers: nothing is kept, in results and in data sets.
cp -r "$source" "$work/edited"
expect 0 "" "${run[@]}" -i "$work/edited" -o "$work/kept"
expect 0 "" prepare "$work/edited" -o "$work/kept.h5"
expect 0 "kept, made from the same input" "${run[@]}" -i "$work/edited" -o "$work/kept" --resume
for file in "$work"/edited/*.dcm; do
  printf '\1' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 5000)) conv=notrunc status=none
done
expect 0 "" "${run[@]}" -i "$work/edited" -o "$work/kept" --resume
if grep -q "kept, made" "$work/err"; then fail "a result of other pixels is kept"; fi
expect 0 "1 made, 0 kept" prepare "$work/edited" -o "$work/kept.h5" --resume

# An intercept that is right in form and wrong in fact: in one slice, and in all.
cp -r "$source" "$work/shifted"
dcmodify -nb -q -m RescaleIntercept=0 "$work/shifted/000028.dcm"
expect 21 "000028.dcm: slice 28 differs from its neighbours by" "${run[@]}" -i "$work/shifted" \
  -o "$work/shifted_out"
dcmodify -nb -q -m RescaleIntercept=0 "$work"/shifted/*.dcm
expect 8 "no air: values from" "${run[@]}" -i "$work/shifted" -o "$work/none"
for intercept in -2048 -1524 -524; do
  dcmodify -nb -q -m RescaleIntercept=$intercept "$work"/shifted/*.dcm
  expect 8 "are not Hounsfield units" "${run[@]}" -i "$work/shifted" -o "$work/none"
done

# Positions that are swapped end for end: the marks name slices and places that disagree.
cp -r "$source" "$work/turned"
for file in "$source"/*.dcm; do
  other=$(printf '%s/turned/%06d.dcm' "$work" $((57 - 10#$(basename "$file" .dcm))))
  dcmodify -nb -q -m "ImagePositionPatient=$(dcmdump +P ImagePositionPatient "$file" |
    sed 's/.*\[\(.*\)\].*/\1/')" "$other"
done
expect 10 "more than half a slice from the slice of their imageSOP_UID" "${run[@]}" \
  -i "$work/turned" -o "$work/none"

# Two acquisitions at the same places: listed, named, run and prepared one by one.
mkdir "$work/phases"
cp "$source"/* "$work/phases"
for file in "$source"/*.dcm; do cp "$file" "$work/phases/b_${file##*/}"; done
dcmodify -nb -q -gin -m AcquisitionNumber=2 "$work"/phases/b_*.dcm
expect 0 "$uid:2" series "$work/phases"
expect 6 "$uid:1 (" "${run[@]}" -i "$work/phases" -o "$work/none"
expect 0 "" "${run[@]}" -i "$work/phases" -s "$uid:2" -o "$work/parts"
[ "$(cd "$work/parts" && echo *)" = "${uid}_2 lungcdam.h5" ] || fail "$(ls "$work/parts")"
expect 0 "" "${run[@]}" -i "$work/phases" -s "$uid:1" -o "$work/parts"
expect 0 "2 kept" "${run[@]}" -i "$work/phases" -s all -o "$work/parts" --resume
expect 4 "no series $uid:3" "${run[@]}" -i "$work/phases" -s "$uid:3" -o "$work/none"
expect 0 "${uid}_2" export -i "$work/phases" -o "$work/parts_dicom" "$work/parts"
[ -d "$work/parts_dicom/$uid" ] || fail "the objects of the first part are missing"
expect 20 "$uid:2 (" prepare "$work/phases" -o "$work/none.h5"
echo "$uid:2" >"$work/list"
expect 0 "" prepare "$work/phases" -o "$work/part.h5" --series-list "$work/list"
[ "$(n_of "$work/part.h5")" -eq 3 ] || fail "nodules of one part"
printf '%s:1\n%s:2\n' "$uid" "$uid" >"$work/list"
expect 0 "6 nodules of 2 series" prepare "$work/phases" -o "$work/both.h5" \
  --series-list "$work/list"
expect 0 "" explain -i "$work/phases" -s all -w "$work/w.safetensors" -e cdam -o "$work/part_maps"
[ "$(find "$work/part_maps" -name '*.png' | wc -l)" -eq 18 ] || fail "pictures of both parts"

# One UID in two studies, each with its annotation.
mkdir "$work/two"
cp -r "$source" "$work/two/a"
cp -r "$source" "$work/two/b"
dcmodify -nb -q -m StudyInstanceUID=2.25.77 "$work"/two/b/*.dcm
sed -i 's|<StudyInstanceUID>[^<]*|<StudyInstanceUID>2.25.77|' "$work"/two/b/*.xml
expect 0 "2.25.77/$uid" series "$work/two"
grep -q "$study/$uid" "$work/out" || fail "the first study is not listed"
expect 6 "2.25.77/$uid (" "${run[@]}" -i "$work/two" -o "$work/none"
expect 0 "series: 2 done" "${run[@]}" -i "$work/two" -s all -o "$work/studies"
expect 0 "3 nodules" "${run[@]}" -i "$work/two" -s "2.25.77/$uid" -o "$work/one_study" --csv
h5dump -A "$work/one_study/${uid}_2/results.h5" | grep -q '"2.25.77"' || fail "another study"
expect 0 "6 nodules of 2 series" prepare "$work/two" -o "$work/two.h5"
expect 0 "6 nodules of 22 marks in 2 series" nodules "$work/two"
expect 0 "" export -i "$work/two" -o "$work/two_dicom" "$work/studies"
dcmdump -q +P StudyInstanceUID "$work/two_dicom/${uid}_2/report.dcm" | grep -q '\[2.25.77\]' ||
  fail "the report is of another study"
dcmdump -q +P StudyInstanceUID "$work/two_dicom/$uid/report.dcm" | grep -q "\[$study\]" ||
  fail "the report is of another study"
for part in a b; do # one after the other, as a server does: no result replaces another study's
  expect 0 "" "${run[@]}" -i "$work/two/$part" -o "$work/in_turn" --resume
done
[ "$(cd "$work/in_turn" && echo *)" = "$uid ${uid}_2 lungcdam.h5" ] || fail "$(ls "$work/in_turn")"
expect 0 "_2: kept" "${run[@]}" -i "$work/two/b" -o "$work/in_turn" --resume
echo "2.25.77/$uid" >"$work/list"
expect 0 "3 nodules of 1 series" prepare "$work/two" -o "$work/of_b.h5" --series-list "$work/list"
h5dump -d /nodules/StudyInstanceUID "$work/of_b.h5" | grep -q '"2.25.77' || fail "another study"

# UIDs of anonymisers: everything can be made of them.
cp -r "$source" "$work/letters"
dcmodify -nb -q -m SeriesInstanceUID=2bfbb7fd2e8b -m StudyInstanceUID=4833c9b6a5d0 \
  "$work"/letters/*.dcm
sed -i "s|$uid|2bfbb7fd2e8b|; s|$study|4833c9b6a5d0|" "$work"/letters/*.xml
expect 0 "repaired: UIDs with letters" "${run[@]}" -i "$work/letters" -o "$work/letters_out"
expect 0 "report" export -i "$work/letters" -o "$work/letters_dicom" "$work/letters_out"
expect 0 "3 nodules of 1 series" prepare "$work/letters" -o "$work/letters.h5"

# Nothing that files say reaches a terminal or a table as it is.
cp -r "$source" "$work/controls"
dcmodify -nb -q -m "PatientID=$(printf 'ID\033[2J')" "$work"/controls/*.dcm
printf 'no DICOM' >"$work/controls/$(printf '\033[3m\n').dcm"
for form in --json --csv; do
  expect 0 "ID?[2J" series "$form" "$work/controls"
  LC_ALL=C tr -d '\r\n' <"$work/out" | LC_ALL=C grep -q '[[:cntrl:]]' && fail "controls in $form"
done
LC_ALL=C tr -d '\n' <"$work/err" | LC_ALL=C grep -q '[[:cntrl:]]' && fail "controls in the log"
finish

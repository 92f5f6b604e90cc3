#!/usr/bin/env bash
# MetaImage, NIfTI and NRRD made of a synthetic patient's DICOM, in any order of axes: series, run, explain,
# prepare and export see in them what they see in the DICOM; objects need a reference.
# needs: phantom
# slow: 50
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
volume=$(dirname "$0")/lib/volume.py
"$program" --log-level error phantom -o "$work/dicom" --seed 3 --patients 1 --nodules 1 --matrix 128 >/dev/null || fail "phantom"
marks=$(find "$work/dicom" -name '*.xml')
expect 0 "" run -i "$work/dicom" -o "$work/run.dicom" --set figure.write=false --set capture.write=false
store=$(ls "$work"/run.dicom/*/results.h5)

# same STORE NAME: predictions, maps and cubes of the DICOM's within 1e-4
same() {
  local what
  for what in /prediction/logit /prediction/mean_logit /explanation/cdam; do
    h5diff -d 1e-4 "$store" "$1" $what >&2 || fail "$2: $what differs"
  done
  # Padding is one value in DICOM and another below the scale here, both far from nodules.
  h5diff -d 1 "$store" "$1" /cube/hu >&2 || fail "$2: /cube/hu differs"
}

for way in .mha:xyz .mhd:xyZ .zmhd:Xyz .nii:xYz .nii.gz:xyZ .nrrd:xyz .mha:zxy .nii:XYZ; do
  name=${way/:/-} kind=${way%:*} folder=$work/in.$name
  mkdir "$folder"
  uid=$(python3 "$volume" "$work/dicom" "$folder/twin$kind" "${way#*:}") || fail "$name: not written"
  for file in "$folder"/twin*; do mv "$file" "$folder/$uid.${file#*twin.}"; done
  [ ! -e "$folder/$uid.mhd" ] || sed -i "s/= twin/= $uid/" "$folder/$uid.mhd"
  cp "$marks" "$folder"
  expect 0 "$uid" series --csv "$folder"
  grep -q ",usable,$uid," "$work/out" || fail "$name: not usable: $(cat "$work/out")"
  pictures=$([ "$kind" = .mha ] && echo true || echo false)
  expect 0 "no DICOM objects: $folder/$uid" run -i "$folder" -o "$work/run.$name" --set figure.write="$pictures"
  [ -e "$work/run.$name/$uid/figures" ] || ! "$pictures" || fail "$name: no pictures"
  [ ! -e "$work/run.$name/$uid/captures" ] || fail "$name: captures of no DICOM"
  same "$work/run.$name/$uid/results.h5" "$name"
  grep -q "warning.*outlines count pixels of the DICOM" "$work/err" || fail "$name: no warning of its grid"
  [[ ${way#*:} == xy[zZ] ]] || grep -q "warning.*which are turned" "$work/err" || fail "$name: no warning of its axes"
  h5dump -a /series/source_file "$work/run.$name/$uid/results.h5" | grep -q "$uid" || fail "$name: source not in the store"
  [[ ${way#*:} != [xX]yz && ${way#*:} != xyZ ]] || continue
  expect 0 "" run -i "$folder" -R "$work/dicom" -o "$work/ref.$name" --set figure.write=false
  same "$work/ref.$name/$uid/results.h5" "$name with its reference"
done
expect 0 "" run -i "$work/in..mha-xyz" -o "$work/again" --set figure.write=false --set "export.objects=[report]"
grep -q "warning.*no DICOM objects" "$work/err" || fail "objects that were asked for are left out without a warning"

# Both directions turned may be a prone patient's own: outlines are refused, places are not.
mkdir "$work/turned"
python3 "$volume" "$work/dicom" "$work/turned/$uid.mha" XYz >/dev/null || fail "turned: not written"
expect 7 "tell by --reference" --log-level error run -i "$work/turned" -n "$marks" -o "$work/turned.run"
one_line
expect 0 "" run -i "$work/turned" -n "$marks" -R "$work/dicom" -o "$work/turned.run" --set figure.write=false
same "$work/turned.run/$uid/results.h5" "turned"
{
  echo "seriesuid,coordX,coordY,coordZ,diameter_mm"
  awk -F, -v u="$uid" 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i; next}
    {print u "," $at["x_mm"] "," $at["y_mm"] "," $at["z_mm"] "," $at["diameter_mm"]}' "$work"/run.dicom/*/nodules.csv
} >"$work/luna.csv"
for folder in dicom turned in..nii.gz-xyZ; do
  expect 0 "" run -i "$work/$folder" -n "$work/luna.csv" -o "$work/luna.$folder" --set figure.write=false --set capture.write=false
  # NIfTI has its places as 32-bit floats, and one output is in millimetres
  h5diff -d 1e-3 "$work/luna.dicom/$uid/results.h5" "$work/luna.$folder/$uid/results.h5" /prediction/logit >&2 || fail "$folder: places"
done

# objects of the reference: its patient and slices
reference=$work/ref..nii-XYZ/$uid
for object in "$reference"/captures/*.dcm; do
  grep -q "$(dcmdump +P StudyInstanceUID -s "$(find "$work/dicom" -name '*.dcm' | head -n 1)" | sed 's/.*\[\(.*\)\].*/\1/')" "$object" ||
    fail "$object: another study"
done
expect 0 "report" export -i "$work/in..nii-XYZ" -R "$work/dicom" -n "$marks" -o "$work/export" "$reference"
expect 9 "has no DICOM to refer to" export -i "$work/in..nii.gz-xyZ" -o "$work/export2" "$work/run..nii.gz-xyZ/$uid"

# references that are others
sed 's/^Offset = \([^ ]*\)/Offset = 9\1/' "$work/in..mhd-xyZ/$uid.mhd" >"$work/moved.mhd"
sed -i "s/= $uid.raw/= moved.raw/; s/= 9-/= -9/" "$work/moved.mhd"
cp "$work/in..mhd-xyZ/$uid.raw" "$work/moved.raw"
expect 7 "off the reference's" run -i "$work/moved.mhd" -n "$marks" -R "$work/dicom" -o "$work/moved.run"
expect 5 "no DICOM series among" run -i "$work/moved.mhd" -n "$marks" -R "$work/in..mha-xyz" -o "$work/moved.run"

# one that changed is made again, one that did not is kept
expect 0 "kept" run -i "$work/in..mha-xyz" -o "$work/again" --resume --set figure.write=false --set "export.objects=[report]"
printf '\1' | dd of="$work/in..mha-xyz/$uid.mha" bs=1 seek=500000 conv=notrunc status=none
expect 0 "nodule" run -i "$work/in..mha-xyz" -o "$work/again" --resume --set figure.write=false --set "export.objects=[report]"
if grep -q kept "$work/err"; then fail "a file that changed is kept"; fi

# beside its DICOM a twin is left aside, and prepare takes both kinds
cp -r "$work/dicom" "$work/both"
cp "$work/in..nii.gz-xyZ/$uid.nii.gz" "$work/both"
expect 0 "$uid" run -i "$work/both" -o "$work/both.run" --set figure.write=false
[ -e "$work/both.run/$uid/captures" ] || fail "the file was taken, not its DICOM"
expect 0 "" prepare "$work/dicom" -o "$work/dicom.h5"
expect 0 "" prepare "$work/in..nii.gz-xyZ" -o "$work/volume.h5"
expect 0 "" prepare "$work/both" -o "$work/both.h5"
h5diff -d 1 "$work/dicom.h5" "$work/volume.h5" /cubes/hu >&2 || fail "prepare cuts other cubes"
h5diff "$work/dicom.h5" "$work/both.h5" /cubes/hu >&2 || fail "prepare takes a twin beside its DICOM"
expect 0 "1 image, 9 targets" explain -i "$work/in..nii.gz-xyZ" -R "$work/dicom" --figures none -o "$work/maps"

# files of one name are series of their own
mkdir -p "$work/two/a" "$work/two/b"
for folder in a b; do cp "$work/in..nii.gz-xyZ/$uid.nii.gz" "$marks" "$work/two/$folder"; done
expect 0 "series: 2 done" run -i "$work/two" -s all -o "$work/two.run" --set figure.write=false
for name in "$uid" "${uid}_2"; do [ -e "$work/two.run/$name/results.h5" ] || fail "$name: no result of its own"; done
expect 6 "b/$uid.nii.gz" run -i "$work/two" -o "$work/two.one"

# what is in a folder is said
mkdir "$work/none" "$work/bad"
echo text >"$work/none/notes.txt"
expect 5 "no DICOM image among 1 files, and no MetaImage, NIfTI or NRRD" --log-level error run -i "$work/none" -o "$work/none.run"
one_line
echo text >"$work/bad/ct.nii"
expect 8 "ct.nii: no NIfTI header" run -i "$work/bad" -o "$work/bad.run"
finish

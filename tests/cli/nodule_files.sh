#!/usr/bin/env bash
# Nodules in every kind of file that is no DICOM: the same centres give the same logits to the bit, names are
# kept, mixtures are one list, and what cannot be read is named. What 'nodules --to' writes comes back.
# needs: phantom
# slow: 20
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
make_inputs 2
one=$(find "$work/phantom" -name annotation.xml | sort | head -n 1)
two=$(find "$work/phantom" -name annotation.xml | sort | tail -n 1)
one=${one%/*} two=${two%/*}
job=(--weights "$work/w.safetensors" --set figure.write=false --set capture.write=false)
expect 0 "" run -i "$one" "${job[@]}" -o "$work/xml"
store=$(ls "$work"/xml/*/results.h5)

# Each kind, made of the XML.
for kind in csv json markups xml nii; do
  ending=$kind
  [ $kind != markups ] || ending=mrk.json
  [ $kind != nii ] || ending=nii.gz
  expect 0 "" nodules "$one" --to $kind -o "$work/m.$ending"
done
n=$(($(wc -l <"$work/m.csv") - 1))
((n >= 1)) || fail "no nodules in m.csv"
{
  printf '# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n# columns = id,x,y,z\n'
  awk -F, 'NR > 1 {printf "%d,%s,%s,%s,0,0,0,1,1,1,0,%s,,\n", NR, $3, $4, $5, $8}' "$work/m.csv"
} >"$work/m.fcsv"
{
  printf '# Markups fiducial file version = 4.4\n# CoordinateSystem = 0\n'
  awk -F, 'NR > 1 {printf "%d,%.17g,%.17g,%s,0,0,0,1,1,1,0,%s,,\n", NR, -$3, -$4, $5, $8}' "$work/m.csv"
} >"$work/ras.fcsv"
{
  printf '\357\273\277PatientID\tcoordX\tcoordY\tcoordZ\tprobability\tname\n'
  awk -F, -v OFS='\t' 'NR > 1 {print $1, $3, $4, $5, 0.5, $8}' "$work/m.csv"
} >"$work/patient.csv"

# same NAME STORE: the predictions of the XML
same() {
  h5diff "$store" "$2" /prediction/logit >&2 || fail "$1: other logits"
  h5diff "$store" "$2" /nodules/centre_mm >&2 || fail "$1: other centres"
}
for file in m.csv m.fcsv; do
  expect 0 "$file: read as " nodules "$one" -n "$work/$file" --to csv -o "$work/again.csv"
  diff <(cut -d, -f 1-5,8 "$work/m.csv") <(cut -d, -f 1-5,8 "$work/again.csv") >&2 || fail "$file: other places"
done
for file in m.json m.mrk.json ras.fcsv patient.csv; do
  expect 0 "$file: read as " run -i "$one" "${job[@]}" --nodules "$work/$file" -o "$work/run.$file"
  same $file "$work/run.$file"/*/results.h5
  h5dump -d nodules/name "$work/run.$file"/*/results.h5 | grep -q "\"nodule-$n" || fail "$file: no names"
done
h5dump -d nodules/given_probability "$work/run.patient.csv"/*/results.h5 | grep -q " 0.5" || fail "no probability"
# A mask gives the voxels of the readers' consensus again, XML every mark.
table() { # table COLUMN OPTION...: of all nodules
  local column=$1
  shift
  "$program" --log-level error nodules --csv "$@" | awk -F, -v c="$column" 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i; next}
    {print $at["nodule"], $at[c]}'
}
diff <(table volume_mm3 "$one") <(table volume_mm3 "$one" --nodules "$work/m.nii.gz") >&2 || fail "m.nii.gz: other volumes"
for column in volume_mm3 readers malignancy texture diameter_mm; do
  diff <(table $column "$one") <(table $column "$one" --nodules "$work/m.xml") >&2 || fail "m.xml: other $column"
done
expect 0 "m.nii.gz: read as label volume" run -i "$one" "${job[@]}" --nodules "$work/m.nii.gz" -o "$work/run.nii"

# Any mixture is one list; the same place in several files is one nodule.
count() { # count WORDS N OPTION...
  expect 0 "$1" nodules "$one" "${@:3}" --to csv -o "$work/kept.csv"
  (($(wc -l <"$work/kept.csv") == $2 + 1)) || fail "${*:3}: $(($(wc -l <"$work/kept.csv") - 1)) nodules, expected $2"
}
awk -F, -v OFS=, 'NR > 1 {$3 = $3 + 1} {print}' "$work/m.csv" >"$work/close.csv"
count "m.json: read as challenge JSON" "$n" -n "$work/m.csv" -n "$work/m.json" -n "$work/close.csv"
count "one nodule; --keep-duplicates keeps both" "$n" -n "$work/m.csv" -n "$work/close.csv"
count "" $((2 * n)) -n "$work/m.csv" -n "$work/close.csv" --keep-duplicates

# What cannot be read costs itself, or with --strict the work.
sed '$ a 99,0,zero,0,0,0,0,1,1,1,0,bad,,' "$work/m.fcsv" >"$work/bad.fcsv"
expect 21 'y "zero", expected a number: the point is left out' run -i "$one" "${job[@]}" -n "$work/bad.fcsv" -o "$work/bad"
same bad.fcsv "$work"/bad/*/results.h5
expect 8 "1 marks or points cannot be read" run -i "$one" "${job[@]}" -n "$work/bad.fcsv" --strict -o "$work/strict"
printf 'nothing\n' >"$work/none.txt"
expect 8 "3D Slicer markups, 3D Slicer fiducials, label volume, challenge JSON, CSV" \
  nodules "$one" -n "$work/none.txt"
expect 20 "has points alone, a label volume holds masks" nodules "$one" -n "$work/m.csv" --to nii -o "$work/none.nii"

# Of several series a file that names none is of the one beside it.
expect 21 "names no series, and lies in the folder of none of the 2" run -i "$work/phantom" -s all "${job[@]}" \
  -n "$work/m.fcsv" -o "$work/away"
mkdir "$work/beside"
cp -r "$one" "$two" "$work/beside"
rm "$work/beside"/*/annotation.xml
cp "$work/m.nii.gz" "$work/beside/$(basename "$one")/my_nodules.nii.gz"
expect 0 "" series --csv "$work/beside"
(($(wc -l <"$work/out") == 3)) || fail "labels are listed as a CT: $(cat "$work/out")"
expect 0 "my_nodules.nii.gz: read as label volume" run -i "$work/beside" -s all "${job[@]}" -o "$work/beside.run"
grep -q "series: 1 done, 0 kept, 1 without nodules" "$work/out" || fail "beside: $(tail -n 3 "$work/out")"
expect 0 "" prepare "$one" --nodules "$work/m.mrk.json" -o "$work/points.h5"
h5dump -d nodules/nodule "$work/points.h5" | grep -q "( $n )" || fail "prepare: not $n nodules"
expect 0 "" export "$work/run.ras.fcsv" -i "$one" -n "$work/ras.fcsv" -o "$work/objects"
finish

#!/usr/bin/env bash
# A nodule whose slices have a gap, or a file among them that cannot be read, is named in table, log and
# store, and the others go on: alike in run, prepare, explain and export.
# needs: phantom
# slow: 15
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
"$program" --log-level error phantom -o "$work/phantom" --seed 3 --patients 1 --matrix 128 >/dev/null || fail "phantom"
"$program" --log-level error run --input "$work/phantom" -o "$work/whole" --set capture.write=false >/dev/null || fail "run"
table=$(ls "$work"/whole/*/nodules.csv)
nodules=$(($(wc -l <"$table") - 1))
((nodules == 4)) || fail "$nodules nodules"
# The cube of the nodule nearest to the feet reaches further down than the others.
lost=nodule-1
z=$(awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i} $at["nodule"] == "nodule-1" {print $at["z_mm"] - 13}' "$table")

check() { # check FOLDER WORDS: the input lacks slices of $lost alone
  local input=$1 words=$2 name
  name=$(basename "$input")
  expect 21 "" run --input "$input" -o "$work/$name.run" --csv
  grep -q "1 nodule could not be cut and is left out" "$work/err" || fail "$name: $(tail -n 2 "$work/err")"
  grep -q "$lost is left out: .*$words" "$work/err" || fail "$name: no reason in the log: $(cat "$work/err")"
  [ "$(grep -c "$lost,.*$words" "$work/out")" -eq 1 ] || fail "$name: not in the table: $(cat "$work/out")"
  h5dump -d left_out/nodule "$work/$name.run"/*/results.h5 | grep -q "\"$lost" || fail "$name: not in the store"
  h5dump -d left_out/reason "$work/$name.run"/*/results.h5 | grep -q "$words" || fail "$name: no reason in the store"
  # The others are what they are in the whole series.
  for column in probability_malignancy predicted_biomarkers.diameter; do
    diff <(value "$table" $column) <(value "$work/$name.run"/*/nodules.csv $column) >&2 || fail "$name: $column differs"
  done
  expect 21 "" prepare "$input" -o "$work/$name.h5"
  grep -q "$lost: .*$words" "$work/err" || fail "$name: prepare does not name it: $(cat "$work/err")"
  h5dump -d nodules/nodule "$work/$name.h5" | grep -q "DATASPACE.*( 3 )" || fail "$name: prepare has not 3 nodules"
  expect 21 "3 images" explain --input "$input" --figures none -o "$work/$name.maps"
  expect 0 "report" export "$work/$name.run"/*/ --input "$input" -o "$work/$name.export"
}
value() { # value TABLE COLUMN: of all nodules but the lost one
  awk -F, -v lost="$lost" -v c="$2" 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i; next}
    $at["nodule"] != lost {print $at["nodule"], $at[c]}' "$1"
}

cp -r "$work/phantom" "$work/gap"
cp -r "$work/phantom" "$work/broken"
hit=0
while read -r file; do
  at=$(dcmdump +P ImagePositionPatient "$work/phantom/$file" | sed 's/.*\\\(.*\)\].*/\1/')
  awk -v a="$at" -v z="$z" 'BEGIN {exit !((a - z) ^ 2 < 9)}' || continue
  hit=$((hit + 1))
  rm "$work/gap/$file"
  # Compressed, with a hole in the compressed bytes: its header is as good as any.
  dcmcjpls "$work/phantom/$file" "$work/broken/$file" || fail "dcmcjpls"
  size=$(stat -c %s "$work/broken/$file")
  dd if=/dev/zero of="$work/broken/$file" bs=1 seek=$((size / 2)) count=$((size / 4)) conv=notrunc status=none
done < <(cd "$work/phantom" && find . -name '*.dcm')
((hit >= 1 && hit <= 6)) || fail "$hit slices lie at the edge of the cube"
check "$work/gap" "from its neighbour"
check "$work/broken" '\.dcm'
# Without any slice that a nodule was outlined on there is no nodule, but its marks are not forgotten.
cp -r "$work/phantom" "$work/unplaced"
while read -r file; do
  at=$(dcmdump +P ImagePositionPatient "$work/phantom/$file" | sed 's/.*\\\(.*\)\].*/\1/')
  awk -v a="$at" -v z="$z" 'BEGIN {exit !((a - z - 13) ^ 2 < 36)}' && rm "$work/unplaced/$file"
done < <(cd "$work/phantom" && find . -name '*.dcm')
expect 21 "" run --input "$work/unplaced" -o "$work/unplaced.run" --csv
grep -q "unplaced-marks is left out: [0-9]* marks of nodules of 3 mm or more lie on slices that the series lacks" \
  "$work/err" || fail "marks without slices are not named: $(tail -n 3 "$work/err")"
h5dump -d left_out/nodule "$work/unplaced.run"/*/results.h5 | grep -q unplaced-marks || fail "not in the store"
expect 21 "" prepare "$work/unplaced" -o "$work/unplaced.h5"
h5dump -a left_out "$work/unplaced.h5" | grep -q "unplaced-marks: " || fail "prepare does not name marks without slices"
finish

#!/usr/bin/env bash
# One file and one line: the program with the examples of docs/extending.md in its tables knows them everywhere.
# needs: phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
plain=$program
program=$(dirname "$plain")/../tests/extend/lungcdam_extended
export LUNGCDAM_MODELS=$LUNGCDAM_SOURCE/configs/models

# A command.
expect 0 "hello, reader" about -n reader
expect 0 "print a greeting" --help

# A source of nodules: the places of one that is known, in a file of the new kind.
"$plain" phantom -o "$work/in" --seed 5 --nodules 1 --matrix 256 --slice-spacing 2 >/dev/null 2>&1 || fail "phantom"
"$plain" nodules --csv "$work/in" >"$work/nodules.csv" 2>/dev/null || fail "nodules"
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  { print $at["SeriesInstanceUID"], $at["x_mm"], $at["y_mm"], $at["z_mm"], $at["diameter_mm"] }' \
  "$work/nodules.csv" >"$work/known.pairs"
expect 0 "" run -i "$work/in" -n "$work/known.pairs" -o "$work/results" --set figure.write=false
store=$(echo "$work"/results/*/results.h5)
h5dump -n 1 "$store" >"$work/names"
h5dump "$store" | grep -q '"Pairs"' || fail "the result does not name its source"
printf '1.2.3 4 5\n' >"$work/bad.pairs"
expect 8 "bad.pairs:1" run -i "$work/in" -n "$work/bad.pairs" -o "$work/no"

# A kind of object, from the command and from the configuration.
expect 0 "pointers" export -i "$work/in" -n "$work/known.pairs" -O pointers -o "$work/dicom" "$work/results"
compgen -G "$work/dicom/*/pointers_*.dcm" >/dev/null || fail "no object of the kind pointers"
expect 0 "" config --set 'export.objects=[pointers]'

# An estimator with a parameter.
expect 0 "" explain -i "$work/in" -n "$work/known.pairs" -e token_norm:power=1,cdam --figures none -o "$work/maps"
h5dump "$work/maps/maps.h5" | grep -q 'token_norm' || fail "no maps of token_norm"
expect 3 "power" explain -i "$work/in" -e token_norm:power=99 --figures none -o "$work/no"

# A measure, among the others and alone.
expect 0 "" prepare "$work/in" -w lidc_axial -o "$work/set.h5"
expect 0 "" judge -d "$work/set.h5" -o "$work/judged" --set 'measures.names=[positive_share]' \
  --set 'estimators.names=[cdam,attention_map]' --set bootstrap.replicates=20 --set report.pictures=0 --set data.split=train
grep -q '^.*positive_share' "$work/judged/summary.csv" || fail "positive_share is not in the summary"

# Names of weights.
"$plain" weights init vit_tiny_patch16 -o "$work/w.safetensors" >/dev/null 2>&1 || fail "weights init"
LC_ALL=C sed -E 's,blocks\.([0-9]+)\.norm1\.,blocks/\1/norm1/,g' "$work/w.safetensors" >"$work/slashed.safetensors"
expect 0 "vit_tiny_patch16" weights show "$work/slashed.safetensors"
"$plain" run -i "$work/in" -w "$work/slashed.safetensors" -o "$work/no" >/dev/null 2>&1 && fail "known without its line"
expect 0 "" run -i "$work/in" -w "$work/slashed.safetensors" -o "$work/slashed" --set figure.write=false

# A back end: the numbers of the plain one, by its own products.
export LUNGCDAM_KERNELS=counted
expect 0 " products" run -i "$work/in" -o "$work/counted" --set figure.write=false --csv
h5dump -a /kernels "$work"/counted/*/results.h5 | grep -q '"counted"' || fail "the result does not name its back end"
cp "$work/out" "$work/counted.csv"
LUNGCDAM_KERNELS=plain "$plain" run -i "$work/in" -o "$work/plain" --set figure.write=false --csv >"$work/plain.csv" 2>/dev/null
cmp <(cut -d, -f1-12 "$work/counted.csv" | head -n 2) <(cut -d, -f1-12 "$work/plain.csv" | head -n 2) || fail "other numbers than plain's"
finish

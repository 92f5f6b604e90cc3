#!/usr/bin/env bash
# The authors' recipes end to end, from phantom patients over a data set by `prepare` to all folds of
# both kinds, with a tiny network; killed at random and resumed to the same bits; and what goes wrong.
# LUNGCDAM_KILLS says how often it is killed (3 by default).
# needs: phantom, plot
# slow: 60
# shellcheck source=tests/cli/lib/common.bash
source "$LUNGCDAM_SOURCE/tests/cli/lib/common.bash"
recipes=$LUNGCDAM_SOURCE/configs/recipes

"$program" --log-level error phantom -o "$work/phantom" --seed 5 --patients 8 --matrix 96 \
  >/dev/null || fail "phantom"
"$program" --log-level error prepare "$work/phantom" --folds 2 -o "$work/set.h5" || fail "prepare"
tiny=(--crops "$work/set.h5" --set model.architecture=custom --set model.dim=16 --set model.depth=2
  --set model.heads=2 --set model.mlp_dim=32 --set model.patch=8 --set data.pixels=32
  --set train.batch=2 --set train.epochs=2 --set test.bootstrap=20)

for recipe in "$recipes"/authors_*.yaml; do
  name=$(basename "$recipe" .yaml)
  expect 0 "" train "$recipe" --print
  frozen=()
  case $name in
  *frozen*) frozen=(--set "model.frozen=[embedding, blocks.0]") ;;
  *biomarkers*) frozen=(--set model.hidden=8) ;;
  esac
  expect 0 "2 folds" train "$recipe" "${tiny[@]}" "${frozen[@]}" --all-folds -o "$work/$name"
  for fold in 0 1; do
    [ -s "$work/$name/fold-$fold/model.safetensors" ] || fail "$name: no model of fold $fold"
  done
done
[ "$(grep -c . "$work/authors_vits8_malignancy/folds.csv")" -gt 5 ] || fail "folds.csv is short"
grep -q "biomarkers.diameter" "$work/authors_vits8_biomarkers/folds.csv" || fail "no biomarker summed up"
python3 - "$work" <<'PYTHON' || fail "folds are not those of the file, or wrongly summed up"
import csv, json, sys
import h5py
import numpy as np

work = sys.argv[1]
with h5py.File(work + "/set.h5") as f:
    names = f["nodules/PatientID"].asstr()[:]
    keep = f["nodules/n_readers"][:] >= 3
    fold = f["folds/patient"][:]
root = json.load(open(work + "/authors_vits8_malignancy/folds.json"))
auroc = root["measures"]["malignancy.auroc"]
values = []
for k in range(2):
    folder = f"{work}/authors_vits8_malignancy/fold-{k}/"
    rows = list(csv.DictReader(open(folder + "predictions.csv")))
    key = list(rows[0])[0]
    assert sorted(r[key] for r in rows) == sorted(names[keep & (fold == k)]), k
    values.append(json.load(open(folder + "evaluation.json"))["malignancy"]["auroc"]["value"])
assert auroc["folds"] == values
assert abs(auroc["mean"] - np.mean(values)) < 1e-9
assert abs(auroc["deviation"] - np.std(values, ddof=1)) < 1e-9
PYTHON

# Folds by nodule, as the file holds them, with the warning.
malignancy=$recipes/authors_vits8_malignancy.yaml
expect 0 "malignancy.auroc" train "$malignancy" "${tiny[@]}" --set data.split=stored-nodule \
  --all-folds -o "$work/leaky"
grep -q "patients are on both sides" "$work/err" || fail "no warning about folds by nodule"
# Interrupted, it goes on where it was.
leaky=("${tiny[@]}" --set data.split=stored-nodule --all-folds)
"$program" --log-level error train "$malignancy" "${leaky[@]}" -o "$work/parts" >/dev/null 2>&1 &
process=$!
for _ in $(seq 400); do
  compgen -G "$work/parts/fold-*/checkpoints/step-*" >/dev/null && break
  sleep 0.02
done
kill -TERM "$process" 2>/dev/null
got=0
wait "$process" || got=$?
[ "$got" -eq 19 ] || [ "$got" -eq 0 ] || fail "interrupted folds ended with $got"
expect 0 "2 folds" train "$malignancy" "${leaky[@]}" -o "$work/parts" --resume
cmp -s "$work/leaky/folds.json" "$work/parts/folds.json" || fail "folds differ after an interruption"
expect 16 "--resume" train "$malignancy" "${tiny[@]}" --all-folds -o "$work/leaky"
expect 3 "data.split is file" train "$malignancy" "${tiny[@]}" --set data.split=file --all-folds \
  -o "$work/none"
expect 3 "holds 2 folds" train "$malignancy" "${tiny[@]}" --set data.fold=2 -o "$work/none"
expect 3 "augment.noise_hu is 20" train "$malignancy" "${tiny[@]}" --set augment.noise_hu=20 \
  -o "$work/none"
expect 3 "known to have 9 readers" train "$malignancy" "${tiny[@]}" --set data.min_readers=9 \
  -o "$work/none"
expect 3 "expected 8" train "$malignancy" "${tiny[@]}" --set "tasks.biomarker_weights=[1, 2]" \
  -o "$work/none"
nothing_in "$work/none"

# Killed at random, with dropout, random views and slices, balanced classes and weighted outputs: the
# same bytes as a run that was left alone, on one thread and on several.
long=("${tiny[@]}" --set train.epochs=60 --set checkpoint.steps=4 --set tasks.biomarkers=1
  --set tasks.positive_weight=0 --set "tasks.biomarker_weights=[1, 2, 1, 1, 0.5, 1, 1, 1]"
  --set train.dropout_heads=0.2 --set train.drop_path=0.1 --set optimizer.ema_decay=0.9
  --set train.patience=0)
expect 0 "" train "$malignancy" "${long[@]}" -o "$work/whole" --threads 1
# `run` prepares images as this training did, without options: the same probabilities, but for HU
# that the data set holds in whole numbers.
expect 0 "" run --json --input "$work/phantom/PHANTOM-5-0001" --weights "$work/whole/model.safetensors" \
  -o "$work/results"
python3 - "$work/out" "$work/whole/predictions.csv" <<'PYTHON' || fail "run and train see other images"
import csv, json, sys

text = open(sys.argv[1]).read()
found = {n["nodule"]: n["probability_malignancy"] for n in json.loads(text[text.index("[") :])}
rows = [r for r in csv.DictReader(open(sys.argv[2])) if r["patient"] == "PHANTOM-5-0001"]
assert len(rows) == len(found) == 2, (rows, found)
for row in rows:
    difference = abs(found["nodule-" + row["nodule"]] - float(row["malignancy_probability"]))
    assert difference < 2e-3, difference
PYTHON
for kill in $(seq "${LUNGCDAM_KILLS:-3}"); do
  "$program" --log-level error train "$malignancy" "${long[@]}" -o "$work/killed" --resume \
    >/dev/null 2>&1 &
  process=$!
  sleep "$(awk -v seed="$RANDOM$kill" 'BEGIN { srand(seed); printf "%.3f", 0.05 + 0.5 * rand() }')"
  kill -9 "$process" 2>/dev/null
  wait "$process" 2>/dev/null
done
expect 0 "" train "$malignancy" "${long[@]}" -o "$work/killed" --resume --threads 3 \
  --set train.recompute=true
for name in model.safetensors best.safetensors steps.csv evaluation.json predictions.csv; do
  cmp -s "$work/whole/$name" "$work/killed/$name" || fail "$name differs after kills"
done
expect 0 "" evaluate "$work/whole/recipe.yaml" -w "$work/whole/model.safetensors" -d "$work/set.h5" --json
cmp -s "$work/out" "$work/whole/evaluation.json" || fail "evaluate and train measure differently"
expect 0 "" train "$malignancy" "${long[@]}" --set train.dropout=0 -o "$work/other"
cmp -s "$work/whole/model.safetensors" "$work/other/model.safetensors" && fail "dropout does nothing"

# Numbers that are no longer finite end the run with the names of the batch's nodules.
expect 18 "; samples: " train "$malignancy" "${tiny[@]}" --set optimizer.kind=adamw \
  --set optimizer.weight_decay=10 --set schedule.kind=constant --set schedule.rate=10 \
  --set train.epochs=100 -o "$work/bad"
grep -q "samples of step [0-9]*: id-[0-9a-f]* nodule [0-9]*, id-" "$work/err" ||
  fail "samples are not named: $(tail -n 3 "$work/err")"

finish

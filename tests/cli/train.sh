#!/usr/bin/env bash
# Training from the command line on real nodules: a few steps of a tiny model, stopped, killed and
# resumed to the same bytes, and measured.
# needs: plot
# slow: 30
# shellcheck source=tests/cli/lib/common.bash
source "$LUNGCDAM_SOURCE/tests/cli/lib/common.bash"
need_data

crops=$data/lidc_nodule_crops.h5
recipe=$LUNGCDAM_SOURCE/configs/recipes/lidc_axial.yaml
tiny=(--crops "$crops" --set model.dim=16 --set model.depth=2 --set model.heads=2
  --set model.mlp_dim=32 --set data.pixels=32 --set data.spacing_mm=1.25 --set train.epochs=3
  --set schedule.warmup_epochs=1 --set test.bootstrap=50 --set checkpoint.steps=5
  --set optimizer.ema_decay=0.9)

expect 0 "rate: 0.0005" train "$recipe" --print
expect 3 "data.crops" train "$recipe" -o "$work/none"
expect 3 "train.batch" train "$recipe" --crops "$crops" --set train.btach=3 -o "$work/none"
expect 4 "no such file" train "$recipe" --crops "$work/absent.h5" -o "$work/none"
expect 3 "2011 samples" train "$recipe" "${tiny[@]}" --set train.batch=3000 -o "$work/none"
nothing_in "$work/none"

expect 0 "mean R2" train "$recipe" "${tiny[@]}" -o "$work/whole"
cp "$work/err" "$work/log"
for name in recipe.yaml steps.csv epochs.csv speed.csv log.h5 learning.png model.safetensors \
  best.safetensors evaluation.txt evaluation.json evaluation.h5 predictions.csv roc.png \
  precision_recall.png calibration.png biomarkers.png; do
  [ -s "$work/whole/$name" ] || fail "$name is missing"
done
[ "$(wc -l <"$work/whole/steps.csv")" -eq 94 ] || fail "steps.csv: expected 93 steps and a header"
[ "$(wc -l <"$work/whole/predictions.csv")" -eq 216 ] || fail "predictions.csv: expected 215 nodules"
expect 16 "--resume" train "$recipe" "${tiny[@]}" -o "$work/whole"
grep -q "epoch 3 of 3: loss .* nodules/s" "$work/log" || fail "no speed was logged"
h5dump -H "$work/whole/log.h5" >/dev/null || fail "h5dump does not read log.h5"
python3 - "$work/whole" <<'PYTHON' || fail "log.h5 does not say what the CSV files say"
import csv, h5py, numpy, sys
with h5py.File(f"{sys.argv[1]}/log.h5") as f:
    assert f.attrs["schema_version"] == 1 and b"train:" in f.attrs["recipe"]
    for name, lines in (("steps", 93), ("epochs", 3)):
        with open(f"{sys.argv[1]}/{name}.csv") as text:
            rows = list(csv.DictReader(text))
        assert len(rows) == lines and set(rows[0]) == set(f[name])
        for column in f[name]:
            assert numpy.array_equal(f[name][column], [float(row[column]) for row in rows])
            assert f[name][column].attrs["description"]
    loss, epoch = f["steps/loss"][:], f["steps/epoch"][:]
    for e in range(3):
        assert abs(loss[epoch == e].mean() - f["epochs/loss"][e]) < 1e-7  # batches of one size
PYTHON

# Interrupted twice and killed, then resumed: the same weights and logs.
for signal in TERM KILL INT; do
  "$program" train "$recipe" "${tiny[@]}" -o "$work/parts" --resume >"$work/out" 2>"$work/err" &
  pid=$!
  for _ in $(seq 200); do
    sleep 0.05
    compgen -G "$work/parts/checkpoints/step-*" >/dev/null && break
  done
  kill -s "$signal" "$pid" 2>/dev/null
  got=0
  wait "$pid" || got=$?
  case $signal in
  KILL) [ "$got" -eq 137 ] || [ "$got" -eq 0 ] || fail "killed run ended with $got" ;;
  *) [ "$got" -eq 19 ] || [ "$got" -eq 0 ] || fail "interrupted run ended with $got" ;;
  esac
done
expect 10 'another recipe, where it says "  batch: 64"' train "$recipe" "${tiny[@]}" --set train.batch=32 -o "$work/parts" --resume
expect 0 "mean R2" train "$recipe" "${tiny[@]}" -o "$work/parts" --resume --threads 1
for name in model.safetensors best.safetensors recipe.yaml steps.csv epochs.csv log.h5 learning.png \
  evaluation.txt evaluation.json evaluation.h5 predictions.csv roc.png biomarkers.png; do
  cmp -s "$work/whole/$name" "$work/parts/$name" || fail "$name differs after resuming"
done

# Folds by patient, and by nodule with a warning.
expect 0 "mean R2" train "$recipe" "${tiny[@]}" --set train.epochs=1 --set schedule.warmup_epochs=0 \
  --set data.split=nodule --set data.fold=4 -o "$work/fold"
grep -q "warning: data.split is nodule" "$work/err" || fail "no warning about folds by nodule"

# What was trained is measured alike by the other command.
expect 0 "" evaluate "$work/whole/recipe.yaml" -w "$work/whole/model.safetensors" -d "$crops" --json \
  --predictions "$work/predictions.csv" --output "$work/measured"
cmp -s "$work/out" "$work/whole/evaluation.json" || fail "evaluate and train measure differently"
cmp -s "$work/predictions.csv" "$work/whole/predictions.csv" || fail "predictions differ"
for name in "$work/measured"/*; do
  cmp -s "$name" "$work/whole/$(basename "$name")" || fail "evaluate and train differ in $name"
done
expect 16 "is not the folder of an evaluation" evaluate "$work/whole/recipe.yaml" \
  -w "$work/whole/model.safetensors" -d "$crops" --output "$work/whole" --overwrite
expect 0 "" evaluate -w "$work/whole/model.safetensors" -d "$crops" --json --set test.bootstrap=50
cmp -s "$work/out" "$work/whole/evaluation.json" || fail "evaluate does not take the preparation from the weights"
expect 0 "edge: 32" config --print -w "$work/whole/model.safetensors"
grep -q "views: \[\"axial\"\]" "$work/out" || fail "config does not take the views from the weights"
expect 0 "edge: 48" config --print -w "$work/whole/model.safetensors" --set cube.edge=48
expect 10 "z-scores" evaluate -w "$work/whole/best.safetensors" -d "$crops"
expect 4 "train, validate" evaluate "$recipe" -w "$work/whole/model.safetensors" -d "$crops" --split x

# A finished model is where another training starts; its backbone may stay as it is.
expect 0 "mean R2" train "$recipe" "${tiny[@]}" --set train.epochs=1 --set schedule.warmup_epochs=0 \
  --set "model.weights=$work/whole/model.safetensors" --set "model.frozen=[embedding, blocks, norm]" \
  -o "$work/tuned"
expect 13 "blocks.2.norm1.weight" train "$recipe" "${tiny[@]}" --set model.depth=3 \
  --set "model.weights=$work/whole/model.safetensors" -o "$work/none"

finish

#!/usr/bin/env bash
# The studies in their small settings: whole results, and the same tables when a run was stopped.
# needs: phantom
# slow: 60
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
export LUNGCDAM=$program
studies=$LUNGCDAM_SOURCE/studies

refused() { # refused TEXT COMMAND...
  local text=$1
  shift
  "$@" >"$work/out" 2>&1 && fail "$*: not refused"
  grep -qF -- "$text" "$work/out" || fail "$*: no '$text' in $(tail -n 2 "$work/out")"
}
refused "needs -o" bash "$studies/phantom/run.sh" --small
refused "unknown argument --smal" bash "$studies/phantom/run.sh" --smal -o "$work/none"
refused "needs --weights" bash "$studies/explanation_benchmarks/run.sh" -o "$work/none" --small
LUNGCDAM=$work/absent refused "no program at" bash "$studies/phantom/run.sh" --small -o "$work/none"
nothing_in "$work/none"

bash "$studies/phantom/run.sh" --small -o "$work/whole" 2>"$work/err" ||
  fail "the phantom study: $(tail -n 3 "$work/err")"
for name in nodules.h5 evaluation.txt model/model.safetensors judged/report.html tables.md; do
  [ -s "$work/whole/$name" ] || fail "$name is missing"
done
for text in "Class sensitivity" "What made it malignant" "| smooth_cdam |" "| random |" "| centre |"; do
  grep -qF "$text" "$work/whole/tables.md" || fail "no '$text' in the tables"
done
awk -F, '$2 == "truth" && $5 > 0 { found = 1 } END { exit !found }' "$work/whole/judged/summary.csv" ||
  fail "no nodule with a known feature"

# Stopped in the middle of patients, of the training and of the judgement; the whole group is killed.
mkdir -p "$work/parts"
cp -r "$work/whole/patients" "$work/parts/patients"
rm -r "$work/parts/patients/PHANTOM-7-0007" "$work/parts/patients/PHANTOM-7-0008"
for sign in patients/PHANTOM-7-0007 nodules.h5 model/checkpoints maps judged/items; do
  setsid bash "$studies/phantom/run.sh" --small -o "$work/parts" >/dev/null 2>&1 &
  group=$!
  for _ in $(seq 1200); do
    [ -e "$work/parts/$sign" ] && break
    kill -0 "$group" 2>/dev/null || break
    sleep 0.05
  done
  kill -KILL -- "-$group" 2>/dev/null
  wait "$group" 2>/dev/null
done
bash "$studies/phantom/run.sh" --small -o "$work/parts" 2>"$work/err" ||
  fail "resuming: $(tail -n 3 "$work/err")"
for name in nodules.h5 evaluation.txt model/model.safetensors judged/summary.csv \
  judged/differences.csv tables.md; do
  cmp -s "$work/whole/$name" "$work/parts/$name" || fail "$name differs after resuming"
done

model=(--weights "$work/whole/model/model.safetensors" --recipe "$work/whole/model/recipe.yaml"
  --crops "$work/whole/nodules.h5")
for _ in once twice; do
  bash "$studies/explanation_benchmarks/run.sh" --small "${model[@]}" -o "$work/benchmarks" \
    2>"$work/err" || fail "the benchmarks: $(tail -n 3 "$work/err")"
  sum=$(sha256sum <"$work/benchmarks/tables.md")
  [ "${before:-$sum}" = "$sum" ] || fail "the benchmarks' tables change"
  before=$sum
done
grep -q "Correctness" "$work/benchmarks/tables.md" || fail "no table of correctness"
finish

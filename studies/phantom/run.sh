#!/usr/bin/env bash
# Does an explanation point at what made a nodule malignant? Phantoms know. One restartable command:
# patients, data set, training, evaluation, maps, judgement.
set -euo pipefail
# shellcheck source=studies/common.bash
source "$(dirname "${BASH_SOURCE[0]}")/../common.bash"

usage() {
  cat <<'EOF'
usage: studies/phantom/run.sh -o DIR [--patients N] [--small]

  -o DIR         everything goes there: patients, nodules.h5, model, maps, judged, tables.md
  --patients N   80 unless said otherwise; one of three is left out of the training and judged
  --small        few patients, a tiny model, few measures: about a minute

A run that was stopped goes on with the same command and gives the same tables. A folder holds one
study: other settings want another folder. LUNGCDAM names another program than
build/release/pipeline/lungcdam.
EOF
}

out=
patients=80
small=0
while (($# > 0)); do
  case $1 in
  -o) out=${2:?-o needs a folder} && shift 2 ;;
  --patients) patients=${2:?--patients needs a number} && shift 2 ;;
  --small) small=1 && shift ;;
  -h | --help) usage && exit 0 ;;
  *) usage >&2 && stop "unknown argument $1" ;;
  esac
done
if [[ -z $out ]]; then
  usage >&2
  stop "needs -o"
fi
need_program
image=(--matrix 320 --slice-spacing 2)
training=()
judging=("$root/studies/explanation_benchmarks/judge.yaml" --set data.items=0)
if ((small)); then
  patients=8
  image=(--matrix 128 --slice-spacing 4)
  training=(--set data.pixels=32 --set data.spacing_mm=1 --set model.dim=16 --set model.depth=2
    --set model.heads=2 --set model.mlp_dim=32 --set train.epochs=3 --set train.batch=8
    --set schedule.warmup_epochs=1 --set test.bootstrap=50 --set checkpoint.steps=2)
  judging=("$root/studies/explanation_benchmarks/small.yaml")
fi
mkdir -p "$out"

say "1/6 $patients patients"
"$program" phantom -o "$out/patients" --seed 7 --patients "$patients" --nodules 4 "${image[@]}" \
  --resume >/dev/null
say "2/6 data set"
"$program" prepare "$out/patients" -o "$out/nodules.h5" --edge 64 --spacing 0.65 --folds 3 --resume
say "3/6 training"
"$program" train "$root/studies/phantom/recipe.yaml" --crops "$out/nodules.h5" -o "$out/model" \
  "${training[@]}" --resume >/dev/null
model=(--weights "$out/model/model.safetensors" --crops "$out/nodules.h5")
say "4/6 evaluation"
whole "$out/evaluation.txt" "$program" evaluate "$out/model/recipe.yaml" "${model[@]}"
say "5/6 maps"
"$program" explain "$out/model/recipe.yaml" "${model[@]}" -o "$out/maps" -T malignancy --count 4 \
  -e cdam,smooth_cdam,attention_map,relevance_propagation,token_ablation --overwrite >/dev/null
say "6/6 judgement"
"$program" judge "${judging[@]}" "${model[@]}" --recipe "$out/model/recipe.yaml" \
  --set "data.truth=$out/patients" -o "$out/judged" --resume >/dev/null
whole "$out/tables.md" tables "$out/judged"
say "$out/tables.md, $out/judged/report.html: research use only"

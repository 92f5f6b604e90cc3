#!/usr/bin/env bash
# The three benchmarks of explanations on one model and one set of nodules, in one restartable
# command: correctness, compactness, class sensitivity, with intervals by patient.
set -euo pipefail
# shellcheck source=studies/common.bash
source "$(dirname "${BASH_SOURCE[0]}")/../common.bash"

usage() {
  cat <<'EOF'
usage: studies/explanation_benchmarks/run.sh --weights FILE --recipe FILE --crops FILE -o DIR
           [--small] [--set KEY=VALUE]...

  --weights, --recipe  a trained model and the recipe.yaml of its training
  --crops              nodule crops, or a data set made by `lungcdam prepare`
  -o DIR               results: tables.md, summary.csv, report.html and the rest of `lungcdam judge`
  --small              a small setting: seconds, not minutes
  --set KEY=VALUE      as in `lungcdam judge`

A run that was stopped goes on with the same command and gives the same tables.
LUNGCDAM names another program than build/release/pipeline/lungcdam.
EOF
}

settings=judge.yaml
out=
needs=0
arguments=()
while (($# > 0)); do
  case $1 in
  --weights | --recipe | --crops)
    arguments+=("$1" "${2:?$1 needs a file}")
    needs=$((needs + 1))
    shift 2
    ;;
  --set) arguments+=(--set "${2:?--set needs KEY=VALUE}") && shift 2 ;;
  -o) out=${2:?-o needs a folder} && shift 2 ;;
  --small) settings=small.yaml && shift ;;
  -h | --help) usage && exit 0 ;;
  *) usage >&2 && stop "unknown argument $1" ;;
  esac
done
if ((needs < 3)) || [[ -z $out ]]; then
  usage >&2
  stop "needs --weights, --recipe, --crops and -o"
fi
need_program

"$program" judge "$root/studies/explanation_benchmarks/$settings" "${arguments[@]}" -o "$out" \
  --resume >/dev/null
whole "$out/tables.md" tables "$out"
say "$out/tables.md, $out/report.html: research use only"

#!/usr/bin/env bash
# Objects read by other programs: the readers' masks have the very voxels of the outlines in highdicom and in
# dcmqi with SimpleITK, also of a nodule larger than the cube; a parametric map its numbers; the report place,
# codes and probability of every nodule, outlined or given as a point. LUNGCDAM_PEERS names a Python that has
# highdicom, SimpleITK and dcmqi ("python -m venv V; V/bin/pip install highdicom SimpleITK dcmqi").
# needs: phantom
# slow: 60
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
# shellcheck source=tests/cli/lib/make.bash
source "$(dirname "$0")/lib/make.bash"
peers=${LUNGCDAM_PEERS:-/usr/bin/python3}
if ! command "$peers" -c 'import highdicom, SimpleITK' 2>/dev/null ||
  ! [ -x "$(dirname "$peers")/segimage2itkimage" ]; then
  echo "skipped: $peers has no highdicom, SimpleITK and dcmqi; LUNGCDAM_PEERS names a Python that has"
  exit 77
fi
read_objects() { command "$peers" "$LUNGCDAM_SOURCE/tests/cli/lib/read_objects.py" "$@" >"$work/said" 2>&1; }
make_inputs 1
"$program" weights init -f "$work/small.yaml" -H malignancy -H biomarkers:outputs=8:regression \
  -o "$work/eight.safetensors" --seed 1 >/dev/null || fail "weights"
run=("$program" --log-level error run -i "$work/phantom" -w "$work/eight.safetensors"
  --set figure.write=false --set capture.write=false --set 'preprocess.views=[axial, coronal, sagittal]')
marks=$(find "$work/phantom" -name '*.xml')
"${run[@]}" -o "$work/run" --set export.objects=all >"$work/out" || fail "run"
mkdir "$work/read"
read_objects "$(dirname "$marks")" "$marks" "$work"/run/*/objects "$work/read" ||
  fail "objects of outlined nodules: $(tail -n 3 "$work/said")"
table=$(find "$work/run" -name nodules.csv)
"${run[@]}" -o "$work/points" --nodules "$table" --set export.objects=all >"$work/out" || fail "run on points"
read_objects --points "$table" "$work"/points/*/objects ||
  fail "report on points: $(tail -n 3 "$work/said")"
finish

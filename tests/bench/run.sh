#!/usr/bin/env bash
# Measures speed: ./run bench. Text on the terminal, JSON in build/bench.
#
#   tests/bench/run.sh BUILD_FOLDER [argument of lungcdam_bench ...]
#
# The comparison with ONNX Runtime and PyTorch runs where Python has them; PYTHON names another interpreter:
#   python3 -m venv /tmp/peers && /tmp/peers/bin/pip install onnxruntime onnx numpy torch
#   PYTHON=/tmp/peers/bin/python ./run bench
set -eu
build=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
out=build/bench
python=${PYTHON:-python3}
mkdir -p "$out"
"$build/tests/bench/lungcdam_bench" --json "$out/vit.json" "$@"
if "$python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
  "$python" "$here/vit_peers.py" "$build/tests/bench/lungcdam_bench" --json "$out/vit_peers.json"
else
  echo "no comparison: $python has no numpy, onnx and onnxruntime (see the head of tests/bench/run.sh)"
fi
"$build/tests/bench/lungcdam_bench_explain" --json "$out/explain.json"
if "$python" -c 'import quantus, torch' 2>/dev/null; then
  "$python" "$here/quantus_peers.py" "$build" --json "$out/quantus.json"
else
  echo "no comparison of measures: $python has no quantus and torch (pip install quantus==0.6.0 torch)"
fi
if "$python" -c 'import numpy, torch' 2>/dev/null; then
  "$python" "$here/explain_peers.py" "$build/tests/bench/lungcdam_bench_explain" --json "$out/explain_peers.json"
else
  echo "no comparison of CDAM as published: $python has no torch"
fi
if "$python" -c 'import numpy, pydicom, scipy' 2>/dev/null; then
  "$python" "$here/ct_peers.py" "$build/pipeline/lungcdam"
else
  echo "no comparison of the data side: $python has no numpy, pydicom and scipy"
fi

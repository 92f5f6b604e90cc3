#!/usr/bin/env bash
# More than a hundred tiny models as timm, torchvision, transformers, MONAI and OpenCLIP save them: the logits of the
# library in float64 within 1e-5, or a refusal that names what is not computed. LUNGCDAM_TIMM names a Python that has
# them (tests/reference/make_naming_models.py says which).
# needs: pth
# slow: 90
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
libraries=${LUNGCDAM_TIMM:-/usr/bin/python3}
"$libraries" -c 'import timm, torchvision, transformers, monai, open_clip' 2>/dev/null || {
  echo "skipped: $libraries has no timm, torchvision, transformers, monai, open_clip; LUNGCDAM_TIMM names a Python that has"
  exit 77
}
"$libraries" "$LUNGCDAM_SOURCE/tests/reference/make_naming_models.py" "$work/cases" >"$work/out" 2>&1 ||
  fail "the models were not made: $(tail -n 3 "$work/out")"
LUNGCDAM_TEST_NAMING=$work/cases "$(dirname "$program")/../tests/test_reference_pl_naming" >"$work/out" 2>&1 ||
  fail "$(grep -E 'FAILED|wrong' "$work/out")"
grep -E 'cases, 0 wrong' "$work/out" || fail "no case was tried"
finish

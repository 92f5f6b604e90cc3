#!/usr/bin/env bash
# The marks of LIDC-IDRI-0001 as other programs keep them, a segmentation and a report for each mark,
# and a structure set: the nodule, its readers and ratings are those of the XML.
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

need_data
python=${LUNGCDAM_TEST_PYTHON:-python3}
if ! "$python" -c "import highdicom" 2>/dev/null; then
  echo "skipped: $python has no highdicom; LUNGCDAM_TEST_PYTHON names one that has"
  exit 77
fi
ct=$(dirname "$(find "$data/LIDC-IDRI" -name 069.xml)")
"$python" -W ignore "$(dirname "$0")/lib/lidc_objects.py" "$ct" "$ct/069.xml" "$work" >/dev/null ||
  fail "the objects cannot be written"
for kind in pairs contours; do ln -s "$ct"/*.dcm "$work/$kind"; done
for kind in "$ct" "$work/pairs" "$work/contours"; do
  expect 0 "" nodules --json "$kind"
  cp "$work/out" "$work/$(basename "$kind").json"
done
python3 - "$work/$(basename "$ct").json" "$work/pairs.json" "$work/contours.json" <<'PYTHON' || fail "objects and XML disagree"
import json, math, sys
(xml,), (pairs,), contours = (json.load(open(path)) for path in sys.argv[1:])
ratings = ("subtlety internalStructure calcification sphericity margin lobulation spiculation texture "
           "malignancy malignancy_median label").split()
for key in ["readers", "marks", "volume_mm3", "faults", *ratings]:
    assert pairs[key] == xml[key], (key, pairs[key], xml[key])
def far(a, b):
    return math.dist([a[k] for k in ("x_mm", "y_mm", "z_mm")], [b[k] for k in ("x_mm", "y_mm", "z_mm")])
assert far(pairs, xml) < 0.5, far(pairs, xml)
assert abs(pairs["diameter_mm"] - xml["diameter_mm"]) < 1
assert len(contours) == 4
assert all(far(row, xml) < 2.5 and 0.85 < row["volume_mm3"] / xml["volume_mm3"] < 1.2 for row in contours)
PYTHON
finish

#!/usr/bin/env bash
# `lungcdam phantom`: whole patients with their truth, the same bytes for the same seed.
# needs: phantom
# slow: 30
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
small=(--log-level error phantom --matrix 96 --slice-spacing 4)

expect 0 "PHANTOM-4-0001" "${small[@]}" -o "$work/a" --seed 4 --patients 2
expect 0 "" --threads 1 "${small[@]}" -o "$work/b" --seed 4 --patients 2
diff -r "$work/a" "$work/b" >/dev/null || fail "the same seed gives other bytes"
expect 0 "" "${small[@]}" -o "$work/c" --seed 5
cmp -s "$work"/a/PHANTOM-4-0001/truth.h5 "$work"/c/PHANTOM-5-0001/truth.h5 && fail "seeds are alike"
expect 16 "PHANTOM-4-0001: exists" "${small[@]}" -o "$work/a" --seed 4 --patients 1
expect 0 "" "${small[@]}" -o "$work/a" --seed 4 --patients 2 --resume
[ ! -s "$work/out" ] || fail "--resume made what was there: $(cat "$work/out")"
diff -r "$work/a" "$work/b" >/dev/null || fail "--resume changed something"
expect 0 "PHANTOM-4-0002" "${small[@]}" -o "$work/a" --seed 4 --patients 2 --overwrite
diff -r "$work/a" "$work/b" >/dev/null || fail "--overwrite changed something"
[ "$(ls -A "$work/a")" = "$(printf 'PHANTOM-4-0001\nPHANTOM-4-0002')" ] || fail "$(ls -A "$work/a")"

expect 0 "PHANTOM-4-0002" series "$work/a"
[ "$(grep -c ' CT .* axial .* usable ' "$work/out")" -eq 2 ] || fail "not two usable series"
expect 2 "needs --output" phantom
expect 2 "expected a whole number from 1" phantom -o "$work/d" --patients 0
expect 2 "expected a number from 0.5 to 10" phantom -o "$work/d" --slice-spacing 0
expect 14 "a/PHANTOM" "${small[@]}" -o "$work/a/PHANTOM-4-0001/truth.h5/x"

h5dump -H "$work/a/PHANTOM-4-0001/truth.h5" >"$work/out" || fail "h5dump cannot read the truth"
grep -q 'DATASET "mask"' "$work/out" || fail "no mask in the truth"
python3 -c 'import h5py' 2>/dev/null || finish
python3 - "$work/a/PHANTOM-4-0001" <<'PYTHON' || fail "the truth is not as documented"
import glob, sys
import h5py
root = sys.argv[1]
truth = h5py.File(f"{root}/truth.h5")
mask, nodules = truth["truth/mask"][...], truth["nodules"]
assert mask.shape[0] == len(glob.glob(f"{root}/*/*/*.dcm")), mask.shape
assert mask.max() == len(nodules["centre_mm"]) >= 1
assert truth["axes/nodule"].asstr()[0] == "nodule-1"
spacing, origin = truth["truth/spacing_mm"][...], truth["truth/origin_mm"][...]
for n, centre in enumerate(nodules["centre_mm"][...]):
    inside = (mask == n + 1).nonzero()
    # x, y, z of the mask's middle; the direction is the identity up to signs
    middle = origin + truth["truth/direction"][...] @ (spacing * [i.mean() for i in inside[::-1]])
    assert abs(middle - centre).max() < max(spacing) + nodules["diameter_mm"][n] / 2, (middle, centre)
assert ((nodules["malignancy_probability"][...] >= 0) & (nodules["malignancy_probability"][...] <= 1)).all()
PYTHON
finish

#!/usr/bin/env bash
# The model that ships: small, of the shape and preparation that its card says, and as good on real
# nodules of patients that it has not seen as the card says.
# shellcheck source=tests/cli/lib/common.bash
source "$LUNGCDAM_SOURCE/tests/cli/lib/common.bash"

model=$LUNGCDAM_SOURCE/configs/models/lidc_axial.safetensors
card=$LUNGCDAM_SOURCE/docs/model_card.md
[ "$(stat -c %s "$model")" -le 12582912 ] || fail "the model is larger than 12 MiB"
hash=$(sha256sum "$model" | cut -d ' ' -f 1)
grep -q "$hash" "$card" || fail "the card names another file than $hash"
expect 0 "spacing_mm: 0.625" config --print -w "$model"
for line in 'edge: 64' 'hu_high: 1000' 'zscore: fixed' 'mean: -500' 'deviation: 400' 'views: ["axial"]'; do
  grep -qF "$line" "$work/out" || fail "the weights do not say $line"
done

need_data
expect 0 "" evaluate -w "$model" -d "$data/lidc_nodule_crops.h5" --set test.bootstrap=50 --json
python3 - "$work/out" "$card" <<'PYTHON' || fail "the model is not what its card says"
import json, re, sys
found = json.load(open(sys.argv[1]))
def value(x):
    return x["value"] if isinstance(x, dict) else x
auroc = value(found["malignancy"]["auroc"])
r2 = {name: value(b["r2"]) for name, b in found["biomarkers"].items() if isinstance(b, dict) and "r2" in b}
mean = sum(r2.values()) / len(r2)
print(auroc, mean, r2)
assert len(r2) == 8, r2
assert auroc >= 0.945 and mean >= 0.38, (auroc, mean)
card = open(sys.argv[2]).read()
assert re.search(r"\| AUROC \| %.3f \|" % auroc, card), auroc
for name, x in r2.items():
    assert re.search(r"\| %s(?: \(mm\))? \| %.3f \|" % (name, x), card), (name, x)
PYTHON
finish

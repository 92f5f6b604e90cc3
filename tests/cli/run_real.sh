#!/usr/bin/env bash
# The main job on LIDC-IDRI-0001, looked at with other programs: dciodvfy, dcmdump, h5dump, h5py.
# slow: 60
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
need_data
lidc=$data/LIDC-IDRI
uid=1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192
study=1.3.6.1.4.1.14519.5.2.1.6279.6001.298806137288633453246975630178
"$program" weights init vit_small_patch8 -o "$work/w.safetensors" --seed 1 --head malignancy \
  --head biomarkers:outputs=8:hidden=64:regression >/dev/null || fail "weights init"

# one nodule, four readers, and slices decoded only around it
expect 0 '"readers": 4' --log-level debug run --json --input "$lidc" --weights "$work/w.safetensors" \
  -o "$work/a"
[ "$(grep -c '"nodule":' "$work/out")" -eq 1 ] || fail "not one nodule: $(cat "$work/out")"
grep -q '"median_malignancy": 5.0' "$work/out" || fail "median malignancy is not 5"
decoded=$(sed -n 's/.* decoding \([0-9]*\) of 133 slices.*/\1/p' "$work/err")
# 32 mm of slices 2.5 mm apart, and one neighbour on each side
((decoded >= 13 && decoded <= 15)) || fail "decoded '$decoded' slices"
grep -q "UNTRAINED WEIGHTS" "$work/err" || fail "untrained weights are not reported"
expect 0 "UNTRAINED WEIGHTS" run --input "$lidc" --weights "$work/w.safetensors" -o "$work/a" --overwrite
results=$work/a/$uid

# peak memory
python3 - "$program" run --input "$lidc" --weights "$work/w.safetensors" -o "$work/memory" <<'PYTHON' || fail "memory"
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"peak memory {peak:.0f} MiB")
sys.exit(peak > 600)
PYTHON

# a second run, elsewhere, with another number of threads and images at a time: the same bytes
expect 0 "" --threads 1 run --input "$lidc/LIDC-IDRI-0001" --weights "$work/w.safetensors" \
  -o "$work/b" --set model.batch=1
diff -r "$work/a" "$work/b" >/dev/null || fail "a second run gives other bytes: $(diff -rq "$work/a" "$work/b")"

# the captures
for file in "$results"/captures/*.dcm; do
  dciodvfy "$file" 2>&1 | grep '^Error' && fail "dciodvfy: $file"
  dcmdump +L "$file" >"$work/dump" || fail "dcmdump: $file"
  grep -q "(0010,0020) LO \[LIDC-IDRI-0001\]" "$work/dump" || fail "another patient"
  grep -q "(0020,000d) UI \[$study\]" "$work/dump" || fail "another study"
  grep -q "^(0020,000e) UI \[2\.25\." "$work/dump" || fail "not a new series"
  grep -q "(0020,4000) LT \[.*UNTRAINED WEIGHTS.*esearch use only" "$work/dump" ||
    fail "comments: $(grep "(0020,4000)" "$work/dump")"
done
[ "$(find "$results" -name 'nodule-1_*' | wc -l)" -eq 6 ] || fail "not 3 and 3 pictures"
[ "$(cat "$results"/captures/*.dcm | grep -aoE '2\.25\.[0-9]+' | sort -u | wc -l)" -ge 5 ] ||
  fail "UIDs are not distinct"

# the store
h5dump -H "$results/results.h5" >"$work/dump" || fail "h5dump cannot read the store"
for name in hu mask cdam probability mean_logit rating SOPInstanceUID; do
  grep -q "DATASET \"$name\"" "$work/dump" || fail "no $name in the store"
done
python3 -c 'import h5py, numpy' 2>/dev/null || finish
python3 - "$work/a" "$uid" "$LUNGCDAM_SOURCE" "$lidc" <<'PYTHON' || fail "the store is not as documented"
import glob, hashlib, sys
import h5py, numpy as np
folder, uid, source, lidc = sys.argv[1:]
# docs/store.md, the lines between ```python and ```, on this file
text = open(f"{source}/docs/store.md").read()
code = text.split("```python\n", 1)[1].split("```", 1)[0]
exec(code.replace("RESULTS/UID/", f"{folder}/{uid}/").replace("RESULTS", folder))
f = h5py.File(f"{folder}/{uid}/results.h5")
assert f["nodules/n_readers"][0] == 4
ratings = f["nodules/rating"][0]
assert sorted(ratings[:, list(f["axes/rating"].asstr()[...]).index("malignancy")]) == [4, 5, 5, 5]
assert f["cube/hu"].shape == (1, 32, 32, 32) and f["cube/hu"].chunks == (1, 32, 32, 32)
assert f["cube/hu"].fletcher32 and f["cube/hu"].shuffle and f["cube/hu"].compression == "gzip"
assert f["cube/hu"].attrs["units"].decode() == "HU"
assert f["explanation/cdam"].shape == (1, 3, 9, 28, 28)
assert [d[0].name for d in f["explanation/cdam"].dims] == [
    "/axes/nodule", "/axes/view", "/axes/target", "/axes/grid_row", "/axes/grid_column"]
assert f["axes/output"].asstr()[5] == "biomarkers.spiculation", f["axes/output"].asstr()[...]
p, z = f["prediction/probability"][0], f["prediction/logit"][0].mean(axis=0)
assert abs(p[0] - 1 / (1 + np.exp(-z[0]))) < 1e-6 and np.isnan(p[1:]).all()
xml = glob.glob(f"{lidc}/**/*.xml", recursive=True)[0]
assert f.attrs["nodule_source_sha256"].decode() == hashlib.sha256(open(xml, "rb").read()).hexdigest()
config = f.attrs["configuration"]
assert hashlib.sha256(config).hexdigest() == f.attrs["configuration_sha256"].decode()
assert config == open(f"{folder}/{uid}/configuration.yaml", "rb").read()
assert "UNTRAINED" in f.attrs["notice"].decode()
PYTHON

# the same centre as the reference crop: within 1 HU mean and 8 HU maximum
reference=$LUNGCDAM_SOURCE/../shared/reference/lidc_idri_0001_crop.safetensors
if [ -r "$reference" ]; then
  python3 - "$reference" "$uid" "$work/centre.csv" <<'PYTHON' || fail "reading the reference"
import json, struct, sys
import numpy as np
data = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", data[:8])
header = json.loads(data[8:8 + n])
kinds = {"F32": np.float32, "F64": np.float64}
def tensor(name):
    a, b = header[name]["data_offsets"]
    return np.frombuffer(data[8 + n + a:8 + n + b], kinds[header[name]["dtype"]]).reshape(header[name]["shape"])
x, y, z = tensor("centre_lps_mm_0")
with open(sys.argv[3], "w") as out:
    out.write(f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{sys.argv[2]},{x:.9f},{y:.9f},{z:.9f},30\n")
np.save(sys.argv[3] + ".npy", tensor("hu_0"))
PYTHON
  expect 0 "" run --input "$lidc" --nodules "$work/centre.csv" --weights "$work/w.safetensors" -o "$work/c"
  python3 - "$work/c/$uid/results.h5" "$work/centre.csv.npy" <<'PYTHON' || fail "the cube is not the reference's"
import sys
import h5py, numpy as np
difference = abs(h5py.File(sys.argv[1])["cube/hu"][0] - np.load(sys.argv[2]))
print(f"cube against the reference: mean {difference.mean():.4f} HU, maximum {difference.max():.4f} HU")
sys.exit(bool(difference.mean() > 1 or difference.max() > 8))
PYTHON
fi
finish

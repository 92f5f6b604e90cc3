#!/usr/bin/env bash
# `lungcdam prepare`: the same bytes from any number of threads and after any kill; what cannot be
# used is named and the rest goes on; data sets read as docs/dataset.md says.
# needs: phantom
# slow: 50
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
expect 2 "which output?" prepare .
expect 2 "which folder?" prepare -o "$work/x.h5"
expect 2 "--crops takes no folders" prepare -o "$work/x.h5" --crops c.h5 .
expect 2 "expected a whole number from 2 to 512" prepare -o "$work/x.h5" --edge 1 .
expect 4 "no such folder or file" prepare -o "$work/x.h5" "$work/none"
expect 4 "no such file" prepare -o "$work/x.h5" --crops "$work/none.h5"
mkdir "$work/empty"
expect 5 "no DICOM image" prepare -o "$work/x.h5" "$work/empty"
[ ! -e "$work/x.h5" ] || fail "a data set of nothing"

"$program" --log-level error phantom -o "$work/phantom" --seed 5 --patients 6 --matrix 96 \
  >/dev/null || fail "phantom"
prepare=("$program" --log-level error prepare "$work/phantom" --folds 3)
"${prepare[@]}" --threads 1 -o "$work/one.h5" || fail "prepare with one thread"
"${prepare[@]}" --threads 4 -o "$work/four.h5" || fail "prepare with four threads"
cmp -s "$work/one.h5" "$work/four.h5" || fail "the number of threads changes the data set"
expect 16 "--overwrite starts again, --resume goes on" prepare "$work/phantom" -o "$work/one.h5"
expect 0 "(0 made, 6 kept)" prepare "$work/phantom" --folds 3 -o "$work/one.h5" --resume
cmp -s "$work/one.h5" "$work/four.h5" || fail "resuming changes the data set"
expect 0 "(6 made, 0 kept)" prepare "$work/phantom" --folds 3 -o "$work/one.h5" --overwrite
expect 0 "(6 made, 0 kept)" prepare "$work/phantom" --folds 3 --edge 24 -o "$work/four.h5" --resume

for i in $(seq 1 8); do
  "${prepare[@]}" -o "$work/killed.h5" --resume 2>/dev/null &
  process=$!
  sleep "$(awk -v i="$i" 'BEGIN { printf "%.3f", 0.03 * i }')"
  kill -9 "$process" 2>/dev/null
  wait "$process" 2>/dev/null
  [ ! -e "$work/killed.h5" ] || cmp -s "$work/killed.h5" "$work/one.h5" || fail "kill $i left half a file"
  [ "$i" -eq 4 ] && rm -rf "$work/killed.h5" "$work/killed.h5.parts"
done
"${prepare[@]}" -o "$work/killed.h5" --resume || fail "resuming after the kills"
cmp -s "$work/killed.h5" "$work/one.h5" || fail "kills change the data set"
[ -z "$(find "$work" -maxdepth 2 -name '.*partial*')" ] || fail "left over: $(find "$work" -name '.*partial*')"

python3 - "$work/one.h5" <<'PYTHON' || fail "the data set does not read as documented"
import sys, h5py, numpy as np
with h5py.File(sys.argv[1]) as f:
    n = len(f["nodules/PatientID"])
    assert f.attrs["content"].decode() == "lungcdam nodule data set" and f.attrs["schema_version"] == 1
    hu, mask = f["cubes/hu"], f["cubes/mask"]
    assert hu.shape == mask.shape == (n, 32, 32, 32) and hu.dtype == np.int16
    assert hu[:].min() >= -1024 and mask[:].reshape(n, -1).any(axis=1).all()
    patient = np.array([p.decode() for p in f["nodules/PatientID"]])
    fold = f["folds/patient"][:]
    assert set(fold) <= {0, 1, 2} and all(len(set(fold[patient == p])) == 1 for p in patient)
    assert f["folds/nodule"].attrs["leaks_patients"] == 1 and f["folds/patient"].attrs["n_folds"] == 3
    by_mark, median = f["ratings/by_mark"][:], f["ratings/median"][:]
    assert by_mark.shape == (n, 8, 9) and (f["nodules/n_marks"][:] == (by_mark[:, :, 8] > 0).sum(1)).all()
    label = f["nodules/label"][:]
    assert all(l == (1 if m > 3 else 0 if m < 3 else -1) for l, m in zip(label, median[:, 8]))
    sops = f["nodules/SOPInstanceUID"][:]
    assert all(row[0].startswith(b"2.25.") for row in sops)
PYTHON

# One bad series: the others are there, and the exit code says so.
cp -r "$work/phantom" "$work/damaged"
slice=$(find "$work/damaged" -name '*.dcm' | sort | head -n 200 | tail -n 1)
series=$(dirname "$slice")
for file in "$series"/*.dcm; do truncate -s -100 "$file"; done
expect 21 "truncated: " prepare "$work/damaged" --folds 3 -o "$work/damaged.h5"
python3 - "$work/damaged.h5" "$work/one.h5" "$(basename "$series")" <<'PYTHON' || fail "one bad series spoils others"
import sys, h5py
a, b = h5py.File(sys.argv[1]), h5py.File(sys.argv[2])
bad = sys.argv[3]
left = [i for i, uid in enumerate(b["nodules/SeriesInstanceUID"]) if uid.decode() != bad]
assert len(left) < len(b["cubes/hu"]) and (a["cubes/hu"][:] == b["cubes/hu"][:][left]).all()
assert bad in a.attrs["left_out"].decode()
PYTHON

# A list of series, and points instead of annotations.
basename "$series" >"$work/list.txt"
expect 0 "of 1 series" prepare "$work/phantom" --series-list "$work/list.txt" -o "$work/listed.h5"
echo 1.2.3 >>"$work/list.txt"
expect 21 "1.2.3: listed, but not found" prepare "$work/phantom" --series-list "$work/list.txt" \
  -o "$work/listed2.h5"

need_data
siemens=$data/other_vendors/siemens_sensation10_8mm
uid=$("$program" series --csv "$siemens" | tail -n 1 | grep -oE '1\.3\.6\.1\.4\.1\.14519\.5\.2\.1\.6655\.2359\.[0-9]+' | tail -n 1)
printf 'seriesuid,coordX,coordY,coordZ,diameter_mm\n%s,-60,-120,200,8\n%s,70,-100,160,12\n' "$uid" "$uid" \
  >"$work/points.csv"
expect 0 "2 nodules of 1 series" prepare "$siemens" --nodules "$work/points.csv" -o "$work/points.h5"
python3 - "$work/points.h5" <<'PYTHON' || fail "points in the Siemens series"
import sys, h5py
with h5py.File(sys.argv[1]) as f:
    assert list(f["nodules/diameter_mm"][:]) == [8, 12] and (f["nodules/label"][:] == -2).all()
    assert f["cubes/hu"][:].min() >= -1024 and not f["cubes/mask"][:].any()
PYTHON
expect 0 "2226 nodules" prepare --crops "$data/lidc_nodule_crops.h5" -o "$work/crops.h5"
python3 - "$work/crops.h5" "$data/lidc_nodule_crops.h5" <<'PYTHON' || fail "crops"
import sys, h5py, numpy as np
a, b = h5py.File(sys.argv[1]), h5py.File(sys.argv[2])
assert a["cubes/hu"].shape == (2226, 32, 32)
assert (a["nodules/SeriesInstanceUID"][:] == b["series_instance_uid"][:].astype("S64")).all()
assert np.allclose(a["ratings/mean"][:, 8], b["malignancy_1_to_5"][:])
assert (a["nodules/split"][:].astype("S8") == b["split"][:]).all()
# The centre of a crop lies between samples 15 and 16.
centre = a["cubes/hu"][:, 15:17, 15:17].mean(axis=(1, 2))
crop = np.maximum(b["hu"][:, 34:37, 34:37], -1024).mean(axis=(1, 2))
assert np.median(abs(centre - crop)) < 30, np.median(abs(centre - crop))
PYTHON
finish

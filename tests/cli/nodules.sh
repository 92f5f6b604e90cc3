#!/usr/bin/env bash
# `lungcdam nodules`: one line a nodule, from XML alone and with DICOM; counts beside those published.
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

expect 2 "which folder?" nodules
expect 2 "expected voxels or mm" nodules --grouping pixels .
expect 2 "expected a number from 0.001 to 1" nodules --level 2 .
expect 4 "no such folder or file" nodules "$work/none"
mkdir "$work/empty"
expect 5 "no DICOM image" nodules "$work/empty"
expect 4 "no file of nodules" nodules --xml-only "$work/empty"
printf '<html/>\n' >"$work/empty/page.xml"
expect 8 "root element html, expected LidcReadMessage" nodules "$work/empty"

need_data
expect 0 "" nodules --json --luna "$data/luna16/annotations.csv" "$data/LIDC-IDRI"
python3 - "$work/out" <<'PYTHON' || fail "LIDC-IDRI-0001 is not as expected"
import json, sys
rows = json.load(open(sys.argv[1]))
assert len(rows) == 1
row = rows[0]
assert row["PatientID"] == "LIDC-IDRI-0001" and row["readers"] == 4 and row["geometry"] == "DICOM"
assert abs(row["diameter_mm"] - 33.669) < 1e-3 and abs(row["volume_mm3"] - 6708.8) < 0.1
assert row["malignancy"] == 4.75 and row["malignancy_median"] == 5 and row["label"] == "malignant"
assert abs(row["luna_diameter_mm"] - 23.35) < 0.01 and row["luna_distance_mm"] < 3
PYTHON
xml=$(dirname "$(find "$data/LIDC-IDRI" -name 069.xml)")/069.xml
expect 0 "XML alone" nodules "$xml"
grep -E "nodule-1 +4 .* 4\.75 +5\.0 +malignant" "$work/out" >/dev/null || fail "XML alone: $(cat "$work/out")"
expect 0 "" nodules --csv --patients "$data/lidc_xml/LIDC-IDRI_MetaData.csv" "$data/lidc_xml/picked"
python3 - "$work/out" <<'PYTHON' || fail "the picked files are not as expected"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert all(row["PatientID"].startswith("LIDC-IDRI-") for row in rows)
faults = set(" ".join(row["faults"] for row in rows).split())
assert {"no-ratings", "few-points", "open-outline"} <= faults, faults
PYTHON
finish

#!/usr/bin/env bash
# `lungcdam series` on real folders: table, JSON and CSV say the same.
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"

mkdir "$work/empty"
expect 5 "no DICOM image" series "$work/empty"
one_line
expect 4 "$work/none" series "$work/none"
expect 2 "which folder?" series

need_data
uid=1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192
expect 0 "$uid" series "$data/LIDC-IDRI"
grep -E "^LIDC-IDRI-0001 .* CT +133 +0\.703 +2\.50 +axial +Explicit VR Little Endian +usable +$uid" \
  "$work/out" >/dev/null || fail "the table does not describe LIDC-IDRI-0001: $(cat "$work/out")"
expect 0 "" series --json "$data/LIDC-IDRI" "$data/other_vendors"
python3 - "$work/out" <<'PYTHON' || fail "JSON is not as expected"
import json, sys
rows = json.load(open(sys.argv[1]))
assert len(rows) == 2, len(rows)
lidc = next(r for r in rows if r["PatientID"] == "LIDC-IDRI-0001")
assert lidc["slices"] == 133 and lidc["row_spacing_mm"] == 0.703125 and lidc["verdict"] == "usable"
other = next(r for r in rows if r["PatientID"] != "LIDC-IDRI-0001")
assert other["slices"] == 30 and other["slice_spacing_mm"] == 8 and "SIEMENS" in other["Manufacturer"].upper()
PYTHON
cp "$work/out" "$work/series.json"
expect 0 "" series --csv "$data/LIDC-IDRI" "$data/other_vendors"
python3 - "$work/out" "$work/series.json" <<'PYTHON' || fail "CSV and JSON differ"
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
for row, other in zip(rows, json.load(open(sys.argv[2])), strict=True):
    assert list(row) == list(other)
    for key, value in other.items():
        text = {None: "", True: "true", False: "false"}.get(value, value) if not isinstance(value, (int, float)) or isinstance(value, bool) else value
        assert row[key] == text or float(row[key]) == value, (key, row[key], value)
PYTHON
expect 0 "refused" series "$data/dicom_hard_cases"
finish

#!/usr/bin/env bash
# LIDC-IDRI-0001 as MetaImage, NIfTI and NRRD written by SimpleITK, compressed or not, flipped and with its axes
# swapped: the logits of the DICOM within 1e-4. LUNGCDAM_SIMPLEITK names a Python that has SimpleITK.
# slow: 90
set -u
# shellcheck source=tests/cli/lib/common.bash
source "$(dirname "$0")/lib/common.bash"
need_data
simpleitk=${LUNGCDAM_SIMPLEITK:-/usr/bin/python3}
"$simpleitk" -c 'import SimpleITK' 2>/dev/null || {
  echo "skipped: $simpleitk has no SimpleITK; LUNGCDAM_SIMPLEITK names a Python that has"
  exit 77
}
lidc=$data/LIDC-IDRI
marks=$(find "$lidc" -name 069.xml)
mkdir "$work/in"
"$simpleitk" - "$(dirname "$marks")" "$work/in" <<'PYTHON' || fail "SimpleITK"
import os, sys
import SimpleITK as sitk
folder, out = sys.argv[1:]
reader = sitk.ImageSeriesReader()
uid = reader.GetGDCMSeriesIDs(folder)[0]
reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder, uid))
image = reader.Execute()
short = sitk.Cast(sitk.Clamp(image, sitk.sitkInt32, -32768, 32767), sitk.sitkInt16)
flip = lambda *axes: sitk.Flip(short, axes)
for name, kind, twin, packed in (
    ("mhd", "mhd", short, False), ("mha", "mha", image, True), ("nii", "nii", short, False),
    ("niigz", "nii.gz", image, True), ("nrrd", "nrrd", short, True), ("float", "nii.gz", sitk.Cast(short, sitk.sitkFloat32), True),
    ("flip_x", "mha", flip(True, False, False), False), ("flip_y", "nii.gz", flip(False, True, False), True),
    ("flip_z", "nii", flip(False, False, True), False), ("flip_xyz", "nrrd", flip(True, True, True), False),
    ("swapped", "mha", sitk.PermuteAxes(short, [2, 0, 1]), False), ("turned", "nii.gz", flip(True, True, False), True)):
    os.mkdir(f"{out}/{name}")
    sitk.WriteImage(twin, f"{out}/{name}/{uid}.{kind}", packed)
PYTHON
expect 0 "" run -i "$lidc" -o "$work/dicom" --set figure.write=false --set capture.write=false
for folder in "$work"/in/*; do
  name=$(basename "$folder")
  reference=()
  [ "$name" != turned ] || reference=(-R "$lidc") # outlines of one that is turned by half are refused
  expect 0 "" run -i "$folder" -n "$marks" "${reference[@]}" -o "$work/$name" --set figure.write=false --set capture.write=false
  for what in /prediction/logit /explanation/cdam; do
    h5diff -d 1e-4 "$work"/dicom/*/results.h5 "$work/$name"/*/results.h5 $what >&2 || fail "$name: $what"
  done
done
finish

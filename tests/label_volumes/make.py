#!/usr/bin/env python3
"""Writes the label volumes of tests/unit/ct_nodules/ct_labels.c by SimpleITK and nibabel.

    python3 make.py          (in this folder; SimpleITK 2.3 and nibabel 5 wrote what is committed)

The CT that they are of has 20 x 16 x 8 voxels of 1.5 x 1.5 x 2.5 mm, its first voxel at
(-10, 20, -30) mm LPS, its rows turned by 10 degrees about z. Label 1 is a box of columns 3 to 6, rows
4 to 8, slices 2 to 4 (60 voxels). Label 2 touches it: columns 7 to 9 of the same rows and slices
(45 voxels). Label 3 is two cubes of 2 voxels a side, at columns 12 and 16, rows 3, slices 5 (16 voxels).
"""
import math

import nibabel
import numpy
import SimpleITK

c, s = math.cos(math.radians(10)), math.sin(math.radians(10))
DIRECTION = (c, -s, 0, s, c, 0, 0, 0, 1)
SPACING, ORIGIN = (1.5, 1.5, 2.5), (-10.0, 20.0, -30.0)

labels = numpy.zeros((8, 16, 20), numpy.uint8)
labels[2:5, 4:9, 3:7] = 1
labels[2:5, 4:9, 7:10] = 2
labels[5:7, 3:5, 12:14] = 3
labels[5:7, 3:5, 16:18] = 3


def image(array, spacing=SPACING, origin=ORIGIN, direction=DIRECTION):
    made = SimpleITK.GetImageFromArray(array)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    made.SetDirection(direction)
    return made


def write(made, name):
    SimpleITK.WriteImage(made, name, useCompression=True)


plain = image(labels)
for ending in "nii.gz", "mha", "nrrd":
    write(plain, "plain." + ending)
write(plain[2:19, 1:14, 1:8], "crop.nrrd")
write(SimpleITK.PermuteAxes(SimpleITK.Flip(plain, (True, False, True)), (2, 0, 1)), "turned.nrrd")

# Twice as many columns and rows, of half the size; each voxel of the CT is four of these.
half = tuple(0.25 * 1.5 * sum(DIRECTION[3 * x + a] for a in (0, 1)) for x in range(3))
fine = numpy.repeat(numpy.repeat(labels, 2, axis=1), 2, axis=2)
write(image(fine, (0.75, 0.75, 2.5), tuple(o - h for o, h in zip(ORIGIN, half))), "fine.nii.gz")

# What nibabel makes without being asked for a type: floats, an sform alone.
affine = numpy.eye(4)
affine[:3, :3] = numpy.array(DIRECTION).reshape(3, 3) * SPACING
affine[:3, 3] = ORIGIN
affine[:2] *= -1  # LPS to RAS
nibabel.save(nibabel.Nifti1Image(labels.transpose(2, 1, 0).astype(float), affine), "float64.nii.gz")
nibabel.save(nibabel.Nifti1Image(labels.transpose(2, 1, 0) * 0.3, affine), "fractional.nii.gz")
# The same with the affine of LPS, as those write it who forget that NIfTI is RAS.
wrong = affine.copy()
wrong[:2] *= -1
nibabel.save(nibabel.Nifti1Image(labels.transpose(2, 1, 0), wrong), "flipped_ras.nii.gz")

for name, sign in ("left", (-1, 1, 1)), ("front", (1, -1, 1)), ("head", (1, 1, -1)):
    turned = numpy.diag(sign) @ numpy.array(DIRECTION).reshape(3, 3)
    write(image(labels, origin=tuple(numpy.array(ORIGIN) * sign), direction=tuple(turned.ravel())),
          f"flipped_{name}.nrrd")
third = numpy.array(DIRECTION).reshape(3, 3) @ numpy.diag((1, 1, -1))
write(image(labels, direction=tuple(third.ravel())), "flipped_axis.mha")
write(image(labels, origin=(-9.0, 20.0, -30.0)), "beside.nrrd")
write(image(labels[:, :, :19], origin=(40.0, 20.0, -30.0)), "beyond.nrrd")
write(image(labels.astype(numpy.int16) * 300 - 1000), "ct.nii.gz")

# 3D Slicer's fields of a segmentation; the third names a value without a voxel.
segments = image(labels)
for number, (name, value) in enumerate((("Upper lobe", 1), ("Hilum", 2), ("Nothing", 9))):
    segments.SetMetaData(f"Segment{number}_ID", f"Segment_{number + 1}")
    segments.SetMetaData(f"Segment{number}_LabelValue", str(value))
    segments.SetMetaData(f"Segment{number}_Name", name)
write(segments, "named.seg.nrrd")

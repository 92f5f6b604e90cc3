"""Reads DICOM objects with other programs: highdicom, dcmqi, SimpleITK.

    read_objects.py CT-FOLDER LIDC-XML OBJECTS WORK     objects of nodules that readers outlined
    read_objects.py --points CSV OBJECTS                the report on nodules given as points

Exits with the first thing that is not as it must be.
"""
import csv, glob, json, os, subprocess, sys
import xml.etree.ElementTree as ElementTree

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk


def tool(name, *arguments):
    path = os.path.join(os.path.dirname(sys.executable), name)
    done = subprocess.run([path, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (name, done.returncode, done.stderr[-500:])


def inside(points, rows, columns):
    """Pixels whose centre is inside the polygon, and not on it."""
    y, x = np.mgrid[0:rows, 0:columns]
    odd, on = np.zeros((rows, columns), bool), np.zeros((rows, columns), bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]):
        cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        on |= (cross == 0) & (x >= min(x0, x1)) & (x <= max(x0, x1)) & (y >= min(y0, y1)) & (y <= max(y0, y1))
        if y0 != y1:
            odd ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return odd & ~on


def marks_of(path, slices, shape):
    """(mask, ratings) of each reader's outlined nodule; slices: index by SOP Instance UID."""
    name = lambda element: element.tag.split("}")[-1]
    child = lambda element, wanted: next((c for c in element if name(c) == wanted), None)
    for mark in (e for e in ElementTree.parse(path).iter() if name(e) == "unblindedReadNodule"):
        mask = np.zeros(shape, bool)
        for roi in (e for e in mark if name(e) == "roi"):
            points = [tuple(int(c.text) for c in e) for e in roi if name(e) == "edgeMap"]
            k = slices[child(roi, "imageSOP_UID").text]
            drawn = inside(points, *shape[1:])
            mask[k] = mask[k] | drawn if child(roi, "inclusion").text == "TRUE" else mask[k] & ~drawn
        ratings = child(mark, "characteristics")
        if mask.any() and ratings is not None:
            yield mask, {name(e): int(e.text) for e in ratings}


def groups_of(marks):
    """Marks whose centres are within 15 voxels mean one nodule."""
    groups = []
    for mark in marks:
        centre = np.argwhere(mark[0]).mean(axis=0)
        near = [g for g in groups if np.abs(np.argwhere(g[0][0]).mean(axis=0) - centre).max() < 15]
        near[0].append(mark) if near else groups.append([mark])
    return groups


def check_segmentation(path, truth, ct, work):
    """The masks, read by highdicom and by dcmqi and SimpleITK, on the grid of the CT."""
    seg = hd.seg.segread(path)
    first, by_highdicom = ct.GetOrigin(), {}
    for number in seg.segment_numbers:
        item = seg.get_segment_description(number)
        assert item.algorithm_type.value == "MANUAL" and "SegmentAlgorithmName" not in item
        volume = seg.get_volume(segment_numbers=[number], combine_segments=True)
        mask = np.zeros(ct.GetSize()[::-1], bool)
        rises, array = volume.direction[2, 0] > 0, volume.array
        if not rises:
            array = array[::-1]
        lowest = volume.position[2] - (0 if rises else (len(array) - 1) * volume.spacing[0])
        start = round((lowest - first[2]) / ct.GetSpacing()[2])
        mask[start:start + array.shape[0]] = array > 0
        by_highdicom[number] = mask
    assert len(by_highdicom) == len(truth), (len(by_highdicom), len(truth))
    for wanted in truth:
        assert any((wanted == got).all() for got in by_highdicom.values()), "no such mask"
    tool("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", work, "--outputType", "nrrd")
    for number, mask in by_highdicom.items():
        image = sitk.ReadImage(os.path.join(work, f"{number}.nrrd"))
        back = sitk.Resample(image, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        assert np.allclose(image.GetSpacing(), ct.GetSpacing(), atol=1e-4)
        assert ((sitk.GetArrayFromImage(back) > 0) == mask).all(), f"dcmqi reads segment {number} otherwise"
    return {d.tracking_id: d.tracking_uid for d in map(seg.get_segment_description, by_highdicom)}


def check_map(path, tracking, work):
    """One plane with the same numbers in highdicom and dcmqi."""
    image = hd.imread(path)
    assert image.NumberOfFrames == 1 and "FrameAnatomySequence" in image.SharedFunctionalGroupsSequence[0]
    values = image.get_volume().array
    tool("paramap2itkimage", "--inputDICOM", path, "--outputDirectory", work, "--outputType", "nrrd", "--prefix", "map")
    read = sitk.GetArrayFromImage(sitk.ReadImage(os.path.join(work, "map-pmap.nrrd")))
    assert np.allclose(np.squeeze(read), np.squeeze(values), rtol=1e-6)
    said = image.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].QuantityDefinitionSequence
    uid = next(i.UID for i in said if i.ValueType == "UIDREF")
    assert uid in tracking.values()


def check_report(path, tracking, groups):
    report = hd.sr.srread(path).content
    for name, uid in tracking.items():
        found = report.get_volumetric_roi_measurement_groups(tracking_uid=uid)
        numbers = [g for g in found if g.get_measurements()]
        assert len(numbers) == 1 and numbers[0].tracking_identifier == name
        check_numbers(numbers[0])
        assert numbers[0].reference_type.value == "121191"
        ratings = sorted(
            tuple(q.value.meaning for q in g.get_qualitative_evaluations() if q.name.meaning == "Margin")
            for g in found if not g.get_measurements())
        words = {1: "Indistinct margin", 5: "Circumscribed margin"}
        wanted = [sorted((words.get(r["margin"], f"{r['margin']} out of 5"),) for _, r in g) for g in groups]
        assert ratings in wanted, (ratings, wanted)


def check_numbers(group):
    cancer = group.get_measurements(name=pydicom.sr.coding.Code("111047", "DCM", "Probability of cancer"))
    assert len(cancer) == 1 and 0 < cancer[0].value < 100 and cancer[0].unit.value == "%"
    method = cancer[0][0].ContentSequence[0]
    assert method.ConceptNameCodeSequence[0].CodeValue == "370129005"
    texts = {i.ConceptNameCodeSequence[0].CodeValue for i in group[0].ContentSequence if i.ValueType == "TEXT"}
    assert {"111001", "111002", "111003"} <= texts


def points_main(table, objects):
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    report = hd.sr.srread(os.path.join(objects, "report.dcm")).content
    groups = report.get_planar_roi_measurement_groups()
    assert len(groups) == len(rows)
    places = [g.roi.value for g in groups]
    for row in rows:
        at = [float(row[c]) for c in ("x_mm", "y_mm", "z_mm")]
        assert any(np.allclose(p, at, atol=1e-3) for p in places), (at, places)
    for group in groups:
        check_numbers(group)


def main(folder, xml, objects, work):
    reader = sitk.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(folder)
    reader.SetFileNames(files)
    ct = reader.Execute()
    slices = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID: k for k, f in enumerate(files)}
    groups = groups_of(marks_of(xml, slices, ct.GetSize()[::-1]))
    truth = [sum(m.astype(int) for m, _ in g) * 2 >= len(g) for g in groups]
    tracking = check_segmentation(os.path.join(objects, "segmentation.dcm"), truth, ct, work)
    for path in sorted(glob.glob(os.path.join(objects, "maps_nodule-1_*.dcm"))):
        check_map(path, tracking, work)
    for path in glob.glob(os.path.join(objects, "relevance_*.dcm")):
        seg = hd.seg.segread(path)
        assert seg.get_volume(combine_segments=False).spatial_shape[1:] == ct.GetSize()[1::-1]
        item = seg.get_segment_description(1)
        assert item.algorithm_type.value == "AUTOMATIC" and item.algorithm_identification.name
        tool("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", work, "--outputType", "nrrd")
    check_report(os.path.join(objects, "report.dcm"), tracking, groups)
    tool("tid1500reader", "--inputDICOM", os.path.join(objects, "report.dcm"), "--outputMetadata", os.path.join(work, "report.json"))
    with open(os.path.join(work, "report.json")) as file:
        assert len(json.load(file)["Measurements"]) >= len(tracking)


if sys.argv[1] == "--points":
    points_main(*sys.argv[2:])
else:
    main(*sys.argv[1:])

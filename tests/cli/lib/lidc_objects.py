"""Writes the marks of an LIDC XML as other programs keep them: lidc_objects.py DICOM-FOLDER XML OUT

OUT/pairs has a segmentation and a measurement report for each mark of a nodule of 3 mm or more, as
the public DICOM version of LIDC-IDRI has, OUT/contours one structure set. Needs highdicom."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import highdicom as hd
import numpy as np
import pydicom
from highdicom import sr
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "nodule_objects"))
from make_objects import evaluations  # noqa: E402

NAMES = ("subtlety internalStructure calcification sphericity margin lobulation spiculation texture "
         "malignancy").split()
IN = "{http://www.nih.gov}"


def marks(path):
    """(outlines by SOPInstanceUID, ratings) of each mark."""
    for mark in ElementTree.parse(path).iter(IN + "unblindedReadNodule"):
        outlines = []
        for roi in mark.iter(IN + "roi"):
            points = [(int(p.find(IN + "xCoord").text), int(p.find(IN + "yCoord").text))
                      for p in roi.iter(IN + "edgeMap")]
            if len(points) > 1:
                outlines.append((roi.find(IN + "imageSOP_UID").text, points,
                                 roi.find(IN + "inclusion").text == "TRUE"))
        if outlines:
            yield outlines, [int(mark.find(f".//{IN}{name}").text) for name in NAMES]


def enclosed(points, shape):
    """Pixels inside an outline, without those that it runs through."""
    points = np.array(points)
    mask = np.zeros(shape, bool)
    low, high = points.min(0), points.max(0)
    x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
    winding = np.zeros(x.shape)
    for a, b in zip(points, np.roll(points, -1, 0)):
        ax, ay, bx, by = a[0] - x, a[1] - y, b[0] - x, b[1] - y
        winding += np.arctan2(ax * by - ay * bx, ax * bx + ay * by)
    mask[low[1]:high[1] + 1, low[0]:high[0] + 1] = np.abs(winding) > np.pi
    mask[points[:, 1], points[:, 0]] = False
    return mask


def write_pair(out, number, images, outlines, ratings):
    used = {uid for uid, _, _ in outlines}
    place = [i for i, image in enumerate(images) if image.SOPInstanceUID in used]
    near = images[min(place):max(place) + 1]
    mask = np.zeros((len(near), near[0].Rows, near[0].Columns), bool)
    for uid, points, inclusion in sorted(outlines, key=lambda o: not o[2]):
        k = [image.SOPInstanceUID for image in near].index(uid)
        mask[k] = mask[k] | enclosed(points, mask[k].shape) if inclusion else \
            mask[k] & ~enclosed(points, mask[k].shape)
    uids = [hd.UID(f"2.25.{700 + 10 * number + i}") for i in range(6)]
    name = f"Nodule 1 - Annotation {number}"
    segment = hd.seg.SegmentDescription(
        segment_number=1, segment_label="Nodule",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Nodule, algorithm_type="MANUAL",
        tracking_uid=hd.UID("2.25.699"), tracking_id=name)
    seg = hd.seg.Segmentation(
        source_images=near, pixel_array=mask[..., None].astype(np.uint8),
        segmentation_type="BINARY", segment_descriptions=[segment], series_instance_uid=uids[0],
        series_number=1, sop_instance_uid=uids[1], instance_number=1, manufacturer="test",
        manufacturer_model_name="test", software_versions="1", device_serial_number="1")
    seg.save_as(out / f"{number}.seg", enforce_file_format=True)
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=hd.UID("2.25.699"), identifier=name),
        referenced_segment=sr.ReferencedSegment(
            seg.SOPClassUID, seg.SOPInstanceUID, 1,
            source_series=sr.SourceSeriesForSegmentation(images[0].SeriesInstanceUID)),
        finding_type=codes.SCT.Nodule, qualitative_evaluations=evaluations(ratings))
    observer = sr.ObserverContext(codes.DCM.Person,
                                  sr.PersonObserverIdentifyingAttributes(name="anonymous^"))
    report = sr.MeasurementReport(sr.ObservationContext(observer_person_context=observer),
                                  codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=[group])
    sr.Comprehensive3DSR(
        evidence=[*near, seg], content=report[0], series_number=2, series_instance_uid=uids[2],
        sop_instance_uid=uids[3], instance_number=1, manufacturer="test").save_as(
            out / f"{number}.report", enforce_file_format=True)


def write_contours(path, images, all_marks):
    first = images[0]
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = pydicom.uid.RTStructureSetStorage, "2.25.698"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = first.StudyInstanceUID, "2.25.697"
    ds.Modality, ds.PatientID = "RTSTRUCT", first.PatientID
    frame = Dataset()
    frame.FrameOfReferenceUID = first.FrameOfReferenceUID
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
    ds.StructureSetROISequence, ds.ROIContourSequence = Sequence(), Sequence()
    by_uid = {image.SOPInstanceUID: image for image in images}
    for number, (outlines, _) in enumerate(all_marks, 1):
        roi, contours = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, f"GTV reader {number}"
        roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        contours.ReferencedROINumber, contours.ContourSequence = number, Sequence()
        for uid, points, _ in outlines:
            image, contour, reference = by_uid[uid], Dataset(), Dataset()
            x, y, z = (float(v) for v in image.ImagePositionPatient)
            down, right = (float(v) for v in image.PixelSpacing)
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{v:.4f}" for px, py in points
                                   for v in (x + px * right, y + py * down, z)]
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
                image.SOPClassUID, uid)
            contour.ContourImageSequence = Sequence([reference])
            contours.ContourSequence.append(contour)
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(contours)
    ds.save_as(path, enforce_file_format=True)


def main():
    folder, xml, out = (pathlib.Path(argument) for argument in sys.argv[1:])
    images = sorted((pydicom.dcmread(path) for path in folder.glob("*.dcm")),
                    key=lambda image: float(image.ImagePositionPatient[2]))
    found = list(marks(xml))
    for name in ("pairs", "contours"):
        (out / name).mkdir()
    for number, (outlines, ratings) in enumerate(found, 1):
        write_pair(out / "pairs", number, images, outlines, ratings)
    write_contours(out / "contours" / "structures", images, found)
    print(len(found), "marks")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the DICOM objects of this folder, which hold nodules, by highdicom and pydicom, and
truth.csv, which says what is in them. Needs highdicom 0.28 and numpy; the tests read what is
committed. make_objects.py [FOLDER]

The truth is computed here, from spheres and boxes and the voxels whose centres lie in them."""

import copy
import csv
import datetime
import pathlib
import sys

import highdicom as hd
import numpy as np
import pydicom
from highdicom.sr import (AlgorithmIdentification, CodedConcept, Comprehensive3DSR, FindingSite,
                          ImageRegion3D, ImageRegion, Measurement, MeasurementReport,
                          ObservationContext, ObserverContext, PersonObserverIdentifyingAttributes,
                          PlanarROIMeasurementsAndQualitativeEvaluations, QualitativeEvaluation,
                          ReferencedSegment, SourceImageForRegion, SourceSeriesForSegmentation,
                          TrackingIdentifier, VolumeSurface,
                          VolumetricROIMeasurementsAndQualitativeEvaluations)
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
ROWS, COLUMNS, SLICES = 31, 33, 12  # frames of 1023 bits: they do not start on bytes
SPACING = np.array([0.8, 0.7, 1.25])  # between columns, rows, slices
ORIGIN = np.array([-20.0, 15.0, -100.0])
STUDY, SERIES, FRAME, OTHER_FRAME = "2.25.10", "2.25.11", "2.25.12", "2.25.99"
SEG_UID = "2.25.300"
DATE = datetime.datetime(2024, 1, 2, 3, 4, 5)
truth = []  # file, name, kind, centre, volume, readers' word, ratings


def uid(number):
    return hd.UID(f"2.25.{number}")


def slices():
    """The CT series, as objects in memory."""
    series = []
    for k in range(SLICES):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        ds.SOPClassUID = pydicom.uid.CTImageStorage
        ds.SOPInstanceUID = uid(1000 + k)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, SERIES, FRAME
        ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "made", "Made^Up", "", ""
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20240102", "030405", "", ""
        ds.ReferringPhysicianName = ""
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 1, k + 1
        ds.Manufacturer, ds.PositionReferenceIndicator, ds.Laterality = "none", "", ""
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.Rows, ds.Columns, ds.SamplesPerPixel = ROWS, COLUMNS, 1
        ds.PhotometricInterpretation, ds.BitsAllocated, ds.BitsStored = "MONOCHROME2", 16, 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.PixelSpacing = [SPACING[1], SPACING[0]]
        ds.SliceThickness = SPACING[2]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = list(ORIGIN + [0, 0, k * SPACING[2]])
        ds.PixelData = bytes(2 * ROWS * COLUMNS)
        series.append(ds)
    return series


CT = slices()


def centres(origin=ORIGIN, steps=np.diag(SPACING), shape=(SLICES, ROWS, COLUMNS)):
    """Millimetres of all voxel centres, [slice, row, column, 3]."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return origin + i[..., None] * steps[0] + j[..., None] * steps[1] + k[..., None] * steps[2]


def sphere(mm, centre, radius):
    return ((mm - np.array(centre)) ** 2).sum(-1) <= radius**2


def box(mm, low, high):
    return ((mm >= np.array(low)) & (mm <= np.array(high))).all(-1)


def note(file, name, kind, mask=None, centre=None, volume=None, reader="", ratings="", number=""):
    """A line of the truth; of a mask on the series its box' middle and its voxels."""
    if mask is not None:
        where = np.argwhere(mask)
        middle = (where.min(0) + where.max(0)) / 2
        centre = ORIGIN + middle[::-1] * SPACING
        volume = mask.sum() * SPACING.prod()
    truth.append([file, name, kind, *(f"{c:.6f}" for c in centre), f"{volume or 0:.6f}", reader,
                  ratings, number])


def segment(number, label, tracking=None, kind=codes.SCT.Nodule, manual=True,
            category=codes.SCT.MorphologicallyAbnormalStructure):
    return hd.seg.SegmentDescription(
        segment_number=number, segment_label=label, segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="MANUAL" if manual else "AUTOMATIC",
        algorithm_identification=None if manual else hd.AlgorithmIdentificationSequence(
            name="finder", family=codes.DCM.ArtificialIntelligence, version="1"),
        tracking_uid=uid(400 + tracking[0]) if tracking else None,
        tracking_id=tracking[1] if tracking else None)


def write_seg(name, number, kind, pixels, segments, **more):
    seg = hd.seg.Segmentation(
        source_images=CT, pixel_array=pixels, segmentation_type=kind, segment_descriptions=segments,
        series_instance_uid=uid(200 + number), series_number=number, sop_instance_uid=uid(number),
        instance_number=1, manufacturer="test", manufacturer_model_name="made", software_versions="1",
        device_serial_number="1", content_creator_name="Reader^One", **more)
    return seg


def save(ds, name):
    ds.save_as(OUT / name, enforce_file_format=True)


def seg_binary():
    mm = centres()
    ball = sphere(mm, (-9, 24, -93), 4.2)
    hollow = box(mm, (-2.5, 17, -96.5), (4.1, 25, -88)) & ~box(mm, (-0.5, 19, -94), (1.5, 22, -91))
    dot = np.zeros_like(ball)
    dot[9, 0, 32] = True  # in a corner of the image
    lung = np.ones_like(ball)
    pixels = np.stack([ball, hollow, dot, lung], -1).astype(np.uint8)
    seg = write_seg("seg_binary.dcm", 300, "BINARY", pixels, [
        segment(1, "first", (1, "Nodule 1")), segment(2, "Nodule 2", manual=False),
        segment(3, "Nodule 3"),
        segment(4, "Left lung", kind=codes.SCT.Lung, category=codes.SCT.AnatomicalStructure)])
    empty = copy.deepcopy(seg.SegmentSequence[1])
    empty.SegmentNumber, empty.SegmentLabel = 5, "Nodule without frames"
    seg.SegmentSequence.append(empty)
    save(seg, "seg_binary.dcm")
    note("seg_binary.dcm", "Nodule 1", "mask", ball, reader="Reader^One")
    note("seg_binary.dcm", "Nodule 2", "mask", hollow, reader="finder")
    note("seg_binary.dcm", "Nodule 3", "mask", dot, reader="Reader^One")
    return seg


def seg_fractional():
    mm = centres()
    distance = np.sqrt(((mm - np.array([-9, 24, -93])) ** 2).sum(-1))
    value = np.clip(1.5 - distance / 4.2, 0, 1)  # a half at the sphere's surface
    seg = write_seg("seg_fractional.dcm", 301, "FRACTIONAL", value[..., None].astype(np.float64),
                    [segment(1, "Nodule", manual=False)], fractional_type="PROBABILITY",
                    max_fractional_value=200)
    save(seg, "seg_fractional.dcm")
    stored = np.around(value * 200)
    note("seg_fractional.dcm", "Nodule", "mask", stored >= 100, reader="finder")


def seg_labels():
    mm = centres()
    labels = np.zeros(mm.shape[:3], np.uint8)
    labels[sphere(mm, (-9, 24, -93), 4.2)] = 1
    labels[sphere(mm, (1, 20, -92), 3)] = 2
    seg = write_seg("seg_labels.dcm", 302, "LABELMAP", labels,
                    [segment(1, "Nodule 1"), segment(2, "Nodule 2")])
    save(seg, "seg_labels.dcm")
    for number in (1, 2):
        note("seg_labels.dcm", f"Nodule {number}", "mask", labels == number, reader="Reader^One")


def seg_oblique():
    """A box along the axes of its own fine grid, which is turned against the series; its frames are
    out of order, and the empty ones in the middle are left out: two halves with a gap."""
    turn = np.array([[0.8, 0.6, 0], [-0.36, 0.48, 0.8], [0.48, -0.64, 0.6]])
    step = np.diag([0.4, 0.5, 0.6]) @ turn
    shape, origin = (20, 24, 20), np.array([-12.0, 22.0, -101.0])
    mm = centres(origin, step, shape)
    mask = np.zeros(shape, bool)
    mask[2:18, 3:20, 4:17] = True
    mask[9:11] = False
    order = np.random.default_rng(1).permutation(shape[0])
    order = [k for k in order if mask[k].any()]
    measures = hd.PixelMeasuresSequence(pixel_spacing=[0.5, 0.4], slice_thickness=0.6)
    orientation = hd.PlaneOrientationSequence("PATIENT", [*turn[0], *turn[1]])
    positions = [hd.PlanePositionSequence("PATIENT", [round(v, 6) for v in mm[k, 0, 0]])
                 for k in order]
    seg = write_seg("seg_oblique.dcm", 303, "BINARY", mask[order][..., None].astype(np.uint8),
                    [segment(1, "lesion")], pixel_measures=measures, plane_orientation=orientation,
                    plane_positions=positions)
    save(seg, "seg_oblique.dcm")
    inside = mm[mask]
    note("seg_oblique.dcm", "lesion", "other grid", centre=(inside.min(0) + inside.max(0)) / 2,
         volume=mask.sum() * 0.4 * 0.5 * 0.6, reader="Reader^One")


def circle(centre, radius, n=48):
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle),
                     np.full(n, centre[2])], -1)


def base(sop_class, number, modality):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, uid(number)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, uid(200 + number)
    ds.PatientID, ds.PatientName, ds.Modality, ds.Manufacturer = "made", "Made^Up", modality, "test"
    return ds


def rtstruct():
    ds = base(pydicom.uid.RTStructureSetStorage, 310, "RTSTRUCT")
    ds.OperatorsName = "Drawer^One"
    ds.StructureSetLabel = "made"
    series = Dataset()
    series.SeriesInstanceUID = SERIES
    study = Dataset()
    study.RTReferencedSeriesSequence = Sequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = FRAME
    frame.RTReferencedStudySequence = Sequence([study])
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
    ds.StructureSetROISequence, ds.ROIContourSequence = Sequence(), Sequence()
    ds.RTROIObservationsSequence = Sequence()

    def roi(number, name, contours, kind="CLOSED_PLANAR", named=True, interpreted=""):
        item = Dataset()
        item.ROINumber, item.ReferencedFrameOfReferenceUID, item.ROIName = number, FRAME, name
        ds.StructureSetROISequence.append(item)
        item = Dataset()
        item.ReferencedROINumber, item.ContourSequence = number, Sequence()
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{v:.4f}" for v in np.asarray(points).ravel()]
            k = round((points[0][2] - ORIGIN[2]) / SPACING[2])
            if named:
                image = Dataset()
                image.ReferencedSOPClassUID = pydicom.uid.CTImageStorage
                image.ReferencedSOPInstanceUID = uid(1000 + k)
                contour.ContourImageSequence = Sequence([image])
            item.ContourSequence.append(contour)
        ds.ROIContourSequence.append(item)
        item = Dataset()
        item.ObservationNumber, item.ReferencedROINumber = number, number
        item.RTROIInterpretedType, item.ROIInterpreter = interpreted, ""
        ds.RTROIObservationsSequence.append(item)

    mm = centres()
    z = ORIGIN[2] + SPACING[2] * np.arange(SLICES)
    centre, radius = np.array([-9.03, 24.07, z[5]]), 4.2

    def ring(k):
        return circle((centre[0], centre[1], z[k]), np.sqrt(radius**2 - (z[k] - centre[2]) ** 2))

    roi(1, "GTV-1", [ring(k) for k in range(2, 9)])
    # No contour of it follows the polygon's chords exactly: pixels are those inside the polygon.
    disc = np.zeros(mm.shape[:3], bool)
    for k in range(2, 9):
        disc[k] = inside(ring(k), mm[k])
    note("rtstruct.dcm", "GTV-1", "mask", disc, reader="Drawer^One")
    # An outer contour, a hole in it, a part in the hole and another part beside, of two slices.
    parts = np.zeros(mm.shape[:3], bool)
    contours = []
    for k in (4, 5):
        for low, high in (((-4.1, 17), (5, 30.2)), ((-2.1, 19), (3, 28)), ((-0.5, 21), (1.5, 26)),
                          ((-15, 18), (-12.1, 21.1))):
            square = [(low[0], low[1], z[k]), (high[0], low[1], z[k]), (high[0], high[1], z[k]),
                      (low[0], high[1], z[k])]
            contours.append(square)
            parts[k] ^= inside(np.array(square), mm[k])
    roi(2, "right nodule", contours, named=False)
    note("rtstruct.dcm", "right nodule", "mask", parts, reader="Drawer^One")
    roi(3, "nodule place", [[(-3.5, 20.25, -95.1)]], kind="POINT", named=False)
    note("rtstruct.dcm", "nodule place", "point", centre=(-3.5, 20.25, -95.1), number="3")
    roi(4, "Lung_L", [ring(5)], interpreted="ORGAN")
    roi(5, "nodule off the slices", [circle((0, 20, z[0] - 1), 3)], named=False)
    roi(6, "nodule of an open line", [circle((0, 20, z[3]), 3)], kind="OPEN_PLANAR")
    roi(7, "PTV nodule", [ring(5)], interpreted="PTV")
    save(ds, "rtstruct.dcm")


def inside(polygon, mm):
    """Whether points lie in a polygon: by the winding of its corners around each."""
    x, y = mm[..., 0], mm[..., 1]
    winding = np.zeros(x.shape)
    for a, b in zip(polygon, np.roll(polygon, -1, 0)):
        ax, ay, bx, by = a[0] - x, a[1] - y, b[0] - x, b[1] - y
        winding += np.arctan2(ax * by - ay * bx, ax * bx + ay * by)
    return np.abs(winding) > np.pi


CONCEPTS = [("C45992", "NCIt"), ("200", "99LIDCQIICR"), ("C3672", "NCIt"), ("400", "99LIDCQIICR"),
            ("C25563", "NCIt"), ("C62175", "NCIt"), ("C28749", "NCIt"), ("C41144", "NCIt"),
            ("RID36042", "RadLex")]
FIVE = [(f"00{n}", "99LIDCQIICR") for n in range(1, 6)]


def ends(first, last, middle=None):
    return [first, FIVE[1], middle or FIVE[2], FIVE[3], last]


VALUES = [
    [(f"10{n}", "99LIDCQIICR") for n in range(1, 6)],
    [("C12471", "NCIt"), ("C25278", "NCIt"), ("C12472", "NCIt"), ("C73434", "NCIt")],
    [("RID35453", "RadLex"), ("302", "99LIDCQIICR"), ("RID5741", "RadLex"), ("304", "99LIDCQIICR"),
     ("RID5827", "RadLex"), ("RID28473", "RadLex")],
    ends(("RID5811", "RadLex"), ("RID5799", "RadLex"), ("RID5800", "RadLex")),
    ends(("RID5709", "RadLex"), ("RID5707", "RadLex")),
    ends(("601", "99LIDCQIICR"), ("605", "99LIDCQIICR")),
    ends(("701", "99LIDCQIICR"), ("705", "99LIDCQIICR")),
    ends(("RID50153", "RadLex"), ("RID50151", "RadLex"), ("RID50152", "RadLex")),
    [(f"90{n}", "99LIDCQIICR") for n in range(1, 6)],
]


def evaluations(ratings):
    return [QualitativeEvaluation(CodedConcept(*name, "a rating"),
                                  CodedConcept(*VALUES[i][value - 1], "a value"))
            for i, (name, value) in enumerate(zip(CONCEPTS, ratings))]


def write_report(name, number, groups, evidence):
    observer = ObserverContext(codes.DCM.Person,
                               PersonObserverIdentifyingAttributes(name="Reader^Two"))
    report = MeasurementReport(ObservationContext(observer_person_context=observer),
                               codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=groups)
    sr = Comprehensive3DSR(evidence=evidence, content=report[0], series_number=number,
                           series_instance_uid=uid(200 + number), sop_instance_uid=uid(number),
                           instance_number=1, manufacturer="test")
    save(sr, name)


def report_segments(seg):
    """What a reader says of two segments, each value of each rating once."""
    groups = []
    for n, (segment_number, name, ratings) in enumerate(
            [(1, "Nodule 1", (1, 2, 6, 3, 4, 5, 1, 5, 2)), (2, "Nodule 2", (5, 4, 1, 5, 1, 1, 5, 3, 4))]):
        groups.append(VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(uid=uid(401 + n), identifier=name),
            referenced_segment=ReferencedSegment(
                seg.SOPClassUID, seg.SOPInstanceUID, segment_number,
                source_series=SourceSeriesForSegmentation(SERIES)),
            finding_type=codes.SCT.Nodule, qualitative_evaluations=evaluations(ratings),
            finding_sites=[FindingSite(codes.SCT.Lung)]))
        note("report_segments.dcm", name, "rating", centre=(0, 0, 0), reader="Reader^Two",
             ratings=" ".join(str(r) for r in ratings))
    write_report("report_segments.dcm", 320, groups, CT + [seg])


def report_regions():
    z = ORIGIN[2] + SPACING[2] * np.arange(SLICES)
    mm = centres()

    def planar(number, name, region, ratings=None, measurements=None):
        return PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(uid=uid(430 + number), identifier=name),
            referenced_region=region, finding_type=codes.SCT.Nodule, measurements=measurements,
            qualitative_evaluations=evaluations(ratings) if ratings else None)

    ring = circle((-6, 22, z[4]), 3.1)
    ring = np.concatenate([ring, ring[:1]])
    disc = np.zeros(mm.shape[:3], bool)
    disc[4] = inside(ring[:-1].astype(np.float32), mm[4])
    groups = [planar(1, "contour", ImageRegion3D("POLYGON", ring, FRAME), (3,) * 9)]
    note("report_regions.dcm", "contour", "mask", disc, reader="Reader^Two", ratings="3 " * 8 + "3")
    # Pixels count from the corner of the image: 5.5 is the middle of the sixth.
    square = np.array([(5.0, 6.0), (12.0, 6.0), (12.0, 10.0), (5.0, 10.0), (5.0, 6.0)])
    flat = np.zeros(mm.shape[:3], bool)
    flat[7, 6:10, 5:12] = True
    groups.append(planar(2, "on an image", ImageRegion(
        "POLYLINE", square, SourceImageForRegion(CT[7].SOPClassUID, CT[7].SOPInstanceUID))))
    note("report_regions.dcm", "on an image", "mask", flat, reader="Reader^Two")
    place = (1.25, 27.5, -97.75)
    diameter = Measurement(name=codes.SCT.Diameter, value=6.5, unit=codes.UCUM.Millimeter)
    groups.append(planar(3, "place", ImageRegion3D("POINT", np.array([place]), FRAME),
                         measurements=[diameter]))
    note("report_regions.dcm", "place", "point", centre=place, number="6.5")
    groups.append(planar(4, "elsewhere", ImageRegion3D("POLYGON", ring, OTHER_FRAME)))
    axes = np.array([[-14, 24, -92], [-6, 24, -92], [-10, 21, -92], [-10, 27, -92],
                     [-10, 24, -94.5], [-10, 24, -89.5]], float)
    groups.append(VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=uid(435), identifier="ellipsoid"),
        referenced_volume_surface=VolumeSurface(
            "ELLIPSOID", axes, FRAME, source_images=[hd.sr.SourceImageForSegmentation(
                CT[6].SOPClassUID, CT[6].SOPInstanceUID)]),
        finding_type=codes.SCT.Nodule))
    solid = (((mm - np.array([-10, 24, -92])) / np.array([4, 3, 2.5])) ** 2).sum(-1) <= 1
    note("report_regions.dcm", "ellipsoid", "other grid", solid, reader="Reader^Two")
    write_report("report_regions.dcm", 321, groups, CT)


def item(kind, concept, relation="CONTAINS", content=(), **values):
    ds = Dataset()
    ds.RelationshipType, ds.ValueType = relation, kind
    ds.ConceptNameCodeSequence = Sequence([coded(*concept)])
    for key, value in values.items():
        setattr(ds, key, value)
    if content:
        ds.ContentSequence = Sequence(content)
    return ds


def coded(value, scheme, meaning):
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def cad_report():
    """Five findings: a centre, outlines on two images, a certainty that is none, one that is not to
    be shown, and one without a place."""

    def drawn(concept, kind, points, k):
        reference = Dataset()
        reference.ReferencedSOPClassUID = pydicom.uid.CTImageStorage
        reference.ReferencedSOPInstanceUID = uid(1000 + k)
        image = Dataset()
        image.RelationshipType, image.ValueType = "SELECTED FROM", "IMAGE"
        image.ReferencedSOPSequence = Sequence([reference])
        return item("SCOORD", concept, "HAS PROPERTIES", [image], GraphicType=kind,
                    GraphicData=[float(v) for v in np.ravel(points)])

    def certainty(value):
        number = Dataset()
        number.NumericValue = str(value)
        number.MeasurementUnitsCodeSequence = Sequence([coded("%", "UCUM", "Percent")])
        return item("NUM", ("111012", "DCM", "Certainty of Finding"), "HAS PROPERTIES",
                    MeasuredValueSequence=Sequence([number]))

    def intent(value, meaning):
        return item("CODE", ("111056", "DCM", "Rendering Intent"), "HAS CONCEPT MOD",
                    ConceptCodeSequence=Sequence([coded(value, "DCM", meaning)]))

    def finding(content, concept=("111059", "DCM", "Single Image Finding")):
        return item("CODE", concept, content=content,
                    ConceptCodeSequence=Sequence([coded("27925004", "SCT", "Nodule")]))

    centre, outline = ("111010", "DCM", "Center"), ("111041", "DCM", "Outline")
    shown = intent("111150", "Presentation Required")
    square = [(5, 6), (12, 6), (12, 10), (5, 10), (5, 6)]
    parts = [finding([drawn(outline, "POLYLINE", square, k)]) for k in (3, 4)]
    findings = [
        finding([shown, certainty(87.5), drawn(centre, "POINT", (20.5, 11.0), 2)]),
        finding([shown, certainty(25), *parts], ("111015", "DCM", "Composite Feature")),
        finding([shown, certainty(250), drawn(centre, "POINT", (3, 3), 2)]),
        finding([intent("111152", "Not for Presentation"), drawn(centre, "POINT", (4, 4), 2)]),
        finding([shown, certainty(50)]),
    ]
    ds = base("1.2.840.10008.5.1.4.1.1.88.65", 330, "SR")
    ds.ManufacturerModelName = "cad"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = Sequence([coded("112000", "DCM", "Chest CAD Report")])
    summary = item("CODE", ("111017", "DCM", "CAD Processing and Findings Summary"),
                   ConceptCodeSequence=Sequence([coded("111242", "DCM", "All algorithms succeeded")]),
                   content=[item("CONTAINER", ("111034", "DCM", "Individual Impression"),
                                 "INFERRED FROM", findings)])
    ds.ContentSequence = Sequence([summary])
    reference = Dataset()
    reference.ReferencedSOPClassUID = pydicom.uid.CTImageStorage
    reference.ReferencedSOPInstanceUID = uid(1002)
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = SERIES, Sequence([reference])
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = STUDY, Sequence([series])
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([study])
    save(ds, "cad_report.dcm")
    mm = ORIGIN + np.array([20.0, 10.5, 2]) * SPACING
    note("cad_report.dcm", "finding 1", "point", centre=mm, number="0.875")
    flat = np.zeros((SLICES, ROWS, COLUMNS), bool)
    flat[3:5, 6:10, 5:12] = True
    note("cad_report.dcm", "finding 2", "mask", flat, reader="cad", number="0.25")


def main():
    seg = seg_binary()
    seg_fractional()
    seg_labels()
    seg_oblique()
    rtstruct()
    report_segments(seg)
    report_regions()
    cad_report()
    with open(OUT / "truth.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow("file name kind x_mm y_mm z_mm volume_mm3 reader ratings number".split())
        table.writerows(truth)


if __name__ == "__main__":
    main()

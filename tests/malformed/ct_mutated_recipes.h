/* What is changed, and what is found. tests/malformed/ct_mutated.c applies them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum action {
  CUT_AT,             /* keep `number` bytes, or drop the last -number */
  CUT_IN,             /* keep `number` bytes of the element and all before it */
  REMOVE,             /* take the element out */
  TEXT,               /* put a text there */
  NUMBER,             /* put a 16-bit number there */
  LENGTH,             /* lie about the length */
  VR,                 /* lie about the value representation */
  BYTES,              /* fill the value with one byte */
  BYTE_AT,            /* one byte of the file, at offset `tag` */
  NEST,               /* insert sequences `number` deep */
  APPEND,             /* add bytes behind the end */
  PIXELS_ENCAPSULATED /* another transfer syntax, with one fragment of nonsense */
};

struct recipe {
  const char *what;
  bool among; /* read the whole series */
  enum action action;
  uint32_t tag;
  const char *vr; /* NULL: as it was */
  const char *text;
  long number;
  const char *expected;
};

static const struct recipe recipes[] = {
    {"cut at 0", false, CUT_AT, 0x00000000, NULL, NULL, 0,
     "format: 3.dcm: no DICOM object, though named so (0 bytes)"},
    {"cut at 1", false, CUT_AT, 0x00000000, NULL, NULL, 1,
     "format: 3.dcm: no DICOM object, though named so (1 bytes)"},
    {"cut at 64", false, CUT_AT, 0x00000000, NULL, NULL, 64,
     "format: 3.dcm: no DICOM object, though named so (64 bytes)"},
    {"cut at 127", false, CUT_AT, 0x00000000, NULL, NULL, 127,
     "format: 3.dcm: no DICOM object, though named so (127 bytes)"},
    {"cut at 128", false, CUT_AT, 0x00000000, NULL, NULL, 128,
     "format: 3.dcm: no DICOM object, though named so (128 bytes)"},
    {"cut at 131", false, CUT_AT, 0x00000000, NULL, NULL, 131,
     "format: 3.dcm: no DICOM object, though named so (131 bytes)"},
    {"cut at 132", false, CUT_AT, 0x00000000, NULL, NULL, 132,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut at 133", false, CUT_AT, 0x00000000, NULL, NULL, 133,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut at 136", false, CUT_AT, 0x00000000, NULL, NULL, 136,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut at 140", false, CUT_AT, 0x00000000, NULL, NULL, 140,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut at 143", false, CUT_AT, 0x00000000, NULL, NULL, 143,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut at 150", false, CUT_AT, 0x00000000, NULL, NULL, 150,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut at 200", false, CUT_AT, 0x00000000, NULL, NULL, 200,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut at 300", false, CUT_AT, 0x00000000, NULL, NULL, 300,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut at 400", false, CUT_AT, 0x00000000, NULL, NULL, 400,
     "format: 3.dcm: header cannot be read to its end: Invalid stream"},
    {"cut at 500", false, CUT_AT, 0x00000000, NULL, NULL, 500,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut at 600", false, CUT_AT, 0x00000000, NULL, NULL, 600,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut at 700", false, CUT_AT, 0x00000000, NULL, NULL, 700,
     "format: 3.dcm: header cannot be read to its end: Invalid stream"},
    {"cut at 800", false, CUT_AT, 0x00000000, NULL, NULL, 800,
     "format: 3.dcm: truncated: a CT image that ends before its pixel data"},
    {"cut at 1000", false, CUT_AT, 0x00000000, NULL, NULL, 1000,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut at 1200", false, CUT_AT, 0x00000000, NULL, NULL, 1200,
     "format: 3.dcm: truncated: 1200 bytes, expected 3078 with its pixels"},
    {"cut at -1", false, CUT_AT, 0x00000000, NULL, NULL, -1,
     "format: 3.dcm: truncated: 3077 bytes, expected 3078 with its pixels"},
    {"cut at -2", false, CUT_AT, 0x00000000, NULL, NULL, -2,
     "format: 3.dcm: truncated: 3076 bytes, expected 3078 with its pixels"},
    {"cut at -100", false, CUT_AT, 0x00000000, NULL, NULL, -100,
     "format: 3.dcm: truncated: 2978 bytes, expected 3078 with its pixels"},
    {"cut at -1000", false, CUT_AT, 0x00000000, NULL, NULL, -1000,
     "format: 3.dcm: truncated: 2078 bytes, expected 3078 with its pixels"},
    {"cut at -2000", false, CUT_AT, 0x00000000, NULL, NULL, -2000,
     "format: 3.dcm: truncated: 1078 bytes, expected 3078 with its pixels"},
    {"cut at -2047", false, CUT_AT, 0x00000000, NULL, NULL, -2047,
     "format: 3.dcm: truncated: 1031 bytes, expected 3078 with its pixels"},
    {"cut at -2048", false, CUT_AT, 0x00000000, NULL, NULL, -2048,
     "format: 3.dcm: truncated: 1030 bytes, expected 3078 with its pixels"},
    {"cut at -2049", false, CUT_AT, 0x00000000, NULL, NULL, -2049,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut before SOPInst", false, CUT_IN, 0x00080018, NULL, NULL, 0,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut in the header of SOPInst", false, CUT_IN, 0x00080018, NULL, NULL, 5,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut before Study", false, CUT_IN, 0x0020000d, NULL, NULL, 0,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"cut in the header of Study", false, CUT_IN, 0x0020000d, NULL, NULL, 5,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut before IPP", false, CUT_IN, 0x00200032, NULL, NULL, 0,
     "format: 3.dcm: truncated: a CT image that ends before its pixel data"},
    {"cut in the header of IPP", false, CUT_IN, 0x00200032, NULL, NULL, 5,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut before Rows", false, CUT_IN, 0x00280010, NULL, NULL, 0,
     "format: 3.dcm: truncated: a CT image that ends before its pixel data"},
    {"cut in the header of Rows", false, CUT_IN, 0x00280010, NULL, NULL, 5,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut before BA", false, CUT_IN, 0x00280100, NULL, NULL, 0,
     "format: 3.dcm: truncated: a CT image that ends before its pixel data"},
    {"cut in the header of BA", false, CUT_IN, 0x00280100, NULL, NULL, 5,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut before Slope", false, CUT_IN, 0x00281053, NULL, NULL, 0,
     "format: 3.dcm: truncated: a CT image that ends before its pixel data"},
    {"cut in the header of Slope", false, CUT_IN, 0x00281053, NULL, NULL, 5,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"cut before Pix", false, CUT_IN, 0x7fe00010, NULL, NULL, 0,
     "format: 3.dcm: truncated: a CT image that ends before its pixel data"},
    {"cut in the header of Pix", false, CUT_IN, 0x7fe00010, NULL, NULL, 5,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"no SOPClass", false, REMOVE, 0x00080016, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no SOPInst", false, REMOVE, 0x00080018, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no ImageType", false, REMOVE, 0x00080008, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no Modality", false, REMOVE, 0x00080060, NULL, NULL, 0, "refused: modality (none) is not CT"},
    {"no PatientID", false, REMOVE, 0x00100020, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no PatientName", false, REMOVE, 0x00100010, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no Thick", false, REMOVE, 0x00180050, NULL, NULL, 0,
     "repaired: one slice only: 1.00 mm stands for the spacing"},
    {"no Study", false, REMOVE, 0x0020000d, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no Series", false, REMOVE, 0x0020000e, NULL, NULL, 0, "format: 3.dcm: no SeriesInstanceUID"},
    {"no Inst", false, REMOVE, 0x00200013, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no IPP", false, REMOVE, 0x00200032, NULL, NULL, 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"no IOP", false, REMOVE, 0x00200037, NULL, NULL, 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"no FoR", false, REMOVE, 0x00200052, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no Spp", false, REMOVE, 0x00280002, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no Photo", false, REMOVE, 0x00280004, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no Rows", false, REMOVE, 0x00280010, NULL, NULL, 0, "refused: no image (modality CT)"},
    {"no Cols", false, REMOVE, 0x00280011, NULL, NULL, 0, "refused: no image (modality CT)"},
    {"no Spacing", false, REMOVE, 0x00280030, NULL, NULL, 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"no BA", false, REMOVE, 0x00280100, NULL, NULL, 0,
     "refused: bits allocated 0, stored 16, high bit 15 do not describe a CT pixel"},
    {"no BS", false, REMOVE, 0x00280101, NULL, NULL, 0,
     "refused: bits allocated 16, stored 0, high bit 15 do not describe a CT pixel"},
    {"no HB", false, REMOVE, 0x00280102, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no PR", false, REMOVE, 0x00280103, NULL, NULL, 0,
     "refused: PixelRepresentation is missing or neither 0 nor 1"},
    {"no Icpt", false, REMOVE, 0x00281052, NULL, NULL, 0,
     "refused: 3.dcm: no RescaleIntercept: Hounsfield units unknown; --assume-hu takes stored "
     "values for them"},
    {"no Slope", false, REMOVE, 0x00281053, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"no Pix", false, REMOVE, 0x7fe00010, NULL, NULL, 0,
     "format: 3.dcm: truncated: a CT image that ends before its pixel data"},
    {"no TS", false, REMOVE, 0x00020010, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"one slice without IPP", true, REMOVE, 0x00200032, NULL, NULL, 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides refused: 3.dcm: ImagePositionPatient, "
     "ImageOrientationPatient or PixelSpacing is missing or no list of numbers; geometry: 4.dcm: "
     "slice 3 lies 4.00 mm "
     "from its neighbour, expected 2.00 mm"},
    {"one slice without Slope", true, REMOVE, 0x00281053, NULL, NULL, 0, "usable"},
    {"one slice without Rows", true, REMOVE, 0x00280010, NULL, NULL, 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides refused: no image (modality CT); geometry: 4.dcm: "
     "slice 3 lies 4.00 mm from its neighbour, expected 2.00 mm"},
    {"one slice without Series", true, REMOVE, 0x0020000e, NULL, NULL, 0,
     "refused: 1 file cannot be read, first 3.dcm: slices may be missing; --allow-missing uses the "
     "others; problem: 3.dcm: no SeriesInstanceUID"},
    {"one slice without Spacing", true, REMOVE, 0x00280030, NULL, NULL, 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides refused: 3.dcm: ImagePositionPatient, "
     "ImageOrientationPatient or PixelSpacing is missing or no list of numbers; geometry: 4.dcm: "
     "slice 3 lies 4.00 mm "
     "from its neighbour, expected 2.00 mm"},
    {"Rows 0", false, NUMBER, 0x00280010, "US", NULL, 0, "refused: no image (modality CT)"},
    {"Rows 1", false, NUMBER, 0x00280010, "US", NULL, 1,
     "format: 3.dcm: 2048 bytes of pixel data, expected 64 for 1 rows, 32 columns and 1 frame of "
     "16 bits"},
    {"Rows 31", false, NUMBER, 0x00280010, "US", NULL, 31,
     "format: 3.dcm: 2048 bytes of pixel data, expected 1984 for 31 rows, 32 columns and 1 frame "
     "of 16 bits"},
    {"Rows 33", false, NUMBER, 0x00280010, "US", NULL, 33,
     "format: 3.dcm: truncated: 3078 bytes, expected 3142 with its pixels"},
    {"Rows 64", false, NUMBER, 0x00280010, "US", NULL, 64,
     "format: 3.dcm: truncated: 3078 bytes, expected 5126 with its pixels"},
    {"Rows 8192", false, NUMBER, 0x00280010, "US", NULL, 8192,
     "format: 3.dcm: truncated: 3078 bytes, expected 525318 with its pixels"},
    {"Rows 8193", false, NUMBER, 0x00280010, "US", NULL, 8193,
     "format: 3.dcm: truncated: 3078 bytes, expected 525382 with its pixels"},
    {"Rows 65535", false, NUMBER, 0x00280010, "US", NULL, 65535,
     "format: 3.dcm: truncated: 3078 bytes, expected 4195270 with its pixels"},
    {"Cols 0", false, NUMBER, 0x00280011, "US", NULL, 0, "refused: no image (modality CT)"},
    {"Cols 16", false, NUMBER, 0x00280011, "US", NULL, 16,
     "format: 3.dcm: 2048 bytes of pixel data, expected 1024 for 32 rows, 16 columns and 1 frame "
     "of 16 bits"},
    {"Cols 64", false, NUMBER, 0x00280011, "US", NULL, 64,
     "format: 3.dcm: truncated: 3078 bytes, expected 5126 with its pixels"},
    {"Cols 65535", false, NUMBER, 0x00280011, "US", NULL, 65535,
     "format: 3.dcm: truncated: 3078 bytes, expected 4195270 with its pixels"},
    {"BA 0", false, NUMBER, 0x00280100, "US", NULL, 0,
     "refused: bits allocated 0, stored 16, high bit 15 do not describe a CT pixel"},
    {"BA 1", false, NUMBER, 0x00280100, "US", NULL, 1,
     "refused: bits allocated 1, stored 16, high bit 15 do not describe a CT pixel"},
    {"BA 8", false, NUMBER, 0x00280100, "US", NULL, 8,
     "refused: bits allocated 8, stored 16, high bit 15 do not describe a CT pixel"},
    {"BA 12", false, NUMBER, 0x00280100, "US", NULL, 12,
     "refused: bits allocated 12, stored 16, high bit 15 do not describe a CT pixel"},
    {"BA 24", false, NUMBER, 0x00280100, "US", NULL, 24,
     "format: 3.dcm: truncated: 3078 bytes, expected 4102 with its pixels"},
    {"BA 32", false, NUMBER, 0x00280100, "US", NULL, 32,
     "format: 3.dcm: truncated: 3078 bytes, expected 5126 with its pixels"},
    {"BA 64", false, NUMBER, 0x00280100, "US", NULL, 64,
     "format: 3.dcm: truncated: 3078 bytes, expected 9222 with its pixels"},
    {"BS 0", false, NUMBER, 0x00280101, "US", NULL, 0,
     "refused: bits allocated 16, stored 0, high bit 15 do not describe a CT pixel"},
    {"BS 8", false, NUMBER, 0x00280101, "US", NULL, 8,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"BS 12", false, NUMBER, 0x00280101, "US", NULL, 12,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"BS 17", false, NUMBER, 0x00280101, "US", NULL, 17,
     "refused: bits allocated 16, stored 17, high bit 15 do not describe a CT pixel"},
    {"HB 0", false, NUMBER, 0x00280102, "US", NULL, 0,
     "refused: bits allocated 16, stored 16, high bit 0 do not describe a CT pixel"},
    {"HB 14", false, NUMBER, 0x00280102, "US", NULL, 14,
     "refused: bits allocated 16, stored 16, high bit 14 do not describe a CT pixel"},
    {"HB 16", false, NUMBER, 0x00280102, "US", NULL, 16,
     "refused: bits allocated 16, stored 16, high bit 16 do not describe a CT pixel"},
    {"PR 0", false, NUMBER, 0x00280103, "US", NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"PR 2", false, NUMBER, 0x00280103, "US", NULL, 2,
     "refused: PixelRepresentation is missing or neither 0 nor 1"},
    {"Spp 0", false, NUMBER, 0x00280002, "US", NULL, 0,
     "refused: 0 samples a pixel, a CT slice has one"},
    {"Spp 3", false, NUMBER, 0x00280002, "US", NULL, 3,
     "refused: 3 samples a pixel, a CT slice has one"},
    {"Pad 0", false, NUMBER, 0x00280120, "US", NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"Pad 63536", false, NUMBER, 0x00280120, "US", NULL, 63536,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"Rows 16", true, NUMBER, 0x00280010, "US", NULL, 16,
     "refused: 1 file cannot be read, first 3.dcm: slices may be missing; --allow-missing uses the "
     "others; problem: 3.dcm: 2048 bytes of pixel data, expected 1024 for 16 rows, 32 columns and "
     "1 frame of 16 bits"},
    {"PR 0", true, NUMBER, 0x00280103, "US", NULL, 0, "usable"},
    {"IPP \"\"", false, TEXT, 0x00200032, NULL, "", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IPP \"a\\b\\c\"", false, TEXT, 0x00200032, NULL, "a\\b\\c", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IPP \"1\\2\"", false, TEXT, 0x00200032, NULL, "1\\2", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IPP \"nan\\nan\\nan\"", false, TEXT, 0x00200032, NULL, "nan\\nan\\nan", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IPP \"inf\\0\\0\"", false, TEXT, 0x00200032, NULL, "inf\\0\\0", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IPP \"1e9\\0\\0\"", false, TEXT, 0x00200032, NULL, "1e9\\0\\0", 0,
     "refused: 3.dcm: ImagePositionPatient 1e+09 mm is not a place in a scanner"},
    {"IPP \"1\\2\\3\\4\"", false, TEXT, 0x00200032, NULL, "1\\2\\3\\4", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"IPP \"-8\\-8\\1,5\"", false, TEXT, 0x00200032, NULL, "-8\\-8\\1,5", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IPP \"-8\\-8\\102\"", true, TEXT, 0x00200032, NULL, "-8\\-8\\102", 0,
     "refused: 1 of 5 slices repeat a position, first 2.dcm and 3.dcm at 102.00 mm"},
    {"IPP \"-8\\-8\\102.005\"", true, TEXT, 0x00200032, NULL, "-8\\-8\\102.005", 0,
     "refused: 1 of 5 slices repeat a position, first 2.dcm and 3.dcm at 102.00 mm"},
    {"IPP \"-8\\-8\\103\"", true, TEXT, 0x00200032, NULL, "-8\\-8\\103", 0,
     "repaired: 3.dcm: slice 3 lies 1.00 mm from its neighbour, others 2.00 mm (2 such places): "
     "cubes that touch one are refused; geometry: 3.dcm: slice 3 lies 1.00 mm from its neighbour, "
     "expected 2.00 mm"},
    {"IPP \"-8\\-8\\104.1\"", true, TEXT, 0x00200032, NULL, "-8\\-8\\104.1", 0, "usable"},
    {"IPP \"-8\\-8\\1000\"", true, TEXT, 0x00200032, NULL, "-8\\-8\\1000", 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (2 such places): "
     "cubes that touch one are refused; InstanceNumber runs against the position at 1 place, first "
     "at 3.dcm (slice 5): positions believed; geometry: 4.dcm: slice 3 lies 4.00 mm from its "
     "neighbour, "
     "expected 2.00 mm"},
    {"IPP \"-3\\-8\\104\"", true, TEXT, 0x00200032, NULL, "-3\\-8\\104", 0,
     "refused: 3.dcm: slice 3 is shifted 5.00 mm in its plane from the one before it, others 0.00 "
     "mm"},
    {"IPP \"-8.05\\-8\\104\"", true, TEXT, 0x00200032, NULL, "-8.05\\-8\\104", 0, "usable"},
    {"IPP \"-8\\-8\\104.3\"", true, TEXT, 0x00200032, NULL, "-8\\-8\\104.3", 0,
     "repaired: 3.dcm: slice 3 lies 2.30 mm from its neighbour, others 2.00 mm (2 such places): "
     "cubes that touch one are refused; geometry: 3.dcm: slice 3 lies 2.30 mm from its neighbour, "
     "expected 2.00 mm"},
    {"IOP \"\"", false, TEXT, 0x00200037, NULL, "", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IOP \"0\\0\\0\\0\\0\\0\"", false, TEXT, 0x00200037, NULL, "0\\0\\0\\0\\0\\0", 0,
     "refused: ImageOrientationPatient is not two perpendicular unit vectors"},
    {"IOP \"1\\0\\0\\1\\0\\0\"", false, TEXT, 0x00200037, NULL, "1\\0\\0\\1\\0\\0", 0,
     "refused: ImageOrientationPatient is not two perpendicular unit vectors"},
    {"IOP \"2\\0\\0\\0\\1\\0\"", false, TEXT, 0x00200037, NULL, "2\\0\\0\\0\\1\\0", 0,
     "refused: ImageOrientationPatient is not two perpendicular unit vectors"},
    {"IOP \"1\\0\\0\\0\\1\"", false, TEXT, 0x00200037, NULL, "1\\0\\0\\0\\1", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IOP \"1\\0\\0\\0\\x\\0\"", false, TEXT, 0x00200037, NULL, "1\\0\\0\\0\\x\\0", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"IOP \"1\\0\\0\\0\\0\\-1\"", false, TEXT, 0x00200037, NULL, "1\\0\\0\\0\\0\\-1", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"IOP \"0\\1\\0\\1\\0\\0\"", true, TEXT, 0x00200037, NULL, "0\\1\\0\\1\\0\\0", 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides repaired: one slice only: its thickness 2.00 mm "
     "stands for the spacing; geometry: 4.dcm: slice 3 lies 4.00 mm from its neighbour, expected "
     "2.00 mm"},
    {"IOP \"1\\0\\0\\0\\0.9998\\0.02\"", true, TEXT, 0x00200037, NULL, "1\\0\\0\\0\\0.9998\\0.02",
     0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides repaired: one slice only: its thickness 2.00 mm "
     "stands for the spacing; geometry: 4.dcm: slice 3 lies 4.00 mm from its neighbour, expected "
     "2.00 mm"},
    {"Spacing \"\"", false, TEXT, 0x00280030, NULL, "", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"Spacing \"0\\0\"", false, TEXT, 0x00280030, NULL, "0\\0", 0,
     "refused: PixelSpacing 0 mm, expected 0.01 to 20"},
    {"Spacing \"-1\\1\"", false, TEXT, 0x00280030, NULL, "-1\\1", 0,
     "refused: PixelSpacing -1 mm, expected 0.01 to 20"},
    {"Spacing \"1e-9\\1\"", false, TEXT, 0x00280030, NULL, "1e-9\\1", 0,
     "refused: PixelSpacing 1e-09 mm, expected 0.01 to 20"},
    {"Spacing \"100\\100\"", false, TEXT, 0x00280030, NULL, "100\\100", 0,
     "refused: PixelSpacing 100 mm, expected 0.01 to 20"},
    {"Spacing \"0.5\"", false, TEXT, 0x00280030, NULL, "0.5", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"Spacing \"a\\b\"", false, TEXT, 0x00280030, NULL, "a\\b", 0,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"Spacing \"0.6\\0.6\"", true, TEXT, 0x00280030, NULL, "0.6\\0.6", 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides repaired: one slice only: its thickness 2.00 mm "
     "stands for the spacing; geometry: 4.dcm: slice 3 lies 4.00 mm from its neighbour, expected "
     "2.00 mm"},
    {"Slope \"0\"", false, TEXT, 0x00281053, NULL, "0", 0,
     "refused: 3.dcm: RescaleSlope 0 and RescaleIntercept -1024 do not give Hounsfield units"},
    {"Slope \"nan\"", false, TEXT, 0x00281053, NULL, "nan", 0,
     "format: 3.dcm: RescaleSlope \"nan\" is not a number"},
    {"Slope \"1e300\"", false, TEXT, 0x00281053, NULL, "1e300", 0,
     "refused: 3.dcm: RescaleSlope 1e+300 and RescaleIntercept -1024 do not give Hounsfield units"},
    {"Slope \"-1\"", false, TEXT, 0x00281053, NULL, "-1", 0,
     "refused: 3.dcm: RescaleSlope -1 and RescaleIntercept -1024 do not give Hounsfield units"},
    {"Slope \"\"", false, TEXT, 0x00281053, NULL, "", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"Slope \"2\"", false, TEXT, 0x00281053, NULL, "2", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"Icpt \"inf\"", false, TEXT, 0x00281052, NULL, "inf", 0,
     "format: 3.dcm: RescaleIntercept \"inf\" is not a number"},
    {"Icpt \"1e10\"", false, TEXT, 0x00281052, NULL, "1e10", 0,
     "refused: 3.dcm: RescaleSlope 1 and RescaleIntercept 1e+10 do not give Hounsfield units"},
    {"Icpt \"zero\"", false, TEXT, 0x00281052, NULL, "zero", 0,
     "format: 3.dcm: RescaleIntercept \"zero\" is not a number"},
    {"RType \"HU\"", false, TEXT, 0x00281054, "LO", "HU", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"RType \"US\"", false, TEXT, 0x00281054, "LO", "US", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"RType \"MGML\"", false, TEXT, 0x00281054, "LO", "MGML", 0,
     "refused: rescale type MGML is not Hounsfield units"},
    {"Frames \"0\"", false, TEXT, 0x00280008, "IS", "0", 0,
     "format: 3.dcm: 0 frames, expected 1 to 65536"},
    {"Frames \"1\"", false, TEXT, 0x00280008, "IS", "1", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"Frames \"2\"", false, TEXT, 0x00280008, "IS", "2", 0,
     "format: 3.dcm: truncated: 3088 bytes, expected 5136 with its pixels"},
    {"Frames \"-1\"", false, TEXT, 0x00280008, "IS", "-1", 0,
     "format: 3.dcm: -1 frames, expected 1 to 65536"},
    {"Frames \"1000000000\"", false, TEXT, 0x00280008, "IS", "1000000000", 0,
     "format: 3.dcm: 1000000000 frames, expected 1 to 65536"},
    {"Frames \"65537\"", false, TEXT, 0x00280008, "IS", "65537", 0,
     "format: 3.dcm: 65537 frames, expected 1 to 65536"},
    {"Frames \"x\"", false, TEXT, 0x00280008, "IS", "x", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"Modality \"MR\"", false, TEXT, 0x00080060, NULL, "MR", 0, "refused: modality MR is not CT"},
    {"Modality \"\"", false, TEXT, 0x00080060, NULL, "", 0, "refused: modality (none) is not CT"},
    {"Modality \"ct\"", false, TEXT, 0x00080060, NULL, "ct", 0, "refused: modality ct is not CT"},
    {"SOPClass \"1.2.840.10008.5.1.4.1.1.7\"", false, TEXT, 0x00080016, NULL,
     "1.2.840.10008.5.1.4.1.1.7", 0, "refused: SecondaryCaptureImageStorage is not a CT image"},
    {"SOPClass \"1.2.840.10008.5.1.4.1.1.2.1\"", false, TEXT, 0x00080016, NULL,
     "1.2.840.10008.5.1.4.1.1.2.1", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"SOPClass \"9.9\"", false, TEXT, 0x00080016, NULL, "9.9", 0, "refused: 9.9 is not a CT image"},
    {"SOPClass \"\"", false, TEXT, 0x00080016, NULL, "", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"ImageType \"ORIGINAL\\PRIMARY\\LOCALIZER\"", false, TEXT, 0x00080008, NULL,
     "ORIGINAL\\PRIMARY\\LOCALIZER", 0, "refused: localizer"},
    {"Series \"\"", false, TEXT, 0x0020000e, NULL, "", 0, "format: 3.dcm: no SeriesInstanceUID"},
    {"Series \"2.25.99999999999999999999999999999999999999999999999999999999999999999999\"", false,
     TEXT, 0x0020000e, NULL,
     "2.25.99999999999999999999999999999999999999999999999999999999999999999999", 0,
     "format: 3.dcm: SeriesInstanceUID "
     "2.25.99999999999999999999999999999999999999999999999999999999999999999999, expected at most "
     "64 digits and dots"},
    {"Series \"../../etc/passwd\"", false, TEXT, 0x0020000e, NULL, "../../etc/passwd", 0,
     "format: 3.dcm: SeriesInstanceUID ../../etc/passwd, expected at most 64 digits and dots"},
    {"Series \"2.25.9\"", true, TEXT, 0x0020000e, NULL, "2.25.9", 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides repaired: one slice only: its thickness 2.00 mm "
     "stands for the spacing; geometry: 4.dcm: slice 3 lies 4.00 mm from its neighbour, expected "
     "2.00 mm"},
    {"Study \"2.25.9\"", true, TEXT, 0x0020000d, NULL, "2.25.9", 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides repaired: one slice only: its thickness 2.00 mm "
     "stands for the spacing; geometry: 4.dcm: slice 3 lies 4.00 mm from its neighbour, expected "
     "2.00 mm"},
    {"Modality \"MR\"", true, TEXT, 0x00080060, NULL, "MR", 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides refused: modality MR is not CT; geometry: 4.dcm: "
     "slice 3 lies 4.00 mm from its neighbour, expected 2.00 mm"},
    {"ImageType \"DERIVED\\SECONDARY\\LOCALIZER\"", true, TEXT, 0x00080008, NULL,
     "DERIVED\\SECONDARY\\LOCALIZER", 0,
     "repaired: 4.dcm: slice 3 lies 4.00 mm from its neighbour, others 2.00 mm (1 such place): "
     "cubes that touch one are refused; besides refused: localizer; geometry: 4.dcm: slice 3 lies "
     "4.00 mm from its neighbour, expected 2.00 mm"},
    {"SOPInst \"2.25.101\"", true, TEXT, 0x00080018, NULL, "2.25.101", 0,
     "repaired: SOPInstanceUID of 1 slice is another's too: told apart by position"},
    {"Acq \"2\"", true, TEXT, 0x00200012, "IS", "2", 0, "usable"},
    {"Tilt \"15\"", true, TEXT, 0x00181120, "DS", "15", 0, "usable"},
    {"Thick \"x\"", false, TEXT, 0x00180050, NULL, "x", 0,
     "repaired: one slice only: 1.00 mm stands for the spacing"},
    {"Thick \"-3\"", false, TEXT, 0x00180050, NULL, "-3", 0,
     "repaired: one slice only: 1.00 mm stands for the spacing"},
    {"TS \"1.2.840.10008.1.2\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"TS \"1.2.840.10008.1.2.2\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.2", 0,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"TS \"1.2.840.10008.1.2.1.99\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.1.99", 0,
     "format: 3.dcm: deflated data set cannot be inflated: invalid stored block lengths"},
    {"TS \"1.2.840.10008.1.2.5\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.5", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Pixel data in top level dataset in compressed Transfer Syntax "
     "uses explicit length"},
    {"TS \"1.2.840.10008.1.2.4.50\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.4.50", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Pixel data in top level dataset in compressed Transfer Syntax "
     "uses explicit length"},
    {"TS \"1.2.840.10008.1.2.4.70\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.4.70", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Pixel data in top level dataset in compressed Transfer Syntax "
     "uses explicit length"},
    {"TS \"1.2.840.10008.1.2.4.80\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.4.80", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Pixel data in top level dataset in compressed Transfer Syntax "
     "uses explicit length"},
    {"TS \"1.2.840.10008.1.2.4.90\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.4.90", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Pixel data in top level dataset in compressed Transfer Syntax "
     "uses explicit length"},
    {"TS \"1.2.840.10008.1.2.4.100\"", false, TEXT, 0x00020010, NULL, "1.2.840.10008.1.2.4.100", 0,
     "refused: transfer syntax 1.2.840.10008.1.2.4.100 is not read here"},
    {"TS \"9.9.9\"", false, TEXT, 0x00020010, NULL, "9.9.9", 0,
     "refused: transfer syntax 9.9.9 is not read here"},
    {"TS \"\"", false, TEXT, 0x00020010, NULL, "", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"garbage in 1.2.840.10008.1.2.5", false, PIXELS_ENCAPSULATED, 0x00000000, NULL,
     "1.2.840.10008.1.2.5", 165,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: RLE "
     "frame of 2779096485 segments, expected 2"},
    {"garbage in 1.2.840.10008.1.2.4.50", false, PIXELS_ENCAPSULATED, 0x00000000, NULL,
     "1.2.840.10008.1.2.4.50", 165,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: JPEG "
     "Baseline pixel data of frame 1 cannot be decoded: no frame header"},
    {"garbage in 1.2.840.10008.1.2.4.57", false, PIXELS_ENCAPSULATED, 0x00000000, NULL,
     "1.2.840.10008.1.2.4.57", 165,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: JPEG "
     "Lossless pixel data of frame 1 cannot be decoded: no frame header"},
    {"garbage in 1.2.840.10008.1.2.4.70", false, PIXELS_ENCAPSULATED, 0x00000000, NULL,
     "1.2.840.10008.1.2.4.70", 165,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: JPEG "
     "Lossless SV1 pixel data of frame 1 cannot be decoded: no frame header"},
    {"garbage in 1.2.840.10008.1.2.4.80", false, PIXELS_ENCAPSULATED, 0x00000000, NULL,
     "1.2.840.10008.1.2.4.80", 165,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "JPEG-LS Lossless pixel data of frame 1 cannot be decoded: no frame header"},
    {"garbage in 1.2.840.10008.1.2.4.90", false, PIXELS_ENCAPSULATED, 0x00000000, NULL,
     "1.2.840.10008.1.2.4.90", 165,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: JPEG "
     "2000 header with marker a5a5 of 42405 bytes"},
    {"garbage in 1.2.840.10008.1.2.4.201", false, PIXELS_ENCAPSULATED, 0x00000000, NULL,
     "1.2.840.10008.1.2.4.201", 165,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: HTJ2K "
     "header with marker a5a5 of 42405 bytes"},
    {"length of PatientID 65535", false, LENGTH, 0x00100020, NULL, NULL, 65535,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"length of PatientName 0", false, LENGTH, 0x00100010, NULL, NULL, 0,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"length of Study 1", false, LENGTH, 0x0020000d, NULL, NULL, 1,
     "format: 3.dcm: header cannot be read to its end: Invalid stream"},
    {"length of IPP 2", false, LENGTH, 0x00200032, NULL, NULL, 2,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"length of Rows 0", false, LENGTH, 0x00280010, NULL, NULL, 0,
     "format: 3.dcm: no element at byte 850: tag (0020,0028) with value representation 11 00, "
     "expected two letters"},
    {"length of Rows 4", false, LENGTH, 0x00280010, NULL, NULL, 4,
     "format: 3.dcm: no element at byte 854: tag (0011,5355) with value representation 02 00, "
     "expected two letters"},
    {"length of Rows 1", false, LENGTH, 0x00280010, NULL, NULL, 1,
     "format: 3.dcm: no element at byte 851: tag (2800,1100) with value representation 00 55, "
     "expected two letters"},
    {"length of Series 65534", false, LENGTH, 0x0020000e, NULL, NULL, 65534,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"length of BA 65535", false, LENGTH, 0x00280100, NULL, NULL, 65535,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"length of pixels 0", false, LENGTH, 0x7fe00010, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: 0 "
     "bytes of pixel data, expected 2048"},
    {"length of pixels 1", false, LENGTH, 0x7fe00010, NULL, NULL, 1,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: 1 "
     "bytes of pixel data, expected 2048"},
    {"length of pixels 2047", false, LENGTH, 0x7fe00010, NULL, NULL, 2047,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: 2047 "
     "bytes of pixel data, expected 2048"},
    {"length of pixels 2049", false, LENGTH, 0x7fe00010, NULL, NULL, 2049,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Invalid stream"},
    {"length of pixels 4096", false, LENGTH, 0x7fe00010, NULL, NULL, 4096,
     "format: 3.dcm: 4096 bytes of pixel data, expected 2048 for 32 rows, 32 columns and 1 frame "
     "of 16 bits"},
    {"length of pixels 2147483647", false, LENGTH, 0x7fe00010, NULL, NULL, 2147483647,
     "format: 3.dcm: 2147483647 bytes of pixel data, expected 2048 for 32 rows, 32 columns and 1 "
     "frame of 16 bits"},
    {"length of pixels 4294967294", false, LENGTH, 0x7fe00010, NULL, NULL, 4294967294,
     "format: 3.dcm: 4294967294 bytes of pixel data, expected 2048 for 32 rows, 32 columns and 1 "
     "frame of 16 bits"},
    {"length of pixels 4294967295", false, LENGTH, 0x7fe00010, NULL, NULL, 4294967295,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Sequence Delimitation Item missing"},
    {"VR of PatientID ZZ", false, VR, 0x00100020, NULL, "ZZ", 0,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"VR of Rows SQ", false, VR, 0x00280010, NULL, "SQ", 0,
     "format: 3.dcm: no element at byte 854: tag (0011,5355) with value representation 02 00, "
     "expected two letters"},
    {"VR of Rows LO", false, VR, 0x00280010, NULL, "LO", 0, "refused: no image (modality CT)"},
    {"VR of IPP UN", false, VR, 0x00200032, NULL, "UN", 0,
     "format: 3.dcm: header cannot be read to its end: I/O suspension or premature end of stream"},
    {"VR of Pix SQ", false, VR, 0x7fe00010, NULL, "SQ", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: Sequence Delimitation Item missing"},
    {"VR of Pix UT", false, VR, 0x7fe00010, NULL, "UT", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: pixel "
     "data of an unknown kind"},
    {"VR of Study binary", false, VR, 0x0020000d, NULL,
     "\x01"
     "\x02",
     0,
     "format: 3.dcm: no element at byte 674: tag (0020,000d) with value representation 01 02, "
     "expected two letters"},
    {"bytes of IPP ff", false, BYTES, 0x00200032, NULL, NULL, 255,
     "refused: 3.dcm: ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or "
     "no list of numbers"},
    {"bytes of Rows ff", false, BYTES, 0x00280010, NULL, NULL, 255,
     "format: 3.dcm: truncated: 3078 bytes, expected 4195270 with its pixels"},
    {"bytes of PatientName ff", false, BYTES, 0x00100010, NULL, NULL, 255,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"bytes of Study 00", false, BYTES, 0x0020000d, NULL, NULL, 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"bytes of TS ff", false, BYTES, 0x00020010, NULL, NULL, 255,
     "refused: transfer syntax ???????????????????? is not read here"},
    {"no DICM", false, BYTE_AT, 0x00000080, NULL, NULL, 88,
     "format: 3.dcm: no DICOM object, though named so (3078 bytes)"},
    {"meta length", false, BYTE_AT, 0x0000008c, NULL, NULL, 255,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"first tag", false, BYTE_AT, 0x00000084, NULL, NULL, 119,
     "format: 3.dcm: no SeriesInstanceUID"},
    {"nested 1 deep", false, NEST, 0x00081140, NULL, NULL, 1,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"nested 20 deep", false, NEST, 0x00081140, NULL, NULL, 20,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"nested 24 deep", false, NEST, 0x00081140, NULL, NULL, 24,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"nested 25 deep", false, NEST, 0x00081140, NULL, NULL, 25,
     "format: 3.dcm: sequences nested deeper than 24 at byte 1056"},
    {"nested 10000 deep", false, NEST, 0x00081140, NULL, NULL, 10000,
     "format: 3.dcm: sequences nested deeper than 24 at byte 1056"},
    {"garbage behind", false, APPEND, 0x00000000, NULL, NULL, 7,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing; format: 3.dcm: "
     "cannot be read to its end: I/O suspension or premature end of stream"},
    {"more garbage behind", false, APPEND, 0x00000000, NULL, NULL, 5000,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
    {"unknown character set", false, TEXT, 0x00080005, "CS", "ISO_IR 999", 0,
     "repaired: one slice only: its thickness 2.00 mm stands for the spacing"},
};

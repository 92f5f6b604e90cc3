/* Holds the table of transfer syntaxes that can be read, with their names (PS3.6 annex A). */
#include "ct_io/dicom_file/ct_syntax.h"

#include <string.h>

struct syntax {
  const char *uid, *name;
  bool lossy; /* may lose information: the syntax allows it */
};

static const struct syntax syntaxes[] = {
    {"1.2.840.10008.1.2", "Implicit VR Little Endian", false},
    {"1.2.840.10008.1.2.1", "Explicit VR Little Endian", false},
    {"1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", false},
    {"1.2.840.10008.1.2.2", "Explicit VR Big Endian", false},
    {"1.2.840.10008.1.2.5", "RLE Lossless", false},
    {"1.2.840.10008.1.2.4.50", "JPEG Baseline", true},
    {"1.2.840.10008.1.2.4.51", "JPEG Extended", true},
    {"1.2.840.10008.1.2.4.53", "JPEG Spectral Selection", true},
    {"1.2.840.10008.1.2.4.55", "JPEG Full Progression", true},
    {"1.2.840.10008.1.2.4.57", "JPEG Lossless", false},
    {"1.2.840.10008.1.2.4.70", "JPEG Lossless SV1", false},
    {"1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", false},
    {"1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless", true},
    {"1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", false},
    {"1.2.840.10008.1.2.4.91", "JPEG 2000", true},
    {"1.2.840.10008.1.2.4.201", "HTJ2K Lossless", false},
    {"1.2.840.10008.1.2.4.202", "HTJ2K Lossless RPCL", false},
    {"1.2.840.10008.1.2.4.203", "HTJ2K", true},
};

static const struct syntax *find(const char *uid) {
  for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++)
    if (strcmp(uid, syntaxes[i].uid) == 0) return &syntaxes[i];
  return NULL;
}

const char *ct_transfer_syntax_name(const char *uid) {
  const struct syntax *syntax = find(uid);
  return syntax ? syntax->name : uid;
}

const char *ct_transfer_syntax_at(size_t index) {
  return index < sizeof syntaxes / sizeof *syntaxes ? syntaxes[index].uid : NULL;
}

bool ct_transfer_syntax_known(const char *uid) {
  return find(uid) != NULL;
}

bool ct_transfer_syntax_lossy(const char *uid) {
  const struct syntax *syntax = find(uid);
  return syntax && syntax->lossy;
}

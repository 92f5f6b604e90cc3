/* Walks the first elements of a DICOM object. */
#include "ct_io/dicom_file/ct_class.h"

#include <string.h>

enum { PREAMBLE = 132 };

static unsigned number(const char *bytes, size_t n) {
  unsigned value = 0;
  while (n-- > 0) value = value << 8 | (unsigned char)bytes[n];
  return value;
}

/* It is in the meta header, or first of all in a data set without one. Little endian, with or
 * without value representations, as all such files begin. */
bool ct_class_of(const char *first, size_t n, char uid[CT_CLASS_SIZE]) {
  bool meta = n > PREAMBLE && memcmp(first + PREAMBLE - 4, "DICM", 4) == 0;
  size_t at = meta ? PREAMBLE : 0;
  while (at + 12 <= n) {
    const char *tag = first + at, *vr = tag + 4;
    unsigned group = number(tag, 2), element = number(tag + 2, 2);
    bool given = vr[0] >= 'A' && vr[0] <= 'Z' && vr[1] >= 'A' && vr[1] <= 'Z';
    bool wide = given && (memcmp(vr, "OB", 2) == 0 || memcmp(vr, "UN", 2) == 0);
    size_t length = given && !wide ? number(vr + 2, 2) : number(wide ? vr + 4 : vr, 4);
    if ((group != 2 && group != 8) || (meta && group != 2)) return false;
    at += wide ? 12 : 8;
    if (length > n - at) return false;
    if ((group == 2 && element == 2) || (group == 8 && element == 0x16)) {
      if (length >= CT_CLASS_SIZE) return false;
      memcpy(uid, first + at, length);
      uid[length] = '\0';
      uid[strcspn(uid, " ")] = '\0';
      return true;
    }
    at += length;
  }
  return false;
}

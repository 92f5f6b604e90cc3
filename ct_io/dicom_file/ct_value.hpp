// Values of a data set as what they should be. Used only inside ct_io. An item may be null: then
// nothing is there.
#pragma once

#include "ct_io/dicom_file/ct_dcmtk.hpp"

namespace ct {

// Without blanks at both ends.
OFString trimmed(const OFString &word);

// False where there is no such value, or an empty one.
bool text(DcmItem *item, const DcmTagKey &tag, OFString &value, unsigned long index = 0);
// False, and the value as it was, where there is no number.
bool number(DcmItem *item, const DcmTagKey &tag, double &value, unsigned long index = 0);
bool numbers(DcmItem *item, const DcmTagKey &tag, double *values, unsigned long count);
bool whole(DcmItem *item, const DcmTagKey &tag, long &value);

// All components of a text, with backslashes; false where there is none. A header that ends early
// may promise any length: for what is longer than a MiB no memory is taken, and it is none.
bool components(DcmItem *item, const DcmTagKey &tag, OFString &value);

// Fills out with a text, or "", cut to size; what is not printable becomes '?'.
void copy(DcmItem *item, const DcmTagKey &tag, char *out, size_t size, bool all_components);
template <size_t size>
void copy(DcmItem *item, const DcmTagKey &tag, char (&out)[size], bool all_components = false) {
  copy(item, tag, out, size, all_components);
}
// The same of a text in a character set, in UTF-8. Bytes that cannot be converted become '?'.
void copy_text(DcmItem *item, const DcmTagKey &tag, const OFString &charset, char *out,
               size_t size);
template <size_t size>
void copy_text(DcmItem *item, const DcmTagKey &tag, const OFString &charset, char (&out)[size]) {
  copy_text(item, tag, charset, out, size);
}

// Null where there is none.
DcmSequenceOfItems *sequence_of(DcmItem *item, const DcmTagKey &tag);
// The first item.
DcmItem *sequence_item(DcmItem *item, const DcmTagKey &tag);

} // namespace ct

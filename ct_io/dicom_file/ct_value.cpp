// Reads values with DCMTK, and takes no word that is not wholly a number for one.
#include "ct_io/dicom_file/ct_value.hpp"

#include <cmath>
#include <vector>

#include <dcmtk/dcmdata/dcspchrs.h>

#include "common/lc_text.h"
#include "ct_io/dicom_file/ct_charset.h"

namespace {

void copy_bytes(DcmItem *item, const DcmTagKey &tag, char *out, size_t size, bool all_components) {
  OFString value;
  out[0] = '\0';
  if (!item) return;
  const bool found = all_components ? ct::components(item, tag, value)
                                    : item->findAndGetOFString(tag, value).good();
  if (!found) return;
  while (!value.empty() && (value.back() == ' ' || value.back() == '\0')) value.pop_back();
  lc_text_copy(out, size, value.c_str());
}

} // namespace

bool ct::components(DcmItem *item, const DcmTagKey &tag, OFString &value) {
  constexpr Uint32 longest_text = 1 << 20;
  DcmElement *element = nullptr;
  return item->findAndGetElement(tag, element).good() &&
         element->getLengthField() <= longest_text &&
         item->findAndGetOFStringArray(tag, value).good();
}

OFString ct::trimmed(const OFString &word) {
  const char *blanks = " \t\r\n";
  size_t first = word.find_first_not_of(blanks);
  if (first == OFString_npos) return "";
  return word.substr(first, word.find_last_not_of(blanks) - first + 1);
}

bool ct::text(DcmItem *item, const DcmTagKey &tag, OFString &value, unsigned long index) {
  return item && item->findAndGetOFString(tag, value, index).good() && !value.empty();
}

bool ct::number(DcmItem *item, const DcmTagKey &tag, double &value, unsigned long index) {
  OFString word;
  if (!text(item, tag, word, index)) return false;
  double parsed = 0;
  if (!lc_text_to_double(trimmed(word).c_str(), &parsed)) return false;
  value = parsed;
  return true;
}

bool ct::numbers(DcmItem *item, const DcmTagKey &tag, double *values, unsigned long count) {
  for (unsigned long i = 0; i < count; i++)
    if (!number(item, tag, values[i], i)) return false;
  return true;
}

bool ct::whole(DcmItem *item, const DcmTagKey &tag, long &value) {
  double parsed = 0;
  if (!number(item, tag, parsed) || std::fabs(parsed) > 2147483647.0) return false;
  value = static_cast<long>(parsed);
  return true;
}

void ct::copy(DcmItem *item, const DcmTagKey &tag, char *out, size_t size, bool all_components) {
  copy_bytes(item, tag, out, size, all_components);
  lc_text_printable(out);
}

void ct::copy_text(DcmItem *item, const DcmTagKey &tag, const OFString &charset, char *out,
                   size_t size) {
  std::vector<char> raw(size);
  copy_bytes(item, tag, raw.data(), size, true);
  bool ascii = true;
  for (const char *c = raw.data(); *c; c++)
    ascii = ascii && static_cast<unsigned char>(*c) < 128 && *c != '\x1b';
  DcmSpecificCharacterSet converter;
  OFString converted;
  bool known = !ascii && converter.selectCharacterSet(charset).good() &&
               converter.convertString(raw.data(), converted, "\\^=").good();
  if (known)
    lc_text_copy(out, size, converted.c_str());
  else if (ascii || !ct_charset_convert(charset.c_str(), raw.data(), out, size))
    lc_text_copy(out, size, raw.data());
  lc_text_printable(out);
}

DcmSequenceOfItems *ct::sequence_of(DcmItem *item, const DcmTagKey &tag) {
  DcmSequenceOfItems *sequence = nullptr;
  if (!item || item->findAndGetSequence(tag, sequence).bad()) return nullptr;
  return sequence;
}

DcmItem *ct::sequence_item(DcmItem *item, const DcmTagKey &tag) {
  DcmSequenceOfItems *sequence = sequence_of(item, tag);
  return sequence && sequence->card() > 0 ? sequence->getItem(0) : nullptr;
}

// SPDX-License-Identifier: Apache-2.0
// See lexer_charset.h.
#include "rewrite/lexer_charset.h"

namespace crossfade::rewrite {
namespace {

constexpr bool In(unsigned char c, unsigned char low, unsigned char high) {
  return c >= low && c <= high;
}

bool EqualsLower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c != lower[i]) return false;
  }
  return true;
}

struct NamedFamily {
  std::string_view name;
  CharsetFamily family;
};

constexpr NamedFamily kFamilies[] = {
    {"utf8mb4", CharsetFamily::kUtf8Mb4},   {"utf8mb3", CharsetFamily::kUtf8Mb3},
    {"utf8", CharsetFamily::kUtf8Mb3},      {"latin1", CharsetFamily::kLatin1},
    {"gbk", CharsetFamily::kGbk},           {"sjis", CharsetFamily::kSjis},
    {"cp932", CharsetFamily::kSjis},        {"big5", CharsetFamily::kBig5},
    {"gb18030", CharsetFamily::kGb18030},   {"gb2312", CharsetFamily::kGb2312},
    {"euckr", CharsetFamily::kEucKr},       {"ujis", CharsetFamily::kEucJp},
    {"eucjpms", CharsetFamily::kEucJp},     {"ascii", CharsetFamily::kSingleByte},
    {"binary", CharsetFamily::kSingleByte}, {"latin2", CharsetFamily::kSingleByte},
    {"latin5", CharsetFamily::kSingleByte}, {"latin7", CharsetFamily::kSingleByte},
    {"cp1250", CharsetFamily::kSingleByte}, {"cp1251", CharsetFamily::kSingleByte},
    {"cp1256", CharsetFamily::kSingleByte}, {"cp1257", CharsetFamily::kSingleByte},
    {"cp850", CharsetFamily::kSingleByte},  {"cp852", CharsetFamily::kSingleByte},
    {"cp866", CharsetFamily::kSingleByte},  {"dec8", CharsetFamily::kSingleByte},
    {"greek", CharsetFamily::kSingleByte},  {"hebrew", CharsetFamily::kSingleByte},
    {"hp8", CharsetFamily::kSingleByte},    {"keybcs2", CharsetFamily::kSingleByte},
    {"koi8r", CharsetFamily::kSingleByte},  {"koi8u", CharsetFamily::kSingleByte},
    {"macce", CharsetFamily::kSingleByte},  {"macroman", CharsetFamily::kSingleByte},
    {"swe7", CharsetFamily::kSingleByte},   {"tis620", CharsetFamily::kSingleByte},
    {"armscii8", CharsetFamily::kSingleByte}, {"geostd8", CharsetFamily::kSingleByte},
};

bool Continues(unsigned char c) { return (c & 0xC0) == 0x80; }

size_t Utf8Length(bool four_bytes, const unsigned char* p, size_t left) {
  const unsigned char c = p[0];
  if (c < 0xC2) return 0;
  if (c < 0xE0) return left >= 2 && Continues(p[1]) ? 2 : 0;
  if (c < 0xF0) {
    return left >= 3 && Continues(p[1]) && Continues(p[2]) && (c >= 0xE1 || p[1] >= 0xA0) ? 3 : 0;
  }
  if (!four_bytes || c > 0xF4 || left < 4) return 0;
  if (!Continues(p[1]) || !Continues(p[2]) || !Continues(p[3])) return 0;
  return (c >= 0xF1 || p[1] >= 0x90) && (c <= 0xF3 || p[1] <= 0x8F) ? 4 : 0;
}

bool GbkTail(unsigned char c) { return In(c, 0x40, 0x7E) || In(c, 0x80, 0xFE); }

}  // namespace

CharsetFamily FamilyOf(std::string_view charset) {
  for (const NamedFamily& entry : kFamilies) {
    if (EqualsLower(charset, entry.name)) return entry.family;
  }
  return CharsetFamily::kUnknown;
}

bool IsCharset(std::string_view name) {
  if (FamilyOf(name) != CharsetFamily::kUnknown) return true;
  for (std::string_view wide : {"ucs2", "utf16", "utf16le", "utf32"}) {
    if (EqualsLower(name, wide)) return true;
  }
  return false;
}

size_t MultiByteLength(CharsetFamily family, const unsigned char* p, const unsigned char* end) {
  const size_t left = static_cast<size_t>(end - p);
  if (left < 2 || p[0] < 0x80) return 0;
  const unsigned char lead = p[0], next = p[1];
  switch (family) {
    case CharsetFamily::kUtf8Mb3:
    case CharsetFamily::kUtf8Mb4:
      return Utf8Length(family == CharsetFamily::kUtf8Mb4, p, left);
    case CharsetFamily::kGbk:
      return In(lead, 0x81, 0xFE) && GbkTail(next) ? 2 : 0;
    case CharsetFamily::kSjis:
      return (In(lead, 0x81, 0x9F) || In(lead, 0xE0, 0xFC)) &&
                     (In(next, 0x40, 0x7E) || In(next, 0x80, 0xFC))
                 ? 2
                 : 0;
    case CharsetFamily::kBig5:
      return In(lead, 0xA1, 0xF9) && (In(next, 0x40, 0x7E) || In(next, 0xA1, 0xFE)) ? 2 : 0;
    case CharsetFamily::kGb18030:
      if (!In(lead, 0x81, 0xFE)) return 0;
      if (GbkTail(next)) return 2;
      return left >= 4 && In(next, 0x30, 0x39) && In(p[2], 0x81, 0xFE) && In(p[3], 0x30, 0x39) ? 4 : 0;
    case CharsetFamily::kGb2312:
      return In(lead, 0xA1, 0xF7) && In(next, 0xA1, 0xFE) ? 2 : 0;
    case CharsetFamily::kEucKr:
      return In(lead, 0x81, 0xFE) &&
                     (In(next, 0x41, 0x5A) || In(next, 0x61, 0x7A) || In(next, 0x81, 0xFE))
                 ? 2
                 : 0;
    case CharsetFamily::kEucJp:
      if (lead == 0x8E) return In(next, 0xA1, 0xDF) ? 2 : 0;
      if (lead == 0x8F) return left >= 3 && In(next, 0xA1, 0xFE) && In(p[2], 0xA1, 0xFE) ? 3 : 0;
      return In(lead, 0xA1, 0xFE) && In(next, 0xA1, 0xFE) ? 2 : 0;
    case CharsetFamily::kLatin1:
    case CharsetFamily::kSingleByte:
    case CharsetFamily::kUnknown:
      return 0;
  }
  return 0;
}

size_t NameCharLength(CharsetFamily family, const unsigned char* p, const unsigned char* end) {
  if (family == CharsetFamily::kLatin1) {
    return p[0] >= 0xC0 && p[0] != 0xD7 && p[0] != 0xF7 ? 1 : 0;  // letters of cp1252; 0xA0 is a space
  }
  return MultiByteLength(family, p, end);
}

}  // namespace crossfade::rewrite

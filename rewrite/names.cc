// SPDX-License-Identifier: Apache-2.0
// See names.h.
#include "rewrite/names.h"

#include <clocale>
#include <cwctype>

namespace crossfade::rewrite {

bool HasHighByte(std::string_view text) {
  for (unsigned char c : text)
    if (c >= 0x80) return true;
  return false;
}

std::string FoldName(std::string_view name) {
  static const locale_t kUnicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string out;
  out.reserve(name.size());
  const auto tail = [&](size_t i) { return i < name.size() && (static_cast<unsigned char>(name[i]) & 0xC0) == 0x80; };
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    wint_t wide = 0;
    if (c >= 0xC2 && c < 0xE0 && tail(i + 1)) wide = (c & 0x1Fu) << 6 | (name[i + 1] & 0x3Fu);
    if (c >= 0xE0 && c < 0xF0 && tail(i + 1) && tail(i + 2)) wide = (c & 0x0Fu) << 12 | (name[i + 1] & 0x3Fu) << 6 | (name[i + 2] & 0x3Fu);
    if (wide == 0) {
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      continue;
    }
    i += wide < 0x800 ? 1 : 2;
    const wint_t low = wide == 0x130 ? 'i' : towlower_l(wide, kUnicode);  // I WITH DOT ABOVE
    if (low < 0x80) {
      out += static_cast<char>(low);
    } else if (low < 0x800) {
      out += static_cast<char>(0xC0 | low >> 6);
      out += static_cast<char>(0x80 | (low & 0x3F));
    } else {
      out += static_cast<char>(0xE0 | low >> 12);
      out += static_cast<char>(0x80 | (low >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (low & 0x3F));
    }
  }
  return out;
}

bool NameEq(std::string_view a, std::string_view b) {
  if (!HasHighByte(a) && !HasHighByte(b)) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
      if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
  }
  return FoldName(a) == FoldName(b);
}

std::string QuoteName(std::string_view name) {
  std::string out = "`";
  for (char c : name) {
    out += c;
    if (c == '`') out += '`';
  }
  return out + "`";
}

bool AsksForTheLast(std::string_view text) {
  const std::string folded = FoldName(text);
  for (std::string_view function : {"row_count", "found_rows"}) {
    for (size_t at = folded.find(function); at != std::string::npos; at = folded.find(function, at + 1)) {
      const size_t next = folded.find_first_not_of(" \t\r\n", at + function.size());
      if (next != std::string::npos && folded[next] == '(') return true;
    }
  }
  for (std::string_view variable : {"@@warning_count", "@@error_count", "@@session.warning_count", "@@session.error_count", "@@local.warning_count", "@@local.error_count"})
    if (folded.find(variable) != std::string::npos) return true;
  return false;
}

}  // namespace crossfade::rewrite

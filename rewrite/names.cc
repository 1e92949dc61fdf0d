// SPDX-License-Identifier: Apache-2.0
// See names.h.
#include "rewrite/names.h"

namespace crossfade::rewrite {

bool HasHighByte(std::string_view text) {
  for (unsigned char c : text)
    if (c >= 0x80) return true;
  return false;
}

std::string FoldName(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c >= 'A' && c <= 'Z') {
      out += static_cast<char>(c + 32);
    } else if (name.substr(i, 3) == "\xE2\x84\xAA") {  // KELVIN SIGN
      out += 'k';
      i += 2;
    } else if (name.substr(i, 2) == "\xC4\xB0") {  // I WITH DOT ABOVE
      out += 'i';
      i += 1;
    } else {
      out += c;
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

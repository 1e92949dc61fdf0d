// SPDX-License-Identifier: Apache-2.0
// See new_key.h.
#include "rewrite/new_key.h"

#include <cstdlib>

#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

// "char(36) character set ascii" -> "char", 36
std::string_view BaseOf(std::string_view folded, int* places) {
  const size_t end = folded.find_first_of(" (");
  *places = 0;
  if (end != std::string_view::npos && folded[end] == '(') *places = std::atoi(std::string(folded.substr(end + 1)).c_str());
  return folded.substr(0, end);
}

}  // namespace

bool IsIntegerType(std::string_view type) { return FoldName(type).find("int") != std::string::npos; }

std::string FreshKey(std::string_view type) {
  int places = 0;
  const std::string folded = FoldName(type);
  const std::string_view base = BaseOf(folded, &places);
  if (base == "uuid") return "UUID()";
  if ((base == "binary" && places == 16) || (base == "varbinary" && places >= 16)) return "UNHEX(REPLACE(UUID(), '-', ''))";
  if (base != "char" && base != "varchar") return "";
  return places >= 36 ? "UUID()" : places >= 32 ? "REPLACE(UUID(), '-', '')" : "";
}

std::string NoKey(std::string_view type) {
  int places = 0;
  const std::string folded = FoldName(type);
  const std::string_view base = BaseOf(folded, &places);
  if (IsIntegerType(type)) return "0";
  if (base == "uuid") return "'00000000-0000-0000-0000-000000000000'";
  if (base == "binary") return "x'" + std::string(2 * static_cast<size_t>(places), '0') + "'";
  return "''";
}

}  // namespace crossfade::rewrite

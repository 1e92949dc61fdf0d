// SPDX-License-Identifier: Apache-2.0
// See new_key.h.
#include "rewrite/new_key.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "fmt/format.h"
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

std::string NoKeyOfSession(std::string_view type) {
  if (!IsIntegerType(type)) return NoKey(type);
  constexpr std::pair<std::string_view, int> kBits[] = {{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"bigint", 64}, {"int", 32}};
  const std::string folded = FoldName(type);
  const auto found = std::find_if(std::begin(kBits), std::end(kBits), [&](const auto& each) { return folded.starts_with(each.first); });
  const int bits = found == std::end(kBits) ? 8 : found->second;
  const uint64_t room = std::min<uint64_t>(uint64_t{1} << (bits - 4), 1'000'000);
  if (folded.find("unsigned") == std::string::npos) return fmt::format("-1 - CAST(CONNECTION_ID() % {} AS SIGNED)", room);
  return fmt::format("{} - CAST(CONNECTION_ID() % {} AS UNSIGNED)", UINT64_MAX >> (64 - bits), room);
}

}  // namespace crossfade::rewrite

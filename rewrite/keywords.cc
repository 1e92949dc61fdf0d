// SPDX-License-Identifier: Apache-2.0
// See keywords.h. A hash table made at compile time: open addressing, at most a few probes.
#include "rewrite/keywords.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace crossfade::rewrite {
namespace {

constexpr uint32_t kAlways = 0;
constexpr uint32_t kNever = UINT32_MAX;

struct Entry {
  std::string_view word;
  uint32_t mysql;
  bool mariadb;
};

constexpr Entry kEntries[] = {
    {"", kNever, false},
#define CROSSFADE_KEYWORD(name, word, mysql, mariadb) {word, mysql, mariadb},
    CROSSFADE_KEYWORDS(CROSSFADE_KEYWORD)
#undef CROSSFADE_KEYWORD
};
constexpr size_t kCount = std::size(kEntries);

constexpr size_t kSlots = 2048;
static_assert(kCount * 3 < kSlots);

constexpr size_t LongestWord() {
  size_t longest = 0;
  for (const Entry& entry : kEntries) longest = std::max(longest, entry.word.size());
  return longest;
}
constexpr size_t kLongest = LongestWord();

constexpr char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

constexpr uint32_t Hash(std::string_view word) {
  uint32_t h = 2166136261u;
  for (char c : word) h = (h ^ static_cast<unsigned char>(Upper(c))) * 16777619u;
  return h ^ (h >> 15);
}

constexpr std::array<uint16_t, kSlots> MakeTable() {
  std::array<uint16_t, kSlots> table{};
  for (size_t i = 1; i < kCount; ++i) {
    size_t slot = Hash(kEntries[i].word) % kSlots;
    while (table[slot] != 0) slot = (slot + 1) % kSlots;
    table[slot] = static_cast<uint16_t>(i);
  }
  return table;
}
constexpr std::array<uint16_t, kSlots> kTable = MakeTable();

bool Equal(std::string_view word, std::string_view upper) {
  if (word.size() != upper.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (Upper(word[i]) != upper[i]) return false;
  }
  return true;
}

}  // namespace

Kw FindKeyword(std::string_view word) {
  if (word.size() > kLongest || word.size() < 2) return Kw::kNone;
  for (size_t slot = Hash(word) % kSlots; kTable[slot] != 0; slot = (slot + 1) % kSlots) {
    if (Equal(word, kEntries[kTable[slot]].word)) return static_cast<Kw>(kTable[slot]);
  }
  return Kw::kNone;
}

bool IsReserved(Kw keyword, const Dialect& dialect) {
  const Entry& entry = kEntries[static_cast<size_t>(keyword)];
  if (dialect.flavor == Flavor::kMariaDb) return entry.mariadb;
  return entry.mysql != kNever && dialect.version >= entry.mysql;
}

bool IsUnit(Kw keyword) {
  switch (keyword) {
    case Kw::kMicrosecond: case Kw::kSecond: case Kw::kMinute: case Kw::kHour: case Kw::kDay:
    case Kw::kWeek: case Kw::kMonth: case Kw::kQuarter: case Kw::kYear:
    case Kw::kDayHour: case Kw::kDayMicrosecond: case Kw::kDayMinute: case Kw::kDaySecond:
    case Kw::kHourMicrosecond: case Kw::kHourMinute: case Kw::kHourSecond:
    case Kw::kMinuteMicrosecond: case Kw::kMinuteSecond: case Kw::kSecondMicrosecond: case Kw::kYearMonth:
      return true;
    default:
      return false;
  }
}

}  // namespace crossfade::rewrite

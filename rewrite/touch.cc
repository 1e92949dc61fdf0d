// SPDX-License-Identifier: Apache-2.0
// See touch.h. One table lookup for each byte; a hash is not needed: length and first byte leave hardly any word.
#include "rewrite/touch.h"

#include <algorithm>

#include "rewrite/names.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {
namespace {

struct WordTable {
  uint8_t lower[256];  // 0: not a word character; else its lower case
  constexpr WordTable() : lower{} {
    for (int c = 0; c < 256; ++c) {
      const bool digit = c >= '0' && c <= '9', small = c >= 'a' && c <= 'z', big = c >= 'A' && c <= 'Z';
      if (big) lower[c] = static_cast<uint8_t>(c + 32);
      else if (digit || small || c == '_' || c == '$' || c >= 0x80) lower[c] = static_cast<uint8_t>(c);
    }
  }
};
constexpr WordTable kWord;

std::string LongestWord(std::string_view name) {
  std::string_view best;
  for (size_t i = 0; i < name.size();) {
    size_t end = i;
    while (end < name.size() && kWord.lower[static_cast<uint8_t>(name[end])] != 0) ++end;
    if (end - i > best.size()) best = name.substr(i, end - i);
    i = end + 1;
  }
  std::string out(best);
  for (char& c : out) c = static_cast<char>(kWord.lower[static_cast<uint8_t>(c)]);
  return out;
}

uint64_t LengthBit(size_t size) { return uint64_t{1} << std::min<size_t>(size, 63); }

}  // namespace

TouchSet::TouchSet(const std::vector<std::string>& names, bool fold_high) : fold_high_(fold_high) {
  for (const std::string& name : names) {
    std::string word = LongestWord(name);
    if (HasHighByte(word)) fold_high_ = true;
    if (word.empty()) {  // a name of punctuation alone: every text may hold it
      first_[0] = 1;
      words_.assign(1, "");
      return;
    }
    if (std::find(words_.begin(), words_.end(), word) != words_.end()) continue;
    lengths_ |= LengthBit(word.size());
    first_[static_cast<uint8_t>(word[0])] = 1;
    if (word[0] >= 'a' && word[0] <= 'z') first_[word[0] - 32] = 1;
    words_.push_back(std::move(word));
  }
}

bool TouchSet::Find(const char* word, size_t size) const {
  for (const std::string& candidate : words_) {
    if (candidate.size() != size) continue;
    size_t i = 0;
    while (i < size && kWord.lower[static_cast<uint8_t>(word[i])] == static_cast<uint8_t>(candidate[i])) ++i;
    if (i == size) return true;
  }
  return false;
}

bool TouchSet::Matches(std::string_view text) const {
  if (words_.empty()) return false;
  if (words_[0].empty()) return true;
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    if (kWord.lower[static_cast<uint8_t>(*p)] == 0) {
      ++p;
      continue;
    }
    const char* const word = p;
    uint8_t high = 0;
    do {
      high |= static_cast<uint8_t>(*p);
      ++p;
    } while (p != end && kWord.lower[static_cast<uint8_t>(*p)] != 0);
    if ((high & 0x80) != 0 && fold_high_) return true;
    const size_t size = static_cast<size_t>(p - word);
    if (first_[static_cast<uint8_t>(*word)] != 0 && (lengths_ & LengthBit(size)) != 0 && Find(word, size)) return true;
  }
  return false;
}

TouchSet MakeTouchSet(const Snapshot& snapshot, bool dynamic) {
  std::vector<std::string> names;
  for (const MigrationState& migration : snapshot.migrations) {
    if (migration.Finished()) continue;
    for (const auto& key : migration.spec.keys) {
      names.push_back(key.table);
      for (const auto& reference : key.references) names.push_back(reference.table);
    }
    for (const auto& columns : migration.spec.columns) names.push_back(columns.table);
  }
  if (dynamic && !names.empty()) {
    names.emplace_back("prepare");
    names.emplace_back("immediate");
  }
  return TouchSet(names, snapshot.catalog.lower_case_table_names != 0);
}

bool MightTouch(const Snapshot& snapshot, std::string_view sql) {
  return snapshot.touch != nullptr && snapshot.touch->Matches(sql);
}

}  // namespace crossfade::rewrite

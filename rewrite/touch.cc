// SPDX-License-Identifier: Apache-2.0
// See touch.h. The place, the first letter and the length leave hardly any word to look for; its ends, hardly any to compare.
#include "rewrite/touch.h"

#include <algorithm>
#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

constexpr size_t kFewLetters = 6;

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

// CREATE OR REPLACE DATABASE; `sql` may begin with a command byte.
bool ReplacesDatabase(std::string_view sql) {
  while (!sql.empty() && static_cast<uint8_t>(sql[0]) <= ' ') sql.remove_prefix(1);
  if (sql.size() < 20 || !NameEq(sql.substr(0, 6), "create")) return false;
  const std::string folded = FoldName(sql);
  return folded.find("replace") != std::string::npos && (folded.find("database") != std::string::npos || folded.find("schema") != std::string::npos);
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
    lengths_[static_cast<uint8_t>(word[0])] |= LengthBit(word.size());
    first_[static_cast<uint8_t>(word[0])] = 1;
    if (word[0] >= 'a' && word[0] <= 'z') first_[word[0] - 32] = 1;
    if (letters_.find(word[0]) == std::string::npos) letters_ += word[0];
    if (word[0] < 'a' || word[0] > 'z') vector_ = false;
    words_.push_back(std::move(word));
  }
  any_letter_ = letters_.size() > kFewLetters;
  std::fill(std::begin(heads_), std::end(heads_), kNone);
  next_.resize(words_.size());
  for (size_t i = 0; i < words_.size() && i < kNone; ++i) {
    const std::string& word = words_[i];
    uint16_t& head = heads_[Hash(static_cast<uint8_t>(word.front()), static_cast<uint8_t>(word.back()), word.size())];
    next_[i] = head;
    head = static_cast<uint16_t>(i);
  }
}

bool TouchSet::Find(const char* word, size_t size) const {
  const size_t hash = Hash(kWord.lower[static_cast<uint8_t>(word[0])], kWord.lower[static_cast<uint8_t>(word[size - 1])], size);
  for (uint16_t at = heads_[hash]; at != kNone; at = next_[at]) {
    const std::string& candidate = words_[at];
    if (candidate.size() != size) continue;
    size_t i = 0;
    while (i < size && kWord.lower[static_cast<uint8_t>(word[i])] == static_cast<uint8_t>(candidate[i])) ++i;
    if (i == size) return true;
  }
  return false;
}

// Is one of the words at `word`, as a whole word?
bool TouchSet::WordAt(std::string_view text, size_t begin) const {
  size_t end = begin;
  while (end < text.size() && kWord.lower[static_cast<uint8_t>(text[end])] != 0) ++end;
  const uint8_t first = kWord.lower[static_cast<uint8_t>(text[begin])];
  return (lengths_[first] & LengthBit(end - begin)) != 0 && Find(text.data() + begin, end - begin);
}

bool TouchSet::Matches(std::string_view text) const {
  if (words_.empty()) return false;
  if (words_[0].empty()) return true;
  size_t i = 0;
  bool in_word = false;  // the byte before i is a word character
#if defined(__SSE2__)
  // Sixteen bytes at a time: where words begin with a letter that one of ours begins with.
  const auto at_most = [](__m128i x, char limit) { return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(limit)), x); };
  for (; vector_ && i + 16 <= text.size(); i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
    const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    const auto high = static_cast<uint32_t>(_mm_movemask_epi8(bytes));
    if (high != 0 && fold_high_) return true;
    __m128i word = _mm_or_si128(at_most(_mm_sub_epi8(lower, _mm_set1_epi8('a')), 25), at_most(_mm_sub_epi8(bytes, _mm_set1_epi8('0')), 9));
    word = _mm_or_si128(word, _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('$'))));
    const uint32_t words = static_cast<uint32_t>(_mm_movemask_epi8(word)) | high;
    uint32_t begins = words & ~((words << 1) | (in_word ? 1u : 0u));
    if (!any_letter_ && begins != 0) {
      __m128i first = _mm_setzero_si128();
      for (char letter : letters_) first = _mm_or_si128(first, _mm_cmpeq_epi8(lower, _mm_set1_epi8(letter)));
      begins &= static_cast<uint32_t>(_mm_movemask_epi8(first));
    }
    for (; begins != 0; begins &= begins - 1) {
      const size_t at = i + static_cast<size_t>(std::countr_zero(begins));
      if (first_[static_cast<uint8_t>(text[at])] != 0 && WordAt(text, at)) return true;
    }
    in_word = (words & 0x8000) != 0;
  }
#endif
  for (; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    const bool word = kWord.lower[c] != 0;
    if (c >= 0x80 && fold_high_) return true;
    if (word && !in_word && first_[c] != 0 && WordAt(text, i)) return true;
    in_word = word;
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
    names.emplace_back("information_schema");
    names.emplace_back("drop");  // DATABASE
  }
  return TouchSet(names, snapshot.catalog.lower_case_table_names != 0);
}

std::shared_ptr<const TouchSet> MakeGate(const Snapshot& snapshot, bool MigrationState::*so) {
  std::vector<std::string> names;
  for (const MigrationState& migration : snapshot.migrations) {
    if (migration.*so) names.insert(names.end(), migration.relatives.begin(), migration.relatives.end());
  }
  if (names.empty()) return nullptr;
  names.emplace_back("execute");  // what these run is not in the text
  names.emplace_back("call");
  return std::make_shared<const TouchSet>(names, snapshot.catalog.lower_case_table_names != 0);
}

bool MightTouch(const Snapshot& snapshot, std::string_view sql) {
  return snapshot.touch != nullptr && (snapshot.touch->Matches(sql) || ReplacesDatabase(sql));
}

}  // namespace crossfade::rewrite

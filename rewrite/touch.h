// SPDX-License-Identifier: Apache-2.0
// The words a text would have to contain to name a migrating table. A scan over bytes that knows no quoting, comments
// or modes: whatever they are, a table's name stands in the text as a run of word characters.
// A word: ASCII letters and digits, '_', '$', bytes from 0x80 on. Of a name with other characters its longest word.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::rewrite {

class TouchSet {
 public:
  // `names`: words or table names, in any case. With `fold_high`, a word with bytes from 0x80 on may be any of them
  // (a server that folds names, or a name outside ASCII that another character set spells with other bytes).
  TouchSet(const std::vector<std::string>& names, bool fold_high);

  bool Empty() const { return words_.empty(); }
  bool Matches(std::string_view text) const;

 private:
  bool Find(const char* word, size_t size) const;
  bool WordAt(std::string_view text, size_t begin) const;

  // Lower case. Of the words with the same hash (first letter, last, length) next_ makes a chain: heads_, then next_, to kNone.
  static constexpr uint16_t kNone = 0xFFFF;
  static size_t Hash(uint8_t first, uint8_t last, size_t size) { return (first * 7u + last * 31u + size * 17u) % 256; }
  std::vector<std::string> words_;
  std::vector<uint16_t> next_;
  uint16_t heads_[256] = {};
  uint64_t lengths_[256] = {};      // by first letter; bit n: a word of n bytes; bit 63: of 63 or more
  uint8_t first_[256] = {};         // 1: some word begins so, in either case
  std::string letters_;             // their first letters, each once
  bool vector_ = true;              // all of them are letters
  bool any_letter_ = false;         // so many that each word's beginning is looked at
  bool fold_high_ = false;
};

// The words of `snapshot` that name tables of unfinished migrations; with `dynamic` also PREPARE and IMMEDIATE.
struct Snapshot;
struct MigrationState;
TouchSet MakeTouchSet(const Snapshot& snapshot, bool dynamic);
// Those of statements that may take a table's metadata lock though they name a relative alone, of the migrations that are `so`.
// Null: none does.
std::shared_ptr<const TouchSet> MakeGate(const Snapshot& snapshot, bool MigrationState::*so);

}  // namespace crossfade::rewrite

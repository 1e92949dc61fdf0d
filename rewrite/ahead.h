// SPDX-License-Identifier: Apache-2.0
// An INSERT of many rows whose references are looked up by one query before it: in its text each lookup would be a table of its own to the
// server (30 to 40 KB of memory; MariaDB takes time for them by the square of their number). The text then has the new keys as literals, and with
// the first of them asks once whether they still are what they were, by a subquery that locks the parents; if not it fails with the
// error of IsMissingParent, before any row is written, and is run as if nobody had looked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewrite/lexer.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {

// Below so many rows no plan has such lookups.
inline constexpr size_t kRowsLookedUpAhead = 8;
// So many keys are asked for at once. MariaDB makes a join of 1,000 (in_predicate_conversion_threshold), MySQL gives ranges up where they take
// more than 8 MB (range_optimizer_max_mem_size), and then every row of the parent is read, and locked.
inline constexpr size_t kKeysAtOnce = 500;
// … and looked at once more. FIELD goes through them for each; rows of constants would have MySQL warn (1739, under sql_safe_updates).
inline constexpr size_t kKeysAgain = 100;

class Ahead {
 public:
  // `tokens`: of a text that fits the plan; of a prepared one `parameters` are the client's. Only what is plain is asked for: integers of up to 18 digits, and
  // strings of printable ASCII without quotes and backslashes.
  Ahead(const Plan& plan, const TokenList& tokens, const std::vector<AheadParameter>& parameters);

  // Lookups of the text that may get a value.
  size_t lookups() const { return lookups_; }
  // … of so many keys.
  size_t keys() const;
  // Queries for each parent that there is something to ask of: its keys, old and new, as hexadecimal digits of UTF-8 (new ones of BINARY: of their
  // bytes). `locking`: the rows stay as they are until the transaction ends, and no snapshot is taken.
  struct Question { size_t parent; size_t keys; std::string sql; };
  std::vector<Question> Questions(bool locking) const;
  // A row of the answer. An old key that is not what the text has byte by byte is left to the lookup in the text. `fresh`: nullopt is NULL.
  void Answer(size_t parent, std::string_view old_key, std::optional<std::string_view> fresh);
  // For each of plan.ahead, what is to stand in the place of its lookup; empty: the lookup.
  std::vector<std::string> Values() const;

 private:
  // Of a lookup: where the new key is, as a literal; nullopt: not found (yet).
  struct Asked { const std::optional<std::string>* fresh = nullptr; bool null = false; };
  std::string Still() const;

  const Plan& plan_;
  std::vector<std::map<std::string, std::optional<std::string>, std::less<>>> wanted_;  // of each parent, by the old key
  std::vector<Asked> asked_;                                        // of each of plan.ahead
  size_t lookups_ = 0;
};

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// Two results of one read, compared; and what came of it, counted by one io thread for the control schema.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "backfill/comparisons.h"
#include "rewrite/comparable.h"
#include "rewrite/snapshot.h"

namespace crossfade::proxy {

// The rows of a reply in the text protocol.
struct SideResult {
  struct Column { std::string name, org_table, org_name; };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // cells as sent; NULL is "\xFB"
  double microseconds = 0;
  bool ok = false;  // not an error, and not too large to be looked at
};
// `reply`: all packets of one result set.
void ParseSide(std::string_view reply, uint64_t capabilities, SideResult* result);

// What differs; empty: nothing. Where the sides show their own key in a column, only its being NULL is compared. In the order of
// the statement's ORDER BY as far as `how` knows it, else as a set.
std::string DifferenceOf(const SideResult& old_side, const SideResult& new_side, const rewrite::Comparable& how, const rewrite::Snapshot& snapshot);

class Comparisons {
 public:
  void Add(backfill::ComparisonRow row);
  void Collect(std::vector<backfill::ComparisonRow>* rows);  // any thread

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, backfill::ComparisonRow> rows_;  // by migration and digest
};

}  // namespace crossfade::proxy

// SPDX-License-Identifier: Apache-2.0
// Column migrations as the migrator's SQL: how new columns are filled from old ones, and when a row needs it. Made of the very
// expressions that the live writes use.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backfill/pairs.h"
#include "config/config.h"
#include "rewrite/catalog.h"
#include "rewrite/column_expression.h"

namespace crossfade::backfill {

struct FilledColumn {
  std::string name;
  rewrite::ColumnExpression from;
  std::optional<rewrite::ColumnExpression> back;  // of a key that is made of the old one
};

// InvalidArgument: an expression of the file cannot be read.
absl::StatusOr<std::vector<FilledColumn>> FilledColumns(const TablePairs& pairs);

// "r.a = (…), r.b = (…)"
std::string ColumnAssignments(const std::vector<FilledColumn>& columns, std::string_view alias);
// True where some new column is not what the expression gives: no collation, no conversion makes unequal values equal.
// A column that is absent, or whose type cannot be compared (preflight refuses those), counts as different.
std::string ColumnsDiffer(const rewrite::Table& table, const std::vector<FilledColumn>& columns, std::string_view alias);

// True where the way back of a key does not give the old one again, byte by byte: two keys could become one.
std::string NotBack(const rewrite::Table& table, const config::ColumnMigration& key, std::string_view alias);

}  // namespace crossfade::backfill

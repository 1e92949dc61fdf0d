// SPDX-License-Identifier: Apache-2.0
// See columns.h.
#include "backfill/columns.h"

#include "backfill/connection.h"
#include "fmt/format.h"
#include "rewrite/stored_form.h"

namespace crossfade::backfill {

absl::StatusOr<std::vector<FilledColumn>> FilledColumns(const TablePairs& pairs) {
  std::vector<FilledColumn> out;
  for (const config::ColumnMigration& set : pairs.sets) {
    for (const config::NewColumn& column : set.new_columns) {
      auto from = rewrite::ColumnExpression::Parse(column.from);
      if (!from.ok()) return from.status();
      out.push_back({column.name, *std::move(from), std::nullopt});
      if (!set.of_key || set.back.empty()) continue;
      auto back = rewrite::ColumnExpression::Parse(set.back[0].expression);
      if (!back.ok()) return back.status();
      out.back().back = *std::move(back);
    }
  }
  return out;
}

std::string ColumnAssignments(const std::vector<FilledColumn>& columns, std::string_view alias) {
  std::string out;
  for (const FilledColumn& column : columns) {
    out += fmt::format("{}{}.{} = {}", out.empty() ? "" : ", ", alias, QuoteName(column.name), column.from.Text(alias));
  }
  return out;
}

std::string ColumnsDiffer(const rewrite::Table& table, const std::vector<FilledColumn>& columns, std::string_view alias) {
  std::string out;
  for (const FilledColumn& filled : columns) {
    const rewrite::Column* column = table.FindColumn(filled.name);
    const std::string name = fmt::format("{}.{}", alias, QuoteName(filled.name));
    const std::string equal = column == nullptr ? "" : rewrite::StoredEquals(*column, name, filled.from.Text(alias));
    if (equal.empty()) return "TRUE";
    out += fmt::format("{}NOT {}", out.empty() ? "" : " OR ", equal);
  }
  return "(" + out + ")";
}

std::string NotBack(const rewrite::Table& table, const config::ColumnMigration& key, std::string_view alias) {
  const rewrite::Column* old = table.FindColumn(key.old_columns[0]);
  const auto back = rewrite::ColumnExpression::Parse(key.back[0].expression);
  const std::string expected = old == nullptr || !back.ok() ? "" : rewrite::StoredBytes(*old, back->Text(alias));
  if (expected.empty()) return "TRUE";
  const std::string name = fmt::format("{}.{}", alias, QuoteName(old->name));
  return fmt::format("NOT ({} <=> {})", old->type_class == rewrite::TypeClass::kInteger ? name : fmt::format("CAST({} AS BINARY)", name), expected);
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// See columns.h.
#include "backfill/columns.h"

#include <algorithm>
#include <cctype>

#include "backfill/connection.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

// "decimal(8,2) unsigned" -> "(8,2)"; empty: none.
std::string Parameters(const std::string& type) {
  const size_t open = type.find('('), close = type.find(')');
  return open == std::string::npos || close == std::string::npos ? "" : type.substr(open, close - open + 1);
}

}  // namespace

absl::StatusOr<std::vector<FilledColumn>> FilledColumns(const TablePairs& pairs) {
  std::vector<FilledColumn> out;
  for (const config::ColumnMigration& set : pairs.sets) {
    for (const config::NewColumn& column : set.new_columns) {
      auto from = rewrite::ColumnExpression::Parse(column.from);
      if (!from.ok()) return from.status();
      out.push_back({column.name, *std::move(from)});
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

std::string AsStored(const rewrite::Column& column, const std::string& expression) {
  std::string type;
  for (char c : column.type) type += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  if (!column.charset.empty()) {
    const std::string text = fmt::format("CONVERT({} USING {})", expression, column.charset);
    return fmt::format("CAST({} AS BINARY)", is("char(") ? "TRIM(TRAILING ' ' FROM " + text + ")" : text);
  }
  if (is("binary(")) return fmt::format("CAST({} AS BINARY{})", expression, Parameters(type));
  if (is("varbinary") || type.find("blob") != std::string::npos) return fmt::format("CAST({} AS BINARY)", expression);
  if (is("decimal")) return fmt::format("CAST({} AS DECIMAL{})", expression, Parameters(type));
  if (is("datetime")) return fmt::format("CAST({} AS DATETIME{})", expression, Parameters(type));
  if (is("date")) return fmt::format("CAST({} AS DATE)", expression);
  if (is("time(") || type == "time") return fmt::format("CAST({} AS TIME{})", expression, Parameters(type));
  if (is("json")) return fmt::format("CAST(CAST({} AS JSON) AS CHAR CHARACTER SET binary)", expression);
  if (column.type_class == rewrite::TypeClass::kInteger) {
    return fmt::format("CAST({} AS {})", expression, type.find("unsigned") != std::string::npos ? "UNSIGNED" : "SIGNED");
  }
  return "";
}

std::string ColumnsDiffer(const rewrite::Table& table, const std::vector<FilledColumn>& columns, std::string_view alias) {
  std::string out;
  for (const FilledColumn& filled : columns) {
    const rewrite::Column* column = table.FindColumn(filled.name);
    const std::string name = fmt::format("{}.{}", alias, QuoteName(filled.name));
    const std::string expected = column == nullptr ? "" : AsStored(*column, filled.from.Text(alias));
    if (expected.empty()) return "TRUE";
    const bool bytes = expected.find("BINARY") != std::string::npos || expected.find("binary") != std::string::npos;
    const std::string stored = !bytes                          ? name
                               : column->type.rfind("json", 0) == 0 ? fmt::format("CAST({} AS CHAR CHARACTER SET binary)", name)
                                                                    : fmt::format("CAST({} AS BINARY)", name);
    out += fmt::format("{}NOT ({} <=> {})", out.empty() ? "" : " OR ", stored, expected);
  }
  return "(" + out + ")";
}

std::string NotBack(const rewrite::Table& table, const config::ColumnMigration& key, std::string_view alias) {
  const rewrite::Column* old = table.FindColumn(key.old_columns[0]);
  const auto back = rewrite::ColumnExpression::Parse(key.back[0].expression);
  const std::string expected = old == nullptr || !back.ok() ? "" : AsStored(*old, back->Text(alias));
  if (expected.empty()) return "TRUE";
  const std::string name = fmt::format("{}.{}", alias, QuoteName(old->name));
  return fmt::format("NOT ({} <=> {})", old->type_class == rewrite::TypeClass::kInteger ? name : fmt::format("CAST({} AS BINARY)", name), expected);
}

}  // namespace crossfade::backfill

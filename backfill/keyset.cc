// SPDX-License-Identifier: Apache-2.0
// Keyset pagination over the index that a table is walked along.
#include "backfill/keyset.h"

#include <algorithm>
#include <array>

#include "backfill/store.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace crossfade::backfill {
namespace {

using rewrite::TypeClass;

// ENUM and SET sort by number and compare as text, floats compare inexactly, BIT and JSON have no literal that does.
bool HasOrderedLiteral(const rewrite::Column& column) {
  constexpr std::array kUnordered = {"enum", "set", "float", "double", "bit", "json", "geometry"};
  return std::none_of(kUnordered.begin(), kUnordered.end(), [&](std::string_view type) { return column.type.rfind(type, 0) == 0; });
}

std::string Qualified(std::string_view alias, const std::string& column) {
  return alias.empty() ? QuoteName(column) : fmt::format("{}.{}", alias, QuoteName(column));
}

bool IsHex(const rewrite::Column& column) { return !column.charset.empty() || column.type_class == TypeClass::kBinary; }

}  // namespace

absl::StatusOr<Keyset> Keyset::Of(const rewrite::Table& table) {
  for (const rewrite::Index& index : table.indexes) {  // the primary key comes first
    if (!index.unique) continue;
    Keyset keyset;
    keyset.index_ = index.name;
    for (const std::string& name : index.columns) {
      const rewrite::Column* column = table.FindColumn(name);
      if (column == nullptr || column->nullable || !HasOrderedLiteral(*column)) break;
      keyset.columns_.push_back(*column);
    }
    if (keyset.columns_.size() == index.columns.size()) return keyset;
  }
  return absl::FailedPreconditionError(fmt::format(
      "{}.{} has no primary key or unique key of NOT NULL columns (integers, strings, binary, decimal, temporal) to walk along", table.schema,
      table.name));
}

std::string Keyset::Columns(std::string_view alias) const {
  std::string out;
  for (const rewrite::Column& column : columns_) out += (out.empty() ? "" : ", ") + Qualified(alias, column.name);
  return out;
}

std::string Keyset::SelectItems(std::string_view alias) const {
  std::string out;
  for (const rewrite::Column& column : columns_) {
    const std::string name = Qualified(alias, column.name);
    out += (out.empty() ? "" : ", ") + (IsHex(column) ? fmt::format("HEX({})", name) : name);
  }
  return out;
}

KeyValues Keyset::Literals(const Connection& connection, const Row& row, size_t first) const {
  KeyValues out;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const rewrite::Column& column = columns_[i];
    const std::string text = row[first + i].value_or("");
    if (!column.charset.empty()) {
      out.push_back(fmt::format("_{} x'{}' COLLATE {}", column.charset, text, column.collation));
    } else if (column.type_class == TypeClass::kBinary) {
      out.push_back(fmt::format("x'{}'", text));
    } else if (column.type_class == TypeClass::kInteger || column.type.rfind("decimal", 0) == 0) {
      out.push_back(text);
    } else {
      out.push_back(connection.Quote(text));
    }
  }
  return out;
}

// (a, b) > (x, y) as (a > x) OR (a = x AND b > y): both engines read that as ranges of the index, row comparisons not.
std::string Keyset::Compare(std::string_view alias, const KeyValues& values, std::string_view op, std::string_view last_op) const {
  std::string out;
  for (size_t i = 0; i < columns_.size(); ++i) {
    std::string term;
    for (size_t j = 0; j < i; ++j) term += fmt::format("{} = {} AND ", Qualified(alias, columns_[j].name), values[j]);
    term += fmt::format("{} {} {}", Qualified(alias, columns_[i].name), i + 1 == columns_.size() ? last_op : op, values[i]);
    out += (i == 0 ? "(" : " OR (") + term + ")";
  }
  return columns_.size() == 1 ? out : "(" + out + ")";
}

std::string Keyset::Range(std::string_view alias, const KeyValues& after, const KeyValues& up_to) const {
  if (after.empty() && up_to.empty()) return "TRUE";
  if (after.empty()) return Compare(alias, up_to, "<", "<=");
  if (up_to.empty()) return Compare(alias, after, ">", ">");
  return Compare(alias, after, ">", ">") + " AND " + Compare(alias, up_to, "<", "<=");
}

std::string Keyset::Equals(std::string_view alias, const KeyValues& values) const {
  std::string out;
  for (size_t i = 0; i < columns_.size(); ++i) {
    out += fmt::format("{}{} = {}", i == 0 ? "" : " AND ", Qualified(alias, columns_[i].name), values[i]);
  }
  return out;
}

absl::StatusOr<KeyValues> NextBound(Connection& connection, const rewrite::Table& table, const Keyset& keyset, const KeyValues& after,
                                    const KeyValues& up_to, uint64_t rows) {
  auto bound = connection.Query(fmt::format("SELECT {} FROM {} AS t FORCE INDEX ({}) WHERE {} ORDER BY {} LIMIT {}, 1", keyset.SelectItems("t"),
                                            TableName(table.schema, table.name), QuoteName(keyset.index()), keyset.Range("t", after, up_to),
                                            keyset.Columns("t"), rows - 1));
  if (!bound.ok()) return bound.status();
  if (bound->rows.empty()) return KeyValues();
  return keyset.Literals(connection, bound->rows[0]);
}

std::string ToJson(const KeyValues& values) { return nlohmann::json(values).dump(-1, ' ', true); }

KeyValues KeyValuesFromJson(const std::string& json) {
  const nlohmann::json parsed = nlohmann::json::parse(json, nullptr, false);
  KeyValues out;
  if (!parsed.is_array()) return out;
  for (const auto& value : parsed) {
    if (!value.is_string()) return {};
    out.push_back(value.get<std::string>());
  }
  return out;
}

}  // namespace crossfade::backfill

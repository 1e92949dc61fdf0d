// SPDX-License-Identifier: Apache-2.0
// What stands in the way of a migration of plain columns. See checks.h, docs/phases.md.
#include <algorithm>
#include <cctype>

#include "backfill/catalog_loader.h"
#include "backfill/checks.h"
#include "backfill/columns.h"
#include "backfill/ddl.h"
#include "fmt/format.h"
#include "rewrite/stored_form.h"
#include "rewrite/column_expression.h"

namespace crossfade::backfill {
namespace {

using rewrite::Column;
using rewrite::Table;

std::string Lower(std::string_view text) {
  std::string out;
  for (char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool StartsWith(const std::string& type, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return type.rfind(name, 0) == 0; });
}

// The column as the file declares it, as far as comparing values goes.
Column Declared(const config::NewColumn& fresh) {
  Column column;
  column.name = fresh.name;
  column.type = Lower(fresh.type);
  if (StartsWith(column.type, {"char", "varchar", "text", "tinytext", "mediumtext", "longtext", "enum", "set", "uuid"})) column.charset = "utf8mb4";
  if (StartsWith(column.type, {"tinyint", "smallint", "mediumint", "int", "bigint", "bool", "year", "bit"})) column.type_class = rewrite::TypeClass::kInteger;
  return column;
}

void CheckOld(const Table& table, const std::string& name, bool of_key, Findings* findings) {
  const std::string full = fmt::format("{}.{}.{}", table.schema, table.name, name);
  const Column* old = table.FindColumn(name);
  if (old == nullptr) return AddError(findings, fmt::format("{}.{} has no column {}", table.schema, table.name, name), "correct the file");
  const std::string type = Lower(old->type);
  if (old->generated) AddError(findings, full + " is a generated column", "migrate the column that it is made of");
  if (old->auto_increment) AddError(findings, full + " is AUTO_INCREMENT: its value is not known when the row is written, and no other column can take over without a copy of the table",
                                     of_key ? "an application that gives its keys itself can migrate them; else let the key become a UUID" : "");
  if (StartsWith(type, {"timestamp"})) AddError(findings, full + " is a TIMESTAMP: what it reads as depends on the session's time zone", "change it to DATETIME first");
  if (StartsWith(type, {"float"})) AddError(findings, full + " is FLOAT: what it reads as is not what it holds", "change it to DOUBLE or DECIMAL first");
  if (!old->nullable && StartsWith(type, {"text", "tinytext", "mediumtext", "longtext", "json", "geometry", "point"})) {
    AddError(findings, fmt::format("{} is {} NOT NULL, which can have no default to be left out by", full, old->type), "make it nullable first");
  }
  for (const rewrite::Index& index : table.indexes) {
    if (!of_key && index.name == "PRIMARY" && std::any_of(index.columns.begin(), index.columns.end(), [&](const std::string& c) { return SameName(c.substr(0, c.find('(')), name); }))
      AddError(findings, full + " is part of the primary key", "not possible in this version");
  }
  for (const rewrite::ForeignKey& key : table.foreign_keys) {
    if (!of_key && std::any_of(key.columns.begin(), key.columns.end(), [&](const std::string& c) { return SameName(c, name); }))
      AddError(findings, fmt::format("{} is part of the foreign key {}", full, key.name), "drop it first, or migrate the key it refers to");
  }
  if (table.FindColumn(OldName(name)) != nullptr)
    AddError(findings, fmt::format("{}.{} has a column {}, a name that contract needs", table.schema, table.name, OldName(name)), "drop or rename it");
}

// `known`: what the expression may name.
void CheckExpression(const std::string& table, const std::string& column, const std::string& sql, const std::vector<std::string>& known, std::string_view kind,
                     Findings* findings) {
  const auto expression = rewrite::ColumnExpression::Parse(sql);
  if (!expression.ok()) {
    return AddError(findings, fmt::format("{}.{}: {}", table, column, std::string(expression.status().message())), "write it otherwise, or migrate in two steps");
  }
  for (const std::string& name : expression->columns()) {
    if (std::none_of(known.begin(), known.end(), [&](const std::string& each) { return SameName(each, name); }))
      AddError(findings, fmt::format("{}.{} is made of {}, which is none of its {} columns", table, column, name, kind), "name it there too");
  }
}

// Moments that a session's date or time zone goes into.
void CheckMoments(const Table& table, const config::ColumnMigration& set, const config::NewColumn& fresh, bool maria, Findings* findings) {
  const std::string to = Lower(fresh.type), from = Lower(fresh.from), full = fmt::format("{}.{}.{}", table.schema, table.name, fresh.name);
  const bool day = StartsWith(to, {"date", "timestamp"});
  const auto has = [&](std::initializer_list<std::string_view> words) { return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return from.find(word) != std::string::npos; }); };
  for (const std::string& name : set.old_columns) {
    const Column* old = table.FindColumn(name);
    if (old == nullptr) continue;
    const std::string type = Lower(old->type);
    if (StartsWith(type, {"time"}) && !StartsWith(type, {"timestamp"}) && (day || has({"date", "timestamp", "day", "month", "year", "quarter", "-"})))
      AddError(findings, fmt::format("{} is made of {}, a TIME: as a date it is of the session's current day", full, name), "make a TIME, a text or a number of it");
    if (!maria && day && !old->charset.empty() && !has({"left(", "substr", "mid(", "regexp", "concat"}))
      AddError(findings, fmt::format("{} is made of {}, a text: one with an offset ('…+02:00') would be taken to the session's time zone", full, name), "take the part without it: LEFT(…, 19)");
  }
}

// The collation that a declared type names; empty: none.
std::string CollationOf(const std::string& declared) {
  const std::string type = Lower(declared);
  const size_t at = type.find("collate");
  if (at == std::string::npos) return StartsWith(type, {"binary", "varbinary"}) ? "binary" : "";
  const size_t begin = type.find_first_not_of(" '\"", at + 7);
  return begin == std::string::npos ? "" : type.substr(begin, type.find_first_of(" '\")", begin) - begin);
}

// Values that are different on the old side must be so on the new one, where a unique index stands over them.
void CheckUnique(const Table& table, const config::ColumnMigration& set, Findings* findings) {
  const Column* old = table.FindColumn(set.old_columns[0]);
  const auto from = rewrite::ColumnExpression::Parse(set.new_columns[0].from);
  if (old == nullptr || !from.ok()) return;
  const bool unique = std::any_of(table.indexes.begin(), table.indexes.end(), [&](const rewrite::Index& index) {
    return index.unique && std::any_of(index.columns.begin(), index.columns.end(), [&](const std::string& c) { return SameName(c, old->name); });
  });
  const bool replaces = set.new_columns.size() == 1 && SameName(set.final_name, old->name);
  if (!unique || (!set.of_key && !replaces)) return;
  const Column fresh = Declared(set.new_columns[0]);
  const std::string name = fmt::format("{}.{}.{}", table.schema, table.name, old->name), type = Lower(set.new_columns[0].type);
  if (!old->collation.empty() && !fresh.charset.empty()) {
    const std::string collation = CollationOf(type);
    if (collation != Lower(old->collation) && !collation.ends_with("_bin")) {
      AddError(findings, fmt::format("{} is unique as {} tells its values apart, the new column {}: two values could become one", name, old->collation,
                                     collation.empty() ? "says no collation" : "as " + collation + " does"),
               fmt::format("say in its type: COLLATE {}, or one that ends in _bin", old->collation));
    }
  }
  if (from->IsColumn() && old->type_class == rewrite::TypeClass::kInteger && fresh.type_class == rewrite::TypeClass::kInteger && !rewrite::Holds(fresh, *old)) {
    AddError(findings, fmt::format("{} is {}, and {} does not hold all of its values", name, old->type, set.new_columns[0].type), "use a wider integer, signed where the old one is");
  }
}

}  // namespace

void CheckColumnMigration(const Table& table, const config::ColumnMigration& set, bool maria, Findings* findings) {
  const std::string name = fmt::format("{}.{}", table.schema, table.name);
  std::vector<std::string> fresh_names;
  for (const std::string& old : set.old_columns) CheckOld(table, old, set.of_key, findings);
  CheckUnique(table, set, findings);
  for (const config::NewColumn& fresh : set.new_columns) {
    fresh_names.push_back(fresh.name);
    CheckExpression(name, fresh.name, fresh.from, set.old_columns, "old", findings);
    CheckMoments(table, set, fresh, maria, findings);
    if (rewrite::StoredBytes(Declared(fresh), "x").empty()) {
      AddError(findings, fmt::format("{}.{} is to be {}: values of this type cannot be compared for certain", name, fresh.name, fresh.type), "use DECIMAL, an integer, a character type, DATE, TIME or DATETIME");
    }
    const Column* source = set.old_columns.size() == 1 ? table.FindColumn(set.old_columns[0]) : nullptr;
    if (source != nullptr && !source->charset.empty() && StartsWith(Lower(fresh.type), {"char("}) && !StartsWith(Lower(source->type), {"char(", "enum", "set"}))
      AddWarning(findings, fmt::format("{}.{} is to be {}, which keeps no blanks at the end of a text; comparing does not tell", name, fresh.name, fresh.type), "use VARCHAR, if they matter");
    const Column* there = table.FindColumn(fresh.name);
    if (there != nullptr && (!there->nullable || !there->invisible || there->generated)) {
      AddError(findings, fmt::format("{}.{} exists already, but not as a nullable, invisible column", name, fresh.name), "choose another name, or drop it");
    }
  }
  for (const config::ColumnMigration::Back& back : set.back) CheckExpression(name, back.column, back.expression, fresh_names, "new", findings);
  if (set.back.size() < set.old_columns.size()) {
    AddInfo(findings, fmt::format("{}: an old column without a way back is read and written by its own name until retire, and refused from then on", name));
  }
  const bool taken = !set.final_name.empty() && !SameName(set.final_name, set.old_columns[0]) && !SameName(set.final_name, set.new_columns[0].name);
  if (taken && table.FindColumn(set.final_name) != nullptr) {
    AddError(findings, fmt::format("{}: the final name {} is that of another column", name, set.final_name), "choose another");
  }
  const bool replaces = set.old_columns.size() == 1 && SameName(set.final_name, set.old_columns[0]);
  for (const rewrite::Index& index : table.indexes) {
    for (const std::string& old : set.old_columns) {
      if (replaces || set.of_key || std::none_of(index.columns.begin(), index.columns.end(), [&](const std::string& c) { return SameName(c.substr(0, c.find('(')), old); })) continue;
      AddWarning(findings, fmt::format("{}: the index {} goes with {} in contract", name, index.name, old), "add one on the new columns if statements need it");
      break;
    }
  }
  const Column* first = table.FindColumn(set.old_columns[0]);
  if (replaces && first != nullptr && first->has_default) {
    AddWarning(findings, fmt::format("{}.{} has a default value; the column that takes its place will have none", name, first->name), "give it one after contract");
  }
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// References of a table to itself. In INSERT, MariaDB looks the new key up in the table that is written, by what is stored, and sees the
// rows written before by the same statement. MySQL (and MariaDB in UPDATE) reads that table only through a derived table, which no
// column of the row can be handed into and which sees the table as it was before: there the value itself is looked up, and rows that come
// with the same statement are named one by one.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {
bool RefersToItself(const MigratingTable& table, const KeyColumn& column) {
  if (column.own) return false;
  for (const KeyColumn& other : table.keys)
    if (other.own && other.key == column.key) return true;
  return false;
}

std::string SelfLookup(Context& context, Reader& reader, const MigratingTable& table, const KeyColumn& column, Expr& value, const Scope& scope) {
  const Key& key = *column.key;
  bool is_value = false;
  const ValueShape shape = context.ShapeFor(key, value, &is_value);
  if (is_value && key.either && shape == key.new_shape)
    return context.DerivedLookup(key, column.key->spec->new_column, column.key->spec->new_column, context.editor.Emit(value.span), true);
  const Column* stored = table.table != nullptr ? table.table->FindColumn(column.old_name) : nullptr;
  if (shape == ValueShape::kNull) return "NULL";
  const bool strict = (context.facts.sql_mode & kStrict) != 0;
  std::string text = is_value ? RepeatInLookup(context, reader, key, value, scope, stored) : "";
  // What does not fit is cut where the mode is not strict.
  const bool number = shape == ValueShape::kInteger && key.old_shape == ValueShape::kString;
  if (number || (!strict && is_value && context.ComparesAs(value, key.old_shape))) text = AsStored(stored, context.editor.Emit(value.span));
  if (text.empty()) return "";
  return context.LookupToWrite(key, true, text);
}

std::string SelfReferenceOfRow(Context& context, const MigratingTable& table, const KeyColumn& column, const SelfRow& row, const std::vector<SelfRow>& before,
                               bool replace, Plan::Guard guard) {
  const std::string t = QuoteName(table.name) + ".";
  const std::string ro = t + QuoteName(column.old_name);
  const Key& key = *column.key;
  const std::string own = fmt::format("{}{} THEN {}{}", t, QuoteName(key.spec->old_column), t, QuoteName(key.spec->new_column));
  std::string lookup = row.lookup, cases = fmt::format("CASE {}", ro);
  if (context.dialect.flavor == Flavor::kMariaDb) {
    lookup = context.LookupToWrite(key, true, ro);
  } else if (lookup == "NULL" || context.refused) {
    return lookup;
  } else {
    if (before.size() >= kSelfRowsAtOnce)
      context.Refuse(key, fmt::format("an INSERT of more than {} rows into a table that refers to itself", kSelfRowsAtOnce), "insert fewer rows at once");
    for (const SelfRow& other : before) {
      if (!key.fresh.empty()) context.Refuse(key, "several rows of a table that refers to itself, whose keys the server makes", "insert one row at once");
      if (other.old_key.empty()) context.Refuse(key, fmt::format("{} is computed, in a table that refers to itself", key.spec->old_column), "give it as a literal or a parameter");
      if (context.refused) return lookup;
      cases += fmt::format(" WHEN {} THEN {}", other.old_key, other.new_key);
    }
  }
  cases += fmt::format(" WHEN {} END", own);
  // The server has not numbered the row yet: what the foreign key finds, and no row before has, is the row itself.
  const Column* number = table.table != nullptr ? table.table->FindColumn(key.spec->old_column) : nullptr;
  if (!replace && number != nullptr && number->auto_increment && context.dialect.flavor == Flavor::kMariaDb)
    cases += fmt::format(", IF({} IS NULL, NULL, {}{})", ro, t, QuoteName(key.spec->new_column));
  const std::string missing = context.IfMissing(table, column, ro, replace && key.filling ? Plan::kUnguarded : guard);
  std::string text;
  if (replace) {
    text = fmt::format("COALESCE({}, {}{}", cases, lookup, missing);
  } else if (key.filling) {
    // A row that is there and waits for its number keeps waiting: IGNORE and ON DUPLICATE KEY UPDATE leave it as it is.
    const std::string column = fmt::format("{}.{}", context.alias, QuoteName(key.spec->new_column));
    lookup.replace(lookup.find(column), column.size(), fmt::format("COALESCE({}, {})", column, key.nothing));
    text = fmt::format("NULLIF(COALESCE({}, {}{}), {}", lookup, cases, missing, key.nothing);
  } else {
    text = fmt::format("COALESCE({}, {}{}", lookup, cases, missing);
  }
  const Column* stored = table.table != nullptr ? table.table->FindColumn(column.new_name) : nullptr;
  return text + (stored == nullptr || stored->nullable ? ")" : ", " + key.nothing + ")");
}

std::string SelfAssigned(Context& context, Reader& reader, const MigratingTable& table, const KeyColumn& column, Expr& value, const Scope& scope, const AssignUse& use, bool* aliased) {
  const auto added = [&]() -> size_t {
    for (size_t i = 0; i < use.added.size(); ++i)
      if (NameEq(use.added[i], column.new_name)) return i;
    return use.added.size();
  };
  std::string text;
  if (const std::optional<size_t> at = RowAliasColumn(value, use)) {
    const std::string name = use.insert->row_alias_columns.empty() ? QuoteName(column.new_name) : fmt::format("`cf_{}`", added());
    if (NameEq(use.columns[*at], column.old_name) && added() < use.added.size()) return QuoteName(use.insert->row_alias.text) + "." + name;
  } else if (value.kind == ExprKind::kValues && !value.children.empty()) {
    const bool itself = NameEq(value.children[0]->parts.back().text, column.old_name), same = itself && added() < use.added.size();
    if (itself && !same && !column.has_default) return "NULL";  // not given: the default
    if (same && context.dialect.version < 80019) return fmt::format("VALUES({})", QuoteName(column.new_name));
    if (same && ValuesOnce(context, value, use, aliased, "") != "") return fmt::format("`cf_row`.`cf_{}`", use.columns.size() + added());
  } else {
    text = SelfLookup(context, reader, table, column, value, scope);
    if (use.insert != nullptr && text != "NULL") {  // error 1093 there even for a derived table
      context.Refuse(*column.key, fmt::format("ON DUPLICATE KEY UPDATE gives {} another value than the row's, in a table that refers to itself", column.old_name), "assign VALUES() of it");
    }
  }
  if (text.empty())
    context.Refuse(*column.key, fmt::format("{} is computed, in a table that refers to itself", column.old_name), "give it as a literal or a parameter");
  const Column* stored = table.table != nullptr ? table.table->FindColumn(column.new_name) : nullptr;
  return stored == nullptr || stored->nullable || text == "NULL" ? text : fmt::format("COALESCE({}, {})", text, column.key->nothing);
}

std::string SelfComparable(const Context& context, const Column* column, const std::string& text) {
  if (column == nullptr) return "";
  const bool cut = context.ignore || (context.facts.sql_mode & kStrict) == 0;  // else the server refuses what is too long
  if (!column->charset.empty()) {
    if (cut) return AsStored(column, text);
    const std::string there = fmt::format("CONVERT({} USING {})", text, column->charset);
    if (column->charset == "utf8mb4") return fmt::format("{} COLLATE {}", there, column->collation);
    // Letters that are lost there would be question marks, which a key may have.
    return fmt::format("IF(CONVERT({} USING utf8mb4) = CONVERT({} USING utf8mb4), {}, NULL) COLLATE {}", there, text, there, column->collation);
  }
  const std::string type = FoldName(column->type);
  if (type.rfind("binary(", 0) == 0) return fmt::format("TRIM(TRAILING x'00' FROM CAST({} AS BINARY))", text);
  if (type.rfind("varbinary(", 0) == 0) return fmt::format("CAST({} AS BINARY)", text);
  return column->type_class == TypeClass::kInteger ? text : "";
}

bool SelfAssignable(Context& context, Reader& reader, const std::vector<Assignment>& set, const Assignment& assignment, const Key& key, const Scope& scope) {
  for (const Assignment& other : set) {
    const Bound bound = reader.Resolve(*other.column, scope);
    const bool own = bound.column != nullptr && bound.column->own && bound.tag.key == &key;
    if (&other == &assignment || !own || StaysItself(other)) continue;
    context.Refuse(key, "an UPDATE of the key and of a reference to the same table", "change one after the other");
    return false;
  }
  return true;
}

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// See context.h.
#include "rewrite/context.h"

#include <algorithm>
#include <cstdlib>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/new_key.h"
#include "rewrite/stored_form.h"

namespace crossfade::rewrite {
namespace {

ValueShape Plain(ValueShape shape) { return shape == ValueShape::kWide ? ValueShape::kString : shape; }

}  // namespace

void Context::Refuse(const config::Migration& migration, std::string_view why, std::string_view advice) {
  if (refused) return;
  refused = true;
  plan->reason = fmt::format("{}: {}; {}", migration.name, why, advice);
}

void Context::Note(std::string_view text) {
  if (why.find(text) != std::string::npos) return;
  if (!why.empty()) why += "; ";
  why += text;
}

void Context::Touch(const MigratingTable& table, bool write) {
  plan->touched |= table.migrations;
  if (table.active) active = true;
  if (!write) return;
  plan->writes = true;
  writes |= table.migrations;
}

uint32_t Context::NewSlot(const Key& key, KeySlot::Use use, bool exact, bool variable) {
  plan->key_slots.push_back({key.migration, key.index, use, exact, variable});
  return static_cast<uint32_t>(plan->key_slots.size() - 1);
}

ValueShape Context::ShapeOf(const Expr& expr, bool* is_value) {
  *is_value = true;
  switch (expr.kind) {
    case ExprKind::kString:
      return Plain(ShapeOfText(expr.text, world.integers_go()));
    case ExprKind::kHex: return ValueShape::kString;
    case ExprKind::kInteger:
    case ExprKind::kBool: return ValueShape::kInteger;
    case ExprKind::kNull: return ValueShape::kNull;
    case ExprKind::kDecimal:
    case ExprKind::kFloat:
    case ExprKind::kBit:
    case ExprKind::kTemporal: return ValueShape::kOther;
    case ExprKind::kUnary:
      if (expr.op == Op::kNeg && expr.children.size() == 1) {
        const ExprKind inner = expr.children[0]->kind;
        if (inner == ExprKind::kInteger) return ValueShape::kInteger;
        if (inner == ExprKind::kDecimal || inner == ExprKind::kFloat) return ValueShape::kOther;
      }
      break;
    case ExprKind::kParam: {
      std::vector<uint32_t>& list = plan->shape_params;
      if (std::find(list.begin(), list.end(), expr.param_index) == list.end()) list.push_back(expr.param_index);
      if (shapes != nullptr && expr.param_index < shapes->size()) return Plain((*shapes)[expr.param_index]);
      return ValueShape::kUnknown;
    }
    default: break;
  }
  *is_value = false;
  return ValueShape::kUnknown;
}

bool Context::WarnsEachTime(const Expr& expr) const {
  if (dialect.flavor != Flavor::kMySql || dialect.version < 80000 || expr.kind != ExprKind::kString) return false;
  return NameEq(expr.charset, "utf8") || NameEq(expr.charset, "utf8mb3") || (Word(expr.span.begin)[0] | 0x20) == 'n';
}

bool Context::IsWide(const Expr& expr) {
  if (!world.integers_go() || NameEq(expr.charset, "binary") || (expr.kind != ExprKind::kString && expr.kind != ExprKind::kParam)) return false;
  plan->by_letters = true;
  if (expr.kind == ExprKind::kString) return letters && ShapeOfText(expr.text, true) == ValueShape::kWide;
  bool is_value = false;
  (void)ShapeOf(expr, &is_value);  // the plan depends on it
  return letters && shapes != nullptr && expr.param_index < shapes->size() && (*shapes)[expr.param_index] == ValueShape::kWide;
}

std::string Context::Within(const Column* column, const Expr& value, std::string_view nothing, const std::string& text) {
  if (column == nullptr || column->charset.empty() || column->collation.empty() || column->charset == "utf8mb4" || column->charset == "binary" || !IsWide(value)) return text;
  if (column->charset == "ascii") return WarnsEachTime(value) ? fmt::format("LEFT({}, 0)", text) : std::string(nothing);
  // On MySQL this character set's name is deprecated, which would be warned of.
  if (column->charset == "utf8mb3" || column->charset == "utf8" || WarnsEachTime(value)) return text;
  // A parameter of MySQL's is of the character set that it is given in first: one that has all letters.
  const std::string all = fmt::format("CONVERT({} USING utf8mb4)", text), there = fmt::format("CONVERT({} USING {})", all, column->charset);
  return fmt::format("IF(CONVERT({} USING utf8mb4) <> {}, {}, {} COLLATE {})", there, all, nothing, there, column->collation);
}

const Column* Context::NewColumn(const Key& key) const {
  const MigratingTable* own = world.Find(key.schema, key.spec->table);
  return own != nullptr && own->table != nullptr ? own->table->FindColumn(key.spec->new_column) : nullptr;
}

ValueShape Context::ShapeFor(const Key& key, const Expr& expr, bool* is_value) {
  const ValueShape shape = ShapeOf(expr, is_value);
  if (expr.kind == ExprKind::kHex && key.old_shape == ValueShape::kInteger) {
    // The servers read it as a number beside one, unless it is as long as a key of bytes.
    cacheable = false;
    const std::string_view text = Word(expr.span.begin);
    const size_t digits = text.size() - (text.starts_with("0x") ? 2 : 3);
    return digits == 32 || NameEq(expr.charset, "binary") ? ValueShape::kString : ValueShape::kInteger;
  }
  const ValueShape beside = shape == ValueShape::kNumeric ? key.old_shape : shape != ValueShape::kFraction ? shape : key.old_shape == ValueShape::kInteger ? ValueShape::kOther : ValueShape::kString;
  if (*is_value) OldValue(key, beside);
  return beside;
}

bool Context::ComparesAs(const Expr& expr, ValueShape shape) {
  if (expr.kind == ExprKind::kHex || expr.kind == ExprKind::kNull || NameEq(expr.charset, "binary") || WarnsEachTime(expr)) return false;
  bool is_value = false;
  ValueShape own = ShapeOf(expr, &is_value);
  if (own == ValueShape::kFraction && shape == ValueShape::kString) own = shape;
  if (own == ValueShape::kNumeric) own = shape;  // stored and compared as the number that it reads as
  return is_value && (own == shape || (expr.kind == ExprKind::kParam && own == ValueShape::kUnknown));
}

std::string Context::OwnTable(const Key& key) { return QuoteName(key.schema) + "." + QuoteName(key.spec->table); }

std::string Context::Lookup(const Key& key, bool to_new, const std::string& value) const {
  const std::string& to = to_new ? key.spec->new_column : key.spec->old_column;
  const std::string& from = to_new ? key.spec->old_column : key.spec->new_column;
  if (OnlyDerived(key)) return DerivedLookup(key, to, from, value, false);
  return fmt::format("(SELECT {0}.{1} FROM {2} AS {0} WHERE {0}.{3} = {4})", alias, QuoteName(to), OwnTable(key),
                     QuoteName(from), value);
}

bool Context::OnlyDerived(const Key& key) const {
  if (dialect.flavor != Flavor::kMySql && !updates) return false;
  return std::any_of(targets.begin(), targets.end(), [&](const MigratingTable* table) {
    return std::any_of(table->keys.begin(), table->keys.end(), [&](const KeyColumn& column) { return column.own && column.key == &key; });
  });
}

// LIMIT: so that it is not merged.
std::string Context::DerivedLookup(const Key& key, const std::string& to, const std::string& from, const std::string& value, bool lock) const {
  return fmt::format("(SELECT {0}.{1} FROM (SELECT {1} FROM {2} WHERE {3} = {4} LIMIT 1{5}) AS {0})", alias, QuoteName(to), OwnTable(key), QuoteName(from), value,
                     lock ? " LOCK IN SHARE MODE" : "");
}

std::string Context::LookupToWrite(const Key& key, bool to_new, const std::string& value) const {
  if (OnlyDerived(key)) {
    return to_new ? DerivedLookup(key, key.spec->new_column, key.spec->old_column, value, true)
                  : DerivedLookup(key, key.spec->old_column, key.spec->new_column, value, true);
  }
  std::string text = Lookup(key, to_new, value);
  text.insert(text.size() - 1, " LOCK IN SHARE MODE");
  return text;
}

std::string Context::LookupToStore(const MigratingTable& table, const KeyColumn& column, const std::string& value) const {
  const std::string text = LookupToWrite(*column.key, true, value);
  const Column* stored = table.table != nullptr ? table.table->FindColumn(column.new_name) : nullptr;
  // NOT NULL from the swap of the keys on: 0, which is no key, so that the foreign key refuses the row (1452), not the column (1048).
  return stored == nullptr || stored->nullable ? text : fmt::format("COALESCE({}, {})", text, column.key->nothing);
}

std::string Context::IfMissing(const MigratingTable& table, const KeyColumn& column, const std::string& ro, Plan::Guard guard) {
  if (explained || !facts.foreign_key_checks || table.table == nullptr) return "";
  // Where the new column has its foreign key already, that refuses the row.
  const Column* stored = table.table->FindColumn(column.new_name);
  if (stored == nullptr || !stored->nullable) return "";
  const auto checks = [&](const ForeignKey& foreign) {
    const auto at = std::find_if(foreign.columns.begin(), foreign.columns.end(), [&](const std::string& each) { return NameEq(each, column.old_name); });
    const auto i = static_cast<size_t>(at - foreign.columns.begin());
    return i < foreign.columns.size() && NameEq(foreign.ref_table, column.key->spec->table) && NameEq(foreign.ref_columns[i], column.key->spec->old_column);
  };
  if (!std::any_of(table.table->foreign_keys.begin(), table.table->foreign_keys.end(), checks)) return "";
  bool reached = guard != Plan::kUnguarded && alone && !wrapped && !assigns && stored->type_class != TypeClass::kOther;
  for (size_t at = ro.find('\x01'); reached && at != std::string::npos; at = ro.find('\x01', at + 1))
    reached = tokens.Text(static_cast<uint32_t>(std::strtoul(ro.c_str() + at + 1, nullptr, 10))) != "?";  // another number of parameters
  const std::string marked = Mark(table, column, ro);
  plan->unmarked = plan->unmarked || marked.empty();
  if (!reached) {
    plan->exposed = true;
    return marked;
  }
  plan->guard = std::max(plan->guard, guard);
  std::string error = fmt::format("{} ISNULL({}))", kMissingParent, ro);
  if (FoldName(stored->type).rfind("uuid", 0) == 0) error = fmt::format("CAST({} AS CHAR)", error);  // numbers and UUIDs have no type in common
  return fmt::format("\x06, CASE WHEN {} IS NOT NULL THEN {} END\x07{}", ro, error, marked);
}

std::string Context::Mark(const MigratingTable& table, const KeyColumn& column, const std::string& ro) {
  const Key& key = *column.key;
  const Table& stored = *table.table;
  if (key.filling || stored.FindColumn(column.new_name)->type_class == TypeClass::kOther) return "";
  // Rows with the same mark must neither meet in a unique index, nor take long to be found.
  bool found = false;
  for (const Index& index : stored.indexes) {
    for (const std::string& each : index.columns) {
      if (!NameEq(each, column.new_name)) continue;
      if (index.unique) return "";
      found = found || &each == index.columns.data();
    }
  }
  for (size_t at = ro.find('\x01'); at != std::string::npos; at = ro.find('\x01', at + 1))
    if (tokens.Text(static_cast<uint32_t>(std::strtoul(ro.c_str() + at + 1, nullptr, 10))) == "?") return "";
  if (!found) return "";
  const std::string name = fmt::format("{}.{}", QuoteName(stored.schema), QuoteName(stored.name)), rn = QuoteName(column.new_name);
  const std::string no_key = NoKeyOfSession(key.spec->new_type);
  Plan::Mark mark;
  mark.find = fmt::format("EXISTS (SELECT 1 FROM {} WHERE {} = {})", name, rn, no_key);
  if (std::none_of(plan->marks.begin(), plan->marks.end(), [&](const Plan::Mark& other) { return other.find == mark.find; })) {
    mark.mend = fmt::format("UPDATE {} AS {}_r LEFT JOIN {} AS {} ON {}.{} = {}_r.{} SET {}_r.{} = {}.{}", name, alias, OwnTable(key), alias, alias, QuoteName(key.spec->old_column), alias,
                            QuoteName(column.old_name), alias, rn, alias, QuoteName(key.spec->new_column));
    for (const Column& each : stored.columns)
      if (each.stamped) mark.mend += fmt::format(", {0}_r.{1} = {0}_r.{1}", alias, QuoteName(each.name));
    mark.mend += fmt::format(" WHERE {}_r.{} = {}", alias, rn, no_key);
    plan->marks.push_back(std::move(mark));
  }
  return fmt::format("\x04, CASE WHEN {} IS NOT NULL THEN {} END\x07", ro, no_key);
}

std::string Context::LookupToStore(const MigratingTable& table, const KeyColumn& column, const std::string& value, const std::string& ro, Plan::Guard guard) {
  std::string text = LookupToStore(table, column, value);
  return Guarded(table, column, std::move(text), ro, guard);
}

std::string Context::Guarded(const MigratingTable& table, const KeyColumn& column, std::string text, const std::string& ro, Plan::Guard guard) {
  const std::string missing = IfMissing(table, column, ro, guard);
  if (missing.empty()) return text;
  if (!column.key->filling) {
    const bool guarded = missing.find('\x06') != std::string::npos, marked = missing.find('\x04') != std::string::npos;
    return fmt::format("{}{}{}{}{}{}", guarded ? "\x06" "COALESCE(\x07" : "", marked ? "\x04" "COALESCE(\x07" : "", text, missing, guarded ? "\x06)\x07" : "", marked ? "\x04)\x07" : "");
  }
  // A parent that is there may wait for its number.
  const std::string number = fmt::format("{}.{}", alias, QuoteName(column.key->spec->new_column));
  text.replace(text.find(number), number.size(), fmt::format("\x06" "COALESCE(\x07{}\x06, {})\x07", number, column.key->nothing));
  return fmt::format("\x06NULLIF(COALESCE(\x07{}{}\x06), {})\x07", text, missing, column.key->nothing);
}

}  // namespace crossfade::rewrite

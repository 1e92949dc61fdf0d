// SPDX-License-Identifier: Apache-2.0
// The generator's writes: INSERT, REPLACE, UPDATE and DELETE of the parent and the child.
#include <algorithm>

#include "fmt/format.h"
#include "tests/integration/twin/generator.h"

namespace crossfade::twin {

Statement Generator::Write(size_t schema, const Lexis& lexis) {
  Begin(schema, lexis, "");
  statement_.locks = true;
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  const bool few_parents = rows_[schema].parents < 120, few_children = rows_[schema].children < 300;
  const bool many_children = rows_[schema].children > 900;
  unsigned dice = static_cast<unsigned>(random_.Below(100));
  if (few_parents && random_.Chance(50)) dice = 0;
  if (few_children && random_.Chance(50)) dice = 30;
  if (many_children && random_.Chance(30)) dice = 85;
  if (dice < 20) InsertInto(parent, false);
  else if (dice < 26) InsertInto(parent, true);
  else if (dice < 46) InsertInto(child, false);
  else if (dice < 52) InsertInto(child, true);
  else if (dice < 55) InsertSelect(random_.Chance(20));
  else if (dice < 66) Update(parent);
  else if (dice < 80) Update(child);
  else if (dice < 84) Delete(parent);
  else if (dice < 93) Delete(child);
  else JoinWrite();
  return Finish();
}

// A value of an INSERT. What REPLACE does to the row that has the key already takes the key as it is written;
// and where either kind finds a row, a computed reference may be of either.
void Generator::Given(const Column& column) {
  const bool computed = Expression(column);
  const std::optional<Value>& value = statement_.pieces.back().value;
  const bool null = value.has_value() && std::holds_alternative<std::nullptr_t>(value->data);
  if (column.kind == Kind::kKey && null && statement_.label == "replace parent") statement_.refusable = true;
  // Where the mode is not strict, a number may be stored as another one.
  if (schema_->integer_keys && column.kind == Kind::kKey && statement_.label == "replace parent") statement_.refusable = true;
  // MySQL: rows that come later may refer to this one.
  if (column.kind == Kind::kKey && schema_->refers_to_itself && (computed || null)) statement_.refusable = true;
  if (!computed) return;
  if (column.kind == Kind::kKey ? statement_.label == "replace parent" : mode_.either_key) statement_.refusable = true;
}

void Generator::InsertRows(const std::vector<const Column*>& columns) {
  const int rows = random_.Chance(50) ? 1 : random_.Between(2, 6);
  T(random_.Chance(90) ? " VALUES " : " VALUE ");
  // Rarely one value too few or too many.
  const int uneven = random_.Chance(1) ? (random_.Chance(50) ? 1 : -1) : 0;
  for (int row = 0; row < rows; ++row) {
    T(row > 0 ? ", (" : "(");
    const int count = static_cast<int>(columns.size()) + (row == rows - 1 ? uneven : 0);
    for (int i = 0; i < count; ++i) {
      if (i > 0) T(", ");
      if (i < static_cast<int>(columns.size())) Given(*columns[i]);
      else T("1");
    }
    T(")");
  }
}

void Generator::InsertInto(const Table& table, bool replace) {
  const bool of_parent = &table == &schema_->parent;
  statement_.label = fmt::format("{} {}", replace ? "replace" : "insert", of_parent ? "parent" : "child");
  const bool ignore = !replace && random_.Chance(12);
  T(replace ? "REPLACE" : "INSERT");
  if (random_.Chance(4)) T(replace ? " LOW_PRIORITY" : random_.OneOf({" LOW_PRIORITY", " HIGH_PRIORITY"}));
  if (ignore) T(" IGNORE");
  T(random_.Chance(92) ? " INTO " : " ");
  T(TableName(table));
  // A serial key is mostly left out; the parent's key mostly given.
  const bool serial = table.key().kind == Kind::kSerial;
  const bool with_key = serial ? random_.Chance(replace ? 60 : 20) : random_.Chance(of_parent && schema_->integer_keys ? 70 : 98);
  std::vector<const Column*> columns = SomeColumns(table, with_key);
  if (of_parent && !with_key && (replace || schema_->refers_to_itself)) statement_.refusable = true;
  // From retire on an old reference has a default, so that it can be left out: whoever leaves it to that is refused.
  for (const Column& column : table.columns) {
    const bool given = std::any_of(columns.begin(), columns.end(), [&](const Column* one) { return one == &column; });
    if (mode_.retired && column.kind == Kind::kReference && !column.nullable && !given) statement_.refusable = true;
  }
  const unsigned form = static_cast<unsigned>(random_.Below(100));
  // With and without a list of columns, and SET.
  if (form < 12) {
    columns.clear();
    for (const Column& column : table.columns) columns.push_back(&column);
    InsertRows(columns);
  } else if (form < 30 && !columns.empty()) {
    T(" SET ");
    for (size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) T(", ");
      T(Id(columns[i]->name) + " = ");
      Given(*columns[i]);
    }
  } else {
    T(" (");
    for (size_t i = 0; i < columns.size(); ++i) T((i > 0 ? ", " : "") + Id(columns[i]->name));
    T(")");
    InsertRows(columns);
  }
  if (!replace && random_.Chance(25)) {
    statement_.label += " on duplicate";
    OnDuplicate(table);
  }
  if (mode_.engine == servers::Engine::kMariaDb && random_.Chance(6)) {
    statement_.label += " returning";
    T(" RETURNING ");
    Items(table, "", 0);
  }
}

void Generator::OnDuplicate(const Table& table) {
  T(" ON DUPLICATE KEY UPDATE ");
  const int count = random_.Between(1, 2);
  std::string before;
  for (int i = 0; i < count; ++i) {
    if (i > 0) T(", ");
    const Column& column = table.columns[random_.Between(1, static_cast<int>(table.columns.size()) - 1)];
    if (column.kind == Kind::kReference && column.name == before) statement_.refusable = true;  // assigned twice
    before = column.name;
    const std::string name = Id(column.name);
    T(name + " = ");
    const bool gone = mode_.retired && column.kind == Kind::kReference;
    if (!gone && random_.Chance(35)) T("VALUES(" + name + ")");
    else if (!gone && column.kind != Kind::kStamp && random_.Chance(10)) T(name);
    else {
      V(ValueFor(column));
      // MySQL: error 1093, as for any subquery on the table there.
      if (&table == &schema_->parent && column.kind == Kind::kReference && mode_.engine == servers::Engine::kMySql) statement_.refusable = true;
    }
  }
}

void Generator::InsertSelect(bool replace) {
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  const bool serial = child.key().kind == Kind::kSerial;
  statement_.label = replace ? "replace select" : "insert select";
  if (!mode_.new_cohort && random_.Chance(15)) {
    // Into the parent: needs a number for each row, so it may be refused.
    statement_.refusable = true;
    statement_.label += " parent";
    T(replace ? "REPLACE INTO " : "INSERT IGNORE INTO ");
    T(TableName(parent) + fmt::format(" ({}) SELECT CONCAT('n', {}) FROM {} ORDER BY {} LIMIT 2", Id(parent.key().name),
                                      schema_->other.columns[0].name, schema_->other.name, schema_->other.columns[0].name));
    return;
  }
  const Column& reference = child.columns[1];
  T(replace ? "REPLACE INTO " : (random_.Chance(30) ? "INSERT IGNORE INTO " : "INSERT INTO "));
  T(TableName(child) + " (");
  if (!serial) T(Id(child.key().name) + ", ");
  T(Id(reference.name) + ", " + Id(child.columns.back().kind == Kind::kStamp ? "weight" : "weight") + ") SELECT ");
  if (!serial) T("CONCAT('c', SUBSTR(p." + Id(parent.columns[1].name) + ", 1, 9), " + std::to_string(random_.Between(0, 99)) + "), ");
  T("p." + Id(parent.key().name) + ", " + std::to_string(random_.Between(0, 99)) + " FROM " + TableName(parent) + " p");
  if (KeyOrderHolds(parent)) {
    Where(parent, "p");
  } else {  // of several rows that are equal but for the key another one may be the first
    T(" WHERE p." + Id(parent.key().name) + " = ");
    V(KeyValue(true));
  }
  // The order decides which row gets which serial key.
  T(" ORDER BY " + std::string(KeyOrderHolds(parent) ? "p." + parent.key().name : "p." + parent.columns[1].name + ", p." + parent.columns[2].name) + " LIMIT 4");
  if (!KeyOrderHolds(parent) || mode_.retired) statement_.refusable = true;
}

// MySQL's IGNORE leaves children changed whose parent then stays as it was (rewrite/rule_ignore.cc), which of them depends
// on the order of the foreign keys, and that on the table's past: no two servers need agree. Crossfade refuses it.
bool Generator::HalfDone(const Table& table) const {
  return mode_.engine == servers::Engine::kMySql && schema_->cascades && &table == &schema_->parent;
}

// True: the parent's own key is assigned.
bool Generator::Set(const Table& table, const std::string& alias, bool one_row) {
  bool own_key = false, up = false;
  T(" SET ");
  const int count = random_.Chance(70) ? 1 : 2;
  std::string before;
  for (int i = 0; i < count; ++i) {
    if (i > 0) T(", ");
    const Column* column = &table.columns[random_.Between(1, static_cast<int>(table.columns.size()) - 1)];
    // From retire on a changed name is no matter of the foreign keys any more, which may refuse it directly.
    if (&table == &schema_->parent && one_row && random_.Chance(20) && !mode_.retired) column = &table.key();
    own_key = own_key || column->kind == Kind::kKey;
    up = up || (column->kind == Kind::kReference && &table == &schema_->parent);
    // Of many rows only what cannot fail at one of them.
    if (!one_row && column->kind == Kind::kUnique) column = &table.columns[2];
    if (column->kind == Kind::kReference && column->name == before) statement_.refusable = true;  // assigned twice
    before = column->name;
    const std::string name = (alias.empty() ? "" : alias + ".") + Id(column->name);
    T(name + " = ");
    const bool reference = column->kind == Kind::kReference;
    if (reference && !mode_.retired && random_.Chance(8)) {
      T(name);
    } else if (reference && !mode_.new_cohort && !schema_->integer_keys && random_.Chance(10)) {
      T(random_.OneOf({"UPPER(", "LOWER(", "TRIM("}) + name + ")");
      if (schema_->refers_to_itself) statement_.refusable = true;
    } else if (reference && !mode_.new_cohort && random_.Chance(8)) {
      if (schema_->refers_to_itself) statement_.refusable = true;
      T("(SELECT MIN(" + schema_->parent.key().name + ") FROM " + schema_->parent.name + ")");
    } else if ((column->kind == Kind::kInteger || column->kind == Kind::kDecimal) && random_.Chance(50)) {
      T(name + " + ");
      V({int64_t{random_.Between(0, 3)}});
    } else if (one_row) {
      Expression(*column);
    } else if (column->kind == Kind::kText) {
      V({std::string("many")});
    } else if (column->kind == Kind::kInteger || column->kind == Kind::kDecimal) {
      V({int64_t{random_.Between(0, 300)}});
    } else if (column->kind == Kind::kStamp || column->kind == Kind::kTime) {
      V({std::string("2023-01-01 00:00:00")});
    } else {
      V(ValueFor(*column));
    }
  }
  if (own_key && up) statement_.refusable = true;
  return own_key;
}

void Generator::Update(const Table& table) {
  const bool of_parent = &table == &schema_->parent;
  statement_.label = of_parent ? "update parent" : "update child";
  const bool ignore = random_.Chance(4) && (!HalfDone(table) || mode_.both_sides);
  T(ignore ? "UPDATE IGNORE " : "UPDATE ");
  std::string alias;
  T(TableName(table));
  if (random_.Chance(20)) {
    alias = "t";
    T(random_.Chance(50) ? " t" : " AS t");
  }
  const bool one_row = random_.Chance(60);
  if (Set(table, alias, one_row) && ignore && HalfDone(table)) statement_.refusable = true;
  const std::string prefix = alias.empty() ? "" : alias + ".";
  if (one_row) {
    const Column& key = table.key();
    T(" WHERE " + prefix + Id(key.name) + " = ");
    V(key.kind == Kind::kKey ? KeyValue(true) : ValueFor(key));
    return;
  }
  Where(table, alias);
  if (KeyOrderHolds(table) && random_.Chance(40)) {
    T(OrderByKey(table, alias) + (random_.Chance(30) ? " DESC" : "") + " LIMIT ");
    V({int64_t{random_.Between(1, 6)}});
  }
}

void Generator::Delete(const Table& table) {
  const bool of_parent = &table == &schema_->parent;
  statement_.label = of_parent ? "delete parent" : "delete child";
  const bool ignore = random_.Chance(5) && (!HalfDone(table) || mode_.both_sides);
  if (ignore && HalfDone(table)) statement_.refusable = true;
  T(ignore ? "DELETE IGNORE FROM " : "DELETE FROM ");
  T(TableName(table));
  if (random_.Chance(60)) {
    const Column& key = table.key();
    T(" WHERE " + Id(key.name));
    T(" IN (");
    // The index that finds several parents decides which goes first, and with it whether one that a child refers to by both
    // references can go (1451): see docs/rewriting.md. So it is of members who sponsor each other.
    const bool in_order = of_parent && (schema_->refers_to_itself || (schema_->cascades && mode_.either_key));
    const int count = in_order ? 1 : random_.Between(1, 4);
    for (int i = 0; i < count; ++i) {
      if (i > 0) T(", ");
      V(key.kind == Kind::kKey ? KeyValue(true) : ValueFor(key));
    }
    T(")");
    if (mode_.engine == servers::Engine::kMariaDb && random_.Chance(6)) {
      statement_.label += " returning";
      T(" RETURNING ");
      Items(table, "", 0);
    }
    return;
  }
  T(" WHERE ");
  Condition(table, "");
  if (!KeyOrderHolds(table)) {
    T(" AND 1 = 0");
    return;
  }
  T(OrderByKey(table, "") + " LIMIT ");
  V({int64_t{random_.Between(1, 4)}});
}

void Generator::JoinWrite() {
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  const Column& reference = child.columns[1];
  const std::string on = fmt::format(" ON p.{} = c.{}", parent.key().name, reference.name);
  switch (random_.Below(4)) {
    case 0:
      statement_.label = "update join";
      T(fmt::format("UPDATE {} p JOIN {} c{} SET c.weight = c.weight + 1", TableName(parent), TableName(child), on));
      break;
    case 1:
      statement_.label = "update join parent";
      T(fmt::format("UPDATE {} p JOIN {} c{} SET p.{} = 7", TableName(parent), TableName(child), on, parent.columns[2].name));
      break;
    case 2:
      statement_.label = "delete join";
      T(fmt::format("DELETE c FROM {} p JOIN {} c{}", TableName(parent), TableName(child), on));
      T(" WHERE ");
      KeyComparison(parent.key(), "p.");
      return T(" AND c.weight < 50");
    default:
      // A reference set from a join: refused where both sides are written.
      statement_.label = "update join reference";
      statement_.refusable = true;
      T(fmt::format("UPDATE {} p JOIN {} c{} SET c.{} = ", TableName(parent), TableName(child), on, reference.name));
      V(OldKey());
  }
  T(" WHERE ");
  KeyComparison(parent.key(), "p.");
}

}  // namespace crossfade::twin

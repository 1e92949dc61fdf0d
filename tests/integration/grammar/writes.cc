// SPDX-License-Identifier: Apache-2.0
// The grammar's writes: INSERT, REPLACE, UPDATE, DELETE, of one and of several tables; see grammar.h.
#include <algorithm>
#include <map>

#include "fmt/format.h"
#include "tests/integration/grammar/grammar.h"

namespace crossfade::grammar {

namespace {

bool Maria(const Model& model) { return model.engine == servers::Engine::kMariaDb; }

}  // namespace

// A value of an INSERT.
void Grammar::Given(const Table& table, const Column& column) {
  if ((!column.standard.empty() || column.nullable) && random_.Chance(4)) return T("DEFAULT");
  if (column.role == Role::kMapped && random_.Chance(6)) {
    if (column.values == Values::kInteger) {
      T("1 + ");
      return V({int64_t{random_.Between(0, 20)}});
    }
    if (column.values == Values::kText) {
      T("CONCAT('n', ");
      V({std::string("x")});
      return T(")");
    }
  }
  const bool keyish = column.role == Role::kKey || column.role == Role::kReference;
  if (keyish && !OldGone(column.key) && !model_.keys[column.key].integer && !model_.keys[column.key].bytes && random_.Chance(4)) {
    T("CONCAT(");
    V(OldKey(column.key));
    MayRefuse("a computed key");
    return T(", '')");
  }
  if (keyish && column.role == Role::kReference && !OldGone(column.key) && !mode_.new_cohort && random_.Chance(3)) {
    const Key& key = model_.keys[column.key];
    MayRefuse("a key from a query");
    return T(fmt::format("(SELECT MIN({}) FROM {})", key.column, key.table));
  }
  V(ValueFor(table, column));
}

void Grammar::Insert(const Table& table, bool replace) {
  // From retire on another spelling of a key is no matter of the foreign keys any more.
  if (replace && mode_.retired && !Columns(table, Role::kKey).empty()) replace = false;
  statement_.label = replace ? "replace" : "insert";
  const bool ignore = !replace && random_.Chance(10);
  T(replace ? "REPLACE" : "INSERT");
  if (random_.Chance(3)) T(replace ? " LOW_PRIORITY" : random_.OneOf({" LOW_PRIORITY", " HIGH_PRIORITY"}));
  if (ignore) T(" IGNORE");
  T(random_.Chance(92) ? " INTO " : " ");
  T(Name(table));
  std::vector<const Column*> columns;
  const bool all = random_.Chance(15);
  for (const Column& column : table.columns) {
    const bool needed = column.role == Role::kKey || column.role == Role::kIdentity || (column.role == Role::kReference && !column.nullable);
    // From retire on such a column has a default, and is not missed any more: see docs/rewriting.md.
    const bool missed = Hidden(column) && !column.nullable && column.standard.empty();
    // Zero dates are the file's author's business, see there.
    const bool dated = column.role == Role::kMapped && !column.nullable && (column.values == Values::kDate || column.values == Values::kTime);
    if (all || missed || dated || NeverEmpty(column) || random_.Chance(column.automatic ? 45 : needed ? 97 : 60)) columns.push_back(&column);
    else if (Hidden(column) || (column.role == Role::kReference && mode_.retired)) MayRefuse("left out after the old side is given up");
    else if (column.role == Role::kKey) MayRefuse("a key left to its default");
  }
  const std::vector<const Column*> keys = Columns(table, Role::kKey);
  if (!keys.empty()) {
    const Key& key = model_.keys[keys[0]->key];
    const bool cut = !strict_ || ignore;
    if (cut && key.kind != Kind::kNumber) MayRefuse("a key where values are cut to fit");
    if (replace && (key.bytes || !strict_)) MayRefuse("REPLACE of a key that is not compared as it stands");
  }
  for (const Column* column : columns)
    if (Hidden(*column)) MayRefuse("an old column without a way back");
  if (!all && columns.size() > 1 && random_.Chance(40)) std::swap(columns.front(), columns.back());
  const bool on_duplicate = !replace && random_.Chance(25);
  const bool set = !all && !columns.empty() && random_.Chance(18);
  const bool rows_of = !Maria(model_) && !set && random_.Chance(6);  // VALUES ROW(…)
  if (rows_of) MayRefuse("VALUES ROW");
  // Which of several unique keys finds the row is the order of the indexes: u finds none.
  const auto value = [&](const Column& column) {
    if (column.role == Role::kIdentity && on_duplicate) V({int64_t{next_u_++}});
    else Given(table, column);
  };
  if (set) {
    T(" SET ");
    for (size_t i = 0; i < columns.size(); ++i) {
      T((i > 0 ? ", " : "") + Id(columns[i]->name) + " = ");
      value(*columns[i]);
    }
  } else {
    if (!all) {
      T(" (");
      for (size_t i = 0; i < columns.size(); ++i) T((i > 0 ? ", " : "") + Id(columns[i]->name));
      T(")");
    }
    T(random_.Chance(90) || rows_of ? " VALUES " : " VALUE ");
    const int rows = random_.Chance(55) ? 1 : random_.Chance(60) ? random_.Between(2, 5) : random_.Between(8, 14);
    std::map<const Column*, std::vector<Value>> few;  // references of many rows, to few parents: see proxy/session_ahead.cc
    for (int row = 0; row < rows; ++row) {
      T(row > 0 ? ", " : "");
      T(rows_of ? "ROW(" : "(");
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i > 0) T(", ");
        std::vector<Value>& known = few[columns[i]];
        if (rows < 8 || columns[i]->role != Role::kReference || random_.Chance(5)) value(*columns[i]);
        else if (known.size() < 3) V(known.emplace_back(ValueFor(table, *columns[i])));
        else V(random_.Pick(known));
      }
      T(")");
    }
  }
  if (on_duplicate) {
    const bool aliased = !Maria(model_) && !rows_of && random_.Chance(40);
    if (aliased && columns.empty()) MayRefuse("a row alias of no columns");
    if (aliased) T(" AS new");
    OnDuplicate(table, aliased);
  }
  if (Maria(model_) && random_.Chance(8)) {
    T(" RETURNING ");
    Items(table, "", false);
    statement_.label += " returning";
    statement_.ordered = true;
  }
}

void Grammar::OnDuplicate(const Table& table, bool aliased) {
  statement_.label += " on duplicate";
  T(" ON DUPLICATE KEY UPDATE ");
  const int count = random_.Between(1, 2);
  std::string before;
  for (int i = 0; i < count; ++i) {
    const Column* column = &random_.Pick(table.columns);
    while (column->role == Role::kKey || column->role == Role::kIdentity) column = &random_.Pick(table.columns);
    if (column->name == before) continue;
    if (i > 0) T(", ");
    before = column->name;
    const std::string name = Id(column->name);
    T(name + " = ");
    if (Hidden(*column)) MayRefuse("an old column without a way back");
    const bool gone = column->role == Role::kReference && OldGone(column->key);
    // … of what is left out it is the default
    if (!gone && random_.Chance(45)) {
      T(aliased ? "new." + name : "VALUES(" + name + ")");
      if (column->role == Role::kReference && mode_.retired) MayRefuse("VALUES() of a reference");
    } else if (!gone && !aliased && statement_.label.find("select") == std::string::npos && random_.Chance(10)) {
      T(name);  // elsewhere it is ambiguous
    } else {
      V(ValueFor(table, *column));
      if (column->role == Role::kReference) MayRefuse("ON DUPLICATE KEY UPDATE of a reference");
    }
  }
}

// Rows of one table, or of several joined, become rows of another.
void Grammar::InsertSelect(const Table& table, bool replace) {
  statement_.label = replace ? "replace select" : "insert select";
  MayRefuse("INSERT … SELECT");
  const Table& source = random_.Chance(70) ? table : AnyTable();
  T(replace ? "REPLACE INTO " : random_.Chance(25) ? "INSERT IGNORE INTO " : "INSERT INTO ");
  T(Name(table) + " (");
  std::string items;
  bool first = true;
  for (const Column& column : table.columns) {
    const bool own = &source == &table || column.role == Role::kIdentity;
    if (column.automatic && column.role != Role::kIdentity) continue;
    if (column.role != Role::kKey && column.role != Role::kIdentity && (column.nullable || !column.standard.empty()) && random_.Chance(50)) continue;
    std::string item;
    if (column.role == Role::kIdentity) {
      item = fmt::format("s.u + {}", 100 * random_.Between(1, 30));
    } else if (column.role == Role::kReference || column.role == Role::kKey) {
      std::vector<const Column*> same;
      for (const Column& other : source.columns)
        if (other.key == column.key && other.key >= 0 && !(NeverEmpty(column) && other.nullable)) same.push_back(&other);  // NULL: may become ''
      if (column.role == Role::kKey && model_.keys[column.key].Mapped() && !model_.keys[column.key].integer && !model_.keys[column.key].bytes && !mode_.new_cohort) item = "CONCAT('n', s.u)";
      else if (column.role == Role::kKey && model_.keys[column.key].integer) item = fmt::format("s.u + {}", 100 * random_.Between(1, 30));
      else if (!same.empty()) item = "s." + random_.Pick(same)->name;
      else if (column.nullable) continue;
      else if (!OldGone(column.key) && !model_.keys[column.key].integer && !model_.keys[column.key].bytes) item = twin::QuoteString(random_.Pick(model_.keys[column.key].pool), lexis_);
      else item = fmt::format("(SELECT {} FROM {} WHERE u = {})", model_.keys[column.key].column, model_.keys[column.key].table, random_.Between(1, model_.rows));
    } else if (own) {
      if (Hidden(column)) MayRefuse("an old column without a way back");
      item = "s." + column.name;
      // MySQL looks at a zero date where the row goes into a temporary table, also behind the LIMIT, if the plan sorts there.
      const bool dated = column.values == Values::kDate || column.values == Values::kTime;
      if (dated && !column.nullable && !Maria(model_)) item = fmt::format("IF(s.{0} > '2000-01-01', s.{0}, '2021-01-01')", column.name);
    } else {
      item = Literal(SomeValue(random_, column), column, model_);
      if (lexis_.no_backslash_escapes && item.find('\\') != std::string::npos) item = "'x'";
      if (item.find('?') != std::string::npos) item = "'q'";
    }
    T((first ? "" : ", ") + Id(column.name));
    items += (first ? "" : ", ") + item;
    first = false;
  }
  T(") SELECT " + items + " FROM " + Name(source) + " s");
  Where(source, "s");
  T(" ORDER BY s.u LIMIT 3");
  if (!replace && random_.Chance(20)) {
    OnDuplicate(table, false);
  }
}

void Grammar::Assignment(const Table& table, const Column& column, const std::string& alias, bool one_row) {
  const std::string name = (alias.empty() ? "" : alias + ".") + Id(column.name);
  T(name + " = ");
  if (Hidden(column)) MayRefuse("an old column without a way back");
  const bool reference = column.role == Role::kReference;
  const bool textual = reference && !model_.keys[column.key].integer && !model_.keys[column.key].bytes;
  if (reference && !OldGone(column.key) && random_.Chance(8)) return T(name);
  const auto computes = [&] { statement_.computes = statement_.computes || column.role == Role::kMapped || reference; };
  if (textual && !mode_.new_cohort && random_.Chance(8)) {
    MayRefuse("a computed reference");
    computes();
    return T(random_.OneOf({model_.keys[column.key].Mapped() ? "UPPER(" : "TRIM(", "LOWER(", "TRIM("}) + name + ")");
  }
  if (reference && !mode_.new_cohort && random_.Chance(8)) {
    MayRefuse("a reference from a query");
    computes();
    const Key& key = model_.keys[column.key];
    return T(fmt::format("(SELECT {} FROM {} ORDER BY u LIMIT 1)", key.column, key.table));
  }
  if (column.role != Role::kIdentity && (column.values == Values::kInteger || column.values == Values::kDecimal) && random_.Chance(40)) {
    computes();
    T(name + " + ");
    return V({int64_t{random_.Between(0, 3)}});
  }
  if (column.values == Values::kText && random_.Chance(25)) {
    computes();
    T(random_.OneOf({"UPPER(", "LOWER(", "CONCAT('z', ", "LEFT('abc', 2", "REVERSE("}));
    if (statement_.pieces.back().text != "LEFT('abc', 2") T(name);
    return T(")");
  }
  Value value = ValueFor(table, column);
  if (!one_row && std::holds_alternative<std::nullptr_t>(value.data) && !column.nullable) value = {SomeValue(random_, column)};
  V(value);
}

void Grammar::Update(const Table& table) {
  statement_.label = "update";
  const bool ignore = random_.Chance(4);
  const bool one_row = random_.Chance(55);
  // Which row fails, and how far it came, is the plan's business.
  statement_.any_error = !one_row;
  if (ignore) MayRefuse("IGNORE");
  const bool with = !Maria(model_) && random_.Chance(5);
  if (with) T("WITH w AS (SELECT 1 AS one) ");
  T(ignore && one_row ? "UPDATE IGNORE " : "UPDATE ");
  T(Name(table));
  std::string alias;
  if (random_.Chance(20)) {
    alias = "t";
    T(random_.Chance(50) ? " t" : " AS t");
  }
  T(" SET ");
  const int count = random_.Chance(65) ? 1 : random_.Between(2, 3);
  std::vector<const Column*> done;
  for (int i = 0; i < count; ++i) {
    const Column* column = &random_.Pick(table.columns);
    if (!one_row && (column->unique || column->role == Role::kIdentity || column->role == Role::kKey)) continue;
    if (column->role == Role::kReference && table.primary.front() == column->name && !one_row) continue;
    if (column->role == Role::kKey && (mode_.retired || !random_.Chance(50))) continue;
    if (std::find(done.begin(), done.end(), column) != done.end()) continue;
    if (column->role == Role::kKey && model_.keys[column->key].kind == Kind::kDerived) MayRefuse("a key that references follow");
    if (!done.empty()) T(", ");
    done.push_back(column);
    Assignment(table, *column, alias, one_row);
  }
  if (done.empty()) {
    const Column& u = *table.Find("u");
    T((alias.empty() ? "" : alias + ".") + Id(u.name) + " = " + (alias.empty() ? "" : alias + ".") + "u");
  }
  if (done.size() > 1 && std::any_of(done.begin(), done.end(), [](const Column* c) { return c->role == Role::kKey || c->role == Role::kReference; })) MayRefuse("a key and another column");
  if (one_row) return OneRow(table, alias);
  if (with) {
    T(" WHERE " + (alias.empty() ? "" : alias + ".") + "u > (SELECT one FROM w) AND ");
    Condition(table, alias);
  } else if (random_.Chance(15)) {
    const Table& other = AnyTable();
    if (&other == &table) MayRefuse("an UPDATE that reads its own table");
    T(fmt::format(" WHERE {}u IN (SELECT u FROM {}", alias.empty() ? "" : alias + ".", Name(other)));
    Where(other, "");
    T(")");
  } else {
    Where(table, alias);
  }
  if (random_.Chance(40)) {
    T(fmt::format(" ORDER BY {}u{} LIMIT ", alias.empty() ? "" : alias + ".", random_.Chance(30) ? " DESC" : ""));
    V({int64_t{random_.Between(1, 6)}});
  }
}

void Grammar::Delete(const Table& table) {
  statement_.label = "delete";
  if (random_.Chance(2) && Columns(table, Role::kKey).empty()) return T((random_.Chance(50) ? "DELETE FROM " : "DELETE FROM ") + Name(table));
  const bool parent = !Columns(table, Role::kKey).empty();
  const bool ignore = random_.Chance(4);
  if (ignore) MayRefuse("IGNORE");
  const bool one_row = parent || random_.Chance(50);
  statement_.any_error = !one_row;
  T(ignore ? "DELETE IGNORE FROM " : "DELETE FROM ");
  T(Name(table));
  if (one_row) OneRow(table, "");
  else Where(table, "");
  if (!one_row && random_.Chance(70)) T(fmt::format(" ORDER BY u LIMIT {}", random_.Between(1, 4)));
  else if (Maria(model_) && random_.Chance(10)) {
    T(" RETURNING ");
    Items(table, "", false);
    statement_.label += " returning";
  }
}

void Grammar::JoinWrite() {
  const Table* child = WithReference();
  if (child == nullptr) return Update(AnyTable());
  const Column& reference = *random_.Pick(Columns(*child, Role::kReference));
  const Key& key = model_.keys[reference.key];
  const Table& parent = *model_.Find(key.table);
  statement_.any_error = true;
  const std::string on = fmt::format(" ON p.{} = c.{}", key.column, reference.name);
  const bool cte = !Maria(model_) && random_.Chance(10);
  if (cte) T("WITH w AS (SELECT 1 AS one) ");
  std::vector<const Column*> plain = Columns(*child, Role::kPlain), of_parent = Columns(parent, Role::kPlain);
  const auto assign = [&](const Table& table, const char* alias, const std::vector<const Column*>& columns) {
    for (const Column* column : columns) {
      if (column->unique) continue;
      T(fmt::format("{}.{} = ", alias, column->name));
      if (column->values == Values::kInteger && random_.Chance(50)) T(fmt::format("{}.{} + 1", alias, column->name));
      else V({SomeValue(random_, *column)});
      return;
    }
    (void)table;
    T(fmt::format("{0}.u = {0}.u", alias));
  };
  switch (random_.Below(10)) {
    case 6:
    case 7:
      return JoinAssign(*child, parent, on, reference);
    case 8:
      return DerivedAssign(*child, reference);
    case 0:
      statement_.label = "update join";
      T(fmt::format("UPDATE {} p JOIN {} c{} SET ", Name(parent), Name(*child), on));
      assign(*child, "c", plain);
      break;
    case 1:
      statement_.label = "update join parent";
      T(fmt::format("UPDATE {} c JOIN {} p{} SET ", Name(*child), Name(parent), on));
      assign(parent, "p", of_parent);
      break;
    case 2:
      statement_.label = "delete join";
      T(random_.Chance(50) ? fmt::format("DELETE c FROM {} p JOIN {} c{}", Name(parent), Name(*child), on)
                           : fmt::format("DELETE FROM c USING {} p JOIN {} c{}", Name(parent), Name(*child), on));
      break;
    case 3:
      statement_.label = "update self join";
      T(fmt::format("UPDATE {0} c JOIN {0} p ON p.{1} = c.{1} SET ", Name(*child), reference.name));
      if (plain.empty()) T("c.u = c.u");
      else {
        const Column& column = *plain[0];
        T(fmt::format("c.{} = ", column.name));
        V({SomeValue(random_, column)});
      }
      T(fmt::format(" WHERE p.u < {}", random_.Between(1, model_.rows)));
      return;
    default: {
      statement_.label = "update join reference";
      MayRefuse("an UPDATE of several tables that assigns a reference");
      T(fmt::format("UPDATE {} p JOIN {} c{} SET c.{} = ", Name(parent), Name(*child), on, reference.name));
      if (random_.Chance(60) || mode_.retired) V(KeyValue(reference.key, true));
      else T("p." + key.column);
      statement_.computes = true;
    }
  }
  T(" WHERE ");
  const std::vector<const Column*> keys = Columns(parent, Role::kKey);
  KeyComparison(*keys[0], "p.");
}

// A value of `column` made of the number of another table's row, of what other columns hold, or of nothing.
std::string Grammar::Computed(const Column& column, const std::string& other) {
  switch (column.values) {
    case Values::kInteger: return random_.Chance(50) ? fmt::format("{} % 30", other) : fmt::format("IFNULL({}, 0)", other);
    case Values::kDecimal: return fmt::format("{} * 1.5", other);
    case Values::kText: return fmt::format("CONCAT('j', {})", other);
    default: return Literal(SomeValue(random_, column), column, model_);
  }
}

// Columns that migrate are assigned in an UPDATE of two tables: strategy B.
void Grammar::JoinAssign(const Table& child, const Table& parent, const std::string& on, const Column& reference) {
  statement_.label = "update join columns";
  std::vector<std::pair<std::string, const Column*>> mapped;
  for (const auto& [alias, table] : {std::pair{"c", &child}, std::pair{"p", &parent}})
    for (const Column* column : Columns(*table, Role::kMapped))
      if (!column->unique) mapped.emplace_back(alias, column);
  const bool outer = random_.Chance(30);
  T(fmt::format("UPDATE {} c {} {} p{}", Name(child), outer ? "LEFT JOIN" : "JOIN", Name(parent), on));
  if (outer) T(fmt::format(" AND p.u < {}", random_.Between(1, model_.rows)));
  T(" SET ");
  const bool key = mapped.empty() || random_.Chance(40);
  const bool textual = !model_.keys[reference.key].integer && !model_.keys[reference.key].bytes;
  bool first = true;
  if (key && !mode_.retired && !(child.primary.front() == reference.name)) {
    MayRefuse("a reference of a changed kind");
    T(fmt::format("c.{} = ", reference.name));
    if (textual && !mode_.new_cohort) T(fmt::format("{}(c.{})", random_.OneOf({"TRIM", "LOWER"}), reference.name));
    else V(KeyValue(reference.key, true));
    statement_.computes = true;
    first = false;
  }
  const int count = mapped.empty() ? 0 : random_.Between(1, 2);
  std::vector<const Column*> done;
  for (int i = 0; i < count; ++i) {
    const auto& [alias, column] = random_.Pick(mapped);
    if (std::find(done.begin(), done.end(), column) != done.end()) continue;
    done.push_back(column);
    if (Hidden(*column)) MayRefuse("an old column without a way back");
    T(fmt::format("{}{}.{} = ", first ? "" : ", ", alias, column->name));
    if (random_.Chance(30)) V(ValueFor(child, *column));
    else T(Computed(*column, std::string(std::string_view(alias) == "c" ? "p" : "c") + ".u"));
    first = false;
  }
  if (first) T("c.u = c.u");
  T(" WHERE ");
  Condition(child, "c");
}

// … from a derived table.
void Grammar::DerivedAssign(const Table& child, const Column& reference) {
  statement_.label = "update join derived";
  std::vector<const Column*> mapped = Columns(child, Role::kMapped);
  std::erase_if(mapped, [](const Column* column) { return column->unique; });
  const std::string r = reference.name;
  T(fmt::format("UPDATE {0} c JOIN (SELECT MIN(u) AS low, COUNT(*) AS n FROM {0} GROUP BY {1}) d ON d.low = c.u SET ", Name(child), r));
  if (mapped.empty()) {
    T("c.u = c.u");
  } else {
    const Column& column = *random_.Pick(mapped);
    if (Hidden(column)) MayRefuse("an old column without a way back");
    T(fmt::format("c.{} = {}", column.name, Computed(column, "d.n")));
  }
  Where(child, "c");
}

// A file of the server's, with rows of what an INSERT gives.
void Grammar::Load(const Table& table) {
  statement_.label = "load data";
  statement_.prepared = false;
  statement_.any_error = true;  // its warnings and errors count rows otherwise
  MayRefuse("LOAD DATA");
  std::string lines, columns;
  std::vector<const Column*> given;
  for (const Column& column : table.columns) {
    const bool keyish = column.role == Role::kKey || column.role == Role::kReference;
    if (column.automatic || (keyish && model_.keys[column.key].bytes)) continue;
    if (!keyish && column.role != Role::kIdentity && random_.Chance(20) && (column.nullable || !column.standard.empty()) && !Hidden(column)) continue;
    columns += (given.empty() ? "" : ", ") + column.name;
    given.push_back(&column);
  }
  for (int row = random_.Between(1, 4); row > 0; --row) {
    for (const Column* column : given) {
      std::string cell = SomeValue(random_, *column);
      if (column->role == Role::kIdentity) cell = std::to_string(random_.Chance(80) ? next_u_++ : random_.Between(1, 60));
      else if (column->key >= 0) cell = random_.Pick(model_.keys[column->key].pool);
      for (char& c : cell)
        if (c == '\\' || c == '\t' || c == '\n') c = 'x';
      if (column->nullable && random_.Chance(10)) cell = "\\N";
      lines += (column == given.front() ? "" : "\t") + cell;
    }
    lines += "\n";
  }
  const bool ignore = random_.Chance(20);
  T(fmt::format("LOAD DATA INFILE '{}' {}INTO TABLE {} CHARACTER SET utf8mb4 ({})", KeepFile(lines), ignore ? "IGNORE " : "", Name(table), columns));
}

}  // namespace crossfade::grammar

// SPDX-License-Identifier: Apache-2.0
// The generator's reads: by key of either kind, lists, ranges, joins, aggregates, subqueries, unions, and mistakes.
#include "fmt/format.h"
#include "tests/integration/twin/generator.h"

namespace crossfade::twin {

Statement Generator::Read(size_t schema, const Lexis& lexis) {
  Begin(schema, lexis, "");
  const unsigned dice = static_cast<unsigned>(random_.Below(100));
  if (dice < 25) SelectOne(schema_->parent);
  else if (dice < 50) SelectOne(schema_->child);
  else if (dice < 68) SelectJoin();
  else if (dice < 80) SelectAggregate();
  else if (dice < 92) SelectSubquery();
  else if (dice < 97) SelectUnion();
  else SelectWrong();
  return Finish();
}

Statement Generator::LockingRead(size_t schema, const Lexis& lexis) {
  Begin(schema, lexis, "");
  SelectOne(random_.Chance(50) ? schema_->parent : schema_->child);
  statement_.label += " for update";
  T(mode_.engine == servers::Engine::kMySql && random_.Chance(50) ? " FOR SHARE" : random_.OneOf({" FOR UPDATE", " LOCK IN SHARE MODE"}));
  statement_.locks = true;
  return Finish();
}

// A select list of `table`; `first`: how many columns stand before it. Returns how many it made.
size_t Generator::Items(const Table& table, const std::string& alias, size_t first) {
  const std::string prefix = alias.empty() ? "" : alias + ".";
  const bool child = &table == &schema_->child;
  auto key_column = [&](size_t at, const Column& column) {
    if (column.kind == Kind::kKey || column.kind == Kind::kReference) statement_.key_columns.push_back({at, column.kind == Kind::kReference});
  };
  if (random_.Chance(25)) {
    T(prefix + "*");
    for (size_t i = 0; i < table.columns.size(); ++i) key_column(first + i, table.columns[i]);
    return table.columns.size();
  }
  const size_t count = random_.Between(1, 4);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) T(", ");
    const Column& column = random_.Pick(table.columns);
    const std::string name = prefix + Id(column.name);
    if (Plain(column) && random_.Chance(12)) {
      if (column.kind == Kind::kInteger || column.kind == Kind::kDecimal) T(name + " + 1 AS more");
      else T(random_.OneOf({"UPPER(", "LENGTH(", "COALESCE(", "CONCAT('<', "}) + name + ")");
      continue;
    }
    if (child && random_.Chance(4)) {
      T(prefix + schema_->child.columns[1].name + " = ");
      V(KeyValue(false));  // by number it would say whether a nullable column is equal: another NOT NULL flag
      if (mode_.retired) statement_.refusable = true;
      T(" AS same");
      continue;
    }
    T(name);
    key_column(first + i, column);
    if (random_.Chance(15)) T(random_.OneOf({" AS a1", " b2", " AS `c d`"}));
  }
  return count;
}

void Generator::SelectOne(const Table& table) {
  const bool of_parent = &table == &schema_->parent;
  statement_.label = of_parent ? "select parent" : "select child";
  T("SELECT ");
  const bool distinct = random_.Chance(4);
  if (distinct) T("DISTINCT ");
  statement_.folds = distinct;
  std::string alias = random_.Chance(25) ? "t" : "";
  Items(table, alias, 0);
  T(" FROM " + TableName(table) + (alias.empty() ? "" : random_.OneOf({" t", " AS t"})));
  if (random_.Chance(88)) Where(table, alias);
  if (distinct || !random_.Chance(45)) return;
  const bool holds = KeyOrderHolds(table);
  const std::string prefix = alias.empty() ? "" : alias + ".";
  if (random_.Chance(40)) T(fmt::format(" ORDER BY {}{}{}, {}{}", prefix, Id(table.columns[2].name), random_.OneOf({"", " DESC"}), prefix, Id(table.key().name)));
  else T(OrderByKey(table, alias) + random_.OneOf({"", " ASC", " DESC"}));
  if (!holds || !Plain(table.columns[2])) return;
  statement_.ordered = true;
  if (random_.Chance(50)) {
    T(" LIMIT ");
    V({int64_t{random_.Between(0, 12)}});
    if (random_.Chance(30)) {
      T(" OFFSET ");
      V({int64_t{random_.Between(0, 5)}});
    }
  }
}

void Generator::SelectJoin() {
  statement_.label = "select join";
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  const Column& reference = child.columns[schema_->keeps_old && random_.Chance(30) ? 2 : 1];
  const std::string equal = random_.Chance(50) ? fmt::format("p.{} = c.{}", Id(parent.key().name), Id(reference.name))
                                               : fmt::format("c.{} = p.{}", Id(reference.name), Id(parent.key().name));
  T("SELECT ");
  const size_t width = Items(parent, "p", 0);
  T(", ");
  Items(child, "c", width);
  const unsigned form = static_cast<unsigned>(random_.Below(5));
  if (form == 0) {
    T(fmt::format(" FROM {} p, {} c WHERE {} AND ", TableName(parent), TableName(child), equal));
    Condition(child, "c");
    return;
  }
  if (form == 1) {
    T(fmt::format(" FROM {} c LEFT JOIN {} p ON {}", TableName(child), TableName(parent), equal));
    return Where(child, "c");
  }
  if (form == 2) {
    T(fmt::format(" FROM {} p LEFT JOIN {} c ON {} AND ", TableName(parent), TableName(child), equal));
    Condition(child, "c");
    return Where(parent, "p");
  }
  T(fmt::format(" FROM {} p {} {} c ON {}", TableName(parent), random_.OneOf({"JOIN", "INNER JOIN"}), TableName(child), equal));
  if (form == 3) T(fmt::format(" LEFT JOIN {} o ON o.{} = p.{}", schema_->other.name, schema_->other.columns[0].name, schema_->other_column));
  Where(random_.Chance(50) ? parent : child, "");
  // An unqualified name may be ambiguous here: then both sides say so.
}

void Generator::SelectAggregate() {
  statement_.label = "select aggregate";
  statement_.folds = true;
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  const std::string reference = child.columns[1].name;
  switch (random_.Below(4)) {
    case 0:
      T(fmt::format("SELECT COUNT(*), COUNT({}), COUNT(DISTINCT {}), SUM(weight) FROM {}", reference, Id(reference), TableName(child)));
      return Where(child, "");
    case 1:
      T(fmt::format("SELECT {}, COUNT(*) AS n FROM {}", Id(reference), TableName(child)));
      statement_.key_columns.push_back({0, true});
      Where(child, "");
      T(fmt::format(" GROUP BY {}", Id(reference)));
      if (random_.Chance(50)) T(" HAVING COUNT(*) > 1");
      return;
    case 2:
      T(fmt::format("SELECT p.{0}, COUNT(c.weight), MAX(c.weight) FROM {1} p LEFT JOIN {2} c ON c.{3} = p.{0}", Id(parent.key().name),
                    TableName(parent), TableName(child), Id(reference)));
      statement_.key_columns.push_back({0, false});
      Where(parent, "p");
      return T(fmt::format(" GROUP BY p.{}", Id(parent.key().name)));
    default:
      if (!mode_.new_cohort) {
        T(fmt::format("SELECT MIN({0}), MAX({0}) FROM {1}", Id(reference), TableName(child)));
        statement_.key_columns = {{0, true}, {1, true}};
        return Where(child, "");
      }
      T(fmt::format("SELECT MAX(weight) FROM {}", TableName(child)));
      return Where(child, "");
  }
}

void Generator::SelectSubquery() {
  statement_.label = "select subquery";
  statement_.folds = true;
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  const std::string key = parent.key().name, reference = child.columns[1].name;
  if (schema_->refers_to_itself && random_.Chance(25)) {
    const Column& up = parent.columns.back();
    T(fmt::format("WITH RECURSIVE up AS (SELECT {0}, {1}, 1 AS depth FROM {2} WHERE {0} = ", key, up.name, parent.name));
    V(KeyValue(true));
    T(fmt::format(" UNION ALL SELECT m.{0}, m.{1}, depth + 1 FROM {2} m JOIN up ON m.{0} = up.{1} WHERE depth < 4) SELECT {0}, {1}, depth FROM up", key, up.name, parent.name));
    statement_.key_columns = {{0, false}, {1, true}};
    return;
  }
  switch (random_.Below(6)) {
    case 0:
      T("SELECT ");
      Items(child, "", 0);
      T(fmt::format(" FROM {} WHERE {} {} (SELECT {} FROM {}", TableName(child), Id(reference), random_.OneOf({"IN", "IN", "NOT IN"}), Id(key), TableName(parent)));
      Where(parent, "");
      return T(")");
    case 1:
      T("SELECT ");
      Items(parent, "p", 0);
      T(fmt::format(" FROM {} p WHERE {} (SELECT 1 FROM {} c WHERE c.{} = p.{} AND ", TableName(parent), random_.OneOf({"EXISTS", "NOT EXISTS"}),
                    TableName(child), Id(reference), Id(key)));
      Condition(child, "c");
      return T(")");
    case 2:
      T(fmt::format("SELECT p.{0}, (SELECT COUNT(*) FROM {1} c WHERE c.{2} = p.{0}) AS n FROM {3} p", Id(key), TableName(child), Id(reference), TableName(parent)));
      statement_.key_columns.push_back({0, false});
      return Where(parent, "p");
    case 3:
      T(fmt::format("SELECT d.k, d.n FROM (SELECT {0} AS k, COUNT(*) AS n FROM {1} GROUP BY {0}) AS d WHERE d.n > ", Id(reference), TableName(child)));
      statement_.key_columns.push_back({0, true});
      return V({int64_t{random_.Between(1, 4)}});
    case 4:
      T(fmt::format("WITH few AS (SELECT {0} AS k, weight FROM {1}", Id(reference), TableName(child)));
      Where(child, "");
      T(") SELECT k, weight FROM few");
      statement_.key_columns.push_back({0, true});
      return;
    default:
      T(fmt::format("SELECT weight FROM {} WHERE {} = (SELECT {} FROM {} WHERE {} = ", TableName(child), Id(reference), Id(key), TableName(parent), Id(key)));
      V(KeyValue(true));
      return T(")");
  }
}

void Generator::SelectUnion() {
  statement_.label = "select union";
  statement_.folds = true;
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  if (mode_.new_cohort) {
    // Both branches show the same kind of key, or the kinds of the two cohorts would be mixed.
    T(fmt::format("SELECT {} AS k FROM {}", child.columns[1].name, TableName(child)));
    Where(child, "");
    T(fmt::format(" UNION ALL SELECT {} FROM {}", child.columns[1].name, TableName(child)));
    statement_.key_columns.push_back({0, true});
    return Where(child, "");
  }
  T(fmt::format("SELECT {} AS k FROM {}", Id(parent.key().name), TableName(parent)));
  Where(parent, "");
  T(fmt::format(" {} SELECT {} FROM {}", random_.OneOf({"UNION", "UNION ALL"}), Id(child.columns[1].name), TableName(child)));
  Where(child, "");
  statement_.key_columns.push_back({0, true});
}

void Generator::SelectWrong() {
  statement_.label = "select wrong";
  const Table& parent = schema_->parent;
  const Table& child = schema_->child;
  statement_.refusable = true;  // what cannot be bound or parsed may be refused instead of passed on
  switch (random_.Below(4)) {
    case 0: return T(fmt::format("SELECT nothing FROM {}", TableName(parent)));
    case 1: return T(fmt::format("SELECT {} FROM {} WHERE", Id(parent.key().name), TableName(parent)));
    case 2: return T(fmt::format("SELECT x.{} FROM {} y", Id(child.columns[1].name), TableName(child)));
    default: return T(fmt::format("SELECT COUNT(*) FROM {}s", child.name));
  }
}

}  // namespace crossfade::twin

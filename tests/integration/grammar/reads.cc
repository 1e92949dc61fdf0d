// SPDX-License-Identifier: Apache-2.0
// The grammar's reads: by key of either kind, joins, aggregates, subqueries, set operations, windows; see grammar.h.
#include "fmt/format.h"
#include "tests/integration/grammar/grammar.h"

namespace crossfade::grammar {

namespace {

bool Maria(const Model& model) { return model.engine == servers::Engine::kMariaDb; }

}  // namespace

void Grammar::Items(const Table& table, const std::string& alias, bool may_compute) {
  const std::string prefix = alias.empty() ? "" : alias + ".";
  const auto hidden = [&](const Column& column) {
    if (Hidden(column)) MayRefuse("an old column without a way back");
  };
  if (random_.Chance(20)) {
    T(prefix + "*");
    for (const Column& column : table.columns) {
      hidden(column);
      statement_.items.push_back(Of(column));
    }
    return;
  }
  const int count = random_.Between(1, 4);
  for (int i = 0; i < count; ++i) {
    const Column& column = random_.Pick(table.columns);
    if (i > 0) T(", ");
    hidden(column);
    std::string name = prefix + Id(column.name);
    Item item = Of(column);
    const bool keyish = column.role == Role::kKey || column.role == Role::kReference;
    if (may_compute && item.shown == Shown::kKey && random_.Chance(10)) {
      T("UPPER(" + name + ")");
      item.shown = Shown::kAny;
    } else if (may_compute && item.shown != Shown::kKey && random_.Chance(15)) {
      item.shown = mode_.new_cohort || column.role != Role::kPlain ? Shown::kLoose : Shown::kSame;
      if (column.values == Values::kInteger || (keyish && model_.keys[column.key].integer)) T(name + " + 0");
      else if (keyish && model_.keys[column.key].bytes) T("HEX(" + name + ")");
      else T(random_.OneOf({"UPPER(", "LENGTH(", "IFNULL(1, ", "CONCAT('<', "}) + name + ")");
    } else {
      T(name);
      if (random_.Chance(12)) T(fmt::format("{}a{}", random_.OneOf({" AS ", " "}), i));
    }
    statement_.items.push_back(item);
  }
}

void Grammar::SelectOne(const Table& table) {
  statement_.label = "select";
  T(random_.Chance(8) ? "SELECT DISTINCT " : "SELECT ");
  if (statement_.pieces.back().text == "SELECT DISTINCT ") statement_.folds = true;
  const std::string alias = random_.Chance(30) ? "x" : "";
  Items(table, alias, true);
  T(" FROM " + Name(table) + (alias.empty() ? "" : " " + alias));
  if (random_.Chance(35)) OneRow(table, alias);
  else Where(table, alias);
  if (statement_.folds || !random_.Chance(35)) return;
  T(fmt::format(" ORDER BY {}u{}", alias.empty() ? "" : alias + ".", random_.OneOf({"", " DESC"})));
  statement_.ordered = true;
  if (random_.Chance(50)) T(fmt::format(" LIMIT {}", random_.OneOf({"3", "2, 4", "5 OFFSET 1"})));
}

void Grammar::SelectJoin() {
  const Table* child = WithReference();
  if (child == nullptr) return SelectOne(AnyTable());
  const Column& reference = *random_.Pick(Columns(*child, Role::kReference));
  const Key& key = model_.keys[reference.key];
  const Table& parent = *model_.Find(key.table);
  statement_.label = "select join";
  const std::string equal = random_.Chance(50) ? fmt::format("p.{} = c.{}", key.column, reference.name) : fmt::format("c.{} = p.{}", reference.name, key.column);
  if (random_.Chance(10)) {
    T(fmt::format("SELECT c.u, d.u, {0} FROM {1} c {2} {1} d USING ({0})", reference.name, Name(*child), random_.OneOf({"JOIN", "LEFT JOIN"})));
    statement_.items = {{}, {}, Of(reference)};
    statement_.label += " using";
    return Where(*child, "c");
  }
  T("SELECT ");
  Items(parent, "p", false);
  T(", ");
  Items(*child, "c", false);
  switch (random_.Below(7)) {
    case 0:
      T(fmt::format(" FROM {} p, {} c WHERE {} AND ", Name(parent), Name(*child), equal));
      return Condition(*child, "c");
    case 1:
      T(fmt::format(" FROM {} c LEFT JOIN {} p ON {}", Name(*child), Name(parent), equal));
      return Where(*child, "c");
    case 2:
      T(fmt::format(" FROM {} p LEFT JOIN {} c ON {} AND ", Name(parent), Name(*child), equal));
      Condition(*child, "c");
      return Where(parent, "p");
    case 3:
      T(fmt::format(" FROM {} p RIGHT JOIN {} c ON {}", Name(parent), Name(*child), equal));
      return Where(*child, "c");
    case 4:
      T(fmt::format(" FROM {} c JOIN {} p ON {} LEFT JOIN {} d ON d.{} = c.{} AND d.u <> c.u", Name(*child), Name(parent), equal, Name(*child), reference.name, reference.name));
      return Where(parent, "p");
    case 5:
      if (!Maria(model_)) {
        T(fmt::format(" FROM {} p, LATERAL (SELECT * FROM {} c WHERE {} ORDER BY c.u LIMIT 2) c", Name(parent), Name(*child), equal));
        return Where(parent, "p");
      }
      [[fallthrough]];
    default:
      T(fmt::format(" FROM {} p {} {} c ON {}", Name(parent), random_.OneOf({"JOIN", "INNER JOIN", "STRAIGHT_JOIN"}), Name(*child), equal));
      if (random_.Chance(50)) Where(parent, "p");
      else Where(*child, "c");
  }
}

void Grammar::SelectAggregate() {
  statement_.label = "select aggregate";
  statement_.folds = true;
  const Table* child = WithReference();
  if (child == nullptr) {
    const Table& table = AnyTable();
    T("SELECT COUNT(*), MIN(u), MAX(u) FROM " + Name(table));
    statement_.items = {{}, {}, {}};
    return Where(table, "");
  }
  const Column& reference = *random_.Pick(Columns(*child, Role::kReference));
  const Item shown = Of(reference);
  const std::string r = Id(reference.name);
  switch (random_.Below(6)) {
    case 0:
      T(fmt::format("SELECT COUNT(*), COUNT({0}), COUNT(DISTINCT {0}), SUM(u) FROM {1}", r, Name(*child)));
      statement_.items = {{}, {}, {}, {}};
      return Where(*child, "");
    case 1:
      T(fmt::format("SELECT {}, COUNT(*) AS n, MIN(u) FROM {}", r, Name(*child)));
      statement_.items = {shown, {}, {}};
      Where(*child, "");
      T(random_.Chance(25) ? std::string(" GROUP BY 1") : " GROUP BY " + r);
      if (random_.Chance(50)) T(" HAVING COUNT(*) > 1");
      return;
    case 2: {
      const Key& key = model_.keys[reference.key];
      const Table& parent = *model_.Find(key.table);
      T(fmt::format("SELECT p.{0}, COUNT(c.u), MAX(c.u) FROM {1} p LEFT JOIN {2} c ON c.{3} = p.{0}", key.column, Name(parent), Name(*child), reference.name));
      statement_.items = {Of(*parent.Find(key.column)), {}, {}};
      Where(parent, "p");
      return T(fmt::format(" GROUP BY p.{}", key.column));
    }
    case 3:
      T(fmt::format("SELECT MIN({0}), MAX({0}) FROM {1}", r, Name(*child)));
      statement_.items = {{shown.shown == Shown::kKey ? Shown::kAny : shown.shown, -1}, {shown.shown == Shown::kKey ? Shown::kAny : shown.shown, -1}};
      return Where(*child, "");
    case 4:
      T(fmt::format("SELECT {} AS kk, COUNT(*) FROM {} GROUP BY kk HAVING kk IS NOT NULL ORDER BY 2, MIN(u)", r, Name(*child)));
      statement_.items = {shown, {}};
      statement_.ordered = true;
      return;
    default:
      T(fmt::format("SELECT {}, GROUP_CONCAT(u ORDER BY u) FROM {} GROUP BY {}{}", r, Name(*child), r, Maria(model_) || random_.Chance(70) ? "" : " WITH ROLLUP"));
      statement_.items = {shown, {}};
  }
}

void Grammar::SelectSubquery() {
  const Table* child = WithReference();
  if (child == nullptr) return SelectOne(AnyTable());
  statement_.label = "select subquery";
  statement_.folds = true;
  const Column& reference = *random_.Pick(Columns(*child, Role::kReference));
  const Key& key = model_.keys[reference.key];
  const Table& parent = *model_.Find(key.table);
  const std::string k = key.column, r = reference.name;
  const Item of_key = Of(*parent.Find(k)), of_reference = Of(reference);
  switch (random_.Below(9)) {
    case 0:
      T("SELECT ");
      Items(*child, "", false);
      T(fmt::format(" FROM {} WHERE {} {} (SELECT {} FROM {}", Name(*child), Id(r), random_.OneOf({"IN", "IN", "NOT IN", "= ANY", "<> ALL"}), Id(k), Name(parent)));
      Where(parent, "");
      return T(")");
    case 1:
      T("SELECT ");
      Items(parent, "p", false);
      T(fmt::format(" FROM {} p WHERE {} (SELECT 1 FROM {} c WHERE c.{} = p.{} AND ", Name(parent), random_.OneOf({"EXISTS", "NOT EXISTS"}), Name(*child), r, k));
      Condition(*child, "c");
      return T(")");
    case 2:
      T(fmt::format("SELECT p.{0}, (SELECT COUNT(*) FROM {1} c WHERE c.{2} = p.{0}) AS n FROM {3} p", k, Name(*child), r, Name(parent)));
      statement_.items = {of_key, {}};
      return Where(parent, "p");
    case 3:
      T(fmt::format("SELECT d.k, d.n FROM (SELECT {0} AS k, COUNT(*) AS n FROM {1} GROUP BY {0}) AS d WHERE d.n > ", r, Name(*child)));
      statement_.items = {of_reference, {}};
      return V({int64_t{random_.Between(1, 3)}});
    case 4:
      T(fmt::format("WITH few AS (SELECT {0} AS k, u FROM {1}", r, Name(*child)));
      Where(*child, "");
      T(") SELECT k, u FROM few");
      statement_.items = {of_reference, {}};
      if (random_.Chance(50)) {
        T(" WHERE k = ");
        V(KeyValue(reference.key, true));
      }
      return;
    case 5:
      T(fmt::format("SELECT x.u, p.u FROM (SELECT u, {} AS k FROM {}) x JOIN {} p ON p.{} = x.k", r, Name(*child), Name(parent), k));
      statement_.items = {{}, {}};
      return Where(parent, "p");
    case 6:
      T(fmt::format("SELECT u FROM {} WHERE {} = (SELECT {} FROM {} WHERE ", Name(*child), Id(r), Id(k), Name(parent)));
      T(Id(k) + " = ");
      V(KeyValue(reference.key, true));
      statement_.items = {{}};
      return T(")");
    case 7:
      if (parent.name == child->name) {
        T(fmt::format("WITH RECURSIVE up AS (SELECT {0}, {1}, 1 AS depth FROM {2} WHERE {0} = ", k, r, parent.name));
        V(KeyValue(reference.key, true));
        T(fmt::format(" UNION ALL SELECT m.{0}, m.{1}, depth + 1 FROM {2} m JOIN up ON m.{0} = up.{1} WHERE depth < 4) SELECT {0}, {1}, depth FROM up", k, r, parent.name));
        statement_.items = {of_key, of_reference, {}};
        return;
      }
      [[fallthrough]];
    default:
      T("SELECT ");
      Items(*child, "c", false);
      T(fmt::format(" FROM {0} c WHERE c.u = (SELECT MAX(d.u) FROM {0} d WHERE d.{1} = c.{1})", Name(*child), r));
  }
}

void Grammar::SelectSet() {
  const Table* child = WithReference();
  if (child == nullptr) return SelectOne(AnyTable());
  statement_.label = "select union";
  statement_.folds = true;
  const Column& reference = *random_.Pick(Columns(*child, Role::kReference));
  const Key& key = model_.keys[reference.key];
  const Table& parent = *model_.Find(key.table);
  const bool same = Changes(*parent.Find(key.column)) == Changes(reference);
  const bool twice = !same || random_.Chance(40);
  const Table& first = twice ? *child : parent;
  T(fmt::format("SELECT {} AS k FROM {}", twice ? reference.name : key.column, Name(first)));
  Where(first, "");
  const char* operation = random_.OneOf({"UNION", "UNION ALL", "UNION DISTINCT", "INTERSECT", "EXCEPT"});
  T(fmt::format(" {} SELECT {} FROM {}", operation, reference.name, Name(*child)));
  Where(*child, "");
  statement_.items = {Of(reference)};
}

void Grammar::SelectWindow() {
  const Table* child = WithReference();
  if (child == nullptr) return SelectOne(AnyTable());
  statement_.label = "select window";
  const Column& reference = *random_.Pick(Columns(*child, Role::kReference));
  const std::string r = reference.name;
  switch (random_.Below(3)) {
    case 0:
      T(fmt::format("SELECT u, {0}, ROW_NUMBER() OVER (PARTITION BY {0} ORDER BY u) FROM {1}", r, Name(*child)));
      break;
    case 1:
      T(fmt::format("SELECT u, {0}, COUNT(*) OVER (PARTITION BY {0}) FROM {1}", r, Name(*child)));
      break;
    default:
      T(fmt::format("SELECT u, {0}, SUM(u) OVER w FROM {1} WINDOW w AS (PARTITION BY {0} ORDER BY u)", r, Name(*child)));
      statement_.items = {{}, Of(reference), {Shown::kLoose, -1}};
      return;
  }
  statement_.items = {{}, Of(reference), {}};
}

void Grammar::SelectOther() {
  const Table& table = AnyTable();
  switch (random_.Below(5)) {
    case 0:
      statement_.label = "explain";
      statement_.shape_only = true;
      T("EXPLAIN SELECT * FROM " + Name(table));
      for (const Column& column : table.columns)
        if (Hidden(column)) MayRefuse("an old column without a way back");
      return Where(table, "");
    case 1:
      statement_.label = "do";
      statement_.locks = true;  // as a statement that is no SELECT it reads with locks
      T(fmt::format("DO (SELECT COUNT(*) FROM {})", Name(table)));
      if (mode_.new_cohort) MayRefuse("DO with a query");
      return;
    case 2:
      statement_.label = "wrong";
      MayRefuse("not understood");
      T(fmt::format("SELECT nothing FROM {}", Name(table)));
      return;
    case 3:
      statement_.label = "wrong";
      MayRefuse("not understood");
      T(fmt::format("SELECT u FROM {} WHERE", Name(table)));
      return;
    default:
      statement_.label = "select into";
      statement_.shape_only = true;
      T(fmt::format("SELECT COUNT(*) INTO @n FROM {}", Name(table)));
      return Where(table, "");
  }
}

}  // namespace crossfade::grammar

// SPDX-License-Identifier: Apache-2.0
// The grammar's conditions; see grammar.h.
#include "fmt/format.h"
#include "tests/integration/grammar/grammar.h"

namespace crossfade::grammar {

void Grammar::KeyComparison(const Column& column, const std::string& prefix) {
  const std::string name = prefix + Id(column.name);
  const int key = column.key;
  const bool gone = OldGone(key);
  switch (random_.Below(gone ? 9 : 15)) {
    case 0: case 1: case 2: case 3:
      T(name + " = ");
      return V(KeyValue(key, true));
    case 4:
      V(KeyValue(key, true));
      return T(" = " + name);
    case 5: case 6: {
      T(name + random_.OneOf({" IN (", " IN (", " NOT IN ("}));
      const int count = random_.Between(1, 4);
      for (int i = 0; i < count; ++i) {
        if (i > 0) T(", ");
        V(KeyValue(key, true));
      }
      return T(")");
    }
    case 7:
      T(name + " <=> ");
      return V(KeyValue(key, true));
    case 8: return T(name + random_.OneOf({" IS NULL", " IS NOT NULL"}));
    case 9:
      T(name + random_.OneOf({" <> ", " != "}));
      return V(KeyValue(key, true));
    case 10:
      T(name + random_.OneOf({" < ", " >= ", " > "}));
      return V(OldKey(key));
    case 11:
      T(name + random_.OneOf({" BETWEEN ", " NOT BETWEEN "}));
      V(OldKey(key));
      T(" AND ");
      return V(OldKey(key));
    case 12:
      // A pattern is no key: beside an integer it asks of the column that the cohort reads.
      if (!model_.keys[key].bytes && !(model_.keys[key].integer && Changes(column))) {
        T(name + random_.OneOf({" LIKE ", " NOT LIKE "}));
        return V({random_.Pick(model_.keys[key].pool).substr(0, model_.keys[key].integer ? 1 : 3) + "%"});
      }
      [[fallthrough]];
    case 13:
      T("(" + name + ", " + prefix + "u) = (");
      V(KeyValue(key, true));
      T(", ");
      V(U());
      return T(")");
    default:
      T("(" + name + " = ");
      V(KeyValue(key, true));
      T(" OR " + name + " = ");
      V(KeyValue(key, true));
      return T(")");
  }
}

void Grammar::PlainComparison(const Table& table, const Column& column, const std::string& prefix) {
  const std::string name = prefix + Id(column.name);
  if (Hidden(column)) MayRefuse("an old column without a way back");
  switch (random_.Below(6)) {
    case 0: case 1:
      T(name + random_.OneOf({" = ", " = ", " <=> "}));
      return V(ValueFor(table, column));
    case 2:
      T(name + random_.OneOf({" > ", " <= ", " <> "}));
      return V(ValueFor(table, column));
    case 3:
      T(name + random_.OneOf({" IN (", " NOT IN ("}));
      V(ValueFor(table, column));
      T(", ");
      V(ValueFor(table, column));
      return T(")");
    case 4:
      T(name + " BETWEEN ");
      V(ValueFor(table, column));
      T(" AND ");
      return V(ValueFor(table, column));
    default: return T(name + random_.OneOf({" IS NULL", " IS NOT NULL"}));
  }
}

void Grammar::Condition(const Table& table, const std::string& alias) {
  const std::string prefix = alias.empty() ? (random_.Chance(8) ? Id(table.name) + "." : "") : alias + ".";
  std::vector<const Column*> keys = Columns(table, Role::kKey), references = Columns(table, Role::kReference);
  keys.insert(keys.end(), references.begin(), references.end());
  if (!keys.empty() && random_.Chance(50)) return KeyComparison(*random_.Pick(keys), prefix);
  const Column* column = &random_.Pick(table.columns);
  while (column->role == Role::kKey || column->role == Role::kReference) column = &random_.Pick(table.columns);
  PlainComparison(table, *column, prefix);
}

void Grammar::Where(const Table& table, const std::string& alias) {
  T(" WHERE ");
  const bool negated = random_.Chance(5);
  if (negated) T("NOT (");
  Condition(table, alias);
  if (random_.Chance(35)) {
    T(random_.OneOf({" AND ", " AND ", " OR "}));
    Condition(table, alias);
  }
  if (negated) T(")");
}

// At most one row is found.
void Grammar::OneRow(const Table& table, const std::string& alias) {
  const std::string prefix = alias.empty() ? "" : alias + ".";
  const std::vector<const Column*> keys = Columns(table, Role::kKey);
  T(" WHERE ");
  if (keys.empty() || random_.Chance(45)) {
    T(prefix + Id("u") + " = ");
    return V(U());
  }
  T(prefix + Id(keys[0]->name) + " = ");
  V(KeyValue(keys[0]->key, true));
}

}  // namespace crossfade::grammar

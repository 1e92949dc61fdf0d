// SPDX-License-Identifier: Apache-2.0
// INSERT and REPLACE with rows or SET. See rules.h, docs/rewriting.md.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "fmt/format.h"
#include "rewrite/ahead.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"
#include "rewrite/table_refs.h"

namespace crossfade::rewrite {
namespace {

constexpr size_t kAbsent = static_cast<size_t>(-1);

struct Target {
  const MigratingTable& table;
  std::vector<std::string> columns;  // that get a value, in order
  Scope scope;                       // the table itself
  size_t Find(std::string_view name) const {
    for (size_t i = 0; i < columns.size(); ++i)
      if (NameEq(columns[i], name)) return i;
    return kAbsent;
  }
};

// The value of column `index` in row `row` (rows, then SET); nullptr: the row is too short.
Expr* ValueAt(Insert& insert, size_t row, size_t index) {
  if (!insert.set.empty()) return insert.set[index].value;
  return index < insert.rows[row].values.size() ? insert.rows[row].values[index] : nullptr;
}

std::string OwnValue(Context& context, Insert& insert, const Target& target, const KeyColumn& column, size_t row) {
  const Key& key = *column.key;
  const std::string fresh = key.fresh.empty() ? SlotMark(context.NewSlot(key)) : key.fresh;
  if (!insert.replace) return fresh;
  const size_t index = target.Find(column.old_name);
  Expr* value = index == kAbsent ? nullptr : ValueAt(insert, row, index);
  if (value == nullptr && index != kAbsent) return fresh;  // too few values in this row: error 1136
  if (value != nullptr) value = &Unwrap(*value);
  const Column* described = target.table.table != nullptr ? target.table.table->FindColumn(column.old_name) : nullptr;
  // The server gives such a row a number that no row has.
  if (described != nullptr && described->auto_increment && (value == nullptr || value->kind == ExprKind::kNull || value->kind == ExprKind::kDefault)) return fresh;
  // The comparison that finds the row must be the one of its unique key: no conversion, no binary collation.
  if (value == nullptr || !context.ComparesAs(*value, key.old_shape)) {
    context.Refuse(key, fmt::format("REPLACE with a computed or converted {}", column.old_name),
                   "give it as a literal or a parameter of its own kind");
    return fresh;
  }
  std::string old = context.editor.Emit(value->span);
  // Where the mode is not strict, a value that does not fit is cut and stored: the row that has it then is the one.
  if ((context.facts.sql_mode & kStrict) == 0) {
    old = key.old_shape == ValueShape::kString ? AsStored(described, old) : "";
    if (old.empty()) context.Refuse(key, fmt::format("REPLACE of {} where the mode is not strict", column.old_name), "use a strict sql_mode");
  }
  const std::string number = QuoteName(column.new_name), name = QuoteName(column.old_name);
  // MariaDB reads the table it replaces in directly; through a derived table it would take DEFAULT for NULL
  // (error 1048, or the wrong value where sql_mode is not strict). MySQL wants the derived table (error 1093).
  if (context.dialect.flavor == Flavor::kMariaDb) {
    return fmt::format("COALESCE((SELECT {0}.{1} FROM {2} AS {0} WHERE {0}.{3} = {4}), {5})", context.alias, number, Context::OwnTable(key),
                       name, old, fresh);
  }
  return fmt::format("COALESCE((SELECT {0}.{1} FROM (SELECT {1} FROM {2} WHERE {3} = {4}) AS {0}), {5})", context.alias, number,
                     Context::OwnTable(key), name, old, fresh);
}

// Subqueries, which have names of their own, are not looked into.
// A new key that the application gives: what it is must be plain.
void GivenKey(Context& context, const KeyColumn& column, Expr* value) {
  bool is_value = false;
  if (value != nullptr) context.ShapeOf(Unwrap(*value), &is_value);
  if (!is_value) {
    context.Refuse(*column.key, fmt::format("a computed {}", column.new_name), "give it as a literal or a parameter, or leave it out");
  }
  if ((context.facts.sql_mode & kStrict) == 0 || context.ignore) {
    context.Refuse(*column.key, fmt::format("{} is given where values are cut to fit", column.new_name), "use a strict sql_mode, without IGNORE");
    return;
  }
  // What stands for no key must not become one: an old key that is none would be looked up as it.
  if (is_value) {
    context.editor.Before(value->span.begin, "NULLIF(");
    context.editor.After(value->span.end - 1, fmt::format(", {})", column.key->nothing));
  }
  context.Note("the new key is the application's");
}

// Which columns have to be added, with the values for each row.
struct Addition {
  const KeyColumn* column;  // nullptr: of a column migration
  bool own = false;
  AddedColumn plain = {};
  const std::string& Name() const { return column != nullptr ? column->new_name : plain.name; }
};

// What the rows' references to the table itself are looked up by, and by which key they are found in turn (MySQL).
void SelfRows(Context& context, Reader& reader, Insert& insert, const Target& target, const KeyColumn& column, size_t index, std::vector<SelfRow>* self) {
  if (context.dialect.flavor == Flavor::kMariaDb) return;
  const Key& key = *column.key;
  const size_t own = target.Find(key.spec->old_column);
  for (size_t row = 0; row < self->size(); ++row) {
    Expr* value = index == kAbsent ? nullptr : ValueAt(insert, row, index);
    (*self)[row].lookup = value == nullptr ? "NULL" : SelfLookup(context, reader, target.table, column, Unwrap(*value), target.scope);
    if ((*self)[row].lookup.empty())
      return context.Refuse(key, fmt::format("{} is computed, in a table that refers to itself", column.old_name), "give it as a literal or a parameter");
    Expr* name = own == kAbsent ? nullptr : ValueAt(insert, row, own);
    if (row + 1 == self->size()) return;
    if (name != nullptr && context.ComparesAs(Unwrap(*name), key.old_shape)) (*self)[row].old_key = context.editor.Emit(Unwrap(*name).span);
  }
}

// In retire: the row that refers to its own table by an old key at `at`, and on MySQL, whose lookup does not see them, those before it.
SelfNamed NamedRows(Context& context, Insert& insert, const Target& target, const KeyColumn& own, size_t row, size_t at, const std::function<std::string(size_t)>& new_key) {
  const Key& key = *own.key;
  SelfNamed named;
  named.column = target.table.table != nullptr ? target.table.table->FindColumn(own.old_name) : nullptr;
  named.name = QuoteName(target.table.name) + "." + QuoteName(own.old_name);
  named.first = insert.replace;
  const size_t index = target.Find(own.old_name);
  const bool maria = context.dialect.flavor == Flavor::kMariaDb;
  if (index == kAbsent) return named;  // nobody knows it
  if (!maria && row >= kSelfRowsAtOnce)
    context.Refuse(key, fmt::format("an INSERT of more than {} rows into a table that refers to itself", kSelfRowsAtOnce), "insert fewer rows at once");
  for (size_t i = maria ? row : 0; i <= row && !context.refused; ++i) {
    Expr* value = ValueAt(insert, i, index);
    if (value != nullptr) value = &Unwrap(*value);
    const bool made = value == nullptr || value->kind == ExprKind::kNull || value->kind == ExprKind::kDefault || (value->kind == ExprKind::kFunction && NameEq(value->text, "uuid"));
    if (made) continue;
    bool is_value = false;
    context.ShapeOf(*value, &is_value);
    std::string old_key;
    if (i == row && index < at) {
      old_key = named.name;
      if (named.column == nullptr || named.column->charset.empty()) old_key = SelfComparable(context, named.column, old_key);
    } else if (is_value && !context.WarnsEachTime(*value)) {
      old_key = SelfComparable(context, named.column, context.editor.Emit(value->span));
    }
    if (old_key.empty() && i != row) context.Refuse(key, fmt::format("{} is computed, in a table that refers to itself", own.old_name), "give it as a literal or a parameter");
    const std::string fresh = old_key.empty() ? "" : new_key(i);
    if (fresh.empty()) named.sure = false;
    else named.whens += fmt::format(" WHEN {} THEN {}", old_key, fresh);
  }
  return named;
}

// Returns the columns that were added.
std::vector<std::string> Rows(Context& context, Reader& reader, Insert& insert, Target& target) {
  const size_t rows = insert.set.empty() ? insert.rows.size() : 1;
  std::vector<Addition> additions;
  std::vector<std::string> names = target.columns;
  std::vector<std::vector<SelfRow>> selves;  // for each addition; empty: refers to another table
  std::map<const Key*, std::vector<std::string>> own;  // the new key of each row
  std::set<const Key*> in_front;                       // … stands before all other columns, for these to name it
  const auto own_key = [&](const KeyColumn& column, size_t row) {
    std::vector<std::string>& keys = own[column.key];
    while (keys.size() <= row) keys.push_back(OwnValue(context, insert, target, column, keys.size()));
    return keys[row];
  };
  // As NamedRows asks for it. Empty: it has no name there.
  const auto named_key = [&](const KeyColumn& column, size_t row, size_t of_row) -> std::string {
    const Key& key = *column.key;
    if (const size_t given = target.Find(column.new_name); given != kAbsent) {
      Expr* value = ValueAt(insert, row, given);
      return value == nullptr ? "" : context.editor.Emit(value->span);
    }
    if (key.fresh.empty()) return own_key(column, row);
    if (row != of_row) context.Refuse(key, "several rows of a table that refers to itself, whose keys the server makes", "insert one row at once");
    if (!insert.on_duplicate.empty()) return "";  // which may name the columns by their places
    in_front.insert(&key);
    return QuoteName(target.table.name) + "." + QuoteName(column.new_name);
  };
  for (const KeyColumn& column : target.table.keys) {
    const Key& key = *column.key;
    if (!key.active) continue;
    const size_t index = target.Find(column.old_name), fresh = target.Find(column.new_name);
    if (fresh != kAbsent && !key.new_only)
      context.Refuse(key, fmt::format("{} is written by Crossfade", column.new_name), "leave it out");
    if (column.own) {
      for (size_t row = 0; row < rows && index != kAbsent; ++row)
        if (Expr* value = ValueAt(insert, row, index)) ValueForOwn(context, reader, key, Unwrap(*value), target.scope, nullptr);
      if (fresh != kAbsent) {  // in retire the application may give its new keys itself, as it will have to afterwards
        for (size_t row = 0; row < rows; ++row) GivenKey(context, column, ValueAt(insert, row, fresh));
        continue;
      }
      additions.push_back({&column, true});
      context.Note("a new key for each row");
      continue;
    }
    if (key.new_only) {
      const size_t at = fresh != kAbsent ? fresh : index;
      if (at == kAbsent) {
        const Column* old = target.table.table != nullptr ? target.table.table->FindColumn(column.old_name) : nullptr;
        if (old == nullptr || old->has_default)
          context.Refuse(key, fmt::format("{} is left to a default that is an old key", column.old_name), "give the new key");
        continue;
      }
      names[at] = column.new_name;
      if (!insert.set.empty()) context.editor.Replace(insert.set[at].column->parts.back().span, QuoteName(column.new_name));
      else if (insert.has_columns) context.editor.Replace(insert.columns[at].span, QuoteName(column.new_name));
      for (size_t row = 0; row < rows; ++row) {
        Expr* value = ValueAt(insert, row, at);
        if (value == nullptr) continue;
        const auto own_column = std::find_if(target.table.keys.begin(), target.table.keys.end(), [&](const KeyColumn& other) { return other.own && other.key == &key; });
        const std::function<SelfNamed()> named = [&] {
          return NamedRows(context, insert, target, *own_column, row, at, [&](size_t other) { return named_key(*own_column, other, row); });
        };
        ValueForNew(context, reader, column, Unwrap(*value), target.scope, nullptr, own_column != target.table.keys.end() ? named : nullptr);
      }
      context.Note("writes the new reference");
      continue;
    }
    std::vector<SelfRow> self(RefersToItself(target.table, column) ? rows : 0);
    if (!self.empty()) SelfRows(context, reader, insert, target, column, index, &self);
    for (size_t row = 0; row < rows && index != kAbsent; ++row)
      if (Expr* value = ValueAt(insert, row, index)) ValueForOld(context, reader, key, Unwrap(*value), target.scope, nullptr);
    const Column* described = target.table.table != nullptr ? target.table.table->FindColumn(column.old_name) : nullptr;
    // Left out, a NOT NULL column without a default is still set where the mode is not strict or the statement says
    // IGNORE: to ''. Elsewhere the server refuses the row before it looks anything up.
    if (index != kAbsent || described == nullptr || described->has_default || !described->nullable) {
      additions.push_back({&column, false});
      selves.resize(additions.size());
      selves.back() = std::move(self);
      context.Note("writes both sides of the reference");
    }
  }

  for (AddedColumn& column : ColumnsToAdd(context, target.table, target.columns, !insert.on_duplicate.empty())) additions.push_back({nullptr, false, std::move(column)});
  selves.resize(additions.size());
  const auto value_of = [&](const Addition& addition, size_t row) -> std::string {
    if (addition.column == nullptr) return addition.plain.value;
    const Key* key = addition.column->key;
    if (addition.own) return own_key(*addition.column, row);
    std::vector<SelfRow>& self = selves[&addition - additions.data()];
    if (!self.empty()) {
      self[row].new_key = own[key].at(row);
      return SelfReferenceOfRow(context, target.table, *addition.column, self[row], {self.begin(), self.begin() + static_cast<long>(row)}, insert.replace, GuardOf(context, insert, target.table, row));
    }
    const std::string ro = QuoteName(target.table.name) + "." + QuoteName(addition.column->old_name);
    std::string lookup = context.LookupToStore(target.table, *addition.column, ro, ro, GuardOf(context, insert, target.table, row));
    const size_t index = target.Find(addition.column->old_name);
    Expr* value = index == kAbsent ? nullptr : ValueAt(insert, row, index);
    return value == nullptr ? lookup : context.LookedUpAhead(target.table, *addition.column, Unwrap(*value), std::move(lookup));
  };

  std::vector<std::string> added;
  for (const Addition& addition : additions) added.push_back(addition.Name());
  const bool listed = insert.has_columns || !insert.set.empty();
  std::string list;
  if (!listed) {
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + QuoteName(name);
  }
  const bool no_columns = names.empty();
  if (no_columns && insert.row_alias.present() && !additions.empty()) {  // it would lose the names of those that are not given
    const config::Migration& migration = additions[0].column != nullptr ? *additions[0].column->key->spec_migration : *target.table.sets[0]->spec_migration;
    context.Refuse(migration, "an INSERT of no columns whose row has an alias", "name the columns");
  }
  std::string front;
  const auto is_front = [&](const Addition& addition) { return addition.own && in_front.count(addition.column->key) > 0; };
  for (const Addition& addition : additions) {
    const std::string name = QuoteName(addition.Name());
    if (is_front(addition)) {
      front += name + ", ";
      continue;
    }
    list += (list.empty() && (no_columns || insert.has_columns) && !(insert.has_columns && !no_columns) ? "" : ", ") + name;
  }
  if (!insert.set.empty()) {
    std::string text;
    for (const Addition& addition : additions) {
      const std::string assignment = fmt::format("{} = {}", QuoteName(addition.Name()), value_of(addition, 0));
      if (is_front(addition)) context.editor.Before(insert.set.front().span.begin, assignment + ", ");
      else text += ", " + assignment;
    }
    if (!text.empty()) context.editor.After(insert.set.back().span.end - 1, text);
    return added;
  }
  if (insert.has_columns) {
    if (!front.empty()) context.editor.After(insert.columns_span.begin, front);
    if (!list.empty()) context.editor.After(insert.columns_span.end - 2, list);
  } else if (!additions.empty() || names != target.columns) {
    context.editor.After(insert.target->span.end - 1, " (" + front + list + ")");
  }
  for (size_t row = 0; row < rows; ++row) {
    std::string text;
    for (const Addition& addition : additions) {
      if (is_front(addition)) {
        context.editor.After(insert.rows[row].span.begin, value_of(addition, row) + ", ");
        continue;
      }
      if (!text.empty() || !insert.rows[row].values.empty()) text += ", ";
      text += value_of(addition, row);
    }
    if (!text.empty()) context.editor.After(insert.rows[row].span.end - 2, text);
  }
  if (!insert.row_alias_columns.empty()) {
    std::string text;
    for (size_t i = 0; i < additions.size(); ++i) text += fmt::format(", `cf_{}`", i);
    if (!text.empty()) context.editor.After(insert.row_alias_columns.back().span.end - 1, text);
  }
  return added;
}

// MariaDB: where a subquery names the table as the statement itself does, expressions see NULL for the columns set before.
// (Under an alias it is another table to the server.)
bool ReadsItself(Context& context, Reader& reader, const Insert& insert, const MigratingTable& table) {
  if (context.dialect.flavor != Flavor::kMariaDb) return false;
  const bool looks = table.AnySet() || std::any_of(table.keys.begin(), table.keys.end(), [](const KeyColumn& key) { return !key.own && key.key->active; });
  bool found = false;
  const auto look = [&](const TableRef& ref) {
    found = found || (looks && reader.FindTable(ref, nullptr) == &table && (!ref.alias.present() || NameEq(ref.alias.text, table.name)));
  };
  for (const InsertRow& row : insert.rows)
    for (const Expr* value : row.values) VisitTables(value, look);
  for (const Assignment& assignment : insert.set) VisitTables(assignment.value, look);
  for (const Assignment& assignment : insert.on_duplicate) VisitTables(assignment.value, look);
  return found;
}

// ON DUPLICATE KEY UPDATE sees the tables of the query beside the one that is written.
bool Names(const TableRef& ref, std::string_view name) {
  if (ref.kind == TableRef::kJoin || ref.kind == TableRef::kOdbcOrParen)
    return (ref.left != nullptr && Names(*ref.left, name)) || (ref.right != nullptr && Names(*ref.right, name));
  return NameEq(ref.alias.present() ? ref.alias.text : ref.table.text, name);
}

bool Names(const Query& query, std::string_view name) {
  for (const Select* select : query.selects) {
    if (select->nested != nullptr && Names(*select->nested, name)) return true;
    for (const TableRef* ref : select->from)
      if (Names(*ref, name)) return true;
  }
  return false;
}

// MySQL: where VALUES has no column list, the defaults of invisible columns are made before the row has its values.
void ListForDefaults(Context& context, const Insert& insert, const MigratingTable& table, const std::vector<std::string>& columns) {
  if (context.dialect.flavor != Flavor::kMySql || insert.has_columns || columns.empty()) return;
  if (std::none_of(insert.query->selects.begin(), insert.query->selects.end(), [](const Select* select) { return select->values_constructor; })) return;
  // With references, they are listed already.
  if (std::any_of(table.keys.begin(), table.keys.end(), [](const KeyColumn& key) { return !key.own && key.key->active; })) return;
  std::string list;
  for (const std::string& column : columns) list += (list.empty() ? "" : ", ") + QuoteName(column);
  context.editor.After(insert.target->span.end - 1, " (" + list + ")");
}

}  // namespace

Plan::Guard GuardOf(const Context& context, const Insert& insert, const MigratingTable& table, size_t row) {
  if (!insert.returning.empty()) return Plan::kUnguarded;
  const bool may_pass = context.ignore || !insert.on_duplicate.empty();
  const bool numbered = table.table == nullptr || std::any_of(table.table->columns.begin(), table.table->columns.end(), [](const Column& column) { return column.auto_increment; });
  if (numbered && (may_pass || row != 0 || insert.query != nullptr)) return Plan::kUnguarded;
  return may_pass ? Plan::kMayPass : Plan::kFails;
}

void RuleInsert(Context& context, Reader& reader, Statement& statement) {
  Insert& insert = *statement.insert;
  const MigratingTable* table = reader.FindTable(*insert.target, nullptr);
  Scope scope;
  Source source;
  source.alias = std::string(insert.target->table.text);
  source.schema = std::string(insert.target->schema.present() ? insert.target->schema.text : context.facts.schema);
  source.table = table;
  source.output.opaque = table == nullptr;
  scope.sources.push_back(source);
  if (table != nullptr) context.Touch(*table, true);

  std::vector<std::string> columns;
  if (insert.has_columns) {
    for (const Name& name : insert.columns) columns.emplace_back(name.text);
  } else if (!insert.set.empty()) {
    for (const Assignment& assignment : insert.set) columns.emplace_back(assignment.column->parts.back().text);
  } else if (table != nullptr) {
    bool any_value = insert.query != nullptr;
    for (const InsertRow& row : insert.rows) any_value = any_value || !row.values.empty();
    if (any_value)
      for (const Column* column : table->OriginalColumns()) columns.push_back(column->name);
  }

  bool active_keys = false;
  const config::Migration* first = nullptr;  // that is active
  if (table != nullptr) {
    for (const KeyColumn& key : table->keys) active_keys = active_keys || key.key->active;
    for (const KeyColumn& key : table->keys)
      if (key.key->active && first == nullptr) first = key.key->spec_migration;
    for (const ColumnSet* set : table->sets)
      if (set->active && first == nullptr) first = set->spec_migration;
  }
  // Values that name columns of their own row mean what is written there, which is the old side.
  const bool sets = table != nullptr && table->AnySet();
  bool old_side = sets;
  if (table != nullptr)
    for (const KeyColumn& key : table->keys) old_side = old_side || (key.key->active && key.key->dual);
  const auto visit = [&](Expr& value) { old_side ? reader.VisitOld(value, scope, nullptr) : reader.Visit(value, scope, nullptr); };
  // Values that are no key: subqueries and the like may still read migrating tables.
  const auto is_key = [&](size_t index) {
    bool named_new = false;
    if (!active_keys || index >= columns.size()) return false;
    const KeyColumn* key = table->FindKey(columns[index], &named_new);
    return key != nullptr && key->key->active;
  };
  // In retire the key of P is its new number, which is not there yet where a value of the same row asks for it.
  for (const KeyColumn& key : table != nullptr ? table->keys : std::vector<KeyColumn>()) {
    if (!key.own || !key.key->active || !key.key->new_only || key.key->own_stays) continue;
    bool asks = false;
    for (const InsertRow& row : insert.rows)
      for (const Expr* value : row.values) asks = asks || Mentions(*value, key.old_name);
    for (const Assignment& assignment : insert.set) asks = asks || Mentions(*assignment.value, key.old_name);
    if (asks) context.Refuse(*key.key, fmt::format("a value is made of {} of its own row", key.old_name), "write the value itself");
  }
  for (InsertRow& row : insert.rows)
    for (size_t i = 0; i < row.values.size(); ++i)
      if (!is_key(i)) visit(*row.values[i]);
  for (size_t i = 0; i < insert.set.size(); ++i)
    if (!is_key(i)) visit(*insert.set[i].value);

  if (first == nullptr) {
    if (insert.query != nullptr) reader.VisitQuery(*insert.query, nullptr, nullptr, {});
    for (Assignment& assignment : insert.on_duplicate) reader.Visit(*assignment.value, scope, nullptr);
    reader.Items(insert.returning, scope, nullptr, {});
    return;
  }

  if (insert.has_columns || !insert.set.empty()) {
    for (const std::string& column : columns) {
      bool named_new = false;
      if (const KeyColumn* key = table->FindKey(column, &named_new); key != nullptr && !named_new) context.OldName(*key);
      if (const ColumnSet* set = table->FindSet(column, &named_new); set != nullptr && !named_new) context.OldName(*set, column);
    }
  }
  context.targets.push_back(table);
  CheckWritable(context, *table, insert.replace ? "REPLACE" : "INSERT");
  context.ignore = insert.ignore;
  if (insert.delayed) context.Refuse(*first, "INSERT DELAYED", "leave DELAYED out");
  if (!insert.has_columns && insert.set.empty() && table->table == nullptr)
    context.Refuse(*first, "the columns of the table are not known", "list the columns");
  if (insert.query == nullptr && ReadsItself(context, reader, insert, *table))
    context.Refuse(*first, fmt::format("a subquery reads {} by its own name while it is written, which hides the row's values", table->name), "give the table an alias in the subquery");
  AssignUse use;
  use.columns = columns;
  if (insert.query != nullptr) {
    CheckLeftToDefaults(context, *table, columns);
    InsertSelect(context, reader, insert, *table, columns);
    ListForDefaults(context, insert, *table, columns);
  } else {
    Target target{*table, columns, scope};
    // Under IGNORE, and where the mode is not strict, a row is written that has not what the text says. A result of an execution is of its own form.
    context.ahead = insert.rows.size() >= kRowsLookedUpAhead && !insert.ignore && context.alone && !context.wrapped && (context.facts.sql_mode & kStrict) != 0 && !(context.prepared && !insert.returning.empty());
    use.added = Rows(context, reader, insert, target);
    context.ahead = false;
  }
  use.insert = &insert;
  use.ignore = insert.ignore;
  CheckRowAlias(context, *table, insert.on_duplicate, use);
  const bool assigns = Assign(context, reader, insert.on_duplicate, scope, nullptr, use);
  if (assigns && insert.query != nullptr && Names(*insert.query, insert.target->table.text))
    context.Refuse(*first, fmt::format("ON DUPLICATE KEY UPDATE after a query over {} itself", table->name), "give the table an alias in the query");
  reader.Items(insert.returning, scope, nullptr, {});
}

}  // namespace crossfade::rewrite

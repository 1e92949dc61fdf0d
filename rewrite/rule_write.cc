// SPDX-License-Identifier: Apache-2.0
// What all writes share: the conditions for them, and the values and assignments of key columns. See rules.h.
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {
namespace {

bool IsNewShaped(Context& context, const Key& key, Expr& value) {
  if (!key.either) return false;
  bool is_value = false;
  const ValueShape shape = context.ShapeFor(key, value, &is_value);
  return is_value && shape == key.new_shape;
}

// Gives the same value twice in one statement and compares with the old column without a conversion.
bool Repeatable(Context& context, Reader& reader, const Key& key, Expr& value, const Scope& scope) {
  static constexpr std::string_view kPlainFunctions[] = {"concat", "upper", "lower", "ucase", "lcase", "trim", "ltrim", "rtrim",
                                                         "substring", "substr", "left", "right", "replace", "lpad", "rpad"};
  if (value.kind == ExprKind::kColumn) {
    const Bound bound = reader.Resolve(value, scope);
    return bound.kind == Bound::kBase && bound.tag.key == &key && !bound.named_new;
  }
  if (value.kind == ExprKind::kFunction) {
    bool plain = false;
    for (std::string_view name : kPlainFunctions) plain = plain || NameEq(value.text, name);
    for (Expr* child : value.children)
      plain = plain && (child->kind == ExprKind::kString || child->kind == ExprKind::kInteger || Repeatable(context, reader, key, *child, scope));
    return plain && key.old_shape == ValueShape::kString;
  }
  if (context.WarnsEachTime(value)) return false;
  if (value.kind == ExprKind::kNull || value.kind == ExprKind::kValues) return true;
  bool is_value = false;
  const ValueShape shape = context.ShapeFor(key, value, &is_value);
  if (!is_value) return false;
  return shape == key.old_shape || (value.kind == ExprKind::kParam && (shape == ValueShape::kUnknown || shape == ValueShape::kNull));
}

bool HasValues(const Expr& expr) {
  return expr.kind == ExprKind::kValues || std::any_of(expr.children.begin(), expr.children.end(), [](const Expr* child) { return HasValues(*child); });
}

// In retire: a row alias's column that holds the new reference by now.
bool RowAliasForNew(Context& context, const KeyColumn& column, Expr& value, const AssignUse& use) {
  const std::optional<size_t> at = RowAliasColumn(value, use);
  if (!at) return false;
  for (const KeyColumn& other : *column.siblings) {
    if (other.key != column.key || other.own || !NameEq(other.old_name, use.columns[*at])) continue;
    if (use.insert->row_alias_columns.empty()) context.editor.Replace(value.parts.back().span, QuoteName(other.new_name));
    return true;
  }
  return false;
}

// Assignment of a reference while both sides are written.
void AssignBoth(Context& context, Reader& reader, Assignment& assignment, const KeyColumn& column, const Source& source,
                const Scope& scope, const Ctes* ctes, const AssignUse& use, bool* aliased) {
  const Key& key = *column.key;
  Expr& value = Unwrap(*assignment.value);
  const std::string table = QuoteName(source.alias) + ".";
  const std::string rn = table + QuoteName(column.new_name), ro = table + QuoteName(column.old_name);
  std::string lookup;
  if (RefersToItself(*source.table, column) && context.OnlyDerived(key)) lookup = SelfAssigned(context, reader, *source.table, column, value, scope, use, aliased);
  if (!lookup.empty() && lookup.front() == '(' && use.insert == nullptr) lookup = context.Guarded(*source.table, column, std::move(lookup), ro, Plan::kMayPass);
  else if (lookup.empty()) lookup = context.LookupToStore(*source.table, column, ro, ro, use.insert != nullptr ? GuardOf(context, *use.insert, *source.table, 0) : Plan::kMayPass);
  const uint32_t last = assignment.span.end - 1;
  context.Note("writes both sides of the reference");
  const std::optional<size_t> aliased_column = RowAliasColumn(value, use);
  const bool replaced = !aliased_column && ValueForOld(context, reader, key, value, scope, ctes);
  bool repeatable = !replaced && key.filling && (aliased_column || Repeatable(context, reader, key, value, scope));
  // A second VALUES() would be a second warning, and inside a function there is no other name for it.
  const bool warns = context.dialect.flavor == Flavor::kMySql && context.dialect.version >= 80019;
  if (warns && value.kind == ExprKind::kFunction && HasValues(value)) repeatable = false;
  std::string e = repeatable ? context.editor.Emit(value.span) : "";
  if (repeatable && value.kind == ExprKind::kValues && !value.children.empty() && context.dialect.flavor == Flavor::kMySql &&
      context.dialect.version >= 80019) {
    const std::string once = ValuesOnce(context, value, use, aliased, e);
    repeatable = once != e;  // VALUES of a column that the INSERT does not list has no other name
    e = once;
  }
  if (repeatable) {
    // A row that does not change must not change for us either, though its new side may still be missing.
    context.editor.Before(assignment.span.begin, fmt::format("{0} = IF({1} <=> {2}, {0}, {3}), ", rn, ro, e, key.nothing));
    context.editor.After(last, fmt::format(", {0} = IF({0} = {2}, {1}, {0})", rn, lookup, key.nothing));
  } else {
    context.editor.After(last, fmt::format(", {} = {}", rn, lookup));
  }
}

bool Filling(const Source& source) {
  if (source.table == nullptr) return false;
  for (const ColumnSet* set : source.table->sets)
    if (set->active && set->filling) return true;
  for (const KeyColumn& column : source.table->keys)
    if (column.key->active && column.key->filling) return true;
  return false;
}

// Whether the backfill may walk along the column: rows that it changes can move from ahead of it to behind it.
bool WalkedAlong(const MigratingTable& table, std::string_view column) {
  if (table.table == nullptr) return false;
  const Index* primary = table.table->PrimaryKey();
  for (const Index& index : table.table->indexes) {
    if (primary != nullptr ? &index != primary : !index.unique) continue;
    for (const std::string& name : index.columns)
      if (NameEq(name, column)) return true;
  }
  return false;
}

// "the column has the assigned value already"; empty: not sure, or the value cannot be said twice.
std::string Same(Context& context, const Source& source, const Assignment& assignment, const AssignUse& use, bool* aliased) {
  if (source.table == nullptr || source.table->table == nullptr) return "";
  const Column* column = source.table->table->FindColumn(assignment.column->parts.back().text);
  if (column == nullptr) return "";
  Expr& value = Unwrap(*assignment.value);
  const bool values = value.kind == ExprKind::kValues && !value.children.empty();
  bool is_value = false;
  if (value.kind != ExprKind::kParam) context.ShapeOf(value, &is_value);
  // A text for a number: converting it once more may warn once more.
  if (context.WarnsEachTime(value) || (value.kind == ExprKind::kString && column->type_class == TypeClass::kInteger)) return "";
  if (!is_value && !values && value.kind != ExprKind::kParam && !RowAliasColumn(value, use)) return "";
  // What is no number is told once by the assignment, and would be again by the comparison.
  if (value.kind == ExprKind::kString && column->type_class == TypeClass::kInteger) return "";
  std::string text = context.editor.Emit(value.span);
  if (values && context.dialect.flavor == Flavor::kMySql && context.dialect.version >= 80019) {
    const std::string once = ValuesOnce(context, value, use, aliased, text);
    if (once == text) return "";
    text = once;
  }
  const std::string name = QuoteName(source.alias) + "." + QuoteName(column->name);
  if (column->charset.empty()) return fmt::format("{} <=> {}", name, text);
  return fmt::format("CAST({} AS BINARY) <=> CAST(CONVERT({} USING {}) AS BINARY)", name, text, column->charset);
}

// Whether one of the assignments is to `table` (or to a column whose table is not sure).
bool AssignsTo(Reader& reader, const std::vector<Assignment>& set, const Scope& scope, const MigratingTable& table) {
  for (const Assignment& assignment : set) {
    const Bound bound = reader.Resolve(*assignment.column, scope);
    if (bound.source == nullptr || bound.source->table == &table) return true;
  }
  return false;
}

// The references of rows that may leave the backfill behind go along; `seen`: those that are assigned anyway.
bool TakeReferences(Context& context, Reader& reader, const std::vector<Assignment>& set, const Scope& scope, const std::vector<std::pair<const Source*, std::string>>& moved,
                    const std::vector<const KeyColumn*>& seen, const AssignUse& use) {
  const bool single = use.single;
  if (moved.empty()) return false;
  std::string same;
  bool sure = single && (context.facts.sql_mode & kSimultaneousAssignment) == 0;
  for (const auto& [source, each] : moved) {
    sure = sure && !each.empty();
    same += (same.empty() ? "" : " AND ") + each;
  }
  std::string before, after;
  std::vector<const Source*> sources;
  for (const auto& [source, each] : moved) {
    if (std::find(sources.begin(), sources.end(), source) != sources.end()) continue;
    sources.push_back(source);
    for (const KeyColumn& column : source->table->keys) {
      if (column.own || !column.key->active || !column.key->filling) continue;
      // References to the table itself are found by their index before `verify`, as the keys of such rows are.
      if (RefersToItself(*source->table, column)) continue;
      const MigratingTable* parent = context.world.Find(column.key->schema, column.key->spec->table);
      if (!single && (parent == nullptr || AssignsTo(reader, set, scope, *parent))) {
        NeedReference(context, *source, column, "an UPDATE of several tables moves rows that are being copied", "update one table, with the others in subqueries", use.image);
        continue;
      }
      const std::string table = QuoteName(source->alias) + ".";
      const std::string rn = table + QuoteName(column.new_name);
      const std::string lookup = context.LookupToStore(*source->table, column, table + QuoteName(column.old_name));
      const bool assigned = std::find(seen.begin(), seen.end(), &column) != seen.end();
      if (sure) before += fmt::format("{0} = IF({1}, {0}, {2}), ", rn, same, column.key->nothing);
      else if (assigned && single) before += fmt::format("{} = {}, ", rn, column.key->nothing);
      if (assigned) continue;  // what is 0 is looked up there
      after += sure ? fmt::format(", {0} = IF({0} = {2}, {1}, {0})", rn, lookup, column.key->nothing) : fmt::format(", {} = {}", rn, lookup);
      context.Note("a row that moves takes its new reference with it");
    }
  }
  if (!before.empty()) context.editor.Before(set.front().span.begin, before);
  if (!after.empty()) context.editor.After(set.back().span.end - 1, after);
  return !before.empty() || !after.empty();
}

// In an UPDATE of several tables the order of assignments is nobody's promise: both sides are made of the value itself,
// which no assignment may change, and the lookup reads a table that the statement does not write.
void AssignInSeveral(Context& context, Reader& reader, const std::vector<Assignment>& set, Assignment& assignment, const KeyColumn& column,
                     const Source& source, const Scope& scope, const Ctes* ctes, const AssignUse& use) {
  const Key& key = *column.key;
  Expr& value = Unwrap(*assignment.value);
  bool visited = false;
  const auto refuse = [&] {
    if (!visited) (void)ValueForOld(context, reader, key, value, scope, ctes);
    if (use.reads_itself) NeedReference(context, source, column, fmt::format("an UPDATE of {} in which a subquery reads the same table", column.old_name), "read it in a statement of its own", use.image);
    else NeedReference(context, source, column, fmt::format("an UPDATE of several tables assigns {}", column.old_name), "update one table, with the others in subqueries", use.image);
  };
  size_t times = 0;
  for (const Assignment& other : set) {
    if (NameEq(other.column->parts.back().text, column.old_name)) ++times;
    if (Mentions(value, other.column->parts.back().text)) return refuse();
  }
  const MigratingTable* parent = context.world.Find(key.schema, key.spec->table);
  if (times != 1 || parent == nullptr || AssignsTo(reader, set, scope, *parent)) return refuse();
  // With the lookup in it MariaDB goes over a table of its own, in which rows that IGNORE leaves alone stay counted.
  if (use.ignore && context.dialect.flavor == Flavor::kMariaDb) return refuse();
  const Column* stored = source.table->table != nullptr ? source.table->table->FindColumn(column.old_name) : nullptr;
  visited = true;
  if (ValueForOld(context, reader, key, value, scope, ctes)) return refuse();
  const std::string repeated = RepeatInLookup(context, reader, key, value, scope, stored);
  if (repeated.empty()) return refuse();
  const std::string table = QuoteName(source.alias) + ".", rn = table + QuoteName(column.new_name);
  std::string lookup = context.LookupToStore(*source.table, column, repeated, repeated, context.dialect.flavor == Flavor::kMySql ? Plan::kUnguarded : Plan::kMayPass);
  // A row that stays as it is must not change for us either. Whichever assignment is the first, a reference that is there is never left stale.
  if (key.filling) lookup = fmt::format("IF({}{} <=> {} AND {} IS NULL, NULL, {})", table, QuoteName(column.old_name), repeated, rn, lookup);
  context.editor.Before(assignment.span.begin, fmt::format("{} = {}, ", rn, lookup));
  context.Note("writes both sides of the reference");
}

// In retire: the new key of the old key `text`, which may be that of a row of the statement.
std::string LookupAmongRows(Context& context, const KeyColumn& column, const Expr& value, const SelfNamed& named, const std::string& text) {
  const std::string compared = context.WarnsEachTime(value) ? "" : SelfComparable(context, named.column, text);
  if (context.ignore && (!named.sure || compared.empty()))  // the row would be dropped without an error
    context.Refuse(*column.key, fmt::format("INSERT IGNORE gives {} an old key, in a table that refers to itself", column.old_name), "write the new key, or leave IGNORE out");
  // MariaDB looks a constant up once for all rows, and what names the row anew for each.
  const bool anew = context.dialect.flavor == Flavor::kMariaDb && named.column != nullptr;
  const std::string lookup = context.LookupToWrite(*column.key, true, anew ? fmt::format("IF({} IS NULL, {}, {})", named.name, text, text) : text);
  if (compared.empty() || named.whens.empty()) return lookup;
  const std::string cases = fmt::format("CASE {}{} END", compared, named.whens);
  return named.first ? cases + ", " + lookup : lookup + ", " + cases;
}

// What a function makes, where it is known.
std::optional<ValueShape> ShapeOfFunction(const Key& key, const Expr& value) {
  if (value.kind != ExprKind::kFunction) return std::nullopt;
  for (const char* name : {"concat", "lower", "upper", "uuid"})
    if (NameEq(value.text, name)) return ValueShape::kString;
  if (key.old_shape == ValueShape::kInteger && NameEq(value.text, "last_insert_id") && value.children.empty()) return ValueShape::kInteger;
  return std::nullopt;
}

}  // namespace

bool StaysItself(const Assignment& assignment) {
  const Expr* value = &Unwrap(*assignment.value);
  if (value->kind == ExprKind::kFunction && value->parts.empty() && NameEq(value->text, "last_insert_id") && value->children.size() == 1) value = value->children[0];
  if (value->kind != ExprKind::kColumn || !NameEq(value->parts.back().text, assignment.column->parts.back().text)) return false;
  const std::vector<Name>& to = assignment.column->parts;
  return value->parts.size() == 1 || (value->parts.size() == 2 && to.size() == 2 && NameEq(value->parts[0].text, to[0].text));
}

std::string AsStored(const Column* column, const std::string& value) {
  const size_t open = column == nullptr ? std::string::npos : column->type.find('(');
  if (open == std::string::npos) return "";
  const int length = std::atoi(column->type.c_str() + open + 1);
  if (length <= 0 || column->charset.empty() || column->collation.empty()) return "";
  return fmt::format("LEFT(CONVERT({} USING {}), {}) COLLATE {}", value, column->charset, length, column->collation);
}

void CheckWritable(Context& context, const MigratingTable& table, const char* verb) {
  for (const ColumnSet* set : table.sets) {
    if (!set->active) continue;
    CheckValues(context, *set);
    if (!set->parsed->fault.empty()) context.Refuse(*set, fmt::format("an expression of the file cannot be used: {}", set->parsed->fault), "mend the file");
    if ((context.facts.sql_mode & kOracle) != 0) context.Refuse(*set, fmt::format("{} under sql_mode ORACLE", verb), "use another sql_mode");
  }
  for (const KeyColumn& key : table.keys) {
    if (!key.key->active) continue;
    if (!context.facts.foreign_key_checks)
      context.Refuse(*key.key, fmt::format("{} without foreign_key_checks could leave a reference without its new key", verb),
                     "turn the checks on and write parents first");
    if ((context.facts.sql_mode & kOracle) != 0)
      context.Refuse(*key.key, fmt::format("{} under sql_mode ORACLE", verb), "use another sql_mode");
    // Such a key is read with its blanks, and where these count is looked up in vain.
    const Column* old = table.table != nullptr ? table.table->FindColumn(key.old_name) : nullptr;
    if ((context.facts.sql_mode & kPadChar) != 0 && old != nullptr && FoldName(old->type).rfind("char(", 0) == 0 &&
        (old->collation.find("_0900_") != std::string::npos || old->collation.find("nopad") != std::string::npos))
      context.Refuse(*key.key, fmt::format("{} under sql_mode PAD_CHAR_TO_FULL_LENGTH, where blanks at the end count", verb), "use another sql_mode");
  }
}

bool ValueForOld(Context& context, Reader& reader, const Key& key, Expr& value, const Scope& scope, const Ctes* ctes) {
  if (IsNewShaped(context, key, value)) {
    const std::string text = context.editor.Emit(value.span);
    // What is no key must not become a number that is one.
    if (key.old_shape == ValueShape::kInteger && (context.ignore || (context.facts.sql_mode & kStrict) == 0))
      context.Refuse(key, "a new key is written where the mode is not strict", "use a strict sql_mode");
    // A number that is no new key is kept as it is, so that the foreign key refuses it.
    const Column* fresh = context.NewColumn(key);
    const std::string lookup = context.LookupToWrite(key, false, context.Within(fresh, value, key.nothing, ThatIsUuid(key, value, text)));
    // MySQL would make an integer of a parameter beside one, with an error of its own (1292 for 1366).
    const bool typed = context.dialect.flavor == Flavor::kMySql && value.kind == ExprKind::kParam && key.old_shape == ValueShape::kInteger && fresh != nullptr && !fresh->charset.empty();
    context.editor.Replace(value.span, fmt::format("COALESCE({}, {})", lookup, typed ? fmt::format("CONVERT({} USING utf8mb4)", text) : text));
    context.Note("a new key is written as its old one");
    return true;
  }
  if (value.kind == ExprKind::kColumn) {
    const Bound bound = reader.Resolve(value, scope);
    if (bound.tag.key == &key && bound.kind == Bound::kBase) {
      reader.SetSide(value, bound, Side::kOld);
      return false;
    }
  }
  if (value.kind == ExprKind::kSubquery) {
    QueryUse use;
    use.names_matter = false;
    use.wishes = {{&key, Side::kOld}};
    const Output output = reader.VisitQuery(*value.query, &scope, ctes, use);
    if (output.columns.size() == 1 && output.columns[0].tag.key == &key && output.columns[0].tag.side == Side::kNew)
      context.Refuse(key, "a reference is set from a query that gives the new key", "select the old key");
    return false;
  }
  if (value.kind == ExprKind::kValues) return false;
  // What is written to the old side is computed from old sides, also in a session that reads new ones.
  const Tag tag = reader.VisitOld(value, scope, ctes);
  if (tag.key == &key && tag.side == Side::kNew)
    context.Refuse(key, "a reference is set from an expression that gives the new key", "use the old key");
  return false;
}

void ValueForNew(Context& context, Reader& reader, const KeyColumn& column, Expr& value, const Scope& scope, const Ctes* ctes,
                 const std::function<SelfNamed()>& named) {
  const Key& key = *column.key;
  bool is_value = false;
  ValueShape shape = context.ShapeFor(key, value, &is_value);
  if (!is_value && value.kind == ExprKind::kFunction) {
    for (Expr* child : value.children) reader.Visit(*child, scope, ctes);
    const std::optional<ValueShape> made = ShapeOfFunction(key, value);
    is_value = made && (*made == ValueShape::kInteger || !context.editor.Touched(value.span));
    if (is_value) shape = *made;
  }
  if (is_value) {
    if (shape == ValueShape::kUnknown || (shape == ValueShape::kOther && key.old_shape == ValueShape::kInteger)) shape = key.old_shape;
    // Stored as '', which may be an old key.
    if (shape == ValueShape::kNull && !column.nullable && (context.ignore || (context.facts.sql_mode & kStrict) == 0))
      context.Refuse(key, fmt::format("{} is given NULL, which it does not take", column.old_name), "give the new key");
    if (shape == key.new_shape || shape == ValueShape::kNull) return;
    if (shape == key.old_shape && key.spec->keep_old_lookup) {
      // 0 is never a key: a value that is none is refused by the foreign key.
      const std::string text = context.editor.Emit(value.span);
      const std::string none = value.kind == ExprKind::kString || value.kind == ExprKind::kHex ? key.nothing : fmt::format("IF({} IS NULL, NULL, {})", text, key.nothing);
      const bool names = named != nullptr && !(value.kind == ExprKind::kFunction && NameEq(value.text, "uuid"));
      const std::string lookup = fmt::format("COALESCE({}, {})", names ? LookupAmongRows(context, column, value, named(), text) : context.LookupToWrite(key, true, text), none);
      const bool plain = !names && !context.prepared && scope.sources.size() == 1 && scope.sources[0].table != nullptr;
      context.editor.Replace(value.span, plain ? context.LookedUpAhead(*scope.sources[0].table, column, value, lookup) : lookup);
      context.Note("the old key is looked up");
      return;
    }
    context.Refuse(key, "an old key is written where only new ones are left", "write the new key");
    return;
  }
  switch (value.kind) {
    case ExprKind::kDefault:
      if (value.children.empty() && !column.has_default) return;
      context.Refuse(key, fmt::format("{} is set to a default that is an old key", column.old_name), "give the new key");
      return;
    case ExprKind::kValues: {
      for (Expr* child : value.children) {
        const Bound bound = reader.Resolve(*child, scope);
        if (bound.kind == Bound::kBase && bound.tag.key == &key) {
          context.editor.Replace(child->parts.back().span, QuoteName(bound.column->new_name));
          return;
        }
      }
      break;
    }
    case ExprKind::kColumn: {
      const Bound bound = reader.Resolve(value, scope);
      if (bound.tag.key == &key && reader.SetSide(value, bound, Side::kNew).side == Side::kNew) return;
      break;
    }
    case ExprKind::kSubquery: {
      QueryUse use;
      use.names_matter = false;
      use.wishes = {{&key, Side::kNew}};
      const Output output = reader.VisitQuery(*value.query, &scope, ctes, use);
      if (output.columns.size() == 1 && output.columns[0].tag.key == &key && output.columns[0].tag.side == Side::kNew) return;
      break;
    }
    default: break;
  }
  context.Refuse(key, "a reference is set from an expression that may be an old or a new key", "use a literal or a parameter");
}

void ValueForOwn(Context& context, Reader& reader, const Key& key, Expr& value, const Scope& scope, const Ctes* ctes) {
  if (IsNewShaped(context, key, value))
    context.Refuse(key, fmt::format("{} is given a value of the new key's kind", key.spec->old_column),
                   "new keys are given out by Crossfade: give the old key as a value of its own kind");
  else  // the old side is made of old sides, also in a session that reads new ones
    reader.VisitOld(value, scope, ctes);
}

bool Assign(Context& context, Reader& reader, std::vector<Assignment>& set, const Scope& scope, const Ctes* ctes,
            const AssignUse& use) {
  std::vector<const KeyColumn*> seen;
  std::vector<std::pair<const Source*, std::string>> moved;  // by assignments of what the backfill walks along
  bool aliased = false;
  ColumnAssignments columns;
  bool sets = false, in_order = false;
  for (const Source& source : scope.sources) sets = sets || (source.table != nullptr && source.table->AnySet());
  for (Assignment& assignment : set) {
    const Bound bound = reader.Resolve(*assignment.column, scope);
    const bool key_column = bound.tag.key != nullptr && bound.tag.key->active && bound.column != nullptr;
    for (const Source& source : scope.sources) {
      const bool unknown = bound.source == nullptr && assignment.column->parts.size() == 1;
      if (source.table != nullptr && (bound.source == &source || unknown)) context.Touch(*source.table, true);
    }
    if (!key_column) {
      // Behind the assignment of an old column its own value is the present one: what is made of it comes last.
      if (columns.empty()) reader.Visit(*assignment.value, scope, ctes);
      else reader.VisitOld(*assignment.value, scope, ctes);
      const bool moves = bound.source != nullptr && Filling(*bound.source) && WalkedAlong(*bound.source->table, assignment.column->parts.back().text) && !(use.single && StaysItself(assignment));
      if (!sets && !moves) continue;
      const std::string same = bound.source == nullptr || !Filling(*bound.source) ? "" : Same(context, *bound.source, assignment, use, &aliased);
      if (sets && !(use.single && StaysItself(assignment))) columns.Take(context, bound, scope, assignment, same);
      if (!moves) continue;
      columns.TakeMoved(*bound.source, same);
      moved.emplace_back(bound.source, same);
      continue;
    }
    const KeyColumn& column = *bound.column;
    const Key& key = *column.key;
    Expr& value = Unwrap(*assignment.value);
    if (bound.kind == Bound::kBase && Filling(*bound.source) && WalkedAlong(*bound.source->table, column.old_name) && !(use.single && StaysItself(assignment))) {
      const std::string same = IsNewShaped(context, key, value) ? "" : Same(context, *bound.source, assignment, use, &aliased);
      columns.TakeMoved(*bound.source, same);
      moved.emplace_back(bound.source, same);
    }
    if (bound.kind == Bound::kUncertain) {
      context.Refuse(key, fmt::format("the name {} may belong to more than one table", assignment.column->parts.back().text), "qualify it");
      continue;
    }
    if (!context.facts.foreign_key_checks)
      context.Refuse(key, "a key is changed without foreign_key_checks", "turn the checks on");
    if (bound.named_new && (column.own || !key.new_only)) {
      context.Refuse(key, fmt::format("{} is written by Crossfade", column.new_name), "leave it out");
      continue;
    }
    if (!bound.named_new) context.OldName(column);
    if (column.own) {
      if (use.ignore) CheckIgnored(context, *bound.source->table, false);
      if (!StaysItself(assignment)) ValueForOwn(context, reader, key, value, scope, ctes);
      continue;
    }
    if (key.new_only) {
      if (!bound.named_new) context.editor.Replace(assignment.column->parts.back().span, QuoteName(column.new_name));
      const MigratingTable* parent = context.world.Find(key.schema, key.spec->table);
      const bool plain = value.kind == ExprKind::kColumn || value.kind == ExprKind::kSubquery || value.kind == ExprKind::kNull || IsNewShaped(context, key, value);
      // MySQL's error 1093; MariaDB would read what it writes.
      if (!use.single && !plain && (parent == nullptr || AssignsTo(reader, set, scope, *parent)))
        context.Refuse(key, fmt::format("an old key is looked up in {}, which the UPDATE writes too", key.spec->table), "write the new key");
      bool is_value = false;
      const bool given = context.ShapeFor(key, value, &is_value) == key.old_shape && is_value;
      const bool old = use.insert != nullptr && (given || ShapeOfFunction(key, value) == key.old_shape);
      if (old && context.dialect.flavor == Flavor::kMySql && RefersToItself(*bound.source->table, column))  // error 1093 even for a derived table
        context.Refuse(key, fmt::format("ON DUPLICATE KEY UPDATE gives {} another value than the row's, in a table that refers to itself", column.old_name), "write the new key");
      if (!RowAliasForNew(context, column, value, use)) ValueForNew(context, reader, column, value, scope, ctes);
      context.Note("writes the new reference");
      continue;
    }
    if (!use.single) {
      AssignInSeveral(context, reader, set, assignment, column, *bound.source, scope, ctes, use);
      seen.push_back(&column);
      continue;
    }
    if ((context.facts.sql_mode & (kSimultaneousAssignment | kOracle)) != 0) {
      (void)ValueForOld(context, reader, key, value, scope, ctes);
      NeedReference(context, *bound.source, column, "sql_mode SIMULTANEOUS_ASSIGNMENT hides the new value of a reference", "use another sql_mode", use.image);
      continue;
    }
    for (const KeyColumn* earlier : seen)
      if (earlier == &column) context.Refuse(key, fmt::format("{} is assigned twice", column.old_name), "assign it once");
    seen.push_back(&column);
    if (RefersToItself(*bound.source->table, column) && (StaysItself(assignment) || !SelfAssignable(context, reader, set, assignment, key, scope))) continue;
    AssignBoth(context, reader, assignment, column, *bound.source, scope, ctes, use, &aliased);
    in_order = true;
  }
  in_order = TakeReferences(context, reader, set, scope, moved, seen, use) || in_order;
  columns.Finish(context, set, use);
  return in_order || !columns.empty();
}

}  // namespace crossfade::rewrite

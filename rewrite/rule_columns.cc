// SPDX-License-Identifier: Apache-2.0
// Column migrations: new columns made of old ones of the same row, by the file's expressions. Both sides are written by one
// statement: an INSERT's values see the columns before them as stored, a single-table SET assigns from left to right. From
// `cutover` on the application may write the new columns instead, and the old ones are made of them. See rules.h.
#include <algorithm>
#include <map>
#include <optional>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"
#include "rewrite/stored_form.h"

namespace crossfade::rewrite {
namespace {

bool Names(const std::vector<std::string>& names, std::string_view name) {
  for (const std::string& each : names)
    if (NameEq(each, name)) return true;
  return false;
}

// That the new columns of a row are what `from` makes of its old ones: as the row holds them, or, in an INSERT, as it will hold
// what `back` makes. Empty: that cannot be said for sure.
std::string ComesBack(const MigratingTable& table, const ColumnSet& set, std::string_view qualifier, bool stored) {
  std::string out, when;
  if (table.table == nullptr) return "";
  std::map<std::string, std::string> old;
  for (const ParsedColumns::Made& back : set.parsed->back) {
    const Column* column = table.table->FindColumn(back.column);
    if (column == nullptr) return "";
    const auto form = stored ? std::nullopt : StoredAs(*column, back.expression.Text(qualifier));
    if (!stored && !form) return "";
    old[FoldName(back.column)] = stored ? fmt::format("{}.{}", QuoteName(qualifier), QuoteName(back.column)) : form->value;
    if (form && !form->when.empty()) when += fmt::format(" AND {} IS NOT FALSE", form->when);
  }
  for (const ParsedColumns::Made& from : set.parsed->from) {
    const Column* column = table.table->FindColumn(from.column);
    const std::string name = fmt::format("{}.{}", QuoteName(qualifier), QuoteName(from.column));
    const std::string equal = column == nullptr ? "" : StoredEquals(*column, name, from.expression.Text([&](const std::string& each) { return old[FoldName(each)]; }));
    if (equal.empty()) return "";
    out += (out.empty() ? "" : " AND ") + equal;
  }
  return out + when;
}

void TellOfWayBack(Context& context, const ColumnSet& set) {
  if (!context.plan->no_way_back.empty()) return;
  const std::string& fresh = set.spec->new_columns[0].name;
  const std::string& old = set.spec->old_columns[0];
  context.plan->no_way_back = fmt::format("{}: {} is given a value that {} would not give back as it is; write {}, up to the change of names in contract",
                                          set.spec_migration->name, fresh, old, old);
}

bool IsStrict(const Context& context) { return (context.facts.sql_mode & kStrict) != 0 && !context.ignore; }

// Under which condition the new column stores the value whole. Empty: always, or the server refuses it.
std::string WholeWhen(Context& context, const MigratingTable& table, const ColumnSet& set, const ParsedColumns::Made& made, const std::string& value, bool strict) {
  const Column* fresh = table.table == nullptr ? nullptr : table.table->FindColumn(made.column);
  if (fresh == nullptr) return "";
  const Column* source = made.expression.IsColumn() ? table.table->FindColumn(made.expression.columns()[0]) : nullptr;
  if (source != nullptr && Holds(*fresh, *source)) return "";
  const auto uncut = Uncut(*fresh, value, strict);
  if (!uncut) {
    if (!IsStrict(context)) context.Refuse(set, fmt::format("whether {} would be cut to fit cannot be said for its type", made.column), "use a strict sql_mode, without IGNORE");
    return "";
  }
  if (!uncut->empty() && context.plan->no_way_back.empty())
    context.plan->no_way_back = fmt::format("{}: {} would be cut to fit; write a value that fits {}", set.spec_migration->name, made.column, fresh->type);
  return *uncut;
}

// A new value where it is stored whole; where it might not be, an error stands in its place. `qualifier`: as in `value`.
std::string Whole(Context& context, const MigratingTable& table, const ColumnSet& set, const ParsedColumns::Made& made, std::string_view qualifier, const std::string& value) {
  const std::string when = WholeWhen(context, table, set, made, value, IsStrict(context));
  if (when.empty()) return value;
  return Only(when + " IS NOT FALSE", fmt::format("{}.{}", QuoteName(qualifier), QuoteName(set.spec->old_columns[0])), value);
}

void RefuseUnsure(Context& context, const ColumnSet& set) {
  const std::string& fresh = set.spec->new_columns[0].name;
  context.Refuse(set, fmt::format("whether {} gives back what {} is given cannot be said for its type", set.spec->old_columns[0], fresh),
                 fmt::format("write {}, up to the change of names in contract", set.spec->old_columns[0]));
}

// What is made of what, for a statement that gives some of the set's columns; nullptr: nothing. Refuses what gives both
// sides or a part of the new one.
const std::vector<ParsedColumns::Made>* Made(Context& context, const ColumnSet& set, const std::string* old, const std::vector<std::string>& fresh) {
  const std::string* lost = set.WithoutBack();
  if (fresh.empty()) {
    if (lost == nullptr || !set.new_only) return &set.parsed->from;
    if (old != nullptr) context.Refuse(set, fmt::format("{} is retired", *old), fmt::format("write {}", set.spec->new_columns[0].name));
    return nullptr;
  }
  if (!set.by_new) {
    context.Refuse(set, fmt::format("{} is written by Crossfade", fresh[0]), "leave it out");
  } else if (old != nullptr) {
    context.Refuse(set, fmt::format("{} is written together with {}", fresh[0], *old), "write one side");
  } else if (lost == nullptr && ((context.facts.sql_mode & kStrict) == 0 || context.ignore)) {
    context.Refuse(set, fmt::format("{} is written where values are cut to fit, which the old column may need", fresh[0]), "use a strict sql_mode, without IGNORE");
  } else if (lost != nullptr && !set.new_only) {
    context.Refuse(set, fmt::format("{} cannot be made of {}", *lost, fresh[0]), fmt::format("write {}, or say in the file how: back", *lost));
  } else if (lost != nullptr) {
    return nullptr;
  }
  for (const config::NewColumn& column : set.spec->new_columns)
    if (!Names(fresh, column.name)) context.Refuse(set, fmt::format("{} is written without {}", fresh[0], column.name), "write all the new columns");
  return &set.parsed->back;
}

// A key that is cut to fit, or made NULL, could be another row's on the new side.
void CheckKeyWritten(Context& context, const ColumnSet& set) {
  if (!set.own_key || ((context.facts.sql_mode & kStrict) != 0 && !context.ignore)) return;
  context.Refuse(set, fmt::format("{} is written where values are cut to fit", set.spec->old_columns[0]), "use a strict sql_mode, without IGNORE");
}

void NoteMade(Context& context, const ColumnSet& set, const std::vector<ParsedColumns::Made>* made) {
  context.Note(made == &set.parsed->back ? "makes the old columns of the new ones" : "makes the new columns of the old ones");
}

// A value of the column's type, whichever. Empty: none is known.
std::string_view AnyValue(const std::string& declared) {
  std::string type;  // its first word
  for (char c : declared) {
    if (c == '(' || c == ' ') break;
    type += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  const auto is = [&](std::string_view part) { return type.find(part) != std::string::npos; };
  if (is("point")) return "";
  if (is("char") || is("text") || is("blob") || is("binary")) return "''";
  if (is("int") || is("decimal") || is("numeric") || is("float") || is("double") || is("real") || is("bool") || is("bit") || is("year")) return "0";
  if (is("date") || is("timestamp")) return "'2000-01-01'";
  if (is("time")) return "'00:00:00'";
  if (is("json")) return "'0'";
  return "";
}

// The server refuses the row (1364), but MySQL evaluates the expression before, over a value that is none, and may tell of that.
bool LacksValue(const Context& context, const MigratingTable& table, const ColumnSet& set, const std::vector<std::string>& columns) {
  if (context.dialect.flavor != Flavor::kMySql || (context.facts.sql_mode & kStrict) == 0 || context.ignore || table.table == nullptr) return false;
  return std::any_of(set.spec->old_columns.begin(), set.spec->old_columns.end(), [&](const std::string& name) {
    const Column* old = table.table->FindColumn(name);
    // An ENUM's default is its first value.
    return old != nullptr && !old->nullable && !old->has_default && !old->auto_increment && old->type.rfind("enum", 0) != 0 && !Names(columns, name);
  });
}

}  // namespace

void CheckValues(Context& context, const ColumnSet& set) {
  if ((context.facts.sql_mode & kOddValues) == 0) return;
  context.Refuse(set, "the session's sql_mode, default_regex_flags or collation_connection gives its expressions other values",
                 "do without PAD_CHAR_TO_FULL_LENGTH, NO_UNSIGNED_SUBTRACTION, ALLOW_INVALID_DATES, REAL_AS_FLOAT, EMPTY_STRING_IS_NULL,"
                 " TIME_ROUND_FRACTIONAL, TIME_TRUNCATE_FRACTIONAL, regular expression flags, UCS-2, UTF-16 and UTF-32");
}

std::vector<AddedColumn> ColumnsToAdd(Context& context, const MigratingTable& table, const std::vector<std::string>& columns, bool on_duplicate) {
  std::vector<AddedColumn> added;
  for (const ColumnSet* set : table.sets) {
    if (!set->active) continue;
    const std::string* old = nullptr;
    std::vector<std::string> fresh;
    for (const std::string& column : columns) {
      if (set->IsOld(column)) old = &column;
      if (set->IsNew(column)) fresh.push_back(column);
    }
    CheckKeyWritten(context, *set);
    const std::vector<ParsedColumns::Made>* made = Made(context, *set, old, fresh);
    if (made == nullptr) continue;
    // What ON DUPLICATE KEY UPDATE assigns counts as given.
    const bool fails = fresh.empty() && !on_duplicate && LacksValue(context, table, *set, columns);
    for (const ParsedColumns::Made& column : *made) {
      std::string_view any;
      for (const config::NewColumn& spec : set->spec->new_columns)
        if (fails && NameEq(spec.name, column.column)) any = AnyValue(spec.type);
      const std::string value = column.expression.Text(table.name);
      added.push_back({column.column, !any.empty() ? std::string(any) : made == &set->parsed->from ? Whole(context, table, *set, column, table.name, value) : value});
    }
    if (made == &set->parsed->back && !made->empty()) {
      const std::string kept = ComesBack(table, *set, table.name, /*stored=*/false);
      if (kept.empty()) RefuseUnsure(context, *set);
      AddedColumn& first = added[added.size() - made->size()];
      first.value = Only(kept, fmt::format("{}.{}", QuoteName(table.name), QuoteName(fresh[0])), first.value);
      TellOfWayBack(context, *set);
    }
    NoteMade(context, *set, made);
  }
  return added;
}

void CheckLeftToDefaults(Context& context, const MigratingTable& table, const std::vector<std::string>& columns) {
  for (const ColumnSet* set : table.sets) {
    if (!set->active) continue;
    CheckKeyWritten(context, *set);
    for (const config::NewColumn& fresh : set->spec->new_columns) {
      const Column* column = table.table != nullptr ? table.table->FindColumn(fresh.name) : nullptr;
      if (column != nullptr && !column->computed)
        context.Refuse(*set, fmt::format("{} has no default to be made by", fresh.name), "insert the rows with VALUES, or take the migration back to observe and forward again");
      if (Names(columns, fresh.name)) context.Refuse(*set, fmt::format("{} is given by a query", fresh.name), "insert the rows with VALUES");
    }
    // The default looks itself whether the value is stored whole (backfill/ddl_defaults.cc).
    for (const ParsedColumns::Made& made : set->parsed->from)
      (void)WholeWhen(context, table, *set, made, "NULL", /*strict=*/false);
    const std::string* lost = set->new_only ? set->WithoutBack() : nullptr;
    if (lost != nullptr && Names(columns, *lost)) context.Refuse(*set, fmt::format("{} is retired", *lost), fmt::format("write {}", set->spec->new_columns[0].name));
    context.Note("the new columns are made by their defaults");
  }
}

bool MadeByDefault(const MigratingTable& table, const KeyColumn& column) {
  const Column* fresh = table.table != nullptr ? table.table->FindColumn(column.new_name) : nullptr;
  return !column.key->fresh.empty() && (fresh == nullptr || fresh->computed);
}

void CheckMadeByDefault(Context& context, const MigratingTable& table, const KeyColumn& column, std::string_view verb) {
  if (!MadeByDefault(table, column)) {
    context.Refuse(*column.key, fmt::format("{} into {} needs a new key for each row", verb, table.name), "insert the rows with VALUES");
    return;
  }
  context.Note("a new key for each row, by the column's default");
}

ColumnAssignments::Entry* ColumnAssignments::Of(const ColumnSet* set, const Source* source, const std::string& same) {
  for (Entry& each : entries_) {
    if (each.set != set || each.source != source) continue;
    each.same = each.same.empty() || same.empty() ? "" : each.same + " AND " + same;
    return &each;
  }
  return &entries_.emplace_back(Entry{set, source, {}, {}, same});
}

void ColumnAssignments::TakeMoved(const Source& source, const std::string& same) {
  for (const ColumnSet* set : source.table->sets)
    if (set->active && set->filling) (void)Of(set, &source, same);
}

void ColumnAssignments::Take(Context& context, const Bound& bound, const Scope& scope, const Assignment& assignment, const std::string& same) {
  const std::string_view name = assignment.column->parts.back().text;
  bool named_new = false;
  for (const Source& source : scope.sources) {
    if (source.table == nullptr) continue;
    const ColumnSet* set = source.table->FindSet(name, &named_new);
    if (set == nullptr || !set->active) continue;
    if (bound.source != &source) {
      if (bound.source == nullptr) context.Refuse(*set, fmt::format("the name {} may belong to more than one table", name), "qualify it");
      continue;
    }
    if (set->followed) context.Refuse(*set, fmt::format("an UPDATE of {}, which references follow by ON UPDATE CASCADE without their new side", name), "delete the row and insert it anew");
    CheckKeyWritten(context, *set);
    Entry* entry = Of(set, &source, same);
    if (named_new) entry->fresh.emplace_back(name);
    else entry->old = std::string(name);
    if (!named_new) context.OldName(*set, name);
    return;
  }
}

void ColumnAssignments::Finish(Context& context, const std::vector<Assignment>& set, const AssignUse& use) {
  std::string before, text;
  for (const Entry& entry : entries_) {
    const ColumnSet& columns = *entry.set;
    CheckValues(context, columns);
    std::string why, advice = "update one table, with the others in subqueries";
    if (use.reads_itself) {
      why = "an UPDATE of a migrating column in which a subquery reads the same table";
      advice = "read it in a statement of its own";
    } else if (!use.single) {
      why = entry.old.empty() && entry.fresh.empty() ? "an UPDATE of several tables moves rows that are being copied" : "an UPDATE of several tables assigns a migrating column";
    } else if ((context.facts.sql_mode & (kSimultaneousAssignment | kOracle)) != 0) {
      why = "sql_mode SIMULTANEOUS_ASSIGNMENT hides the new value of a column";
      advice = "use another sql_mode";
    }
    const std::vector<ParsedColumns::Made>* made = Made(context, columns, entry.old.empty() ? nullptr : &entry.old, entry.fresh);
    if (made == nullptr) continue;
    if (!why.empty()) {
      if (use.image == nullptr) context.Refuse(columns, why, advice);
      else for (const ParsedColumns::Made& each : *made) {
        const std::string value = each.expression.Text("crossfade_row");
        use.image->push_back({entry.source, each.column, made == &columns.parsed->from ? Whole(context, *entry.source->table, columns, each, "crossfade_row", value) : value, "",
                              columns.spec_migration, why, advice, ""});
      }
      if (use.image != nullptr && made == &columns.parsed->back && !made->empty()) {
        const std::string kept = ComesBack(*entry.source->table, columns, "crossfade_row", /*stored=*/true);
        if (kept.empty()) RefuseUnsure(context, columns);
        use.image->back().check = fmt::format("CASE WHEN {} THEN NULL ELSE {} END", kept, Overflow(fmt::format("{}.{}", kImageRow, QuoteName(entry.fresh[0]))));
        TellOfWayBack(context, columns);
      }
      NoteMade(context, columns, made);
      continue;
    }
    for (const ParsedColumns::Made& each : *made) {
      const std::string column = QuoteName(entry.source->alias) + "." + QuoteName(each.column);
      std::string value = each.expression.Text(entry.source->alias);
      if (made == &columns.parsed->from) value = Whole(context, *entry.source->table, columns, each, entry.source->alias, value);
      std::string_view any;
      for (const config::NewColumn& fresh : columns.spec->new_columns)
        if (NameEq(fresh.name, each.column)) any = AnyValue(fresh.type);
      // A row that does not change must not change for us either, though its new side may still be missing.
      if (columns.filling && !entry.same.empty() && !any.empty() && made == &columns.parsed->from) {
        before += fmt::format("{0} = IF({0} IS NULL AND NOT ({1}), {2}, {0}), ", column, entry.same, any);
        value = fmt::format("IF({0} IS NULL, {0}, {1})", column, value);
      }
      text += fmt::format(", {} = {}", column, value);
    }
    if (made == &columns.parsed->back && !made->empty()) {
      const std::string kept = ComesBack(*entry.source->table, columns, entry.source->alias, /*stored=*/true);
      if (kept.empty()) RefuseUnsure(context, columns);
      const std::string column = fmt::format("{}.{}", QuoteName(entry.source->alias), QuoteName(entry.fresh[0]));
      text += fmt::format(", {} = {}", column, Only(kept, column, column));
      TellOfWayBack(context, columns);
    }
    NoteMade(context, columns, made);
  }
  if (!before.empty()) context.editor.Before(set.front().span.begin, before);
  if (!text.empty()) context.editor.After(set.back().span.end - 1, text);
}

}  // namespace crossfade::rewrite

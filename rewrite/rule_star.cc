// SPDX-License-Identifier: Apache-2.0
// Select lists that show a key: * is the columns of the original schema, and a changed item keeps its name. See reader.h.
#include <cctype>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/reader.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {

// An item that was changed goes on under the name that the server would have given it; parentheses round it are part of it.
void Reader::KeepName(SelectItem& item, const QueryUse& use) {
  if (item.alias.present() || !use.names_matter || use.only_exists || !ctx_.editor.Touched(item.span)) return;
  const Expr& expr = Unwrap(*item.expr);
  if (expr.kind == ExprKind::kColumn && qualified_.count(expr.span.begin) != 0) return;
  std::string name;
  if (expr.kind == ExprKind::kColumn) {
    name = std::string(expr.parts.back().text);
  } else {
    const auto& tokens = ctx_.tokens.tokens;
    uint32_t begin = tokens[item.span.begin].begin;
    const uint32_t end = tokens[item.span.end - 1].end;
    // MariaDB lets the name begin right behind the comma, comments included.
    if (ctx_.dialect.flavor == Flavor::kMariaDb && ctx_.Word(item.span.begin - 1) == ",") {
      begin = tokens[item.span.begin - 1].end;
      while (std::isspace(static_cast<unsigned char>(ctx_.tokens.source[begin])) != 0) ++begin;
    }
    name = std::string(ctx_.tokens.source.substr(begin, end - begin));
    ctx_.cacheable = false;
    if (name.size() > 250 || name.find_first_of(std::string_view("\x00\x01\x02\x03", 4)) != std::string::npos || !CanQuote(name, ctx_.facts, ctx_.dialect)) {
      for (const MigratingTable& table : ctx_.world.tables())
        for (const KeyColumn& key : table.keys)
          if (key.key->active) ctx_.Refuse(*key.key, "a long or odd expression over a key has no name", "give it an alias");
      for (const MigratingTable& table : ctx_.world.tables())
        for (const ColumnSet* set : table.sets)
          if (set->active) ctx_.Refuse(*set, "a long or odd expression over a migrating column has no name", "give it an alias");
      return;
    }
  }
  ctx_.editor.After(item.span.end - 1, " AS " + QuoteName(name));
}

Output Reader::Star(SelectItem& item, const Scope& scope, const QueryUse& use) {
  Output output;
  const std::vector<Name>& parts = item.expr->parts;
  std::string text;
  bool expand = false;
  const config::Migration* why = nullptr;
  const bool spelled = parts.empty() && scope.spelled_joins != 0;
  std::string front;  // columns of a USING that stands as ON: once, before all others
  std::vector<OutputColumn> front_columns;
  bool derived = false;
  for (const Source& source : scope.sources) {
    if (!parts.empty() && !binder_.SameTableName(source.alias, parts.back().text)) continue;
    if (source.table == nullptr || source.table->table == nullptr) {
      if (!text.empty()) text += ", ";
      derived = true;
      for (const OutputColumn& column : source.output.columns) output.columns.push_back(column);
      if (source.output.opaque || source.table != nullptr) output.opaque = true;
      text += QuoteName(source.alias) + ".*";
      if (source.table != nullptr)
        for (const KeyColumn& key : source.table->keys)
          if (key.key->new_reader) ctx_.Refuse(*key.key, "the columns of the table are not known", "name the columns");
      if (source.table != nullptr)
        for (const ColumnSet* set : source.table->sets)
          if (set->new_reader) ctx_.Refuse(*set, "the columns of the table are not known", "name the columns");
      continue;
    }
    bool differs = false;
    std::string rest;
    for (const Column* column : source.table->OriginalColumns()) {
      OutputColumn out{column->name, {}};
      bool named_new = false;
      const Source* joined = spelled ? Joined(scope, column->name) : nullptr;
      if (joined != nullptr && joined != &source) continue;
      std::string& list = joined != nullptr ? front : rest;
      std::vector<OutputColumn>& columns = joined != nullptr ? front_columns : output.columns;
      if (!list.empty()) list += ", ";
      if (const KeyColumn* key = source.table->FindKey(column->name, &named_new)) {
        Bound bound;
        bound.kind = Bound::kBase;
        bound.column = key;
        bound.tag = {key->key, Side::kOld};
        out.tag = {key->key, MentionSide(bound)};
        if (out.tag.side == Side::kNew) {
          differs = true;
          why = key->key->spec_migration;
          list += fmt::format("{}.{} AS {}", QuoteName(source.alias), QuoteName(key->new_name), QuoteName(column->name));
          columns.push_back(std::move(out));
          continue;
        }
      }
      const ColumnSet* set = source.table->FindSet(column->name, &named_new);
      const ColumnExpression* back = set != nullptr && set->new_reader ? set->Back(column->name) : nullptr;
      if (set != nullptr && set->new_only && set->Back(column->name) == nullptr) ctx_.Refuse(*set, fmt::format("* shows {}, which is retired", column->name), "name the columns");
      if (back != nullptr) {
        CheckValues(ctx_, *set);
        differs = true;
        why = set->spec_migration;
        list += back->Text(source.alias) + " AS " + QuoteName(column->name);
      } else {
        list += QuoteName(source.alias) + "." + QuoteName(column->name);
      }
      columns.push_back(std::move(out));
    }
    for (const KeyColumn& key : source.table->keys) {
      const Column* added = source.table->table->FindColumn(key.new_name);
      if (key.key->active && added != nullptr && !added->invisible) differs = true, why = key.key->spec_migration;
    }
    for (const ColumnSet* set : source.table->sets) {
      for (const config::NewColumn& fresh : set->spec->new_columns) {
        const Column* added = source.table->table->FindColumn(fresh.name);
        if (set->active && added != nullptr && !added->invisible) differs = true, why = set->spec_migration;
      }
    }
    if (spelled && why == nullptr) why = source.table->migration;
    differs = differs || spelled;
    if (!text.empty() && !(spelled && rest.empty())) text += ", ";
    text += differs ? rest : QuoteName(source.alias) + ".*";
    expand = expand || differs;
  }
  if (spelled) {
    output.columns.insert(output.columns.begin(), front_columns.begin(), front_columns.end());
    text = front + (text.empty() ? "" : ", ") + text;
  }
  if (!expand || use.only_exists) return output;
  if (parts.empty() && (scope.merged_as_written || scope.spelled_joins > 1 || (spelled && derived))) {
    ctx_.Refuse(*why, "* over a NATURAL or USING join", "name the columns");
    return output;
  }
  const bool table = NameEq(ctx_.Word(item.expr->span.begin), "table") && item.expr->span.end == item.expr->span.begin + 1;  // TABLE t
  ctx_.editor.Replace(item.expr->span, table ? "SELECT " + text + " FROM" : text);
  ctx_.Note("* is the columns of the original schema");
  return output;
}

}  // namespace crossfade::rewrite

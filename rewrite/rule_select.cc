// SPDX-License-Identifier: Apache-2.0
// Queries: CTEs, FROM, select lists, ORDER BY and the walk through expressions. See reader.h.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/reader.h"

namespace crossfade::rewrite {

const Ctes* Reader::VisitWith(std::vector<Cte>& with, bool recursive, const Scope* outer, const Ctes* ctes) {
  for (Cte& cte : with) {
    Output* output = cte_outputs_.emplace_back(std::make_unique<Output>()).get();
    Ctes* node = cte_nodes_.emplace_back(std::make_unique<Ctes>()).get();
    *node = {ctes, cte.name.text, output};
    QueryUse use;
    Output first;
    if (recursive) {
      output->opaque = true;
      use.first_arm = output;
    }
    Output result = VisitQuery(*cte.query, outer, recursive ? node : ctes, use);
    for (size_t i = 0; i < cte.columns.size() && i < result.columns.size(); ++i)
      result.columns[i].name = std::string(cte.columns[i].text);
    *output = std::move(result);
    ctes = node;
  }
  return ctes;
}

Output Reader::VisitQuery(Query& query, const Scope* outer, const Ctes* ctes, const QueryUse& use) {
  ctes = VisitWith(query.with, query.recursive, outer, ctes);
  Output output;
  bool first = true;
  for (Select* select : query.selects) {
    QueryUse arm = use;
    arm.first_arm = nullptr;
    Output one = VisitSelect(*select, outer, ctes, arm);
    if (first) {
      output = std::move(one);
      if (use.first_arm != nullptr && query.selects.size() > 1) *use.first_arm = output;
      first = false;
      continue;
    }
    for (size_t i = 0; i < output.columns.size() && i < one.columns.size(); ++i) {
      Tag& a = output.columns[i].tag;
      const Tag& b = one.columns[i].tag;
      if (a.key == b.key && a.side == b.side) continue;
      const Key* key = a.key != nullptr ? a.key : b.key;
      if (key->active && (a.side == Side::kNew || b.side == Side::kNew) && key->new_reader)
        ctx_.Refuse(*key, "a set operation would mix old and new keys in one column",
                    "let all its SELECTs name the key by the new column");
      a = {};
    }
    output.opaque = output.opaque || one.opaque;
  }
  // ORDER BY and LIMIT of a set operation see nothing but its output.
  if (!query.order_by.empty()) {
    Scope scope;
    scope.outer = nullptr;
    OrderBy(query.order_by, scope, &output, ctes);
  }
  return output;
}

const MigratingTable* Reader::FindTable(const TableRef& ref, const Ctes* ctes) const {
  if (ref.kind != TableRef::kTable) return nullptr;
  if (!ref.schema.present())
    for (; ctes != nullptr; ctes = ctes->outer)
      if (NameEq(ctes->name, ref.table.text)) return nullptr;
  return ctx_.world.Find(ref.schema.text, ref.table.text);
}

void Reader::From(TableRef& ref, Scope* scope, const Ctes* ctes, std::vector<Expr*>* conditions) {
  Source source;
  source.alias = std::string(ref.alias.present() ? ref.alias.text : ref.table.text);
  switch (ref.kind) {
    case TableRef::kTable: {
      if (!ref.schema.present()) {
        const Ctes* cte = ctes;
        while (cte != nullptr && !NameEq(cte->name, ref.table.text)) cte = cte->outer;
        if (cte != nullptr) {
          source.derived = true;
          source.output = *cte->output;
          scope->sources.push_back(std::move(source));
          return;
        }
      }
      source.schema = ref.schema.present() ? std::string(ref.schema.text) : ctx_.facts.schema;
      source.table = ctx_.world.Find(ref.schema.text, ref.table.text);
      source.output.opaque = source.table == nullptr;
      if (source.table != nullptr) ctx_.Touch(*source.table, false);
      scope->sources.push_back(std::move(source));
      return;
    }
    case TableRef::kDerived: {
      source.derived = true;
      if (ref.derived != nullptr) source.output = VisitQuery(*ref.derived, ref.lateral ? scope : scope->outer, ctes, {});
      for (size_t i = 0; i < ref.column_aliases.size() && i < source.output.columns.size(); ++i)
        source.output.columns[i].name = std::string(ref.column_aliases[i].text);
      scope->sources.push_back(std::move(source));
      return;
    }
    case TableRef::kJoin:
    case TableRef::kOdbcOrParen:
      if (ref.left != nullptr) From(*ref.left, scope, ctes, conditions);
      if (ref.right != nullptr) From(*ref.right, scope, ctes, conditions);
      if (ref.natural || !ref.using_columns.empty()) scope->merged = true;
      for (const Name& name : ref.using_columns) scope->using_names.emplace_back(name.text);
      if (ref.on != nullptr) conditions->push_back(ref.on);
      for (const Source& joined : scope->sources) {
        if (joined.table == nullptr) continue;
        for (const KeyColumn& key : joined.table->keys) {
          if (!key.key->new_reader || (key.own && key.key->own_stays)) continue;
          bool named = ref.natural;
          for (const Name& name : ref.using_columns) named = named || NameEq(name.text, key.old_name);
          if (named)
            ctx_.Refuse(*key.key, fmt::format("USING or NATURAL joins over the key column {}", key.old_name),
                        "join with ON and qualified names");
        }
      }
      return;
    case TableRef::kOther:
      for (Expr* expr : ref.other_exprs) Visit(*expr, *scope, ctes);
      source.output.opaque = true;
      scope->sources.push_back(std::move(source));
      return;
  }
}

Output Reader::VisitSelect(Select& select, const Scope* outer, const Ctes* ctes, const QueryUse& use) {
  if (select.nested != nullptr) return VisitQuery(*select.nested, outer, ctes, use);
  Scope scope;
  scope.outer = outer;
  std::vector<Expr*> conditions;
  for (TableRef* ref : select.from) From(*ref, &scope, ctes, &conditions);
  for (Expr* condition : conditions) Visit(*condition, scope, ctes);
  Output output = Items(select.items, scope, ctes, use);
  if (select.values_constructor && !select.from.empty()) {  // TABLE t: a star without a select list
    for (const Source& source : scope.sources)
      if (source.table != nullptr)
        for (const KeyColumn& key : source.table->keys)
          if (key.key->new_reader && !(key.own && key.key->own_stays))
            ctx_.Refuse(*key.key, "TABLE shows the old columns", "use SELECT with the columns' names");
    output.opaque = true;
  }
  if (select.where != nullptr) Visit(*select.where, scope, ctes);
  for (OrderItem& item : select.group_by) {
    if (!GroupByAlias(select, Unwrap(*item.expr), scope)) Visit(*item.expr, scope, ctes);
  }
  if (select.having != nullptr) {
    Scope having = scope;
    having.aliases = &output;
    Visit(*select.having, having, ctes);
  }
  for (Expr* expr : select.window_exprs) Visit(*expr, scope, ctes);
  OrderBy(select.order_by, scope, &output, ctes);
  return output;
}

void Reader::OrderBy(std::vector<OrderItem>& items, const Scope& scope, const Output* aliases, const Ctes* ctes) {
  for (OrderItem& item : items) {
    Expr& expr = Unwrap(*item.expr);
    if (expr.kind == ExprKind::kColumn && expr.parts.size() == 1) {
      Scope with_aliases = scope;
      with_aliases.aliases = aliases;
      Visit(expr, with_aliases, ctes);
    } else {
      Visit(expr, scope, ctes);
    }
  }
}

Output Reader::Items(std::vector<SelectItem>& items, const Scope& scope, const Ctes* ctes, const QueryUse& use) {
  Output output;
  for (SelectItem& item : items) {
    if (item.expr->kind == ExprKind::kStar) {
      Output star = Star(item, scope, use);
      for (OutputColumn& column : star.columns) output.columns.push_back(std::move(column));
      output.opaque = output.opaque || star.opaque;
      continue;
    }
    OutputColumn column;
    Expr& expr = Unwrap(*item.expr);
    const Wish wish = output.columns.size() < use.wishes.size() ? use.wishes[output.columns.size()] : Wish{};
    Bound bound;
    if (wish.key != nullptr && expr.kind == ExprKind::kColumn) bound = Resolve(expr, scope);
    if (wish.key != nullptr && bound.tag.key == wish.key && Reachable(bound, wish.side))
      column.tag = SetSide(expr, bound, wish.side);
    else
      column.tag = Visit(expr, scope, ctes);
    if (item.alias.present()) {
      column.name = std::string(item.alias.text);
      if (ctx_.tokens.tokens[item.alias.span.begin].kind == TokenKind::kString) ctx_.cacheable = false;
    } else if (expr.kind == ExprKind::kColumn) {
      column.name = std::string(expr.parts.back().text);
    }
    KeepName(item, use);
    output.columns.push_back(std::move(column));
  }
  return output;
}

// An item that was changed goes on under the name that the server would have given it.
void Reader::KeepName(SelectItem& item, const QueryUse& use) {
  if (item.alias.present() || !use.names_matter || use.only_exists || !ctx_.editor.Touched(item.expr->span)) return;
  if (qualified_.count(item.expr->span.begin) != 0) return;
  const Expr& expr = Unwrap(*item.expr);
  std::string name;
  if (expr.kind == ExprKind::kColumn) {
    name = std::string(expr.parts.back().text);
  } else {
    const auto& tokens = ctx_.tokens.tokens;
    const uint32_t begin = tokens[item.expr->span.begin].begin, end = tokens[item.expr->span.end - 1].end;
    name = std::string(ctx_.tokens.source.substr(begin, end - begin));
    ctx_.cacheable = false;
    if (name.size() > 250 || name.find_first_of(std::string_view("\x00\x01\x02\x03", 4)) != std::string::npos) {
      for (const MigratingTable& table : ctx_.world.tables())
        for (const KeyColumn& key : table.keys)
          if (key.key->active) ctx_.Refuse(*key.key, "a long expression over a key has no name", "give it an alias");
      return;
    }
  }
  ctx_.editor.After(item.expr->span.end - 1, " AS " + QuoteName(name));
}

Output Reader::Star(SelectItem& item, const Scope& scope, const QueryUse& use) {
  Output output;
  const std::vector<Name>& parts = item.expr->parts;
  std::string text;
  bool expand = false;
  const Key* why = nullptr;
  for (const Source& source : scope.sources) {
    if (!parts.empty() && !binder_.SameTableName(source.alias, parts.back().text)) continue;
    if (!text.empty()) text += ", ";
    if (source.table == nullptr || source.table->table == nullptr) {
      for (const OutputColumn& column : source.output.columns) output.columns.push_back(column);
      if (source.output.opaque || source.table != nullptr) output.opaque = true;
      text += QuoteName(source.alias) + ".*";
      if (source.table != nullptr)
        for (const KeyColumn& key : source.table->keys)
          if (key.key->new_reader) ctx_.Refuse(*key.key, "the columns of the table are not known", "name the columns");
      continue;
    }
    bool differs = false;
    std::string list;
    for (const Column* column : source.table->OriginalColumns()) {
      OutputColumn out{column->name, {}};
      bool named_new = false;
      if (!list.empty()) list += ", ";
      if (const KeyColumn* key = source.table->FindKey(column->name, &named_new)) {
        Bound bound;
        bound.kind = Bound::kBase;
        bound.column = key;
        bound.tag = {key->key, Side::kOld};
        out.tag = {key->key, MentionSide(bound)};
        if (out.tag.side == Side::kNew) {
          differs = true;
          why = key->key;
          list += fmt::format("{}.{} AS {}", QuoteName(source.alias), QuoteName(key->new_name), QuoteName(column->name));
          output.columns.push_back(std::move(out));
          continue;
        }
      }
      list += QuoteName(source.alias) + "." + QuoteName(column->name);
      output.columns.push_back(std::move(out));
    }
    for (const KeyColumn& key : source.table->keys) {
      const Column* added = source.table->table->FindColumn(key.new_name);
      if (key.key->active && added != nullptr && !added->invisible) differs = true, why = key.key;
    }
    text += differs ? list : QuoteName(source.alias) + ".*";
    expand = expand || differs;
  }
  if (!expand || use.only_exists) return output;
  if (scope.merged && parts.empty()) {
    ctx_.Refuse(*why, "* over a NATURAL or USING join", "name the columns");
    return output;
  }
  ctx_.editor.Replace(item.expr->span, text);
  ctx_.Note("* is the columns of the original schema");
  return output;
}

Tag Reader::Visit(Expr& expr, const Scope& scope, const Ctes* ctes) {
  const Frame frame{scope, ctes};
  QueryUse scalar;
  scalar.names_matter = false;
  switch (expr.kind) {
    case ExprKind::kColumn: return Mention(expr, scope);
    case ExprKind::kComparison:
      if (expr.children.size() == 2) Comparison(expr, *expr.children[0], *expr.children[1], frame);
      return {};
    case ExprKind::kIn:
    case ExprKind::kQuantified: In(expr, frame); return {};
    case ExprKind::kBetween: Between(expr, frame); return {};
    case ExprKind::kLike: {
      Bound bound;
      bool is_value = false;
      for (Expr* child : expr.children) is_value = child == expr.children[0] || Classify(*child, scope, &bound) == Operand::kValue;
      if (expr.children.size() >= 2 && is_value && Classify(*expr.children[0], scope, &bound) == Operand::kKey) {
        KeyToValues(expr, Unwrap(*expr.children[0]), bound, {expr.children[1]}, true, false);
        return {};
      }
      break;
    }
    case ExprKind::kSubquery: {
      const Output output = VisitQuery(*expr.query, &scope, ctes, scalar);
      return output.columns.size() == 1 ? output.columns[0].tag : Tag{};
    }
    case ExprKind::kExists:
      scalar.only_exists = true;
      VisitQuery(*expr.query, &scope, ctes, scalar);
      return {};
    case ExprKind::kRow:
      if (expr.children.size() == 1) return Visit(*expr.children[0], scope, ctes);
      break;
    case ExprKind::kFunction:
      if (expr.children.size() == 1 && (NameEq(expr.text, "min") || NameEq(expr.text, "max") || NameEq(expr.text, "any_value")))
        return Visit(*expr.children[0], scope, ctes);
      break;
    case ExprKind::kCase:
    case ExprKind::kMatch:
    case ExprKind::kDefault:
    case ExprKind::kValues: {
      // CASE x WHEN …, MATCH (x), DEFAULT(x): what x is compared with, or means, stays on the old side's terms.
      if (expr.kind == ExprKind::kCase && expr.span.begin + 1 < expr.span.end && NameEq(ctx_.Word(expr.span.begin + 1), "when")) break;
      for (Expr* child : expr.children) {
        if (child->kind != ExprKind::kColumn) continue;
        const Bound bound = Resolve(*child, scope);
        if (bound.tag.key != nullptr && bound.tag.key->active && MentionSide(bound) != bound.tag.side)
          ctx_.Refuse(*bound.tag.key, fmt::format("{} of a key column cannot be read on the new side", ctx_.Word(expr.span.begin)),
                      "compare the column with = or IN");
      }
      break;
    }
    default: break;
  }
  for (Expr* child : expr.children) Visit(*child, scope, ctes);
  if (expr.query != nullptr) VisitQuery(*expr.query, &scope, ctes, scalar);
  return {};
}

Tag Reader::VisitOld(Expr& expr, const Scope& scope, const Ctes* ctes) {
  const bool before = prefer_old_;
  prefer_old_ = true;
  const Tag tag = Visit(expr, scope, ctes);
  prefer_old_ = before;
  return tag;
}

void Reader::Qualify(Expr& column, const Source& source) {
  ctx_.editor.Replace(column.span, QuoteName(source.alias) + "." + TokenMark(column.span.begin));
  ctx_.Note("a name that the new columns would make ambiguous is qualified");
  qualified_.insert(column.span.begin);
}

// The new column `name` of a migrating table, if it is there by now (or would be).
const KeyColumn* Reader::AddedColumn(const Source& source, std::string_view name) {
  bool named_new = false;
  const KeyColumn* key = source.table != nullptr ? source.table->FindKey(name, &named_new) : nullptr;
  if (key == nullptr || !named_new) return nullptr;
  const bool there = source.table->table != nullptr && source.table->table->FindColumn(name) != nullptr;
  return there || key->key->active ? key : nullptr;
}

Bound Reader::Resolve(Expr& column, const Scope& scope) {
  Bound bound = binder_.Resolve(column, scope);
  if (column.parts.size() != 1 || bound.via_alias || bound.scope == nullptr) return bound;
  const std::string_view name = column.parts[0].text;
  const auto added = [&](const Source& source) { return AddedColumn(source, name); };
  if (bound.kind == Bound::kPlain) {
    for (const Source& source : bound.scope->sources)
      if (&source != bound.source && added(source) != nullptr) Qualify(column, *bound.source);
    return bound;
  }
  if (!bound.named_new || bound.source == nullptr) return bound;
  const KeyColumn* key = added(*bound.source);
  if (key == nullptr) return bound;
  // A table that is not known may have had the name all along.
  const auto unknown = [](const Source& source) { return source.table == nullptr && source.output.opaque; };
  const Source* holder = nullptr;
  size_t holders = 0;
  for (const Source& source : bound.scope->sources)
    if (unknown(source)) holder = &source, ++holders;
  const bool same_scope = holders > 0;
  for (const Scope* outer = bound.scope->outer; !same_scope && outer != nullptr; outer = outer->outer) {
    for (const Source& source : outer->sources) {
      bool named_new = false;
      const bool has = source.table != nullptr && source.table->table != nullptr && source.table->table->FindColumn(name) != nullptr &&
                       !(source.table->FindKey(name, &named_new) != nullptr && named_new);
      if (has || unknown(source)) holder = &source, ++holders;
    }
  }
  if (holders == 0) return bound;
  if (holders > 1 || (!same_scope && key->key->either)) {
    if (key->key->active) ctx_.Refuse(*key->key, fmt::format("the name {} may be the new column of {} or another table's", name, bound.source->table->name),
                "qualify it with its table");
    return bound;
  }
  Qualify(column, *holder);
  Bound plain;
  plain.source = holder;
  return plain;
}

// GROUP BY prefers a column to an alias of that name; a column that was added must not catch it.
bool Reader::GroupByAlias(Select& select, Expr& expr, const Scope& scope) {
  if (expr.kind != ExprKind::kColumn || expr.parts.size() != 1) return false;
  const Bound bound = binder_.Resolve(expr, scope);
  if (bound.kind != Bound::kBase || bound.scope != &scope || AddedColumn(*bound.source, expr.parts[0].text) == nullptr) return false;
  for (size_t i = 0; i < select.items.size(); ++i) {
    const SelectItem& item = select.items[i];
    if (item.expr->kind == ExprKind::kStar) return false;
    if (!item.alias.present() || !NameEq(item.alias.text, expr.parts[0].text)) continue;
    const Expr& meant = Unwrap(*item.expr);
    if (meant.kind == ExprKind::kColumn && NameEq(meant.parts.back().text, expr.parts[0].text)) return false;
    ctx_.editor.Replace(expr.span, std::to_string(i + 1));
    ctx_.Note("an alias that a new column would hide is grouped by its position");
    return true;
  }
  return false;
}

Tag Reader::Mention(Expr& expr, const Scope& scope) {
  const Bound bound = Resolve(expr, scope);
  if (bound.tag.key == nullptr) return {};
  return SetSide(expr, bound, MentionSide(bound));
}

Side Reader::MentionSide(const Bound& bound) const {
  if (bound.kind == Bound::kDerived) return bound.tag.side;
  if (bound.named_new) return Side::kNew;
  const Key& key = *bound.tag.key;
  if (!key.active || !key.new_reader || (prefer_old_ && !key.new_only) || (bound.column->own && key.own_stays)) return Side::kOld;
  return Side::kNew;
}

std::string Reader::ColumnText(const Expr& column, const Bound& bound, Side side) const {
  const Side written = bound.named_new ? Side::kNew : Side::kOld;
  if (bound.kind != Bound::kBase || written == side) return ctx_.editor.Emit(column.span);
  const std::string name = QuoteName(side == Side::kNew ? bound.column->new_name : bound.column->old_name);
  if (column.parts.size() > 1) return ctx_.editor.Emit({column.span.begin, column.parts.back().span.begin}) + name;
  return QuoteName(bound.source->alias) + "." + name;
}

Tag Reader::SetSide(Expr& column, const Bound& bound, Side side) {
  const Key& key = *bound.tag.key;
  const Side written = bound.kind == Bound::kDerived ? bound.tag.side : bound.named_new ? Side::kNew : Side::kOld;
  if (!key.active) return {&key, written};
  const std::string_view name = column.parts.back().text;
  const bool stale = side == Side::kOld && key.new_only && !bound.column->own;
  if (bound.kind == Bound::kUncertain && (written != side || stale)) {
    ctx_.Refuse(key, fmt::format("the name {} may belong to more than one table", name), "qualify it with its table");
    return {};
  }
  if (!Reachable(bound, side)) {
    ctx_.Refuse(key, fmt::format("{} has no {} key any more here", name, side == Side::kOld ? "old" : "new"),
                "use the new key");
    return {};
  }
  if (written == side) return {&key, side};
  if (column.parts.size() == 1 && bound.scope != nullptr) {
    for (const std::string& merged : bound.scope->using_names) {
      if (NameEq(merged, name))
        ctx_.Refuse(key, fmt::format("{} is a column of a USING join", name), "qualify it with its table");
    }
  }
  ctx_.editor.Replace(column.span, ColumnText(column, bound, side));
  ctx_.Note(side == Side::kNew ? "reads the new key" : "reads the old key");
  return {&key, side};
}

Expr& Unwrap(Expr& expr) {
  Expr* at = &expr;
  while (at->kind == ExprKind::kRow && at->children.size() == 1) at = at->children[0];
  return *at;
}

}  // namespace crossfade::rewrite

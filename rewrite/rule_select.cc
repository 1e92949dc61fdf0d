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

// Behind UNION ALL.
bool Reader::AppendsAll(const Select& select) const {
  uint32_t at = select.span.begin;
  while (at > 0 && ctx_.Word(at - 1) == "(") --at;
  return at > 1 && NameEq(ctx_.Word(at - 1), "all") && NameEq(ctx_.Word(at - 2), "union");
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
      const Key* made = a.made != nullptr ? a.made : b.made;
      if (made != nullptr && a.made != b.made && !AppendsAll(*select))
        ctx_.Refuse(*made, "a set operation compares what is read of a new key with something else", "use UNION ALL");
      if (a.key == b.key && a.side == b.side) {
        a.made = made, a.opaque = a.opaque || b.opaque, a.named = a.named && b.named;
        continue;
      }
      const Key* key = a.key != nullptr ? a.key : b.key;
      if (key->active && (a.side == Side::kNew || b.side == Side::kNew) && key->new_reader)
        ctx_.Refuse(*key, "a set operation would mix old and new keys in one column",
                    "let all its SELECTs name the key by the new column");
      a = {nullptr, Side::kNone, made};
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

void Reader::From(TableRef& ref, Scope* scope, const Ctes* ctes, std::vector<JoinCondition>* conditions) {
  const size_t first = scope->sources.size();
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
    {
      if (ref.left != nullptr) From(*ref.left, scope, ctes, conditions);
      const size_t middle = scope->sources.size();
      if (ref.right != nullptr) From(*ref.right, scope, ctes, conditions);
      if (ref.natural || !ref.using_columns.empty()) scope->merged = true;
      if (SpellUsing(ref, first, middle, scope)) return;
      if (ref.natural || !ref.using_columns.empty()) scope->merged_as_written = true;
      for (const Name& name : ref.using_columns) scope->using_names.emplace_back(name.text);
      if (ref.on != nullptr) conditions->push_back({ref.on, first, scope->sources.size()});
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
        for (const ColumnSet* set : joined.table->sets) {
          if (!set->new_reader) continue;
          bool named = ref.natural;
          for (const Name& name : ref.using_columns) named = named || set->Back(name.text) != nullptr;
          if (named) ctx_.Refuse(*set, "USING or NATURAL joins over a migrating column", "join with ON and qualified names");
        }
      }
      return;
    }
    case TableRef::kOther:
      for (Expr* expr : ref.other_exprs) Visit(*expr, *scope, ctes);
      source.output.opaque = true;
      scope->sources.push_back(std::move(source));
      return;
  }
}

void Reader::VisitConditions(const std::vector<JoinCondition>& conditions, const Scope& scope, const Ctes* ctes) {
  for (const JoinCondition& condition : conditions) {
    Scope joined = scope;
    joined.sources.assign(scope.sources.begin() + static_cast<ptrdiff_t>(condition.first), scope.sources.begin() + static_cast<ptrdiff_t>(condition.last));
    VisitCondition(*condition.on, joined, ctes);
  }
}

Output Reader::VisitSelect(Select& select, const Scope* outer, const Ctes* ctes, const QueryUse& use) {
  if (select.nested != nullptr) return VisitQuery(*select.nested, outer, ctes, use);
  Scope scope;
  scope.outer = outer;
  std::vector<JoinCondition> conditions;
  for (TableRef* ref : select.from) From(*ref, &scope, ctes, &conditions);
  std::vector<std::pair<std::string, const KeyColumn*>> outer_groups;
  outer_groups.swap(grouped_);
  VisitConditions(conditions, scope, ctes);
  if (select.where != nullptr) VisitCondition(*select.where, scope, ctes);
  GroupKeys(select, scope);
  Output output = Items(select.items, scope, ctes, use);
  const bool grouping = grouping_;
  grouping_ = true;
  for (OrderItem& item : select.group_by) {
    if (GroupByAlias(select, Unwrap(*item.expr), scope)) continue;
    SpellAliases(select, *item.expr, scope, /*in_aggregates=*/false);
    Visit(*item.expr, scope, ctes);
  }
  if (select.having != nullptr) {
    Scope having = scope;
    having.aliases = &output;
    SpellAliases(select, *select.having, scope, /*in_aggregates=*/true);
    Number(*select.having, {having, ctes});
  }
  grouping_ = grouping;
  for (Expr* expr : select.window_exprs) Visit(*expr, scope, ctes);
  for (OrderItem& item : select.order_by)
    if (Unwrap(*item.expr).kind != ExprKind::kColumn) SpellAliases(select, *item.expr, scope, /*in_aggregates=*/false);
  OrderBy(select.order_by, scope, &output, ctes);
  grouped_ = std::move(outer_groups);
  return output;
}

bool Reader::Grouped(const Bound& bound) const {
  return bound.column != nullptr && bound.source != nullptr &&
         std::any_of(grouped_.begin(), grouped_.end(), [&](const auto& each) { return each.first == bound.source->alias && each.second == bound.column; });
}

void Reader::GroupKeys(Select& select, const Scope& scope) {
  const auto add = [&](Expr& wrapped) {
    Expr& expr = Unwrap(wrapped);
    if (expr.kind != ExprKind::kColumn) return;
    const Bound bound = Resolve(expr, scope);
    if (bound.kind == Bound::kBase && bound.tag.key->active && !bound.named_new) grouped_.emplace_back(bound.source->alias, bound.column);
  };
  for (const OrderItem& item : select.group_by) {
    Expr& expr = Unwrap(*item.expr);
    for (size_t i = 0; i < select.items.size(); ++i) {
      const bool position = expr.kind == ExprKind::kInteger && ctx_.Word(expr.span.begin) == std::to_string(i + 1);
      const bool alias = expr.kind == ExprKind::kColumn && expr.parts.size() == 1 && select.items[i].alias.present() && NameEq(select.items[i].alias.text, expr.parts[0].text);
      if (position || alias) add(*select.items[i].expr);
    }
    add(expr);
  }
  if (!select.distinct || select.order_by.empty()) return;
  for (const SelectItem& item : select.items) add(*item.expr);
}

void Reader::OrderBy(std::vector<OrderItem>& items, const Scope& scope, const Output* aliases, const Ctes* ctes) {
  for (OrderItem& item : items) {
    Expr& expr = Unwrap(*item.expr);
    Scope with_aliases = scope;
    with_aliases.aliases = aliases;
    with_aliases.aliases_last = expr.kind != ExprKind::kColumn;
    Visit(expr, with_aliases, ctes);
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
      subquery_shows_ = nullptr, column.tag = Visit(expr, scope, ctes);
    if (column.tag.key == nullptr && column.tag.made == nullptr) column.tag = MadeOf(expr, {scope, ctes});
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

Tag Reader::VisitCondition(Expr& expr, const Scope& scope, const Ctes* ctes) {
  const bool before = condition_;
  condition_ = true;
  Tag tag;
  if (expr.kind == ExprKind::kColumn || expr.kind == ExprKind::kCast || expr.kind == ExprKind::kCase || expr.kind == ExprKind::kFunction) Number(expr, {scope, ctes});
  else tag = Visit(expr, scope, ctes);
  condition_ = before;
  return tag;
}

Tag Reader::Visit(Expr& expr, const Scope& scope, const Ctes* ctes) {
  const bool inherited = condition_, outer = only_truth_;
  only_truth_ = inherited;
  condition_ = inherited && (expr.op == Op::kAnd || expr.op == Op::kOr);
  const Tag tag = VisitKind(expr, scope, ctes);
  condition_ = inherited;
  only_truth_ = outer;
  return tag;
}

Tag Reader::VisitKind(Expr& expr, const Scope& scope, const Ctes* ctes) {
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
    case ExprKind::kIsNull:
      if (IsNull(expr, frame)) return {};
      if (NameEq(expr.text, "null")) {
        const Expr& child = Unwrap(*expr.children[0]);
        if (child.kind != ExprKind::kFunction || !Alters(child)) break;
        Weigh({expr.children[0]}, frame, Weighing::kHidden, "IS NULL");
        return {};
      }
      for (Expr* child : expr.children) Number(*child, frame);
      return {};
    case ExprKind::kLike: {
      Bound bound;
      bool is_value = false;
      for (Expr* child : expr.children) is_value = child == expr.children[0] || Classify(*child, scope, &bound) == Operand::kValue;
      if (expr.children.size() >= 2 && is_value && Classify(*expr.children[0], scope, &bound) == Operand::kKey) {
        KeyToValues(expr, Unwrap(*expr.children[0]), bound, {expr.children[1]}, true, false);
        return {};
      }
      if (expr.children.size() < 2) break;
      for (size_t i = 2; i < expr.children.size(); ++i) Visit(*expr.children[i], scope, ctes);
      Weigh({expr.children[0], expr.children[1]}, frame, Weighing::kPattern, "LIKE");
      return {};
    }
    case ExprKind::kUnary:
    case ExprKind::kBinary:
      if (expr.op == Op::kCollate || expr.op == Op::kConcat) break;
      for (Expr* child : expr.children) Number(*child, frame);
      return {};
    case ExprKind::kOther:
      if (!expr.text.empty() && expr.query == nullptr && Compares(expr, frame)) return {};
      break;
    case ExprKind::kInterval:
      for (Expr* child : expr.children) Number(*child, frame);
      return {};
    case ExprKind::kSubquery: {
      const Key* before = subquery_shows_;
      const Output output = VisitQuery(*expr.query, &scope, ctes, scalar);
      const Tag tag = output.columns.size() == 1 ? output.columns[0].tag : Tag{};
      const Key* key = NewKeyOf(tag);
      subquery_shows_ = key != nullptr ? key : before;
      return tag;
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
      if (expr.parts.empty() && NameEq(expr.text, "if") && !expr.children.empty()) {
        Number(*expr.children[0], frame);
        for (size_t i = 1; i < expr.children.size(); ++i) Visit(*expr.children[i], scope, ctes);
        return {};
      }
      if (expr.query == nullptr && Compares(expr, frame)) return {};
      break;
    case ExprKind::kCase: {
      const bool searched = expr.span.begin + 1 < expr.span.end && NameEq(ctx_.Word(expr.span.begin + 1), "when");
      std::vector<Expr*> compared;
      for (size_t i = 0; i < expr.children.size(); ++i) {
        Expr& child = *expr.children[i];
        const bool last = i + 1 == expr.children.size();
        if (searched && i % 2 == 0 && !last) Number(child, frame);
        else if (!searched && (i == 0 || (i % 2 == 1 && !last))) compared.push_back(&child);
        else Visit(child, scope, ctes);
      }
      if (!compared.empty()) Weigh(compared, frame, Weighing::kHidden, "CASE");
      return {};
    }
    case ExprKind::kMatch:
    case ExprKind::kDefault:
    case ExprKind::kValues: {
      // MATCH (x), DEFAULT(x): what x means stays on the old side's terms.
      for (Expr* child : expr.children) {
        if (child->kind != ExprKind::kColumn) continue;
        const Bound bound = Resolve(*child, scope);
        if (bound.tag.key != nullptr && bound.tag.key->active && MentionSide(bound) != bound.tag.side)
          ctx_.Refuse(*bound.tag.key, fmt::format("{} of a key column cannot be read on the new side", ctx_.Word(expr.span.begin)),
                      "compare the column with = or IN");
      }
      for (Expr* child : expr.children) VisitOld(*child, scope, ctes);
      return {};
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

Output Reader::VisitOldQuery(Query& query, const QueryUse& use) {
  const bool before = prefer_old_;
  prefer_old_ = true;
  Output output = VisitQuery(query, nullptr, nullptr, use);
  prefer_old_ = before;
  return output;
}

bool Mentions(const Expr& expr, std::string_view column) {
  return (expr.kind == ExprKind::kColumn && NameEq(expr.parts.back().text, column)) ||
         std::any_of(expr.children.begin(), expr.children.end(), [&](const Expr* child) { return Mentions(*child, column); });
}

Expr& Unwrap(Expr& expr) {
  Expr* at = &expr;
  while (at->kind == ExprKind::kRow && at->children.size() == 1) at = at->children[0];
  return *at;
}

}  // namespace crossfade::rewrite

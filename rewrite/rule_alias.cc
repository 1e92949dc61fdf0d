// SPDX-License-Identifier: Apache-2.0
// Aliases of a select list that have the name of a column which was added. Where a name may be both, the servers look for a column
// of a table first: in GROUP BY, inside of expressions of ORDER BY, inside of aggregates of HAVING. The application means its alias.
#include "fmt/format.h"
#include "rewrite/comparable.h"
#include "rewrite/names.h"
#include "rewrite/reader.h"

namespace crossfade::rewrite {
namespace {

bool IsAggregateName(std::string_view name) {
  for (const char* each : {"avg", "bit_and", "bit_or", "bit_xor", "count", "group_concat", "json_arrayagg", "json_objectagg", "max", "min", "std", "stddev", "stddev_pop", "stddev_samp", "sum",
                           "var_pop", "var_samp", "variance"})
    if (NameEq(name, each)) return true;
  return false;
}

// The same value wherever it stands, and nothing that may stand there once only.
bool Repeatable(const Context& context, Span span) {
  for (uint32_t i = span.begin; i < span.end; ++i) {
    const Token& token = context.tokens.tokens[i];
    const std::string_view word = context.Word(i);
    if (word == "?" || word == ":=") return false;
    const bool called = i + 1 < span.end && context.Word(i + 1) == "(";
    if (called && (token.kind == TokenKind::kQuotedName || token.name_only)) return false;
    if (called && token.kind == TokenKind::kWord && !IsPlainFunction(word) && !IsClockFunction(word) && !IsAggregateName(word)) return false;
  }
  return true;
}

}  // namespace

// The item that a bare name means, which a column that was added would catch. nullptr: there is none.
const SelectItem* Reader::AliasMeant(const Select& select, Expr& expr, const Scope& scope, Addition* addition) {
  if (expr.kind != ExprKind::kColumn || expr.parts.size() != 1) return nullptr;
  const Bound bound = binder_.Resolve(expr, scope);
  if ((bound.kind != Bound::kBase && !bound.hidden) || bound.scope != &scope || bound.source == nullptr) return nullptr;
  *addition = AddedBy(*bound.source, expr.parts[0].text);
  if (addition->migration == nullptr) return nullptr;
  for (const SelectItem& item : select.items) {
    if (!item.alias.present() || !NameEq(item.alias.text, expr.parts[0].text)) continue;
    return Mentions(*item.expr, expr.parts[0].text) ? nullptr : &item;
  }
  return nullptr;
}

bool Reader::GroupByAlias(Select& select, Expr& expr, const Scope& scope) {
  Addition addition;
  const SelectItem* item = AliasMeant(select, expr, scope, &addition);
  if (item == nullptr) return false;
  for (const SelectItem& each : select.items) {
    if (each.expr->kind == ExprKind::kStar) return false;  // nobody has counted
    if (&each == item) break;
  }
  ctx_.editor.Replace(expr.span, std::to_string(item - select.items.data() + 1));
  ctx_.Note("an alias that a new column would hide is grouped by its position");
  return true;
}

// Puts what an alias stands for in its place, inside of `expr`. `in_aggregates`: inside of these alone.
void Reader::SpellAliases(const Select& select, Expr& expr, const Scope& scope, bool in_aggregates) {
  Addition addition;
  const SelectItem* item = in_aggregates ? nullptr : AliasMeant(select, expr, scope, &addition);
  if (item != nullptr) {
    if (!Repeatable(ctx_, item->expr->span)) {
      if (addition.active)
        ctx_.Refuse(*addition.migration, fmt::format("the alias {} has the name of a new column, which an expression would mean", expr.parts[0].text), "choose another alias");
      return;
    }
    ctx_.editor.Replace(expr.span, "(" + ctx_.editor.Emit(item->expr->span) + ")");
    ctx_.Note("an alias that a new column would hide is written out");
    expr.kind = ExprKind::kNull;  // it names nothing any more
    return;
  }
  const bool aggregate = expr.kind == ExprKind::kFunction && IsAggregateName(expr.text);
  for (Expr* child : expr.children) SpellAliases(select, *child, scope, in_aggregates && !aggregate);
}

}  // namespace crossfade::rewrite

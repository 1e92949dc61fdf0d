// SPDX-License-Identifier: Apache-2.0
// For tests and fuzzing: walks a whole tree. CheckSpans finds a node whose span is not inside its parent's or not
// after its elder sibling's; Show writes a tree as one line of text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fmt/format.h"
#include "rewrite/parser.h"

namespace crossfade::rewrite {

class SpanChecker {
 public:
  // Empty: all is well.
  static std::string Check(const TokenList& list, const ParseResult& result) { return Walk(list, result).problem_; }
  // Every node and its tokens, in the order of the walk: two texts of the same tokens have the same outline.
  static std::string Outline(const TokenList& list, const ParseResult& result) { return Walk(list, result).outline_; }

 private:
  explicit SpanChecker(const TokenList& list) : list_(list) {}

  static SpanChecker Walk(const TokenList& list, const ParseResult& result) {
    SpanChecker checker(list);
    uint32_t end = 0;
    for (const Statement* statement : result.statements) {
      if (statement->span.begin < end) checker.Report("statement", statement->span);
      end = statement->span.end;
      checker.Visit(*statement, Span{0, static_cast<uint32_t>(list.tokens.size())});
    }
    return checker;
  }

  void Report(std::string_view what, Span span) {
    if (problem_.empty()) problem_ = fmt::format("{} [{}, {})", what, span.begin, span.end);
  }
  void Inside(std::string_view what, Span child, Span parent) {
    outline_ += what[0];
    outline_ += fmt::format_int(child.begin).c_str();
    outline_ += '-';
    outline_ += fmt::format_int(child.end).c_str();
    if (child.begin >= child.end || child.begin < parent.begin || child.end > parent.end ||
        child.end >= list_.tokens.size()) {
      Report(what, child);
    }
  }
  void Visit(const Name& name, Span parent) {
    if (!name.present()) return;
    Inside("name", name.span, parent);
    if (name.span.end != name.span.begin + 1) Report("name of many tokens", name.span);
  }
  void Visit(const std::vector<Name>& names, Span parent) {
    for (const Name& name : names) Visit(name, parent);
  }
  void Visit(const Expr* expr, Span parent) {
    if (expr == nullptr) return;
    Inside("expression", expr->span, parent);
    outline_ += static_cast<char>('A' + static_cast<int>(expr->kind));
    Visit(expr->parts, expr->span);
    uint32_t end = expr->span.begin;
    for (const Expr* child : expr->children) {
      if (child->span.begin < end) Report("expression before its elder", child->span);
      end = child->span.end;
      Visit(child, expr->span);
    }
    if (expr->query != nullptr) {
      if (expr->query->span.begin < end) Report("query before its elder", expr->query->span);
      Visit(*expr->query, expr->span);
    }
  }
  void Visit(const std::vector<Expr*>& exprs, Span parent) {
    for (const Expr* expr : exprs) Visit(expr, parent);
  }
  void Visit(const std::vector<SelectItem>& items, Span parent) {
    for (const SelectItem& item : items) {
      Inside("item", item.span, parent);
      Visit(item.expr, item.span);
      Visit(item.alias, item.span);
    }
  }
  void Visit(const std::vector<OrderItem>& items, Span parent) {
    for (const OrderItem& item : items) {
      Inside("order item", item.span, parent);
      Visit(item.expr, item.span);
    }
  }
  void Visit(const std::vector<Assignment>& assignments, Span parent) {
    for (const Assignment& assignment : assignments) {
      Inside("assignment", assignment.span, parent);
      Visit(assignment.column, assignment.span);
      Visit(assignment.value, assignment.span);
    }
  }
  void Visit(const TableRef* table, Span parent) {
    if (table == nullptr) return;
    Inside("table", table->span, parent);
    Visit(table->schema, table->span);
    Visit(table->table, table->span);
    Visit(table->alias, table->span);
    if (table->derived != nullptr) Visit(*table->derived, table->span);
    Visit(table->column_aliases, table->span);
    Visit(table->left, table->span);
    Visit(table->right, table->span);
    if (table->left != nullptr && table->right != nullptr && table->right->span.begin < table->left->span.end) {
      Report("right side before the left", table->right->span);
    }
    Visit(table->on, table->span);
    Visit(table->using_columns, table->span);
    Visit(table->other_exprs, table->span);
  }
  void Visit(const std::vector<TableRef*>& tables, Span parent) {
    for (const TableRef* table : tables) Visit(table, parent);
  }
  void Visit(const Select& select, Span parent) {
    Inside("select", select.span, parent);
    if (!select.items.empty()) {
      Inside("items", select.items_span, select.span);
      Visit(select.items, select.items_span);
    }
    Visit(select.from, select.span);
    Visit(select.where, select.span);
    Visit(select.group_by, select.span);
    Visit(select.having, select.span);
    Visit(select.window_exprs, select.span);
    Visit(select.order_by, select.span);
    Visit(select.limit, select.span);
    if (select.nested != nullptr) Visit(*select.nested, select.span);
  }
  void Visit(const std::vector<Cte>& with, Span parent) {
    for (const Cte& cte : with) {
      Inside("common table expression", cte.span, parent);
      Visit(cte.name, cte.span);
      Visit(cte.columns, cte.span);
      Visit(*cte.query, cte.span);
    }
  }
  void Visit(const Query& query, Span parent) {
    Inside("query", query.span, parent);
    Visit(query.with, query.span);
    uint32_t end = query.span.begin;
    for (const Select* select : query.selects) {
      if (select->span.begin < end) Report("select before its elder", select->span);
      end = select->span.end;
      Visit(*select, query.span);
    }
    Visit(query.order_by, query.span);
    Visit(query.limit, query.span);
  }
  void Visit(const Insert& insert, Span parent) {
    Visit(insert.target, parent);
    if (insert.has_columns) Inside("columns", insert.columns_span, parent);
    if (insert.has_columns && insert.columns_span.begin != insert.target->span.end) {
      Report("columns away from the table", insert.columns_span);
    }
    Visit(insert.columns, insert.columns_span);
    for (const InsertRow& row : insert.rows) {
      Inside("row", row.span, parent);
      Visit(row.values, row.span);
    }
    Visit(insert.set, parent);
    if (insert.query != nullptr) Visit(*insert.query, parent);
    Visit(insert.row_alias, parent);
    Visit(insert.row_alias_columns, parent);
    Visit(insert.on_duplicate, parent);
    Visit(insert.returning, parent);
  }
  void Visit(const Statement& statement, Span parent) {
    Inside("statement", statement.span, parent);
    const Span span = statement.span;
    Visit(statement.names, span);
    if (statement.query != nullptr) Visit(*statement.query, span);
    if (statement.insert != nullptr) Visit(*statement.insert, span);
    if (const Update* update = statement.update; update != nullptr) {
      Visit(update->with, span);
      Visit(update->tables, span);
      Visit(update->set, span);
      Visit(update->where, span);
      Visit(update->order_by, span);
      Visit(update->limit, span);
    }
    if (const Delete* del = statement.del; del != nullptr) {
      Visit(del->with, span);
      Visit(del->targets, span);
      Visit(del->tables, span);
      Visit(del->where, span);
      Visit(del->order_by, span);
      Visit(del->limit, span);
      Visit(del->returning, span);
    }
    if (statement.inner != nullptr) Visit(*statement.inner, span);
  }

  const TokenList& list_;
  std::string problem_, outline_;
};

// The tokens of a text with one space where there was any, without comments; what stood in a version comment stands bare.
inline std::string PrintTokens(const TokenList& list) {
  std::string out;
  for (uint32_t i = 0; i + 1 < list.tokens.size(); ++i) {
    const bool edge = i > 0 && list.tokens[i].in_version_comment != list.tokens[i - 1].in_version_comment;
    if (i > 0 && (list.tokens[i].space_before || edge)) out += ' ';
    out += list.Text(i);
  }
  return out;
}

// The source of a span, one space between tokens.
inline std::string SpanText(const TokenList& list, Span span) {
  std::string out;
  for (uint32_t i = span.begin; i < span.end; ++i) {
    if (!out.empty()) out += ' ';
    out += list.Text(i);
  }
  return out;
}

// (kind children...), leaves by their text.
inline std::string Show(const TokenList& list, const Expr* expr) {
  static constexpr const char* kKinds[] = {
      "column", "star", "string", "integer", "decimal", "float", "hex", "bit", "temporal", "null", "bool", "param",
      "uservar", "sysvar", "default", "values", "unary", "binary", "compare", "quantified", "in", "between", "like",
      "is", "case", "call", "cast", "interval", "row", "subquery", "exists", "assign", "match", "other"};
  static constexpr const char* kOps[] = {"", "=", "<=>", "<>", "<", "<=", ">", ">=", "and", "or", "xor", "not", "neg",
                                         "arith", "concat", "collate"};
  if (expr == nullptr) return "-";
  if (expr->children.empty() && expr->query == nullptr && expr->kind != ExprKind::kFunction) {
    return SpanText(list, expr->span);
  }
  std::string out = "(";
  if (expr->negated) out += "not-";
  out += expr->op != Op::kNone ? kOps[static_cast<int>(expr->op)] : kKinds[static_cast<int>(expr->kind)];
  if (expr->kind == ExprKind::kFunction) out += fmt::format(":{}", expr->text);
  for (const Expr* child : expr->children) out += " " + Show(list, child);
  if (expr->query != nullptr) out += " <" + SpanText(list, expr->query->span) + ">";
  return out + ")";
}

inline std::string Show(const TableRef* table) {
  if (table == nullptr) return "-";
  std::string out;
  switch (table->kind) {
    case TableRef::kTable:
      if (table->schema.present()) out += fmt::format("{}.", table->schema.text);
      out += table->table.text;
      break;
    case TableRef::kDerived: out = "(query)"; break;
    case TableRef::kOther: out = "(other)"; break;
    case TableRef::kOdbcOrParen: return "{" + Show(table->left) + "}";
    case TableRef::kJoin: {
      static constexpr const char* kJoins[] = {"?", "inner", "left", "right", "cross", "straight"};
      return fmt::format("({}{} {} {}{}{})", table->natural ? "natural-" : "", kJoins[static_cast<int>(table->join)],
                         Show(table->left), Show(table->right), table->on != nullptr ? " on" : "",
                         table->using_columns.empty() ? "" : " using");
    }
  }
  if (table->alias.present()) out += fmt::format(":{}", table->alias.text);
  return out;
}

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// See table_refs.h.
#include "rewrite/table_refs.h"

namespace crossfade::rewrite {
namespace {

void VisitRef(const TableRef* ref, const EachTable& each) {
  if (ref == nullptr) return;
  if (ref->kind == TableRef::kTable) each(*ref);
  if (ref->derived != nullptr) VisitTables(*ref->derived, each);
  VisitRef(ref->left, each);
  VisitRef(ref->right, each);
  VisitTables(ref->on, each);
  for (const Expr* expr : ref->other_exprs) VisitTables(expr, each);
}

void VisitSelect(const Select& select, const EachTable& each) {
  for (const SelectItem& item : select.items) VisitTables(item.expr, each);
  for (const TableRef* ref : select.from) VisitRef(ref, each);
  VisitTables(select.where, each);
  for (const OrderItem& item : select.group_by) VisitTables(item.expr, each);
  VisitTables(select.having, each);
  for (const Expr* expr : select.window_exprs) VisitTables(expr, each);
  for (const OrderItem& item : select.order_by) VisitTables(item.expr, each);
  for (const Expr* expr : select.limit) VisitTables(expr, each);
  if (select.nested != nullptr) VisitTables(*select.nested, each);
}

}  // namespace

void VisitTables(const Query& query, const EachTable& each) {
  for (const Cte& cte : query.with)
    if (cte.query != nullptr) VisitTables(*cte.query, each);
  for (const Select* select : query.selects) VisitSelect(*select, each);
  for (const OrderItem& item : query.order_by) VisitTables(item.expr, each);
  for (const Expr* expr : query.limit) VisitTables(expr, each);
}

void VisitTables(const Expr* expr, const EachTable& each) {
  if (expr == nullptr) return;
  if (expr->query != nullptr) VisitTables(*expr->query, each);
  for (const Expr* child : expr->children) VisitTables(child, each);
}

}  // namespace crossfade::rewrite

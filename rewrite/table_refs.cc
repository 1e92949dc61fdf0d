// SPDX-License-Identifier: Apache-2.0
// See table_refs.h.
#include "rewrite/table_refs.h"

namespace crossfade::rewrite {
namespace {

struct Visitor {
  const EachTable* table = nullptr;
  const EachQuery* query = nullptr;

  void Visit(const TableRef* ref) const {
    if (ref == nullptr) return;
    if (table != nullptr && ref->kind == TableRef::kTable) (*table)(*ref);
    if (ref->derived != nullptr) Visit(*ref->derived);
    Visit(ref->left);
    Visit(ref->right);
    Visit(ref->on);
    for (const Expr* expr : ref->other_exprs) Visit(expr);
  }

  void Visit(const Expr* expr) const {
    if (expr == nullptr) return;
    if (expr->query != nullptr) Visit(*expr->query);
    for (const Expr* child : expr->children) Visit(child);
  }

  void Visit(const std::vector<OrderItem>& items) const {
    for (const OrderItem& item : items) Visit(item.expr);
  }

  void Visit(const std::vector<Expr*>& list) const {
    for (const Expr* expr : list) Visit(expr);
  }

  void Visit(const Select& select) const {
    for (const SelectItem& item : select.items) Visit(item.expr);
    for (const TableRef* ref : select.from) Visit(ref);
    Visit(select.where);
    Visit(select.group_by);
    Visit(select.having);
    Visit(select.window_exprs);
    Visit(select.order_by);
    Visit(select.limit);
    if (select.nested != nullptr) Visit(*select.nested);
  }

  void Visit(const Query& each) const {
    if (query != nullptr) (*query)(each);
    for (const Cte& cte : each.with)
      if (cte.query != nullptr) Visit(*cte.query);
    for (const Select* select : each.selects) Visit(*select);
    Visit(each.order_by);
    Visit(each.limit);
  }
};

}  // namespace

void VisitTables(const Query& query, const EachTable& each) { Visitor{&each, nullptr}.Visit(query); }
void VisitTables(const Expr* expr, const EachTable& each) { Visitor{&each, nullptr}.Visit(expr); }
void VisitQueries(const Query& query, const EachQuery& each) { Visitor{nullptr, &each}.Visit(query); }
void VisitQueries(const Expr* expr, const EachQuery& each) { Visitor{nullptr, &each}.Visit(expr); }
void VisitQueries(const TableRef* ref, const EachQuery& each) { Visitor{nullptr, &each}.Visit(ref); }

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// The tables that the subqueries of a statement name, and these subqueries, wherever they stand in it.
#pragma once

#include <functional>

#include "rewrite/ast.h"

namespace crossfade::rewrite {

// Calls `each` for every plain table in the FROM clauses of `query` and of the subqueries in it; those of CTEs are among them.
using EachTable = std::function<void(const TableRef&)>;
void VisitTables(const Query& query, const EachTable& each);
// … of the subqueries in an expression (nullptr: none).
void VisitTables(const Expr* expr, const EachTable& each);

// Calls `each` for `query` and every query in it; of an expression or a table reference (nullptr: none), for those in it.
using EachQuery = std::function<void(const Query&)>;
void VisitQueries(const Query& query, const EachQuery& each);
void VisitQueries(const Expr* expr, const EachQuery& each);
void VisitQueries(const TableRef* ref, const EachQuery& each);

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// INSERT … SELECT into a table whose new keys are numbers that Crossfade hands out. How many rows will come nobody knows, so
// they count themselves: row n gets number n of a range, and one row too many is an error that the proxy answers by a longer
// range (proxy/session_range.cc); the statement as a whole is rolled back by then. MySQL's rows are counted by ROW_NUMBER(),
// MariaDB's by a user variable, since there a window function puts them into an order of its own. See rules.h, docs/rewriting.md.
#include <algorithm>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/planner.h"
#include "rewrite/rules.h"
#include "rewrite/stored_form.h"
#include "rewrite/table_refs.h"

namespace crossfade::rewrite {
namespace {

constexpr char kRowNumber[] = "ROW_NUMBER() OVER ()";
constexpr uint16_t kOutOfRange = 1690;  // ER_DATA_OUT_OF_RANGE
// Of a query in parentheses that both engines would else take apart, and leave out its ORDER BY.
constexpr char kAllRows[] = " LIMIT 18446744073709551615";

// The rows of these are no longer what they are once each has a number of its own, or are numbered before some are left out.
bool Wrapped(const Query& query) {
  if (query.selects.size() != 1 || !query.limit.empty()) return true;
  const Select& select = *query.selects[0];
  return select.nested != nullptr || select.values_constructor || select.distinct || select.rollup || !select.limit.empty() || !select.window_exprs.empty() ||
         select.items.empty();
}

// It has an order that would get lost in parentheses.
bool OnlyOrdered(const Query& query) {
  if (!query.limit.empty()) return false;
  if (query.selects.size() != 1) return !query.order_by.empty();
  const Select& select = *query.selects[0];
  return select.limit.empty() && (!select.order_by.empty() || !query.order_by.empty());
}

// What ON DUPLICATE KEY UPDATE may mean by a name once the query's tables are out of sight. VALUES(v) always means the new row.
bool NamesQuery(const Expr& expr, const TableRef& target, bool from_target) {
  if (expr.kind == ExprKind::kValues) return false;
  if (expr.kind == ExprKind::kColumn) return expr.parts.size() == 1 || from_target || !NameEq(expr.parts[expr.parts.size() - 2].text, target.table.text);
  return std::any_of(expr.children.begin(), expr.children.end(), [&](const Expr* child) { return NamesQuery(*child, target, from_target); });
}

}  // namespace

bool IsPastAllNumbers(uint16_t code, std::string_view message) {
  // Both servers send no message where character_set_results is UTF-16 and the like.
  return code == kOutOfRange && (message.empty() || message.find(kPastAllNumbers) != std::string_view::npos);
}

bool IsPastRange(uint16_t code, std::string_view message) {
  if (!IsPastAllNumbers(code, message)) return false;
  return message.empty() || (message.find("row_number()") != std::string_view::npos || message.find(kRowVariable) != std::string_view::npos);
}

bool IsMissingParent(uint16_t code, std::string_view message) {
  return code == kOutOfRange && (message.empty() || message.find(kMissingParent) != std::string_view::npos);
}

void NumberRows(Context& context, Insert& insert, const MigratingTable& table, const KeyColumn& column, size_t width) {
  const Key& key = *column.key;
  Query& query = *insert.query;
  const char* advice = "insert the rows with VALUES";
  const bool maria = context.dialect.flavor == Flavor::kMariaDb;
  if (context.dialect.version < (maria ? 100200u : 80000u))
    return context.Refuse(key, fmt::format("INSERT … SELECT into {} numbers its rows in a way that this server does not know", table.name), advice);
  if (insert.has_columns && insert.columns.empty()) return context.Refuse(key, fmt::format("INSERT … SELECT into no column of {}", table.name), "list the columns");
  if (!context.alone) return context.Refuse(key, fmt::format("INSERT … SELECT into {} in a text of several statements", table.name), "send it alone");
  const bool wrapped = maria || Wrapped(query);
  for (uint32_t i = query.span.begin; i < query.span.end; ++i) {
    const std::string_view word = context.Word(i);
    const TokenKind kind = context.tokens.tokens[i].kind;
    if (word == ":=") return context.Refuse(key, fmt::format("INSERT … SELECT into {} assigns user variables", table.name), advice);
    // In a table of its own such a literal is a string, and a number no more.
    if (wrapped && (kind == TokenKind::kHex || kind == TokenKind::kBit)) return context.Refuse(key, fmt::format("INSERT … SELECT into {} with a hexadecimal or bit literal", table.name), "write a number or a string");
    for (std::string_view each : {"examined", "sql_calc_found_rows"})
      if (NameEq(word, each)) return context.Refuse(key, fmt::format("INSERT … SELECT into {} with {}", table.name, each), "leave it out");
  }
  const auto& tokens = context.tokens.tokens;
  const std::string_view text = context.tokens.source.substr(tokens[query.span.begin].begin, tokens[query.span.end - 1].end - tokens[query.span.begin].begin);
  if (maria && AsksForTheLast(text)) {
    return context.Refuse(key, fmt::format("INSERT … SELECT into {} asks for the outcome of the statement before it", table.name), "ask for it in a statement of its own");
  }
  // A reply that has begun with its columns cannot be taken back.
  if (!insert.returning.empty()) return context.Refuse(key, fmt::format("INSERT … SELECT … RETURNING into {}", table.name), "leave RETURNING out, or insert the rows with VALUES");
  if (wrapped) {
    bool from = false, from_target = false;
    VisitTables(query, [&](const TableRef& ref) {
      from = true;
      from_target = from_target || NameEq(ref.alias.present() ? ref.alias.text : ref.table.text, insert.target->table.text);
    });
    for (const Assignment& assignment : insert.on_duplicate)
      if (from && NamesQuery(*assignment.value, *insert.target, from_target))
        return context.Refuse(key, "ON DUPLICATE KEY UPDATE names a column that may be one of the query's", "name it with its table, or by VALUES()");
  }
  // UUID_SHORT(), which is never NULL: with it both servers log the rows under binlog_format MIXED, and not the statement, which a
  // replica would number in another order.
  const bool exact = !insert.ignore && insert.on_duplicate.empty();
  const std::string first = SlotMark(context.NewSlot(key, KeySlot::kFirst, exact, maria)), last = SlotMark(context.NewSlot(key, KeySlot::kLast));
  const std::string number =
      maria ? fmt::format("CASE WHEN UUID_SHORT() IS NULL THEN NULL WHEN CAST((@{0} := @{0} + 1) AS UNSIGNED) <= {1} THEN CAST(@{0} AS UNSIGNED) ELSE CAST(COALESCE(@{0}, 1) AS UNSIGNED) + {2} END", kRowVariable, last, kPastAllNumbers)
            : fmt::format("CASE WHEN UUID_SHORT() IS NULL THEN NULL WHEN {0} + ({1} - 1) <= {2} THEN {0} + ({1} - 1) ELSE {1} + {3} END", first, kRowNumber, last, kPastAllNumbers);
  if (!wrapped) {
    context.editor.After(query.selects[0]->items.back().span.end - 1, ", " + number);
  } else {
    const bool ordered = OnlyOrdered(query);
    if (ordered && (query.locking || std::any_of(query.selects.begin(), query.selects.end(), [](const Select* select) { return select->locking || select->nested != nullptr; })))
      return context.Refuse(key, fmt::format("INSERT … SELECT into {} with ORDER BY and locks or parentheses", table.name), advice);
    std::string list;
    for (size_t i = 0; i < width; ++i) list += fmt::format("{}`{}_{}`", i == 0 ? "" : ", ", context.alias, i + 1);
    context.editor.Before(query.span.begin, fmt::format("WITH `{0}_rows` ({1}) AS (", context.alias, list));
    context.editor.After(query.span.end - 1, fmt::format("{2}) SELECT `{0}_rows`.*, {1} FROM `{0}_rows`", context.alias, number, ordered ? kAllRows : ""));
  }
  context.Note("a new key for each row, numbered from a range");
}

}  // namespace crossfade::rewrite

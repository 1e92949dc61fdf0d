// SPDX-License-Identifier: Apache-2.0
// INSERT … SELECT into a table whose new keys are numbers that Crossfade hands out. How many rows will come nobody knows, so
// they count themselves: row n gets number n of a range, and one row too many is an error that the proxy answers by a longer
// range (proxy/session_range.cc); the statement as a whole is rolled back by then. See rules.h, docs/rewriting.md.
#include <algorithm>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/planner.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {
namespace {

constexpr char kRowNumber[] = "ROW_NUMBER() OVER ()";
// Added to any row's number it is too large for a BIGINT UNSIGNED: an error that neither IGNORE nor a lax sql_mode turns into a
// warning (tried on both engines).
constexpr char kPastRange[] = "18446744073709551615";
constexpr uint16_t kOutOfRange = 1690;  // ER_DATA_OUT_OF_RANGE

// The rows of these are no longer what they are once each has a number of its own, or are numbered before some are left out.
bool Wrapped(const Query& query) {
  if (query.selects.size() != 1 || !query.limit.empty()) return true;
  const Select& select = *query.selects[0];
  return select.nested != nullptr || select.values_constructor || select.distinct || select.rollup || !select.limit.empty() || !select.window_exprs.empty() ||
         select.items.empty();
}

// ON DUPLICATE KEY UPDATE names a column that may be one of the query's.
bool NamesQuery(const Expr& expr, const MigratingTable& table, const TableRef& target) {
  if (expr.kind == ExprKind::kColumn) {
    if (expr.parts.size() > 1 && !NameEq(expr.parts[expr.parts.size() - 2].text, target.table.text)) return true;
    if (expr.parts.size() == 1 && (table.table == nullptr || table.table->FindColumn(expr.parts[0].text) == nullptr)) return true;
  }
  return std::any_of(expr.children.begin(), expr.children.end(), [&](const Expr* child) { return NamesQuery(*child, table, target); });
}

}  // namespace

bool IsPastRange(uint16_t code, std::string_view message) {
  return code == kOutOfRange && message.find(kPastRange) != std::string_view::npos && message.find("row_number()") != std::string_view::npos;
}

void NumberRows(Context& context, Insert& insert, const MigratingTable& table, const KeyColumn& column, size_t width) {
  const Key& key = *column.key;
  Query& query = *insert.query;
  const char* advice = "insert the rows with VALUES";
  const bool maria = context.dialect.flavor == Flavor::kMariaDb;
  if (context.dialect.version < (maria ? 100200u : 80000u))
    return context.Refuse(key, fmt::format("INSERT … SELECT into {} numbers its rows by a window function, which this server does not have", table.name), advice);
  if (!context.alone) return context.Refuse(key, fmt::format("INSERT … SELECT into {} in a text of several statements", table.name), "send it alone");
  for (uint32_t i = query.span.begin; i < query.span.end; ++i)
    if (context.Word(i) == ":=") return context.Refuse(key, fmt::format("INSERT … SELECT into {} assigns user variables", table.name), advice);
  const bool wrapped = Wrapped(query);
  if (maria || wrapped) {
    for (const Assignment& assignment : insert.on_duplicate)
      if (NamesQuery(*assignment.value, table, *insert.target))
        return context.Refuse(key, "ON DUPLICATE KEY UPDATE names a column of the query", "name it by VALUES()");
  }

  const bool exact = !insert.ignore && insert.on_duplicate.empty();
  const std::string first = SlotMark(context.NewSlot(key, KeySlot::kFirst, exact)), last = SlotMark(context.NewSlot(key, KeySlot::kLast));
  const std::string number = fmt::format("CASE WHEN {0} + ({1} - 1) <= {2} THEN {0} + ({1} - 1) ELSE {1} + {3} END", first, kRowNumber, last, kPastRange);
  if (!wrapped) {
    context.editor.After(query.selects[0]->items.back().span.end - 1, ", " + number);
  } else {
    std::string list;
    for (size_t i = 0; i < width; ++i) list += fmt::format("{}`{}_{}`", i == 0 ? "" : ", ", context.alias, i + 1);
    context.editor.Before(query.span.begin, fmt::format("WITH `{0}_rows` ({1}) AS (", context.alias, list));
    context.editor.After(query.span.end - 1, fmt::format(") SELECT `{0}_rows`.*, {1} FROM `{0}_rows`", context.alias, number));
  }
  context.Note("a new key for each row, numbered from a range");
}

}  // namespace crossfade::rewrite

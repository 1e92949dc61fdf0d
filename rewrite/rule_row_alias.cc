// SPDX-License-Identifier: Apache-2.0
// The row that ON DUPLICATE KEY UPDATE speaks of: by its alias, or by VALUES(). See rules.h.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {

std::optional<size_t> RowAliasColumn(const Expr& value, const AssignUse& use) {
  if (use.insert == nullptr || !use.insert->row_alias.present() || value.kind != ExprKind::kColumn) return std::nullopt;
  const bool qualified = value.parts.size() == 2 && NameEq(value.parts[0].text, use.insert->row_alias.text);
  const std::vector<Name>& listed = use.insert->row_alias_columns;
  if (!qualified && (value.parts.size() != 1 || listed.empty())) return std::nullopt;
  for (size_t i = 0; i < use.columns.size(); ++i) {
    const std::string_view name = listed.empty() ? std::string_view(use.columns[i]) : i < listed.size() ? listed[i].text : "";
    if (NameEq(name, value.parts.back().text)) return i;
  }
  return std::nullopt;
}

// A name of the alias's for a reference that is written by its new side alone.
static const KeyColumn* AliasOfGone(const MigratingTable& table, const Expr& expr, const AssignUse& use) {
  if (const std::optional<size_t> at = RowAliasColumn(expr, use)) {
    bool named_new = false;
    const KeyColumn* column = table.FindKey(use.columns[*at], &named_new);
    if (column != nullptr && !named_new && column->key->active && column->key->new_only && !column->own) return column;
  }
  for (const Expr* child : expr.children)
    if (const KeyColumn* column = AliasOfGone(table, *child, use)) return column;
  return nullptr;
}

void CheckRowAlias(Context& context, const MigratingTable& table, const std::vector<Assignment>& assignments, const AssignUse& use) {
  for (const Assignment& assignment : assignments) {
    const KeyColumn* column = AliasOfGone(table, *assignment.value, use);
    if (column == nullptr) continue;
    bool named_new = false;
    const KeyColumn* to = table.FindKey(assignment.column->parts.back().text, &named_new);
    if (to != nullptr && to->key == column->key && RowAliasColumn(Unwrap(*assignment.value), use)) continue;
    context.Refuse(*column->key, fmt::format("ON DUPLICATE KEY UPDATE names {} by the row's alias, which has no old key any more here", column->old_name),
                   "assign it to the reference, or give the value once more");
  }
}

std::string ValuesOnce(Context& context, const Expr& value, const AssignUse& use, bool* aliased, const std::string& e) {
  if (context.dialect.flavor != Flavor::kMySql || context.dialect.version < 80019 || use.insert == nullptr) return e;
  const Insert& insert = *use.insert;
  if (insert.row_alias.present() || (insert.rows.empty() && insert.set.empty())) return e;
  for (size_t i = 0; i < use.columns.size(); ++i) {
    if (!NameEq(use.columns[i], value.children[0]->parts.back().text)) continue;
    if (!*aliased) {
      std::string names;
      for (size_t n = 0; n < use.columns.size() + use.added.size(); ++n) names += fmt::format("{}`cf_{}`", n == 0 ? "" : ", ", n);
      const uint32_t last = insert.rows.empty() ? insert.set.back().span.end - 1 : insert.rows.back().span.end - 1;
      context.editor.After(last, fmt::format(" AS `cf_row`({})", names));
      // VALUES ROW(…) takes no alias, VALUES (…) does.
      for (const InsertRow& row : insert.rows)
        if (NameEq(context.Word(row.span.begin - 1), "row")) context.editor.Replace({row.span.begin - 1, row.span.begin}, "");
      *aliased = true;
    }
    return fmt::format("`cf_row`.`cf_{}`", i);
  }
  return e;
}

}  // namespace crossfade::rewrite

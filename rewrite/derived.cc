// SPDX-License-Identifier: Apache-2.0
// See derived.h.
#include "rewrite/derived.h"

#include <utility>

#include "rewrite/column_expression.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {

std::vector<config::ColumnMigration> DerivedColumns(const config::Migration& migration) {
  std::vector<config::ColumnMigration> out;
  for (const config::KeyMigration& key : migration.keys) {
    if (key.from.empty()) continue;
    const auto add = [&](const std::string& table, const std::string& old_column, const std::string& new_column, const std::string& final_name, bool own) {
      // What refers to nothing refers to nothing on the other side, whatever the expression makes of NULL.
      const auto over = [own](const std::string& sql, const std::string& column) {
        const auto parsed = ColumnExpression::Parse(sql);
        const auto renamed = ColumnExpression::OverColumn(sql, column);
        if (!parsed.ok() || !renamed.ok()) return sql;
        const std::string name = QuoteName(column);
        return own || parsed->IsColumn() ? *renamed : "IF(" + name + " IS NULL, NULL, " + *renamed + ")";
      };
      config::ColumnMigration columns;
      columns.table = table;
      columns.old_columns = {old_column};
      columns.new_columns.push_back({new_column, key.new_type, over(key.from, old_column)});
      // Two old keys must not become one, nor meet in the new unique index: what does not come back has no new key.
      const auto from = ColumnExpression::Parse(key.from);
      const auto there_and_back = ColumnExpression::OverText(key.back, "(" + columns.new_columns[0].from + ")");
      if (own && from.ok() && !from->IsColumn() && there_and_back.ok())
        columns.new_columns[0].from = "IF(HEX(" + *there_and_back + ") = HEX(" + QuoteName(old_column) + "), " + columns.new_columns[0].from + ", NULL)";
      columns.back.push_back({old_column, over(key.back, new_column)});
      columns.final_name = final_name;
      columns.of_key = true;
      out.push_back(std::move(columns));
    };
    add(key.table, key.old_column, key.new_column, key.final_name, true);
    for (const config::KeyReference& reference : key.references) add(reference.table, reference.old_column, reference.new_column, reference.final_name, false);
  }
  return out;
}

}  // namespace crossfade::rewrite

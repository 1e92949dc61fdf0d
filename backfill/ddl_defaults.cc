// SPDX-License-Identifier: Apache-2.0
// The expressions of column migrations, and the UUID() that makes a new key, as the defaults of the new columns: metadata alone on both engines, and evaluated for
// each row that does not give the column, with the other columns as they are stored (INSERT … SELECT, LOAD DATA, writers that
// go round the proxies). See ddl.h.
#include "backfill/connection.h"
#include "backfill/ddl.h"
#include "backfill/pairs.h"
#include "fmt/format.h"
#include "rewrite/column_expression.h"
#include "rewrite/new_key.h"
#include "rewrite/stored_form.h"

namespace crossfade::backfill {

std::string DefaultClause(const config::NewColumn& column, const rewrite::Column& fresh, const rewrite::Table& table) {
  const auto from = rewrite::ColumnExpression::Parse(column.from);
  if (!from.ok()) return "";
  std::string value = from->Text("");
  const rewrite::Column* source = from->IsColumn() ? table.FindColumn(OldName(from->columns()[0])) : nullptr;  // on the way back from the swap of the names
  if (source == nullptr && from->IsColumn()) source = table.FindColumn(from->columns()[0]);
  if (source == nullptr || !rewrite::Holds(fresh, *source)) {
    const auto uncut = rewrite::Uncut(fresh, value, /*strict=*/false);
    if (uncut && !uncut->empty() && !from->columns().empty()) value = rewrite::Only(*uncut + " IS NOT FALSE", QuoteName(from->columns()[0]), value);
  }
  return fmt::format(" DEFAULT ({})", rewrite::ColumnExpression::DefaultText(value));
}

std::string DefaultClause(const ColumnPair& pair, const rewrite::Column& fresh, const rewrite::Table& table) {
  if (!pair.from.empty()) return DefaultClause(config::NewColumn{pair.new_column, pair.new_type, pair.from}, fresh, table);
  const std::string made = pair.is_key ? rewrite::FreshKey(pair.new_type) : "";
  return made.empty() ? "" : fmt::format(" DEFAULT ({})", made);
}

std::vector<Alter> DefaultsDdl(const config::Migration& migration, const rewrite::Catalog& catalog, bool on) {
  std::vector<Alter> out;
  for (const TablePairs& entry : PairsByTable(migration)) {
    const rewrite::Table* table = catalog.FindTable(migration.schema, entry.table);
    if (table == nullptr) continue;
    Alter alter{migration.schema, entry.table, {}, "INSTANT"};
    for (const ColumnPair& pair : entry.pairs) {
      const rewrite::Column* fresh = table->FindColumn(pair.new_column);
      if (fresh == nullptr) continue;
      const std::string value = on ? DefaultClause(pair, *fresh, *table) : " DEFAULT NULL";
      if (!pair.is_key || fresh->computed == on || !fresh->nullable || value.empty()) continue;
      alter.clauses.push_back(fmt::format("ALTER COLUMN {} SET{}", QuoteName(pair.new_column), value));
    }
    for (const config::ColumnMigration& set : entry.sets) {
      for (const config::NewColumn& column : set.new_columns) {
        const rewrite::Column* fresh = table->FindColumn(column.name);
        if (fresh == nullptr) continue;
        const std::string value = on ? DefaultClause(column, *fresh, *table) : " DEFAULT NULL";
        if (fresh->computed == on || !fresh->nullable || value.empty()) continue;
        alter.clauses.push_back(fmt::format("ALTER COLUMN {} SET{}", QuoteName(column.name), value));
      }
    }
    if (!alter.clauses.empty()) out.push_back(std::move(alter));
  }
  return out;
}

}  // namespace crossfade::backfill

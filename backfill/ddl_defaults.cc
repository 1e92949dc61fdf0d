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

namespace crossfade::backfill {

std::string DefaultClause(const config::NewColumn& column) {
  const auto from = rewrite::ColumnExpression::Parse(column.from);
  return from.ok() ? fmt::format(" DEFAULT ({})", from->DefaultText()) : "";
}

std::string DefaultClause(const ColumnPair& pair) {
  if (!pair.from.empty()) return DefaultClause(config::NewColumn{pair.new_column, pair.new_type, pair.from});
  const std::string fresh = pair.is_key ? rewrite::FreshKey(pair.new_type) : "";
  return fresh.empty() ? "" : fmt::format(" DEFAULT ({})", fresh);
}

std::vector<Alter> DefaultsDdl(const config::Migration& migration, const rewrite::Catalog& catalog, bool on) {
  std::vector<Alter> out;
  for (const TablePairs& entry : PairsByTable(migration)) {
    const rewrite::Table* table = catalog.FindTable(migration.schema, entry.table);
    if (table == nullptr) continue;
    Alter alter{migration.schema, entry.table, {}, "INSTANT"};
    for (const ColumnPair& pair : entry.pairs) {
      const rewrite::Column* fresh = table->FindColumn(pair.new_column);
      const std::string value = on ? DefaultClause(pair) : " DEFAULT NULL";
      if (!pair.is_key || fresh == nullptr || fresh->computed == on || !fresh->nullable || value.empty()) continue;
      alter.clauses.push_back(fmt::format("ALTER COLUMN {} SET{}", QuoteName(pair.new_column), value));
    }
    for (const config::ColumnMigration& set : entry.sets) {
      for (const config::NewColumn& column : set.new_columns) {
        const rewrite::Column* fresh = table->FindColumn(column.name);
        const std::string value = on ? DefaultClause(column) : " DEFAULT NULL";
        if (fresh == nullptr || fresh->computed == on || !fresh->nullable || value.empty()) continue;
        alter.clauses.push_back(fmt::format("ALTER COLUMN {} SET{}", QuoteName(column.name), value));
      }
    }
    if (!alter.clauses.empty()) out.push_back(std::move(alter));
  }
  return out;
}

}  // namespace crossfade::backfill

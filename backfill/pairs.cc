// SPDX-License-Identifier: Apache-2.0
// A migration seen table by table.
#include "backfill/pairs.h"

namespace crossfade::backfill {
namespace {

TablePairs& EntryOf(std::vector<TablePairs>& out, const std::string& table) {
  for (TablePairs& entry : out) {
    if (entry.table == table) return entry;
  }
  out.push_back({table, {}, {}});
  return out.back();
}

}  // namespace

std::vector<std::string> OldColumns(const TablePairs& entry) {
  std::vector<std::string> out;
  for (const ColumnPair& pair : entry.pairs) out.push_back(pair.old_column);
  for (const config::ColumnMigration& set : entry.sets) out.insert(out.end(), set.old_columns.begin(), set.old_columns.end());
  return out;
}

std::vector<TablePairs> PairsByTable(const config::Migration& migration) {
  std::vector<TablePairs> out;
  for (const config::KeyMigration& key : migration.keys) {
    EntryOf(out, key.table)
        .pairs.push_back({key.old_column, key.new_column, key.new_type, key.final_name, true, key.keep_old_lookup, key.table, key.old_column,
                          key.new_column});
  }
  for (const config::KeyMigration& key : migration.keys) {
    for (const config::KeyReference& reference : key.references) {
      EntryOf(out, reference.table)
          .pairs.push_back({reference.old_column, reference.new_column, key.new_type, reference.final_name, false, false, key.table, key.old_column,
                            key.new_column});
    }
  }
  for (const config::ColumnMigration& columns : migration.columns) EntryOf(out, columns.table).sets.push_back(columns);
  return out;
}

}  // namespace crossfade::backfill

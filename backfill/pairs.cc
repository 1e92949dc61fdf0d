// SPDX-License-Identifier: Apache-2.0
// A migration seen table by table.
#include "backfill/pairs.h"

#include <algorithm>

#include "rewrite/derived.h"

namespace crossfade::backfill {
namespace {

TablePairs& EntryOf(std::vector<TablePairs>& out, const std::string& table) {
  for (TablePairs& entry : out) {
    if (entry.table == table) return entry;
  }
  out.push_back({table, {}, {}, {}});
  return out.back();
}

}  // namespace

std::vector<ColumnPair> AllPairs(const TablePairs& entry) {
  std::vector<ColumnPair> out = entry.pairs;
  out.insert(out.end(), entry.derived.begin(), entry.derived.end());
  std::stable_sort(out.begin(), out.end(), [](const ColumnPair& a, const ColumnPair& b) { return a.is_key && !b.is_key; });
  return out;
}

std::vector<std::string> OldColumns(const TablePairs& entry) {
  std::vector<std::string> out;
  for (const ColumnPair& pair : entry.pairs) out.push_back(pair.old_column);
  for (const config::ColumnMigration& set : entry.sets) out.insert(out.end(), set.old_columns.begin(), set.old_columns.end());
  return out;
}

std::vector<TablePairs> PairsByTable(const config::Migration& migration) {
  std::vector<TablePairs> out;
  const auto pairs = [&](const std::string& table, const config::KeyMigration& key) -> std::vector<ColumnPair>& {
    TablePairs& entry = EntryOf(out, table);
    return key.from.empty() ? entry.pairs : entry.derived;
  };
  for (const config::KeyMigration& key : migration.keys) {
    pairs(key.table, key).push_back({key.old_column, key.new_column, key.new_type, key.final_name, true, key.keep_old_lookup, key.table, key.old_column,
                                     key.new_column, key.from});
  }
  for (const config::KeyMigration& key : migration.keys) {
    for (const config::KeyReference& reference : key.references) {
      pairs(reference.table, key).push_back({reference.old_column, reference.new_column, key.new_type, reference.final_name, false, false, key.table,
                                             key.old_column, key.new_column, key.from});
    }
  }
  for (const config::ColumnMigration& columns : rewrite::DerivedColumns(migration)) {
    TablePairs& entry = EntryOf(out, columns.table);
    for (ColumnPair& pair : entry.derived)
      if (pair.new_column == columns.new_columns[0].name) pair.from = columns.new_columns[0].from;
    entry.sets.push_back(columns);
  }
  for (const config::ColumnMigration& columns : migration.columns)
    if (!columns.of_key) EntryOf(out, columns.table).sets.push_back(columns);
  return out;
}

}  // namespace crossfade::backfill

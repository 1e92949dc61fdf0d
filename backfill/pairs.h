// SPDX-License-Identifier: Apache-2.0
// A migration seen table by table: which old column has which new one, as key or as reference to a key.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace crossfade::backfill {

struct ColumnPair {
  std::string old_column, new_column, new_type, final_name;
  bool is_key = false;     // of the key's own table; else a reference
  bool old_stays = false;  // keep_old_lookup
  std::string key_table, key_old_column, key_new_column;  // a reference: what it refers to. A key: itself
  std::string from;        // the new side is made of the old one by this expression over it; empty: looked up, or a fresh key
  std::string FinalName() const { return final_name.empty() ? new_column : final_name; }
};

struct TablePairs {
  std::string table;
  std::vector<ColumnPair> pairs;              // keys first
  std::vector<config::ColumnMigration> sets;  // column migrations, also those that stand for `derived`
  std::vector<ColumnPair> derived = {};       // with `from`: filled as columns, changed in the schema as keys; keys first
  bool HasKey() const { return !pairs.empty() && pairs.front().is_key; }
};

// Those of keys and references, whatever their new side is made of; keys first.
std::vector<ColumnPair> AllPairs(const TablePairs& entry);

// Of the pairs and the column migrations: what goes in `contract`.
std::vector<std::string> OldColumns(const TablePairs& entry);

// Each table once; those with keys first.
std::vector<TablePairs> PairsByTable(const config::Migration& migration);

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// The tables and migrations of tests/golden as snapshots, in any phase.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "config/load.h"
#include "rewrite/names.h"
#include "rewrite/new_key.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {

struct GoldenState {
  std::string name;  // "cutover new"
  config::Phase phase = config::Phase::kObserve;
  bool new_cohort = false;
};

// New keys as the proxy would give them; ranges are long enough.
inline std::vector<uint64_t> GoldenKeys(const Plan& plan, uint64_t first) {
  std::vector<uint64_t> keys;
  for (const KeySlot& slot : plan.key_slots) keys.push_back(first + keys.size() + (slot.use == KeySlot::kLast ? 1000 : 0));
  return keys;
}

inline const std::vector<GoldenState>& GoldenStates() {
  using config::Phase;
  static const std::vector<GoldenState> states = {
      {"observe", Phase::kObserve},    {"expand", Phase::kExpand},       {"dual_write", Phase::kDualWrite},
      {"backfill", Phase::kBackfill},  {"verify", Phase::kVerify},       {"cutover old", Phase::kCutover},
      {"cutover new", Phase::kCutover, true}, {"retire", Phase::kRetire, true}, {"contract", Phase::kContract, true},
      {"done", Phase::kDone, true},
  };
  return states;
}

inline std::string ReadGoldenFile(const std::string& name) {
  std::ifstream in(std::string(CROSSFADE_SOURCE_DIR) + "/tests/golden/" + name);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) {
    std::fprintf(stderr, "cannot read tests/golden/%s\n", name.c_str());
    std::abort();
  }
  return text.str();
}

// FOREIGN KEY (column) REFERENCES table(column) [ON UPDATE CASCADE]
inline ForeignKey GoldenForeignKey(const std::string& schema, const std::string& line) {
  const auto inside = [&](size_t from) {
    const size_t open = line.find('(', from);
    return line.substr(open + 1, line.find(')', from) - open - 1);
  };
  const size_t at = line.find("REFERENCES ") + 11;
  return {"", {inside(0)}, schema, line.substr(at, line.find('(', at) - at), {inside(at)},
          line.find("ON UPDATE CASCADE") == std::string::npos ? "RESTRICT" : "CASCADE", "RESTRICT"};
}

// The CREATE TABLEs of schema.sql: a column to a line.
inline std::vector<Table> GoldenTables() {
  std::vector<Table> tables;
  std::istringstream in(ReadGoldenFile("schema.sql"));
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first, second, third;
    words >> first >> second >> third;
    if (first == "CREATE") {
      const size_t dot = third.find('.');
      Table table;
      table.schema = third.substr(0, dot);
      table.name = third.substr(dot + 1);
      tables.push_back(table);
    } else if (line.rfind("  ", 0) == 0 && first != "PRIMARY" && first != "FOREIGN") {
      Column column;
      column.name = first;
      column.type = second.back() == ',' ? second.substr(0, second.size() - 1) : second;
      column.type_class = column.type.find("int") != std::string::npos ? TypeClass::kInteger : TypeClass::kString;
      column.nullable = line.find("NOT NULL") == std::string::npos;
      column.auto_increment = line.find("AUTO_INCREMENT") != std::string::npos;
      column.has_default = line.find("DEFAULT") != std::string::npos;
      if (column.type_class == TypeClass::kString) {
        column.charset = "utf8mb4";
        column.collation = "utf8mb4_general_ci";
      }
      tables.back().columns.push_back(column);
    } else if (first == "FOREIGN") {
      tables.back().foreign_keys.push_back(GoldenForeignKey(tables.back().schema, line));
    } else if (first == "PRIMARY") {
      const size_t open = line.find('(');
      tables.back().indexes.push_back({"PRIMARY", true, {line.substr(open + 1, line.find(')') - open - 1)}});
    }
  }
  return tables;
}

inline const config::Config& GoldenConfig() {
  static const config::Config config = [] {
    auto parsed = config::Parse(ReadGoldenFile("crossfade.yaml"), "crossfade.yaml");
    if (!parsed.ok()) {
      std::fprintf(stderr, "%s\n", std::string(parsed.status().message()).c_str());
      std::abort();
    }
    return *std::move(parsed);
  }();
  return config;
}

// `phases`: of single migrations, by name; the others are in state.phase. Tables have the new columns from expand on.
inline std::shared_ptr<const Snapshot> GoldenSnapshot(const GoldenState& state, const Dialect& dialect = {Flavor::kMySql, 90700},
                                                      int lower_case_table_names = 0,
                                                      const std::map<std::string, config::Phase>& phases = {}) {
  static uint64_t epoch = 0;
  Catalog catalog;
  catalog.dialect = dialect;
  catalog.lower_case_table_names = static_cast<uint8_t>(lower_case_table_names);
  catalog.tables = GoldenTables();
  std::vector<MigrationState> migrations;
  for (const config::Migration& spec : GoldenConfig().migrations) {
    MigrationState migration;
    migration.spec = spec;
    migration.phase = state.phase;
    if (const auto it = phases.find(spec.name); it != phases.end()) migration.phase = it->second;
    migration.percent = state.new_cohort ? 100 : 0;
    const auto add = [&](const std::string& table_name, const std::string& old_column, const std::string& new_column, const std::string& type, bool computed = false) {
      for (Table& table : catalog.tables) {
        if (table.schema != spec.schema || table.name != table_name) continue;
        for (size_t i = 0; i < table.columns.size(); ++i) {
          if (table.columns[i].name != old_column) continue;
          Column column;
          column.name = new_column;
          column.type = type;
          const auto has = [&](const char* word) { return type.find(word) != std::string::npos; };
          column.type_class = has("int") ? TypeClass::kInteger : has("char") || has("text") ? TypeClass::kString : has("binary") ? TypeClass::kBinary : TypeClass::kOther;
          if (column.type_class == TypeClass::kString) {
            column.charset = has(" ascii") ? "ascii" : "utf8mb4";
            column.collation = column.charset + "_general_ci";
            column.type = type.substr(0, type.find(' '));
          }
          column.nullable = column.invisible = true;
          column.computed = column.has_default = computed;
          table.columns.insert(table.columns.begin() + static_cast<long>(i) + 1, column);
          break;
        }
      }
    };
    if (migration.phase >= config::Phase::kExpand) {
      for (const auto& key : spec.keys) {
        add(key.table, key.old_column, key.new_column, key.new_type, !key.from.empty() || !FreshKey(key.new_type).empty());
        for (const auto& reference : key.references) add(reference.table, reference.old_column, reference.new_column, key.new_type, !key.from.empty());
      }
      for (const auto& columns : spec.columns)
        for (const auto& fresh : columns.new_columns) add(columns.table, columns.old_columns.back(), fresh.name, fresh.type, true);
    }
    migrations.push_back(std::move(migration));
  }
  return MakeSnapshot(++epoch, std::move(migrations), std::move(catalog));
}

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// See hidden.h: which columns, indexes and foreign keys are hidden, worked out once for each snapshot.
#include "rewrite/hidden.h"

#include <algorithm>

#include "rewrite/names.h"
#include "rewrite/snapshot.h"

namespace crossfade::rewrite {
namespace {

// "p(10)" -> "p"
std::string_view BaseName(std::string_view column) { return column.substr(0, column.find('(')); }

HiddenTable* Add(const Snapshot& snapshot, const std::string& schema, const std::string& name, std::vector<HiddenTable>* tables) {
  const bool folds = snapshot.catalog.lower_case_table_names != 0;
  for (HiddenTable& table : *tables)
    if (folds ? NameEq(table.schema, schema) && NameEq(table.name, name) : table.schema == schema && table.name == name) return &table;
  HiddenTable& table = tables->emplace_back();
  table.schema = schema;
  table.name = name;
  return &table;
}

void AddColumn(const Snapshot& snapshot, const MigrationState& state, const std::string& table_name, const std::string& fresh,
               const std::string& old, std::vector<HiddenTable>* tables) {
  const Table* table = snapshot.catalog.FindTable(state.spec.schema, table_name);
  HiddenTable::Column column{fresh, old, 0};
  for (size_t i = 0; table != nullptr && i < table->columns.size(); ++i)
    if (NameEq(table->columns[i].name, fresh) && table->columns[i].invisible) column.position = static_cast<uint32_t>(i + 1);
  // A migration that only observes may have been further.
  if (state.phase < config::Phase::kExpand && column.position == 0) return;
  Add(snapshot, state.spec.schema, table_name, tables)->columns.push_back(std::move(column));
}

// The old side's indexes and foreign keys, as the application knows them, from those that took their place.
void Succeed(const Table& table, bool retired, HiddenTable* hidden) {
  const auto own = [](std::string_view name) { return name.size() > kOwnSuffix.size() && NameEq(name.substr(name.size() - kOwnSuffix.size()), kOwnSuffix); };
  const auto base = [](std::string_view name) { return std::string(name.substr(0, name.size() - kOwnSuffix.size())); };
  const auto on_new = [&](const std::vector<std::string>& columns) {
    return std::any_of(columns.begin(), columns.end(), [&](const std::string& c) { return hidden->Find(BaseName(c)) != nullptr; });
  };
  bool moved = false;  // the primary key
  for (const Index& index : table.indexes) {
    if (index.name == "PRIMARY") moved = on_new(index.columns);
    if (!own(index.name) || !on_new(index.columns)) continue;
    const bool alone = std::none_of(table.indexes.begin(), table.indexes.end(), [&](const Index& i) { return NameEq(i.name, base(index.name)); });
    if (!retired && !alone) continue;
    // Built for a foreign key that needed none on the old side, or for the key itself: nothing stood there before.
    if (on_new({base(index.name)})) continue;
    hidden->names[FoldName(index.name)] = base(index.name);
    if (!alone) hidden->names[FoldName(base(index.name))] = "";
  }
  for (const ForeignKey& key : table.foreign_keys) {
    if (!own(key.name) || !on_new(key.columns)) continue;
    const bool alone = std::none_of(table.foreign_keys.begin(), table.foreign_keys.end(), [&](const ForeignKey& k) { return NameEq(k.name, base(key.name)); });
    if (!retired && !alone) continue;
    hidden->names[FoldName(key.name)] = base(key.name);
    if (!alone) hidden->names[FoldName(base(key.name))] = "";
  }
  hidden->swapped = moved || !hidden->names.empty();
  if (!moved) return;
  // The old primary key lives on as a unique one.
  const Index* primary = table.PrimaryKey();
  std::vector<std::string> old;
  for (const std::string& column : primary->columns) old.emplace_back(hidden->ColumnShown(column));
  for (const Index& index : table.indexes) {
    if (!index.unique || index.columns != old) continue;
    hidden->names[FoldName(index.name)] = "";
    break;
  }
}

// COLUMN_KEY of the old columns, of the indexes as they are shown.
void KeysShown(const Table& table, HiddenTable* hidden) {
  if (!hidden->swapped) return;
  for (const HiddenTable::Column& column : hidden->columns) {
    if (column.shown.empty()) continue;
    std::string key;
    for (const Index& index : table.indexes) {
      if (!hidden->NameShown(index.name)) continue;
      const auto at = std::find_if(index.columns.begin(), index.columns.end(), [&](const std::string& c) { return NameEq(hidden->ColumnShown(BaseName(c)), column.shown); });
      if (at == index.columns.end()) continue;
      if (index.name == "PRIMARY") key = "PRI";
      else if (at == index.columns.begin() && key != "PRI") key = index.unique && index.columns.size() == 1 ? "UNI" : key.empty() ? "MUL" : key;
    }
    hidden->keys[FoldName(column.shown)] = key;
  }
}

}  // namespace

const HiddenTable::Column* HiddenTable::Find(std::string_view column) const {
  for (const Column& hidden : columns)
    if (NameEq(hidden.name, column)) return &hidden;
  return nullptr;
}

std::string_view HiddenTable::ColumnShown(std::string_view column) const {
  const Column* hidden = Find(column);
  return hidden == nullptr || hidden->shown.empty() ? column : std::string_view(hidden->shown);
}

std::optional<std::string_view> HiddenTable::NameShown(std::string_view name) const {
  const std::string folded = FoldName(name);
  if (const auto it = names.find(folded); it != names.end()) return it->second.empty() ? std::nullopt : std::optional<std::string_view>(it->second);
  if (folded.size() > kOwnSuffix.size() && std::string_view(folded).ends_with(kOwnSuffix)) return std::nullopt;
  return name;
}

std::shared_ptr<const HiddenTable> HiddenSchema::Find(std::string_view schema, std::string_view name) const {
  for (const auto& table : tables)
    if (folds ? NameEq(table->schema, schema) && NameEq(table->name, name) : table->schema == schema && table->name == name) return table;
  return nullptr;
}

std::shared_ptr<const HiddenSchema> MakeHidden(const Snapshot& snapshot) {
  std::vector<HiddenTable> tables;
  std::vector<std::pair<std::string, std::string>> retired;
  for (const MigrationState& state : snapshot.migrations) {
    if (state.Finished()) continue;
    for (const config::KeyMigration& key : state.spec.keys) {
      AddColumn(snapshot, state, key.table, key.new_column, key.old_column, &tables);
      if (state.NewOnly()) retired.emplace_back(state.spec.schema, key.table);
      for (const config::KeyReference& reference : key.references) {
        AddColumn(snapshot, state, reference.table, reference.new_column, reference.old_column, &tables);
        for (HiddenTable& table : tables)
          if (table.schema == state.spec.schema && NameEq(table.name, reference.table)) table.referred[FoldName(key.new_column)] = key.old_column;
        if (state.NewOnly()) retired.emplace_back(state.spec.schema, reference.table);
      }
    }
    for (const config::ColumnMigration& set : state.spec.columns) {
      if (set.of_key) continue;
      const bool changes_type = set.old_columns.size() == 1 && set.new_columns.size() == 1 && NameEq(set.final_name, set.old_columns[0]);
      for (const config::NewColumn& fresh : set.new_columns)
        AddColumn(snapshot, state, set.table, fresh.name, changes_type ? set.old_columns[0] : "", &tables);
      if (state.NewOnly()) retired.emplace_back(state.spec.schema, set.table);
    }
  }
  auto out = std::make_shared<HiddenSchema>();
  out->folds = snapshot.catalog.lower_case_table_names != 0;
  for (const Table& table : snapshot.catalog.information) {
    std::vector<std::string>& columns = out->information[table.name];
    for (const Column& column : table.columns) columns.push_back(column.name);
  }
  for (HiddenTable& hidden : tables) {
    if (const Table* table = snapshot.catalog.FindTable(hidden.schema, hidden.name)) {
      const bool is_retired = std::find(retired.begin(), retired.end(), std::make_pair(hidden.schema, hidden.name)) != retired.end();
      Succeed(*table, is_retired, &hidden);
      KeysShown(*table, &hidden);
    }
    out->tables.push_back(std::make_shared<const HiddenTable>(std::move(hidden)));
  }
  return out;
}

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// See world.h.
#include "rewrite/world.h"

#include "rewrite/names.h"
#include "rewrite/new_key.h"

namespace crossfade::rewrite {
namespace {

ValueShape ShapeOfClass(TypeClass type) {
  switch (type) {
    case TypeClass::kInteger: return ValueShape::kInteger;
    case TypeClass::kString:
    case TypeClass::kBinary: return ValueShape::kString;
    case TypeClass::kOther: return ValueShape::kOther;
  }
  return ValueShape::kOther;
}

// Whether a foreign key on one of the references changes it along with the key.
bool Followed(const Snapshot& snapshot, const config::Migration& migration, const config::ColumnMigration& columns) {
  for (const config::KeyMigration& key : migration.keys) {
    if (!NameEq(key.table, columns.table) || !NameEq(key.old_column, columns.old_columns[0])) continue;
    for (const config::KeyReference& reference : key.references) {
      const Table* table = snapshot.catalog.FindTable(migration.schema, reference.table);
      if (table == nullptr) return true;
      for (const ForeignKey& foreign : table->foreign_keys)
        if (foreign.columns.size() == 1 && (NameEq(foreign.columns[0], reference.old_column) || NameEq(foreign.columns[0], reference.new_column)) && foreign.on_update != "RESTRICT" && foreign.on_update != "NO ACTION") return true;
    }
  }
  return false;
}

}  // namespace

const KeyColumn* MigratingTable::FindKey(std::string_view column, bool* named_new) const {
  for (const KeyColumn& key : keys) {
    if (NameEq(key.old_name, column)) {
      *named_new = false;
      return &key;
    }
    if (NameEq(key.new_name, column)) {
      *named_new = true;
      return &key;
    }
  }
  return nullptr;
}

bool MigratingTable::IsNewColumn(std::string_view column) const {
  for (const KeyColumn& key : keys)
    if (NameEq(key.new_name, column)) return true;
  for (const ColumnSet* set : sets)
    if (set->IsNew(column)) return true;
  return false;
}

bool ColumnSet::IsOld(std::string_view column) const {
  for (const std::string& name : spec->old_columns)
    if (NameEq(name, column)) return true;
  return false;
}

bool ColumnSet::IsNew(std::string_view column) const {
  for (const config::NewColumn& fresh : spec->new_columns)
    if (NameEq(fresh.name, column)) return true;
  return false;
}

const ColumnExpression* ColumnSet::Back(std::string_view old_column) const {
  for (const ParsedColumns::Made& back : parsed->back)
    if (NameEq(back.column, old_column)) return &back.expression;
  return nullptr;
}

const std::string* ColumnSet::WithoutBack() const {
  for (const std::string& old : spec->old_columns)
    if (Back(old) == nullptr) return &old;
  return nullptr;
}

const ColumnSet* MigratingTable::FindSet(std::string_view column, bool* named_new) const {
  for (const ColumnSet* set : sets) {
    *named_new = set->IsNew(column);
    if (*named_new || set->IsOld(column)) return set;
  }
  return nullptr;
}

bool MigratingTable::AnySet() const {
  for (const ColumnSet* set : sets)
    if (set->active) return true;
  return false;
}

std::vector<const Column*> MigratingTable::OriginalColumns() const {
  std::vector<const Column*> out;
  if (table == nullptr) return out;
  for (const Column& column : table->columns) {
    bool old_side = false;
    for (const KeyColumn& key : keys) old_side = old_side || NameEq(key.old_name, column.name);
    for (const ColumnSet* set : sets) old_side = old_side || set->IsOld(column.name);
    // An old side that contract is about to drop may be hidden already; the application still knows it.
    if (!IsNewColumn(column.name) && (!column.invisible || old_side)) out.push_back(&column);
  }
  return out;
}

World::World(const Snapshot& snapshot, const SessionFacts& facts, bool lifted)
    : schema_(facts.schema), lifted_(lifted), fold_(snapshot.catalog.lower_case_table_names != 0), integers_go_(snapshot.integers_go) {
  for (uint32_t m = 0; m < snapshot.migrations.size() && m < MigrationSet().size(); ++m) {
    const MigrationState& state = snapshot.migrations[m];
    if (state.Finished()) continue;
    const bool quiet = state.phase < config::Phase::kDualWrite;
    MigrationState effective;
    effective.phase = quiet && lifted ? config::Phase::kDualWrite : state.phase;
    any_quiet_ = any_quiet_ || quiet;
    const bool active = effective.phase >= config::Phase::kDualWrite;
    any_dual_ = any_dual_ || active;
    for (uint32_t k = 0; k < state.spec.keys.size(); ++k) {
      const config::KeyMigration& spec = state.spec.keys[k];
      if (!spec.from.empty()) continue;  // see derived.h
      auto key = std::make_unique<Key>();
      key->migration = m;
      key->index = k;
      key->spec_migration = &state.spec;
      key->spec = &spec;
      key->schema = state.spec.schema;
      key->active = active;
      key->dual = effective.DualWrites();
      key->filling = effective.phase == config::Phase::kDualWrite || effective.phase == config::Phase::kBackfill;
      key->either = effective.EitherKey();
      key->new_only = effective.NewOnly();
      key->new_reader = key->new_only || (effective.phase == config::Phase::kCutover && facts.new_cohort[m]);
      key->own_stays = spec.keep_old_lookup && !NameEq(spec.final_name, spec.old_column);
      MigratingTable* own = Add(snapshot, state.spec.schema, spec.table, m, active);
      if (own->table != nullptr) {
        if (const Column* column = own->table->FindColumn(spec.old_column)) key->old_shape = ShapeOfClass(column->type_class);
      }
      key->new_shape = IsIntegerType(spec.new_type) ? ValueShape::kInteger : ValueShape::kString;
      key->fresh = FreshKey(spec.new_type);
      key->nothing = NoKey(spec.new_type);
      if (key->old_shape == key->new_shape) key->either = false;
      own->keys.push_back({key.get(), true, spec.old_column, spec.new_column});
      for (const config::KeyReference& reference : spec.references) {
        Add(snapshot, state.spec.schema, reference.table, m, active)
            ->keys.push_back({key.get(), false, reference.old_column, reference.new_column});
      }
      keys_.push_back(std::move(key));
    }
    for (size_t c = 0; c < state.spec.columns.size() && c < state.parsed.size(); ++c) {
      auto set = std::make_unique<ColumnSet>();
      set->migration = m;
      set->spec_migration = &state.spec;
      set->spec = &state.spec.columns[c];
      set->parsed = &state.parsed[c];
      set->active = active;
      set->filling = effective.phase == config::Phase::kDualWrite || effective.phase == config::Phase::kBackfill;
      set->by_new = effective.phase >= config::Phase::kCutover;
      set->new_only = effective.NewOnly();
      set->new_reader = effective.NewOnly() || (effective.phase == config::Phase::kCutover && facts.new_cohort[m]);
      MigratingTable* table = Add(snapshot, state.spec.schema, set->spec->table, m, active);
      table->sets.push_back(set.get());
      if (set->spec->of_key) {
        // Another collation finds other rows.
        const Column* from = table->table != nullptr ? table->table->FindColumn(set->spec->old_columns[0]) : nullptr;
        const Column* to = table->table != nullptr ? table->table->FindColumn(set->spec->new_columns[0].name) : nullptr;
        const bool alike = from == nullptr || to == nullptr || from->collation == to->collation;
        set->new_reader = set->new_reader && alike && set->parsed->back.size() == 1 && set->parsed->back[0].expression.IsColumn();
        set->followed = Followed(snapshot, state.spec, *set->spec);
        const Column* old = table->table != nullptr ? table->table->FindColumn(set->spec->old_columns[0]) : nullptr;
        for (const config::KeyMigration& key : state.spec.keys)
          set->own_key = set->own_key || (NameEq(key.table, set->spec->table) && NameEq(key.old_column, set->spec->old_columns[0]) && (old == nullptr || old->type_class != TypeClass::kInteger));
      }
      sets_.push_back(std::move(set));
    }
  }
  for (MigratingTable& table : tables_) {
    for (KeyColumn& key : table.keys) {
      const Column* old = table.table != nullptr ? table.table->FindColumn(key.old_name) : nullptr;
      key.has_default = old == nullptr || old->has_default;
      key.nullable = old != nullptr && old->nullable;
      key.siblings = &table.keys;
    }
  }
}

MigratingTable* World::Add(const Snapshot& snapshot, const std::string& schema, const std::string& name,
                           uint32_t migration, bool active) {
  MigratingTable* found = const_cast<MigratingTable*>(Find(schema, name));
  if (found == nullptr) {
    found = &tables_.emplace_back();
    found->schema = schema;
    found->name = name;
    found->table = snapshot.catalog.FindTable(schema, name);
  }
  found->migrations.set(migration);
  found->active = found->active || active;
  if (found->migration == nullptr) found->migration = &snapshot.migrations[migration].spec;
  if (snapshot.migrations[migration].phase == config::Phase::kExpand) found->expanding = true;
  return found;
}

const MigratingTable* World::Find(std::string_view schema, std::string_view name) const {
  if (schema.empty()) schema = schema_;
  for (const MigratingTable& table : tables_) {
    const bool same = fold_ ? NameEq(table.schema, schema) && NameEq(table.name, name)
                            : table.schema == schema && table.name == name;
    if (same) return &table;
  }
  return nullptr;
}

bool World::AnyDual() const { return any_dual_; }
bool World::AnyQuiet() const { return any_quiet_; }

}  // namespace crossfade::rewrite

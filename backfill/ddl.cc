// SPDX-License-Identifier: Apache-2.0
// The schema changes of each phase; see ddl.h for the table.
#include "backfill/ddl.h"

#include <algorithm>
#include <functional>

#include "backfill/connection.h"
#include "backfill/ddl_internal.h"
#include "backfill/pairs.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "rewrite/new_key.h"

namespace crossfade::backfill {
namespace {

// The name that a new column of the set has in the end.
std::string FinalNameOf(const config::ColumnMigration& set, const config::NewColumn& column) {
  return set.final_name.empty() ? column.name : set.final_name;
}

// MariaDB wants a default for an invisible column that is NOT NULL: what is never a key.
std::string HiddenNotNull(const rewrite::Catalog& catalog, const ColumnPair& pair, const rewrite::Column& fresh, const rewrite::Table& table) {
  std::string value = DefaultClause(pair, fresh, table);
  if (value.empty() && catalog.dialect.flavor == rewrite::Flavor::kMariaDb) value = " DEFAULT " + rewrite::NoKey(pair.new_type);
  return fmt::format("{} NOT NULL{} INVISIBLE", pair.new_type, value);
}

// What stands in an old column that a writer leaves out.
std::string Nothing(const rewrite::Column& column) {
  if (column.type == "uuid") return "'00000000-0000-0000-0000-000000000000'";
  if (column.type.rfind("decimal", 0) == 0 || column.type.rfind("double", 0) == 0) return "0";
  if (column.type.rfind("datetime", 0) == 0) return "'1970-01-01 00:00:00'";
  if (column.type.rfind("date", 0) == 0) return "'1970-01-01'";
  if (column.type.rfind("time", 0) == 0) return "'00:00:00'";
  if (column.type.rfind("enum(", 0) == 0) {  // its first value
    size_t end = 6;
    while (end + 1 < column.type.size() && (column.type[end] != '\'' || column.type[end + 1] == '\'')) end += column.type[end] == '\'' ? 2 : 1;
    return column.type.substr(5, end - 4);
  }
  return column.type_class == rewrite::TypeClass::kInteger ? "0" : "''";
}

// The old column as it is, under another name: its type must not change, or the table would be copied.
std::string OldDefinition(const rewrite::Column& column, bool visible) {
  std::string out = column.type;
  if (!column.charset.empty()) out += fmt::format(" CHARACTER SET {} COLLATE {}", column.charset, column.collation);
  // MySQL cannot take AUTO_INCREMENT away in place.
  out += column.nullable ? " NULL" : column.auto_increment ? " NOT NULL AUTO_INCREMENT" : " NOT NULL DEFAULT " + Nothing(column);
  if (!visible) out += " INVISIBLE";
  return out;
}

}  // namespace

std::string AlterSql(const Alter& alter) {
  return fmt::format("ALTER TABLE {} {}, ALGORITHM={}{}", TableName(alter.schema, alter.table), fmt::join(alter.clauses, ", "),
                     alter.algorithm, alter.algorithm == "INPLACE" ? ", LOCK=NONE" : "");
}

std::string OldName(const std::string& column) { return WithSuffix(column, "_crossfade_old"); }

const rewrite::ForeignKey* ForeignKeyOn(const rewrite::Table& table, const std::string& column) {
  for (const rewrite::ForeignKey& key : table.foreign_keys) {
    if (key.columns.size() == 1 && SameName(key.columns[0], column)) return &key;
  }
  return nullptr;
}

std::vector<Alter> ExpandDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  std::vector<Alter> out = PerTable(migration, catalog, "INSTANT", [](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    for (const ColumnPair& pair : pairs) {
      if (table.FindColumn(pair.new_column) != nullptr) continue;
      alter->clauses.push_back(fmt::format("ADD COLUMN {} {} NULL INVISIBLE AFTER {}", QuoteName(pair.new_column), pair.new_type,
                                           QuoteName(pair.old_column)));
    }
  });
  PerSet(migration, catalog, "INSTANT", [](const rewrite::Table& table, const config::ColumnMigration& set, Alter* alter) {
    std::string after = set.old_columns.back();
    for (const config::NewColumn& column : set.new_columns) {
      if (table.FindColumn(column.name) == nullptr) {
        alter->clauses.push_back(fmt::format("ADD COLUMN {} {} NULL INVISIBLE AFTER {}", QuoteName(column.name), column.type, QuoteName(after)));
      }
      after = column.name;
    }
  }, &out);
  return out;
}

// The primary key that is to be, where an old column stands in it; empty: none does.
std::vector<std::string> NewPrimaryKey(const rewrite::Table& table, const std::vector<ColumnPair>& pairs) {
  const rewrite::Index* primary = table.PrimaryKey();
  if (primary == nullptr) return {};
  std::vector<std::string> columns = primary->columns;
  bool changed = false;
  for (std::string& column : columns) {
    for (const ColumnPair& pair : pairs) {
      if (!SameName(column, pair.old_column)) continue;
      column = pair.new_column;
      changed = true;
      break;
    }
  }
  return changed ? columns : std::vector<std::string>();
}

std::vector<Alter> KeySwapDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  std::vector<Alter> out = PerTable(
      migration, catalog, "INPLACE", [&](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
        const std::vector<std::string> primary = NewPrimaryKey(table, pairs);
        if (!primary.empty()) alter->clauses.push_back("DROP PRIMARY KEY");
        for (const ColumnPair& pair : pairs) {
          const rewrite::Column* column = table.FindColumn(pair.new_column);
          const bool in_primary = std::find(primary.begin(), primary.end(), pair.new_column) != primary.end();
          if (column == nullptr || !column->nullable || !(pair.is_key || in_primary)) continue;
          alter->clauses.push_back(fmt::format("MODIFY COLUMN {} {}", QuoteName(pair.new_column), HiddenNotNull(catalog, pair, *column, table)));
        }
        if (primary.empty()) return;
        for (const rewrite::Index& index : table.indexes) {
          const bool ours = index.unique && index.columns == primary && index.name.ends_with("_crossfade");
          if (ours) alter->clauses.push_back(fmt::format("DROP KEY {}", QuoteName(index.name)));
        }
        alter->clauses.push_back(fmt::format("ADD PRIMARY KEY ({})", ColumnList(primary)));
        const std::vector<std::string>& old = table.PrimaryKey()->columns;
        const bool unique = std::any_of(table.indexes.begin(), table.indexes.end(), [&](const rewrite::Index& index) {
          return index.name != "PRIMARY" && index.unique && index.columns.size() == old.size() && std::equal(old.begin(), old.end(), index.columns.begin(), SameName);
        });
        const bool by_itself = old.size() > 1 && std::any_of(pairs.begin(), pairs.end(), [&](const ColumnPair& pair) {
          return pair.is_key && std::find(primary.begin(), primary.end(), pair.new_column) != primary.end();
        });
        if (unique || by_itself) return;
        std::string name = old[0];
        if (IndexNamed(table, name) != nullptr) name = FreeIndexName(table, *alter, name);
        alter->clauses.push_back(fmt::format("ADD UNIQUE KEY {} ({})", QuoteName(name), ColumnList(old)));
      });
  std::vector<Alter> references = PerTable(
      migration, catalog, "INPLACE", [&](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
        alter->skip_foreign_key_checks = true;
        for (const ColumnPair& pair : pairs) {
          if (pair.is_key) continue;
          const rewrite::Column* fresh = table.FindColumn(pair.new_column);
          const rewrite::Column* old = table.FindColumn(pair.old_column);
          if (fresh == nullptr || old == nullptr) continue;
          const std::vector<std::string> primary = NewPrimaryKey(table, pairs);
          const bool in_primary = std::find(primary.begin(), primary.end(), pair.new_column) != primary.end();
          if (fresh->nullable && !old->nullable && !in_primary) {
            alter->clauses.push_back(fmt::format("MODIFY COLUMN {} {}", QuoteName(pair.new_column), HiddenNotNull(catalog, pair, *fresh, table)));
          }
          const rewrite::ForeignKey* key = ForeignKeyOn(table, pair.old_column);
          if (key == nullptr || ForeignKeyOn(table, pair.new_column) != nullptr) continue;
          // What is the default stays unsaid: MariaDB makes NO ACTION of an explicit RESTRICT in place.
          const std::string_view usual = catalog.dialect.flavor == rewrite::Flavor::kMariaDb ? "RESTRICT" : "NO ACTION";
          const std::string on_update = key->on_update == usual ? "" : " ON UPDATE " + key->on_update;
          const std::string on_delete = key->on_delete == usual ? "" : " ON DELETE " + key->on_delete;
          alter->clauses.push_back(fmt::format("ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){}{}",
                                               QuoteName(WithSuffix(key->name, "_crossfade")), QuoteName(pair.new_column),
                                               TableName(migration.schema, pair.key_table), QuoteName(pair.key_new_column),
                                               on_update, on_delete));
        }
      });
  out.insert(out.end(), references.begin(), references.end());
  PerSet(migration, catalog, "INPLACE", [](const rewrite::Table& table, const config::ColumnMigration& set, Alter* alter) {
    if (!ChangesType(set)) return;
    const rewrite::Column* fresh = table.FindColumn(set.new_columns[0].name);
    const rewrite::Column* old = table.FindColumn(set.old_columns[0]);
    if (fresh == nullptr || old == nullptr || !fresh->nullable || old->nullable) return;
    alter->clauses.push_back(fmt::format("MODIFY COLUMN {} {} NOT NULL{} INVISIBLE", QuoteName(fresh->name), set.new_columns[0].type,
                                         DefaultClause(set.new_columns[0], *fresh, table)));
  }, &out);
  return out;
}

std::vector<Alter> ReleaseOldDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  std::vector<Alter> out = PerTable(migration, catalog, "INPLACE", [](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    for (const ColumnPair& pair : pairs) {
      const rewrite::Column* old = table.FindColumn(pair.old_column);
      if (pair.is_key || old == nullptr) continue;
      if (const rewrite::ForeignKey* key = ForeignKeyOn(table, pair.old_column)) {
        alter->clauses.push_back(fmt::format("DROP FOREIGN KEY {}", QuoteName(key->name)));
      }
      if (!old->nullable && !old->has_default && pair.from.empty()) {
        alter->clauses.push_back(fmt::format("ALTER COLUMN {} SET DEFAULT {}", QuoteName(pair.old_column), Nothing(*old)));
      }
    }
    // Rows that leave the old column out would collide in its unique keys.
    for (const rewrite::Index& index : table.indexes) {
      const bool of_reference = std::any_of(pairs.begin(), pairs.end(), [&](const ColumnPair& pair) {
        return !pair.is_key && Mentions(index, pair.old_column);
      });
      const bool written = std::any_of(pairs.begin(), pairs.end(), [&](const ColumnPair& pair) { return !pair.from.empty() && Mentions(index, pair.old_column); });
      if (index.unique && of_reference && !written && IsReplaced(pairs, index)) alter->clauses.push_back(fmt::format("DROP KEY {}", QuoteName(index.name)));
    }
  });
  PerSet(migration, catalog, "INPLACE", [](const rewrite::Table& table, const config::ColumnMigration& set, Alter* alter) {
    for (const std::string& name : set.old_columns) {
      // One with a way back is written to the end.
      if (std::any_of(set.back.begin(), set.back.end(), [&](const auto& back) { return SameName(back.column, name); })) continue;
      const rewrite::Column* old = table.FindColumn(name);
      if (old != nullptr && !old->nullable && !old->has_default) {
        alter->clauses.push_back(fmt::format("ALTER COLUMN {} SET DEFAULT {}", QuoteName(name), Nothing(*old)));
      }
    }
  }, &out);
  return out;
}

std::vector<Alter> FinalNamesDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  std::vector<Alter> out = PerTable(migration, catalog, "INPLACE", [](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    std::vector<std::string> dropped;
    for (const ColumnPair& pair : pairs) {
      const rewrite::Column* fresh = table.FindColumn(pair.new_column);
      const rewrite::Column* old = table.FindColumn(pair.old_column);
      // After the swap new_column is either gone (renamed) or visible.
      if (fresh == nullptr || !fresh->invisible) continue;
      if (old != nullptr && !pair.old_stays) {
        for (const rewrite::Index& index : table.indexes) {
          if (old->auto_increment && index.columns.size() == 1) continue;  // it must have a key: it goes with it
          if (!Mentions(index, pair.old_column) || std::find(dropped.begin(), dropped.end(), index.name) != dropped.end()) continue;
          dropped.push_back(index.name);
          alter->clauses.push_back(fmt::format("DROP KEY {}", QuoteName(index.name)));
        }
        alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {}", QuoteName(pair.old_column), QuoteName(OldName(pair.old_column)),
                                             OldDefinition(*old, false)));
      }
      alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {} {}{}", QuoteName(pair.new_column), QuoteName(pair.FinalName()), pair.new_type,
                                           fresh->nullable ? "NULL" : "NOT NULL", pair.from.empty() ? DefaultClause(pair, *fresh, table) : ""));
    }
  });
  PerSet(migration, catalog, "INPLACE", [](const rewrite::Table& table, const config::ColumnMigration& set, Alter* alter) {
    const rewrite::Column* first = table.FindColumn(set.new_columns[0].name);
    if (first == nullptr || !first->invisible) return;  // done
    std::vector<std::string> dropped;
    for (const std::string& name : set.old_columns) {
      const rewrite::Column* old = table.FindColumn(name);
      if (old == nullptr) continue;
      for (const rewrite::Index& index : table.indexes) {
        if (!Mentions(index, name) || std::find(dropped.begin(), dropped.end(), index.name) != dropped.end()) continue;
        dropped.push_back(index.name);
        alter->clauses.push_back(fmt::format("DROP KEY {}", QuoteName(index.name)));
      }
      alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {}", QuoteName(name), QuoteName(OldName(name)), OldDefinition(*old, false)));
    }
    for (const config::NewColumn& column : set.new_columns) {
      const rewrite::Column* fresh = table.FindColumn(column.name);
      if (fresh == nullptr) continue;
      alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {} {}", QuoteName(column.name), QuoteName(FinalNameOf(set, column)), column.type,
                                           fresh->nullable ? "NULL" : "NOT NULL"));
    }
  }, &out);
  return EachKeyOnce(std::move(out));
}

std::vector<Alter> UndoFinalNamesDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  std::vector<Alter> out = PerTable(migration, catalog, "INPLACE", [&](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    for (const ColumnPair& pair : pairs) {
      const rewrite::Column* old = table.FindColumn(OldName(pair.old_column));
      const rewrite::Column* fresh = table.FindColumn(pair.FinalName());
      if (fresh == nullptr || fresh->invisible || (old == nullptr && !pair.old_stays)) continue;
      if (old != nullptr) {
        alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {}", QuoteName(OldName(pair.old_column)), QuoteName(pair.old_column),
                                             OldDefinition(*old, true)));
      }
      alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {}", QuoteName(pair.FinalName()), QuoteName(pair.new_column),
                                           fresh->nullable ? pair.new_type + " NULL" + DefaultClause(pair, *fresh, table) + " INVISIBLE" : HiddenNotNull(catalog, pair, *fresh, table)));
    }
  });
  PerSet(migration, catalog, "INPLACE", [&](const rewrite::Table& table, const config::ColumnMigration& set, Alter* alter) {
    for (const config::NewColumn& column : set.new_columns) {
      const rewrite::Column* fresh = table.FindColumn(FinalNameOf(set, column));
      const rewrite::Column* old = table.FindColumn(OldName(set.old_columns[0]));
      if (fresh == nullptr || fresh->invisible || old == nullptr) return;
      alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {} {}{} INVISIBLE", QuoteName(FinalNameOf(set, column)), QuoteName(column.name), column.type,
                                           fresh->nullable ? "NULL" : "NOT NULL", DefaultClause(column, *fresh, table)));
    }
    for (const std::string& name : set.old_columns) {
      const rewrite::Column* old = table.FindColumn(OldName(name));
      if (old != nullptr) alter->clauses.push_back(fmt::format("CHANGE COLUMN {} {} {}", QuoteName(OldName(name)), QuoteName(name), OldDefinition(*old, true)));
    }
  }, &out);
  return out;
}

std::vector<Alter> DropOldColumnDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  std::vector<Alter> out = PerTable(migration, catalog, "INSTANT", [](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    for (const ColumnPair& pair : pairs) {
      const rewrite::Column* old = table.FindColumn(OldName(pair.old_column));
      if (old == nullptr || old->auto_increment) continue;
      alter->clauses.push_back(fmt::format("DROP COLUMN {}", QuoteName(OldName(pair.old_column))));
    }
  });
  PerSet(migration, catalog, "INSTANT", [](const rewrite::Table& table, const config::ColumnMigration& set, Alter* alter) {
    for (const std::string& name : set.old_columns) {
      if (table.FindColumn(OldName(name)) != nullptr) alter->clauses.push_back(fmt::format("DROP COLUMN {}", QuoteName(OldName(name))));
    }
  }, &out);
  // An AUTO_INCREMENT column goes together with its key, which rebuilds the table.
  std::vector<Alter> counters = PerTable(migration, catalog, "INPLACE", [](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    for (const ColumnPair& pair : pairs) {
      const std::string name = OldName(pair.old_column);
      const rewrite::Column* old = table.FindColumn(name);
      if (old == nullptr || !old->auto_increment) continue;
      alter->rebuilds = true;
      for (const rewrite::Index& index : table.indexes)
        if (Mentions(index, name)) alter->clauses.push_back(fmt::format("DROP KEY {}", QuoteName(index.name)));
      alter->clauses.push_back(fmt::format("DROP COLUMN {}", QuoteName(name)));
    }
  });
  out.insert(out.end(), counters.begin(), counters.end());
  const std::vector<Alter> renames = RenameIndexDdl(migration, catalog);
  out.insert(out.end(), renames.begin(), renames.end());
  return out;
}

bool KeysSwapped(const config::Migration& migration, const rewrite::Catalog& catalog) {
  for (const TablePairs& entry : PairsByTable(migration)) {
    const rewrite::Table* table = catalog.FindTable(migration.schema, entry.table);
    if (table == nullptr) continue;
    for (const ColumnPair& pair : AllPairs(entry)) {
      const rewrite::Column* column = table->FindColumn(pair.new_column);
      if (column != nullptr && (!column->nullable || ForeignKeyOn(*table, pair.new_column) != nullptr)) return true;
    }
    for (const config::ColumnMigration& set : entry.sets) {
      for (const config::NewColumn& fresh : set.new_columns) {
        const rewrite::Column* column = table->FindColumn(fresh.name);
        if (column != nullptr && !column->nullable) return true;
      }
    }
  }
  return false;
}

}  // namespace crossfade::backfill

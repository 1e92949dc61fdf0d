// SPDX-License-Identifier: Apache-2.0
// Indexes on old columns and their successors on new ones, and what the schema changes have in common. See ddl.h, ddl_internal.h.
#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "backfill/connection.h"
#include "backfill/ddl_internal.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace crossfade::backfill {
namespace {

constexpr size_t kNameLimit = 64;

std::string Plain(std::string name) {
  while (name.size() > kOurSuffix.size() && name.ends_with(kOurSuffix)) name.resize(name.size() - kOurSuffix.size());
  return name;
}

bool HasIndex(const rewrite::Table& table, const std::vector<std::string>& columns, bool unique) {
  for (const rewrite::Index& index : table.indexes) {
    if (index.unique < unique || index.columns.size() != columns.size()) continue;
    if (std::equal(columns.begin(), columns.end(), index.columns.begin(), SameName)) return true;
  }
  return false;
}

// `index` with every old column of `table` replaced by its new one.
std::vector<std::string> NewColumnsOf(const std::vector<ColumnPair>& pairs, const rewrite::Index& index) {
  std::vector<std::string> columns = index.columns;
  for (std::string& column : columns) {
    for (const ColumnPair& pair : pairs) {
      if (!pair.old_stays && SameName(BaseName(column), pair.old_column)) column = pair.new_column;
    }
  }
  return columns;
}

// `pairs` and, beside them, the old and new columns whose indexes have successors.
std::vector<ColumnPair> WithTypeChanges(const TablePairs& entry) {
  std::vector<ColumnPair> out = AllPairs(entry);
  for (const config::ColumnMigration& set : entry.sets) {
    if (!ChangesType(set)) continue;
    ColumnPair pair;
    pair.old_column = set.old_columns[0];
    pair.new_column = set.new_columns[0].name;
    pair.new_type = set.new_columns[0].type;
    out.push_back(std::move(pair));
  }
  return out;
}

}  // namespace

std::string WithSuffix(const std::string& name, std::string_view suffix) {
  return name.substr(0, kNameLimit - suffix.size()) + std::string(suffix);
}

std::string_view BaseName(std::string_view column) { return column.substr(0, column.find('(')); }

bool SameName(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

bool Mentions(const rewrite::Index& index, std::string_view column) {
  return std::any_of(index.columns.begin(), index.columns.end(), [&](const std::string& c) { return SameName(BaseName(c), column); });
}

const rewrite::Index* IndexNamed(const rewrite::Table& table, const std::string& name) {
  for (const rewrite::Index& index : table.indexes) {
    if (SameName(index.name, name)) return &index;
  }
  return nullptr;
}

std::string ColumnList(const std::vector<std::string>& columns) {
  std::vector<std::string> quoted;
  for (const std::string& column : columns) quoted.push_back(QuoteName(column));
  return fmt::format("{}", fmt::join(quoted, ", "));
}

std::string FreeIndexName(const rewrite::Table& table, const Alter& alter, std::string base) {
  base = Plain(std::move(base));
  for (std::string suffix(kOurSuffix);; suffix += kOurSuffix) {
    std::string name = WithSuffix(base, suffix);
    const std::string added = fmt::format("KEY {} (", QuoteName(name));
    const bool taken = std::any_of(alter.clauses.begin(), alter.clauses.end(), [&](const std::string& clause) { return clause.find(added) != std::string::npos; });
    if ((!taken && IndexNamed(table, name) == nullptr) || suffix.size() + kOurSuffix.size() >= kNameLimit) return name;
  }
}

bool IsReplaced(const std::vector<ColumnPair>& pairs, const rewrite::Index& index) {
  if (index.name == "PRIMARY" || Mentions(index, "")) return false;
  for (const ColumnPair& pair : pairs) {
    if (pair.old_stays || !Mentions(index, pair.old_column)) continue;
    if (pair.is_key && index.columns.size() == 1) continue;
    return true;
  }
  return false;
}

bool ChangesType(const config::ColumnMigration& set) {
  return !set.of_key && set.old_columns.size() == 1 && set.new_columns.size() == 1 && SameName(set.final_name, set.old_columns[0]);
}

void PerSet(const config::Migration& migration, const rewrite::Catalog& catalog, const std::string& algorithm,
            const std::function<void(const rewrite::Table&, const config::ColumnMigration&, Alter*)>& each, std::vector<Alter>* out) {
  for (const TablePairs& entry : PairsByTable(migration)) {
    const rewrite::Table* table = catalog.FindTable(migration.schema, entry.table);
    if (table == nullptr) continue;
    Alter alter{migration.schema, entry.table, {}, algorithm};
    for (const config::ColumnMigration& set : entry.sets)
      if (!set.of_key) each(*table, set, &alter);
    if (!alter.clauses.empty()) out->push_back(std::move(alter));
  }
}

std::vector<Alter> PerTable(const config::Migration& migration, const rewrite::Catalog& catalog, const std::string& algorithm,
                            const std::function<void(const rewrite::Table&, const std::vector<ColumnPair>&, Alter*)>& each,
                            bool with_type_changes) {
  std::vector<Alter> out;
  for (const TablePairs& entry : PairsByTable(migration)) {
    const rewrite::Table* table = catalog.FindTable(migration.schema, entry.table);
    if (table == nullptr) continue;
    Alter alter{migration.schema, entry.table, {}, algorithm};
    each(*table, with_type_changes ? WithTypeChanges(entry) : AllPairs(entry), &alter);
    if (!alter.clauses.empty()) out.push_back(std::move(alter));
  }
  return out;
}

std::vector<Alter> EachKeyOnce(std::vector<Alter> alters) {
  std::set<std::pair<std::string, std::string>> seen;
  for (Alter& alter : alters) std::erase_if(alter.clauses, [&](const std::string& clause) { return clause.starts_with("DROP KEY ") && !seen.emplace(alter.table, clause).second; });
  return alters;
}

std::vector<Alter> IndexDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  return PerTable(migration, catalog, "INPLACE", [](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    for (const ColumnPair& pair : pairs) {
      if (!pair.is_key || HasIndex(table, {pair.new_column}, true)) continue;
      alter->clauses.push_back(fmt::format("ADD UNIQUE KEY {} ({})", QuoteName(FreeIndexName(table, *alter, pair.new_column)),
                                           QuoteName(pair.new_column)));
    }
    for (const rewrite::Index& index : table.indexes) {
      if (!IsReplaced(pairs, index)) continue;
      const std::vector<std::string> columns = NewColumnsOf(pairs, index);
      if (HasIndex(table, columns, index.unique)) continue;
      alter->clauses.push_back(fmt::format("ADD {}KEY {} ({})", index.unique ? "UNIQUE " : "",
                                           QuoteName(FreeIndexName(table, *alter, index.name)), ColumnList(columns)));
    }
    // A foreign key needs an index that begins with its column.
    for (const ColumnPair& pair : pairs) {
      if (pair.is_key || pair.key_table.empty()) continue;
      const bool led = std::any_of(table.indexes.begin(), table.indexes.end(), [&](const rewrite::Index& index) {
        return !index.columns.empty() && SameName(index.columns[0], pair.new_column);
      });
      const bool will_be = std::any_of(table.indexes.begin(), table.indexes.end(), [&](const rewrite::Index& index) {
        return IsReplaced(pairs, index) && SameName(BaseName(index.columns[0]), pair.old_column);
      });
      if (led || will_be) continue;
      alter->clauses.push_back(
          fmt::format("ADD KEY {} ({})", QuoteName(FreeIndexName(table, *alter, pair.new_column)), QuoteName(pair.new_column)));
    }
  }, true);
}

std::vector<Alter> DropOldIndexDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  return PerTable(migration, catalog, "INPLACE", [](const rewrite::Table& table, const std::vector<ColumnPair>& pairs, Alter* alter) {
    for (const rewrite::Index& index : table.indexes) {
      const bool of_key = std::any_of(pairs.begin(), pairs.end(), [&](const ColumnPair& pair) { return pair.is_key && Mentions(index, pair.old_column); });
      // What is made of the old side is found by it until the end.
      const bool read = std::any_of(pairs.begin(), pairs.end(), [&](const ColumnPair& pair) { return !pair.from.empty() && Mentions(index, pair.old_column); });
      if (!IsReplaced(pairs, index) || read || (index.unique && of_key)) continue;
      alter->clauses.push_back(fmt::format("DROP KEY {}", QuoteName(index.name)));
    }
  });
}

std::vector<Alter> RenameIndexDdl(const config::Migration& migration, const rewrite::Catalog& catalog) {
  return PerTable(migration, catalog, "INPLACE", [](const rewrite::Table& table, const std::vector<ColumnPair>&, Alter* alter) {
    std::set<std::string> named;
    for (const rewrite::Index& index : table.indexes) {
      const std::string name = Plain(index.name);
      const bool hidden = std::any_of(index.columns.begin(), index.columns.end(), [&](const std::string& column) {
        const rewrite::Column* its = table.FindColumn(std::string(BaseName(column)));
        return its != nullptr && its->invisible;
      });
      if (name == index.name || hidden || IndexNamed(table, name) != nullptr || !named.insert(name).second) continue;
      alter->clauses.push_back(fmt::format("RENAME KEY {} TO {}", QuoteName(index.name), QuoteName(name)));
    }
  });
}

}  // namespace crossfade::backfill

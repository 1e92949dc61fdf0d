// SPDX-License-Identifier: Apache-2.0
// Lookups in the catalog: see catalog.h.
#include "rewrite/catalog.h"

#include "rewrite/names.h"

namespace crossfade::rewrite {

const Column* Table::FindColumn(std::string_view name) const {
  for (const Column& column : columns)
    if (NameEq(column.name, name)) return &column;
  return nullptr;
}

const Index* Table::PrimaryKey() const {
  for (const Index& index : indexes)
    if (index.name == "PRIMARY") return &index;
  return nullptr;
}

const Table* Catalog::FindTable(std::string_view schema, std::string_view name) const {
  for (const Table& table : tables) {
    const bool same = lower_case_table_names == 0 ? table.schema == schema && table.name == name
                                                  : NameEq(table.schema, schema) && NameEq(table.name, name);
    if (same) return &table;
  }
  return nullptr;
}

}  // namespace crossfade::rewrite

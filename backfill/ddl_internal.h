// SPDX-License-Identifier: Apache-2.0
// What the files of ddl.h have in common.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "backfill/ddl.h"
#include "backfill/pairs.h"

namespace crossfade::backfill {

// Of what Crossfade adds: names that end so are its own (see rewrite/hidden.h).
inline constexpr std::string_view kOurSuffix = "_crossfade";

// `name` and the suffix, within the 64 letters that a name has.
std::string WithSuffix(const std::string& name, std::string_view suffix);
// "p(10)" -> "p"
std::string_view BaseName(std::string_view column);
bool Mentions(const rewrite::Index& index, std::string_view column);
const rewrite::Index* IndexNamed(const rewrite::Table& table, const std::string& name);
std::string ColumnList(const std::vector<std::string>& columns);

// `base` without our suffixes and with as many as it takes, so that neither the table nor the clauses have an index of that name.
// Two migrations may each make a successor of one index.
std::string FreeIndexName(const rewrite::Table& table, const Alter& alter, std::string base);

// An index that goes with the old columns and has, or gets, a successor. The key itself has its own: see KeySwapDdl.
bool IsReplaced(const std::vector<ColumnPair>& pairs, const rewrite::Index& index);
// A column migration of one column to one that takes its name changes its type: indexes and NOT NULL go with it.
bool ChangesType(const config::ColumnMigration& set);

// Appends the clauses that `each` gives for the column migrations of one table as one ALTER.
void PerSet(const config::Migration& migration, const rewrite::Catalog& catalog, const std::string& algorithm,
            const std::function<void(const rewrite::Table&, const config::ColumnMigration&, Alter*)>& each, std::vector<Alter>* out);
// The clauses that `each` gives for the pairs of one table as one ALTER.
std::vector<Alter> PerTable(const config::Migration& migration, const rewrite::Catalog& catalog, const std::string& algorithm,
                            const std::function<void(const rewrite::Table&, const std::vector<ColumnPair>&, Alter*)>& each,
                            bool with_type_changes = false);

// An index over the old columns of two sets, or of a key and a set, is dropped once.
std::vector<Alter> EachKeyOnce(std::vector<Alter> alters);
// The successors take the names of the indexes they replaced, for the sake of index hints; not those of another migration that
// is under way.
std::vector<Alter> RenameIndexDdl(const config::Migration& migration, const rewrite::Catalog& catalog);

}  // namespace crossfade::backfill

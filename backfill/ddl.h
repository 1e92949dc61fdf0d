// SPDX-License-Identifier: Apache-2.0
// The schema changes of each phase, derived from the migration and the tables as they are now. Pure. What is done
// already is left out, so each list is empty once its work is complete and a crash in between is simply continued.
//
//   expand            P: add n                              R: add rn            INSTANT
//                     (both held)  columns: their expressions as defaults        INSTANT
//   backfill's end    P: unique (n)                         R: indexes with rn   online, after the copy
//   before retire     P: n NOT NULL, primary key (n)        R: rn NOT NULL, FK   online
//   entering retire   (held)                                R: FK of ro dropped, ro may be left out
//   retire            P: -                                  R: indexes of ro dropped
//   contract          P, R: final names (held), then the old columns dropped
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/pairs.h"
#include "config/config.h"
#include "rewrite/catalog.h"

namespace crossfade::backfill {

struct Alter {
  std::string schema, table;
  std::vector<std::string> clauses;
  std::string algorithm;          // "INSTANT", or "INPLACE" (with LOCK=NONE)
  bool rebuilds = false;          // too long for the statement gate
  bool skip_foreign_key_checks = false;  // the rows were verified; the check would need a copy
};
std::string AlterSql(const Alter& alter);

// Each function needs the tables of the migration in `catalog` (LoadCatalog); a table that is absent is left out.
std::vector<Alter> ExpandDdl(const config::Migration& migration, const rewrite::Catalog& catalog);
// The columns that ExpandDdl added get their expressions as defaults (`on`), or lose them: with one, a row that names only old
// columns has its new ones from the server itself, whatever the statement is and whoever sends it.
std::vector<Alter> DefaultsDdl(const config::Migration& migration, const rewrite::Catalog& catalog, bool on);
// " DEFAULT (from)", an error in place of a value that `fresh` would cut to fit in a session that is not strict; empty: the file's
// expression cannot be read. `table`: where both stand.
std::string DefaultClause(const config::NewColumn& column, const rewrite::Column& fresh, const rewrite::Table& table);
std::string DefaultClause(const ColumnPair& pair, const rewrite::Column& fresh, const rewrite::Table& table);  // of a key that the server makes; empty: it does not
std::vector<Alter> IndexDdl(const config::Migration& migration, const rewrite::Catalog& catalog);
std::vector<Alter> KeySwapDdl(const config::Migration& migration, const rewrite::Catalog& catalog);
std::vector<Alter> ReleaseOldDdl(const config::Migration& migration, const rewrite::Catalog& catalog);
std::vector<Alter> DropOldIndexDdl(const config::Migration& migration, const rewrite::Catalog& catalog);
std::vector<Alter> FinalNamesDdl(const config::Migration& migration, const rewrite::Catalog& catalog);
std::vector<Alter> UndoFinalNamesDdl(const config::Migration& migration, const rewrite::Catalog& catalog);
std::vector<Alter> DropOldColumnDdl(const config::Migration& migration, const rewrite::Catalog& catalog);

// The key swap has begun: a writer that leaves the new columns out would fail, so dual writes must go on.
bool KeysSwapped(const config::Migration& migration, const rewrite::Catalog& catalog);

// The foreign key of `table` whose one column is `column`; nullptr: none.
const rewrite::ForeignKey* ForeignKeyOn(const rewrite::Table& table, const std::string& column);

bool SameName(std::string_view a, std::string_view b);  // ASCII letters alike, as the servers compare column names
std::string OldName(const std::string& column);         // the name an old column has between the swap and its end

}  // namespace crossfade::backfill

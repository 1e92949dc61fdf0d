// SPDX-License-Identifier: Apache-2.0
// Rows that an UPDATE of their key moved from ahead of a chunk to behind it keep their place in no pass. With the index on
// the new column they are found wherever they are: one statement sees the whole table as of one moment.
#include "backfill/copier.h"
#include "backfill/failpoint.h"
#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr int kRowsAtOnce = 100;

// From where the rows of one pair can be had that lack their new side though it can be told. `alias` is the table's.
std::string Lacking(const config::Migration& migration, const TablePairs& all, const ColumnPair& pair, const char* alias) {
  const std::string table = TableName(migration.schema, all.table);
  if (pair.is_key) return fmt::format("{} AS {} WHERE {}.{} IS NULL", table, alias, alias, QuoteName(pair.new_column));
  return fmt::format("{0} AS {1} STRAIGHT_JOIN {2} AS p ON p.{3} = {1}.{4} AND p.{5} IS NOT NULL WHERE {1}.{6} IS NULL", table, alias,
                     TableName(migration.schema, pair.key_table), QuoteName(pair.key_old_column), QuoteName(pair.old_column),
                     QuoteName(pair.key_new_column), QuoteName(pair.new_column));
}

}  // namespace

absl::StatusOr<bool> Copier::FillMoved(Result* result) {
  for (Unit& unit : units_) {
    if (unit.role.kind == FillKind::kColumns) continue;  // an UPDATE of the key fills them itself
    const char* alias = unit.sql.alias();
    for (const ColumnPair& pair : unit.role.pairs.pairs) {
      auto rows = connection_.Query(fmt::format("SELECT {} FROM {} LIMIT {}", unit.keyset.SelectItems(alias), Lacking(migration_, unit.role.pairs, pair, alias), kRowsAtOnce));
      if (!rows.ok()) return rows.status();
      for (const Row& row : rows->rows) {
        absl::Status filled = FillOne(&unit, unit.keyset.Equals(alias, unit.keyset.Literals(connection_, row)));
        if (absl::IsAborted(filled)) {
          result->rest = std::chrono::milliseconds(20);
          result->waiting_for = fmt::format("rows of {} that the application holds locked", unit.table.name);
          return false;
        }
        if (!filled.ok()) return filled;
      }
      if (!rows->rows.empty()) return false;
    }
  }
  return true;
}

absl::Status Copier::FillOne(Unit* unit, const std::string& row) {
  Worker* worker = &workers_.front();
  if (unit->role.kind == FillKind::kKeys) {
    absl::Status reserved = ReserveFor(unit, worker, row, 0);
    if (!reserved.ok()) return reserved;
  }
  CROSSFADE_FAILPOINT("moved.before", unit->table.name);
  absl::Status set = LockWait(worker, "1");
  if (!set.ok()) return set;
  absl::Status filled = InTransaction(connection_, [&] { return Fill(unit, worker, row, true).status(); });
  CROSSFADE_FAILPOINT("moved.filled", unit->table.name);
  (void)LockWait(worker, "50");
  return filled;
}

}  // namespace crossfade::backfill

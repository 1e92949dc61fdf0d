// SPDX-License-Identifier: Apache-2.0
// The statement gate. Three changes are not made while anybody works on the tables: the new columns and their defaults come in
// `expand` (a transaction that began before would be told to retry, 1412; one that has read and then writes while an ALTER waits for
// it would be taken for a deadlock's victim, 1213, by both engines), the foreign keys of the old references go as `retire` begins,
// and the names are swapped in `contract`. All are changes of metadata alone.
//
//   held (epoch + 1) -> every live proxy there, nothing older in flight -> LOCK TABLES, ALTERs -> let go (epoch + 2)
//                    '-> not within limits.hold_limit: let go as it was, and later again
//
// All locks are had before the first ALTER. If one fails after another was made, the tables stay held and the rest is tried
// again, by this migrator or the next: half-changed tables are never let go.
#include <algorithm>

#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/failpoint.h"
#include "backfill/fence.h"
#include "backfill/lock_watch.h"
#include "backfill/store.h"
#include "backfill/walker.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using config::Phase;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kLockWait = 1205, kInterrupted = 1317;
constexpr milliseconds kFirstBackoff{2'000}, kLongestBackoff{60'000}, kLook{5};

}  // namespace

std::vector<Alter> Walker::HeldExpandDdl(const MigrationRow& row, const rewrite::Catalog& tables) {
  std::vector<Alter> columns;
  if (row.desired >= Phase::kExpand) columns = ExpandDdl(migration_, tables);
  const bool on = row.desired > Phase::kExpand;
  if (!columns.empty() || row.desired == Phase::kExpand || defaults_ == on) return columns;
  return DefaultsDdl(migration_, tables, on);
}

absl::StatusOr<std::vector<Alter>> Walker::HeldDdl(const MigrationRow& row) {
  auto tables = Tables();
  if (!tables.ok()) return tables.status();
  if (row.phase == Phase::kExpand) return HeldExpandDdl(row, *tables);
  return row.phase == Phase::kContract ? FinalNamesDdl(migration_, *tables) : ReleaseOldDdl(migration_, *tables);
}

absl::Status Walker::LetGo(uint64_t epoch, const MigrationRow& row, const std::string& why) {
  CROSSFADE_FAILPOINT("hold.let_go", row.name);
  // The state let go to is the one before the hold, so nobody need be waited for.
  EpochChange change{"held = 0"};
  change.restarts_work = false;
  change.wait_for_drain = false;
  absl::Status released = ChangeEpoch(connection_, config_, epoch, row.name, change);
  if (!released.ok()) return released;
  hold_backoff_ = std::clamp(hold_backoff_ * 2, kFirstBackoff, kLongestBackoff);
  hold_not_before_ = Clock::now() + hold_backoff_;
  hold_reason_ = why;
  AddEvent(connection_, config_, row.name, Severity::kWarning,
           fmt::format("the statement gate was let go with nothing changed: {}; next try in {} s", why, hold_backoff_.count() / 1000));
  return absl::OkStatus();
}

// A reference without a foreign key that no new key can be made of: it would be gone with the old column.
absl::Status Walker::NothingLost() {
  for (const TablePairs& entry : PairsByTable(derived_)) {
    for (const ColumnPair& pair : entry.derived) {
      auto lost = connection_.Query(fmt::format("SELECT 1 FROM {} WHERE {} IS NULL AND {} IS NOT NULL LIMIT 1", TableName(migration_.schema, entry.table),
                                                QuoteName(pair.new_column), QuoteName(pair.old_column)));
      if (!lost.ok()) return lost.status();
      if (!lost->rows.empty()) {
        return absl::FailedPreconditionError(fmt::format("{}.{} holds a value that no new key can be made of; `crossfade verify` shows it", entry.table, pair.old_column));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Walker::ChangeHeldTables(const MigrationRow& row, bool* touched) {
  auto alters = HeldDdl(row);
  if (!alters.ok()) return alters.status();
  if (alters->empty()) return absl::OkStatus();
  std::string lock;
  for (const auto& [schema, table] : TablesOf(migration_)) lock += fmt::format("{}{} WRITE", lock.empty() ? "" : ", ", TableName(schema, table));
  const int64_t wait = std::max<int64_t>(1, (config_.limits.hold_limit.count() + 999) / 1000);
  auto set = connection_.Execute(fmt::format("SET SESSION lock_wait_timeout = {0}, innodb_lock_wait_timeout = {0}", wait));
  if (!set.ok()) return set.status();
  auto watch = LockWatch::Start(config_, connection_, config_.limits.hold_limit);
  if (!watch.ok()) return watch.status();
  absl::Status status = connection_.Execute("LOCK TABLES " + lock).status();
  const bool withdrawn = *watch != nullptr && (*watch)->Stop();
  const auto in_use = [&](const char* what) {
    const std::string blocker = Blocker(connection_, TablesOf(migration_));
    return absl::AbortedError(fmt::format("the tables are in use: {} were not free within {} ms{}{}", what, config_.limits.hold_limit.count(),
                                          blocker.empty() ? "" : "; ", blocker));
  };
  if (ServerError(status) == kLockWait || (ServerError(status) == kInterrupted && withdrawn)) {  // somebody who does not come through a proxy
    return in_use("their metadata locks");
  }
  if (status.ok() && row.phase == Phase::kContract && !*touched) status = NothingLost();
  std::vector<std::string> made;
  CROSSFADE_FAILPOINT("hold.locked", row.name + " " + lock);
  const auto alter_all = [&] {
    for (const Alter& alter : *alters) {
      if (!status.ok()) break;
      status = connection_.Execute(AlterSql(alter)).status();
      CROSSFADE_FAILPOINT("hold.altered", AlterSql(alter));
      if (status.ok()) made.push_back(AlterSql(alter));
    }
  };
  alter_all();
  if (status.ok() && row.phase == Phase::kExpand && row.desired != Phase::kExpand) {
    alters = HeldDdl(row);  // the defaults of the columns that are there now
    status = alters.status();
    if (status.ok()) alter_all();
    if (status.ok()) defaults_ = row.desired > Phase::kExpand;
  }
  if (!status.ok() && !absl::IsUnavailable(status) && !made.empty() && row.phase == Phase::kContract) {
    // One table cannot be changed: the names as they were, so that nobody is held for it.
    auto tables = Tables();
    bool undone = tables.ok();
    if (tables.ok()) {
      for (const Alter& alter : UndoFinalNamesDdl(migration_, *tables)) {
        undone = undone && connection_.Execute(AlterSql(alter)).ok();
        made.push_back(AlterSql(alter));
      }
    }
    if (undone) {
      for (const std::string& sql : made) AddEvent(connection_, config_, row.name, Severity::kInfo, sql);
      made.clear();
      *touched = false;
    }
  }
  // The old columns go at once, while nobody has a transaction open: MySQL refuses the table to older snapshots (1412). What
  // cannot be done here is done afterwards.
  for (int i = 0; i < 2 && status.ok() && row.phase == Phase::kContract; ++i) {
    auto tables = Tables();
    if (!tables.ok()) break;
    for (const Alter& alter : DropOldColumnDdl(migration_, *tables)) {
      if (alter.rebuilds) continue;  // done online, when the gate is open again
      absl::Status dropped = connection_.Execute(AlterSql(alter)).status();
      CROSSFADE_FAILPOINT("hold.dropped", AlterSql(alter));
      if (absl::IsUnavailable(dropped)) return dropped;
      if (dropped.ok()) made.push_back(AlterSql(alter));
    }
  }
  if (absl::IsUnavailable(status)) return status;
  auto unlocked = connection_.Execute("UNLOCK TABLES");
  CROSSFADE_FAILPOINT("hold.unlocked", fmt::format("{} {}", row.name, config::PhaseName(row.phase)));
  *touched = *touched || !made.empty();  // by whoever held them before, too
  for (const std::string& sql : made) AddEvent(connection_, config_, row.name, Severity::kInfo, sql);
  // MariaDB: a transaction that was prepared for XA and left has InnoDB's locks, and no metadata lock.
  if (ServerError(status) == kLockWait) return in_use("InnoDB's locks");
  return status.ok() ? unlocked.status() : status;
}

absl::StatusOr<Waiting> Walker::UnderHold(const ControlState& state, const MigrationRow& row) {
  uint64_t epoch = state.epoch;
  const auto begun = Clock::now();
  if (!row.held) {
    if (const auto now = Clock::now(); now < hold_not_before_) {
      return Waiting("the statement gate was let go: " + hold_reason_ + "; it will be tried again");
    }
    EpochChange change{"held = 1"};
    change.restarts_work = false;
    absl::Status held = ChangeEpoch(connection_, config_, epoch, row.name, change);
    if (!held.ok()) return held;
    ++epoch;
  }
  CROSSFADE_FAILPOINT("hold.held", fmt::format("{} {}", row.name, config::PhaseName(row.phase)));
  // Half-changed already (a migrator died here, or one table could not be changed): only forward.
  auto left = HeldDdl(row);
  if (!left.ok()) return left.status();
  bool touched = row.held && row.phase == Phase::kCutover && half_changed_;
  if (row.held && row.phase == Phase::kContract) {
    auto tables = Tables();
    if (!tables.ok()) return tables.status();
    touched = left->empty() || !UndoFinalNamesDdl(migration_, *tables).empty();
  }
  const bool wanted = row.phase == Phase::kExpand ? !left->empty() : row.desired >= Phase::kRetire || row.phase == Phase::kContract;
  const auto deadline = Clock::now() + config_.limits.hold_limit;
  std::string waiting_for;
  while (true) {
    auto drained = Drained(connection_, config_, epoch, &waiting_for);
    if (!drained.ok()) return drained.status();
    if (*drained) break;
    auto fenced = FenceLost(connection_, config_);
    if (!fenced.ok()) return fenced.status();
    const bool stop = !sleep_(kLook);
    if ((stop || !wanted || Clock::now() >= deadline) && !touched) {
      absl::Status released = LetGo(epoch, row, stop ? "the migrator stops" : waiting_for);
      if (!released.ok()) return released;
      return Waiting("the statement gate was let go: " + waiting_for);
    }
    if (stop) return absl::AbortedError(std::string("waits for its own stop"));
  }
  CROSSFADE_FAILPOINT("hold.drained", fmt::format("{} {}", row.name, config::PhaseName(row.phase)));
  absl::Status changed = ChangeHeldTables(row, &touched);
  touched = touched && row.phase != Phase::kExpand;  // some of the new columns are as good as none
  if (absl::IsUnavailable(changed)) return changed;
  if (!changed.ok() && !touched) {
    absl::Status released = LetGo(epoch, row, std::string(changed.message()));
    if (!released.ok()) return released;
    return Waiting("the statement gate was let go: " + std::string(changed.message()));
  }
  half_changed_ = !changed.ok();
  if (!changed.ok()) return changed;  // held on, tried again
  EpochChange done{row.phase == Phase::kExpand     ? "held = 0"
                   : row.phase == Phase::kContract ? "held = 0, swapped = 1"
                                                   : "held = 0, phase = 'retire', percent = 100"};
  absl::Status raised = ChangeEpoch(connection_, config_, epoch, row.name, done);
  if (!raised.ok()) return raised;
  hold_backoff_ = milliseconds(0);
  // (A hold that another migrator began lasted longer.)
  const auto held = std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count();
  AddEvent(connection_, config_, row.name, Severity::kInfo,
           fmt::format("epoch {}: {}{}", epoch + 1, done.assignments, row.held ? "" : fmt::format("; statements were held for {} ms", held)));
  return Waiting();
}

}  // namespace crossfade::backfill

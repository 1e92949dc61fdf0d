// SPDX-License-Identifier: Apache-2.0
// The course of the backfill: its tables one after the other, its workers, where they are. See copier.h; the chunk itself is in
// copier_chunk.cc.
#include "backfill/copier.h"

#include <algorithm>
#include <thread>

#include "backfill/catalog_loader.h"
#include "backfill/control.h"
#include "backfill/failpoint.h"
#include "backfill/fence.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"

namespace crossfade::backfill {
namespace {

constexpr uint64_t kMinRows = 50;
constexpr uint32_t kMostWorkers = 4;  // where the file names no number
constexpr std::chrono::milliseconds kSaveEvery{300};
constexpr std::chrono::microseconds kLongestRest{1'000'000};  // of a worker within a slice

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

// Changed columns alone go to the binary log, where the file wants it and the user may.
absl::Status SetRowImage(Connection& connection, const config::Config& config) {
  if (!config.throttle.minimal_row_image) return absl::OkStatus();
  absl::Status set = connection.Execute("SET SESSION binlog_row_image = 'MINIMAL'").status();
  if (!set.ok() && !absl::IsUnavailable(set)) spdlog::warn("minimal_row_image: {}", std::string(set.message()));
  return absl::IsUnavailable(set) ? set : absl::OkStatus();
}

}  // namespace

absl::Status PrepareProgress(Connection& connection, const config::Config& config, const config::Migration& migration) {
  for (const Role& role : RolesOf(migration)) {
    auto added = connection.Execute(fmt::format(
        "INSERT IGNORE INTO {}(migration, table_name, role, rows_total, chunk_rows) SELECT {}, {}, '{}', COALESCE((SELECT table_rows FROM"
        " information_schema.tables WHERE table_schema = {} AND table_name = {}), 0), {}",
        ControlTable(config, "backfill_progress"), connection.Quote(migration.name), connection.Quote(role.pairs.table), FillKindName(role.kind),
        connection.Quote(migration.schema), connection.Quote(role.pairs.table), config.limits.chunk_rows));
    if (!added.ok()) return added.status();
    CROSSFADE_FAILPOINT("progress.prepared", fmt::format("{} {}", role.pairs.table, FillKindName(role.kind)));
  }
  return absl::OkStatus();
}

absl::Status RestartProgress(Connection& connection, const config::Config& config, const std::string& migration) {
  CROSSFADE_FAILPOINT("progress.restart", migration);
  return connection
      .Execute(fmt::format("UPDATE {} SET last_key = NULL, seq = 0, pass = pass + 1, rows_done = 0, rows_changed = 0, complete = 0, recompute = 1"
                           " WHERE migration = {}",
                           ControlTable(config, "backfill_progress"), connection.Quote(migration)))
      .status();
}

absl::StatusOr<bool> BackfillComplete(Connection& connection, const config::Config& config, const std::string& migration) {
  auto rows = connection.Query(fmt::format("SELECT COUNT(*), COALESCE(SUM(complete), 0) FROM {} WHERE migration = {}",
                                           ControlTable(config, "backfill_progress"), connection.Quote(migration)));
  if (!rows.ok()) return rows.status();
  return Number(rows->rows[0][0]) > 0 && rows->rows[0][0] == rows->rows[0][1];
}

absl::StatusOr<std::unique_ptr<Copier>> Copier::Make(Connection& connection, const config::Config& config, const config::Migration& migration,
                                                     Throttle* throttle) {
  std::unique_ptr<Copier> copier(new Copier(connection, config, migration, throttle));
  absl::Status status = copier->Load();
  if (!status.ok()) return status;
  return copier;
}

absl::Status Copier::Load() {
  auto dialect = LoadDialect(connection_);
  if (!dialect.ok()) return dialect.status();
  dialect_ = *dialect;
  absl::Status image = SetRowImage(connection_, config_);
  if (!image.ok()) return image;
  absl::Status prepared = PrepareProgress(connection_, config_, migration_);
  if (!prepared.ok()) return prepared;
  for (const Role& role : RolesOf(migration_)) {
    auto unit = LoadUnit(role);
    if (!unit.ok()) return unit.status();
    units_.push_back(*std::move(unit));
  }
  workers_.emplace_back().connection = &connection_;
  return absl::OkStatus();
}

absl::StatusOr<Copier::Unit> Copier::LoadUnit(const Role& role) {
  auto table = LoadTable(connection_, migration_.schema, role.pairs.table);
  if (!table.ok()) return table.status();
  auto keyset = Keyset::Of(*table);
  if (!keyset.ok()) return keyset.status();
  Unit unit;
  unit.role = role;
  unit.table = *std::move(table);
  unit.where = fmt::format("migration = {} AND table_name = {} AND role = '{}'", connection_.Quote(migration_.name), connection_.Quote(unit.table.name), FillKindName(role.kind));
  unit.keyset = *std::move(keyset);
  const std::string progress = ControlTable(config_, "backfill_progress"), workers = ControlTable(config_, "backfill_workers");
  auto row = connection_.Query(fmt::format("SELECT last_key, rows_done, rows_total, chunk_rows, complete, recompute, rate, rows_changed, pass, seq FROM {} WHERE {}",
                                           progress, unit.where));
  if (!row.ok()) return row.status();
  if (row->rows.empty()) return absl::InternalError(std::string("a progress row has gone"));
  const Row& values = row->rows[0];
  unit.total = Number(values[2]);
  unit.rows = std::clamp<uint64_t>(Number(values[3]), kMinRows, MaxRows());
  unit.complete = Number(values[4]) != 0;
  unit.recompute = Number(values[5]) != 0;
  unit.rate = std::atof(values[6].value_or("0").c_str());
  unit.done = Number(values[1]);
  unit.changed = Number(values[7]);
  unit.pass = Number(values[8]);
  unit.seq = Number(values[9]);
  std::optional<std::string> mark = values[0];
  // Each worker's last commit of this pass.
  auto marks = connection_.Query(fmt::format("SELECT last_key, seq, rows_done, rows_changed FROM {} WHERE {} AND pass = {}", workers, unit.where, unit.pass));
  if (!marks.ok()) return marks.status();
  uint64_t done = 0, changed = 0;
  for (const Row& each : marks->rows) {
    done += Number(each[2]);
    changed += Number(each[3]);
    if (Number(each[1]) <= unit.seq) continue;
    unit.seq = Number(each[1]);
    mark = each[0];
  }
  if (!marks->rows.empty()) {
    unit.done = done;
    unit.changed = changed;
  }
  if (mark) unit.mark = KeyValuesFromJson(*mark);
  if (mark && unit.mark.size() != unit.keyset.columns().size()) {
    return absl::DataLossError(fmt::format("the checkpoint of {} does not fit its key", role.pairs.table));
  }
  unit.handed = unit.mark;
  unit.saved_done = unit.done;
  auto sql = FillSql::Of(migration_, role, unit.table, unit.keyset, dialect_, unit.recompute);
  if (!sql.ok()) return sql.status();
  unit.sql = *std::move(sql);
  // MariaDB gains nothing by a second one; more of them than cores, nobody.
  const uint32_t by_cores = dialect_.flavor == rewrite::Flavor::kMySql ? std::clamp(std::thread::hardware_concurrency(), 1u, kMostWorkers) : 1;
  unit.workers = config_.limits.backfill_workers == 0 ? by_cores : config_.limits.backfill_workers;
  for (const config::TableWorkers& each : migration_.workers) {
    if (each.table == role.pairs.table) unit.workers = each.workers;
  }
  return unit;
}

absl::StatusOr<Copier::Worker*> Copier::WorkerNumber(uint32_t number) {
  while (workers_.size() <= number) {
    auto opened = OpenWorker(connection_, config_);
    if (!opened.ok()) return opened.status();
    absl::Status image = SetRowImage(*opened, config_);
    if (!image.ok()) return image;
    Worker& worker = workers_.emplace_back();
    worker.own = *std::move(opened);
    worker.connection = &*worker.own;
    worker.number = static_cast<uint32_t>(workers_.size() - 1);
  }
  return &workers_[number];
}

absl::StatusOr<Copier::Result> Copier::Step() {
  Result result;
  for (Unit& unit : units_) {
    if (unit.complete) continue;
    if (unit.role.kind == FillKind::kReferences && !barrier_passed_) {
      auto gone = OldTransactionsGone(&result.waiting_for);
      if (!gone.ok()) return gone.status();
      if (!*gone) {
        result.rest = std::chrono::milliseconds(50);
        return result;
      }
      barrier_passed_ = true;
      CROSSFADE_FAILPOINT("copy.barrier", migration_.name);
    }
    absl::Status status = Slice(&unit, &result);
    if (!status.ok()) return status;
    return result;
  }
  result.complete = true;
  return result;
}

// A transaction that was open when the last key was given may have inserted a reference whose key was still missing; until
// it is over, its row cannot be seen, and a pass over the references would miss it.
absl::StatusOr<bool> Copier::OldTransactionsGone(std::string* waiting_for) {
  // InnoDB renews this table's content only when nobody read it for 100 ms.
  const auto now_at = Clock::now();
  if (now_at - looked_at_ < std::chrono::milliseconds(150)) {
    *waiting_for = awaited_text_;
    return false;
  }
  looked_at_ = now_at;
  if (!barrier_set_) {
    // A transaction of our own marks the moment: content that shows it was gathered after it.
    auto begun = connection_.Execute("START TRANSACTION");
    if (!begun.ok()) return begun.status();
    begun = connection_.Execute(fmt::format("SELECT 1 FROM {} WHERE migration = {} FOR UPDATE", ControlTable(config_, "backfill_progress"),
                                            connection_.Quote(migration_.name)));
    if (!begun.ok()) return begun.status();
  }
  auto open = connection_.Query("SELECT trx_mysql_thread_id, trx_started FROM information_schema.innodb_trx");
  if (!barrier_set_) (void)connection_.Execute("ROLLBACK");
  if (!open.ok()) return open.status();
  std::vector<std::pair<std::string, std::string>> now;
  bool current = false;
  for (const Row& row : open->rows) {
    if (row[0] == std::to_string(connection_.thread_id())) {
      current = true;
    } else {
      now.emplace_back(row[0].value_or(""), row[1].value_or(""));
    }
  }
  if (!barrier_set_) {
    awaited_text_ = "a view of the open transactions";
    *waiting_for = awaited_text_;
    if (!current) return false;
    barrier_set_ = true;
    awaited_ = now;
  } else {
    std::erase_if(awaited_, [&](const auto& entry) { return std::find(now.begin(), now.end(), entry) == now.end(); });
  }
  if (awaited_.empty()) return true;
  awaited_text_ = fmt::format("the transaction of connection {}, open since {}, which may hold references without a new key",
                              awaited_.front().first, awaited_.front().second);
  *waiting_for = awaited_text_;
  return false;
}

// All workers for a while, then the books: whether the table is complete, how fast it goes.
absl::Status Copier::Slice(Unit* unit, Result* result) {
  if (unit->saved_at == Clock::time_point{}) {
    unit->saved_at = Clock::now();
    for (uint32_t i = 0; i < unit->workers; ++i) {
      auto made = connection_.Execute(fmt::format(
          "INSERT INTO {}(migration, table_name, role, worker, pass) VALUES ({}, {}, '{}', {}, {}) ON DUPLICATE KEY UPDATE"
          " seq = IF(pass = VALUES(pass), seq, 0), last_key = IF(pass = VALUES(pass), last_key, NULL), rows_done = IF(pass = VALUES(pass), rows_done, 0),"
          " rows_changed = IF(pass = VALUES(pass), rows_changed, 0), pass = VALUES(pass)",
          ControlTable(config_, "backfill_workers"), connection_.Quote(migration_.name), connection_.Quote(unit->table.name),
          FillKindName(unit->role.kind), i, unit->pass));
      if (!made.ok()) return made.status();
    }
    CROSSFADE_FAILPOINT("copy.workers", fmt::format("{} {}", unit->table.name, FillKindName(unit->role.kind)));
  }
  std::vector<Worker*> workers;
  for (uint32_t i = 0; i < unit->workers; ++i) {
    auto worker = WorkerNumber(i);
    if (!worker.ok()) return worker.status();
    workers.push_back(*worker);
  }
  std::vector<absl::Status> statuses(workers.size());
  if (workers.size() == 1) {
    statuses[0] = WorkOn(unit, workers[0], Clock::now(), result);
  } else {
    const auto until = Clock::now() + config_.limits.chunk_target;
    std::vector<Result> results(workers.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < workers.size(); ++i) {
      threads.emplace_back([&, i] { statuses[i] = WorkOn(unit, workers[i], until, &results[i]); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Result& each : results) {
      if (!each.waiting_for.empty()) *result = each;
    }
  }
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  const bool all_done = unit->all_handed && std::all_of(unit->pieces.begin(), unit->pieces.end(), [](const Piece& piece) { return piece.done; });
  if (all_done && !unit->complete && !unit->again) {  // the last two ended at once, and neither saw the other
    const bool again = Repeats(*unit) && unit->changed > 0;
    absl::Status finished = InTransaction(connection_, [&] { return Finish(connection_, *unit, again); });
    if (!finished.ok()) return finished;
    unit->complete = !again;
    unit->again = again;
  }
  if (unit->again) {
    ++unit->pass;
    unit->mark.clear();
    unit->handed.clear();
    unit->pieces.clear();
    unit->all_handed = unit->again = false;
    unit->done = unit->changed = unit->seq = unit->saved_done = 0;
    unit->saved_at = {};
    return absl::OkStatus();
  }
  return SaveProgress(unit, unit->complete);
}

absl::Status Copier::WorkOn(Unit* unit, Worker* worker, Clock::time_point until, Result* result) {
  const bool alone = unit->workers == 1;
  do {
    if (!alone && throttle_ != nullptr && throttle_->Look().hold) break;
    auto piece = Take(unit, worker);
    if (!piece.ok()) return piece.status();
    if (*piece == nullptr) break;
    absl::Status status = Chunk(unit, worker, *piece, result);
    {
      const std::lock_guard lock(mutex_);
      (*piece)->taken = false;
    }
    if (!status.ok()) return status;
    if (alone) break;
    std::this_thread::sleep_for(std::min(result->rest, kLongestRest));
    result->rest = std::chrono::microseconds(0);
  } while (Clock::now() < until);
  return LockWait(worker, "50");
}

// A piece that was given up, else the next one; nullptr: all are taken.
absl::StatusOr<Copier::Piece*> Copier::Take(Unit* unit, Worker* worker) {
  const std::lock_guard lock(mutex_);
  const auto gone = [](const Piece& piece) { return piece.done && !piece.taken && !piece.last; };  // a worker still has one that is taken
  while (!unit->pieces.empty() && gone(unit->pieces.front())) unit->pieces.pop_front();
  for (Piece& piece : unit->pieces) {
    if (piece.done || piece.taken) continue;
    piece.taken = true;
    return &piece;
  }
  if (unit->all_handed) return nullptr;
  auto bound = NextBound(*worker->connection, unit->table, unit->keyset, unit->handed, {}, unit->rows);
  if (!bound.ok()) return bound.status();
  Piece& piece = unit->pieces.emplace_back();
  piece.from = unit->handed;
  piece.to = *bound;
  piece.last = bound->empty();
  piece.taken = true;
  unit->handed = *bound;
  unit->all_handed = piece.last;
  return &piece;
}

// What `status` shows; a commit now and then.
absl::Status Copier::SaveProgress(Unit* unit, bool now) {
  const auto at = Clock::now();
  if (!now && at - unit->saved_at < kSaveEvery) return absl::OkStatus();
  const double seconds = std::chrono::duration<double>(at - unit->saved_at).count();
  const double rate = static_cast<double>(unit->done - unit->saved_done) / std::max(seconds, 1e-6);
  unit->rate = unit->rate == 0 ? rate : unit->rate * 0.7 + rate * 0.3;
  unit->saved_at = at;
  unit->saved_done = unit->done;
  return connection_
      .Execute(fmt::format("UPDATE {} SET rows_done = {}, rows_changed = {}, chunk_rows = {}, rate = {}, started = COALESCE(started, UTC_TIMESTAMP(6)),"
                           " updated = UTC_TIMESTAMP(6) WHERE {} AND pass = {}",
                           ControlTable(config_, "backfill_progress"), unit->done, unit->changed, unit->rows, unit->rate, unit->where, unit->pass))
      .status();
}

// A cascade may move a row from ahead of a pass to behind it, and its new side need not be missing to be wrong: until a
// whole pass finds nothing to do, another one follows.
bool Copier::Repeats(const Unit& unit) {
  if (unit.role.kind == FillKind::kKeys) return false;
  if (unit.recompute) return true;
  if (unit.role.kind == FillKind::kReferences) return false;  // what is missing is found by the index: FillMoved
  return std::any_of(unit.table.foreign_keys.begin(), unit.table.foreign_keys.end(), [&](const rewrite::ForeignKey& key) {
    return key.on_update == "CASCADE" && std::any_of(key.columns.begin(), key.columns.end(), [&](const std::string& column) {
      return std::any_of(unit.keyset.columns().begin(), unit.keyset.columns().end(), [&](const rewrite::Column& each) { return each.name == column; });
    });
  });
}

// The end of a pass, in the transaction of its last chunk.
absl::Status Copier::Finish(Connection& connection, const Unit& unit, bool again) {
  CROSSFADE_FAILPOINT("copy.finish", fmt::format("{} {}{}", unit.table.name, FillKindName(unit.role.kind), again ? ", again" : ""));
  return connection
      .Execute(fmt::format("UPDATE {} SET {}, updated = UTC_TIMESTAMP(6) WHERE {}", ControlTable(config_, "backfill_progress"),
                           again ? "last_key = NULL, seq = 0, pass = pass + 1, rows_done = 0, rows_changed = 0" : "complete = 1, last_key = NULL", unit.where))
      .status();
}

}  // namespace crossfade::backfill

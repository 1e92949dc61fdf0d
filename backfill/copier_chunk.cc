// SPDX-License-Identifier: Apache-2.0
// One chunk: keys reserved, rows locked without waiting, filled, and the mark committed with them.
#include <algorithm>

#include "backfill/control.h"
#include "backfill/copier.h"
#include "backfill/failpoint.h"
#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr uint64_t kMinRows = 50, kMaxRows = 5'000;
constexpr int kRoundTrips = 10;  // a chunk lasts as long as that many: twice what its statements take on the way
constexpr int kPatience = 8;  // chunks given up in a row before one waits for locks

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

}  // namespace

uint64_t Copier::MaxRows() const { return std::max<uint64_t>(kMaxRows, config_.limits.chunk_rows); }

absl::Status Copier::LockWait(Worker* worker, const char* seconds) {
  if (worker->lock_wait == seconds) return absl::OkStatus();
  absl::Status set = worker->connection->Execute(fmt::format("SET SESSION innodb_lock_wait_timeout = {}", seconds)).status();
  if (set.ok()) worker->lock_wait = seconds;
  return set;
}

absl::Status Copier::ReserveFor(Unit* unit, Worker* worker, const std::string& range, uint64_t rows) {
  if (!unit->sql.numbers()) return absl::OkStatus();
  if (worker->keys_of != unit->table.name) {  // what is left of another table's keys is nothing to this one
    worker->keys_of = unit->table.name;
    worker->next_key = worker->end_key = 0;
  }
  Connection& connection = *worker->connection;
  if (rows > 0 && worker->end_key - worker->next_key >= rows) return absl::OkStatus();
  uint64_t count = rows;
  const auto count_missing = [&]() -> absl::Status {
    auto missing = connection.Query(unit->sql.CountMissing(range));
    if (missing.ok()) count = Number(missing->rows[0][0]);
    return missing.status();
  };
  if (rows == 0) {
    absl::Status counted = count_missing();
    if (!counted.ok()) return counted;
  }
  if (worker->end_key - worker->next_key >= count) return absl::OkStatus();
  const uint64_t block = std::max<uint64_t>(count, std::max<uint64_t>(rows, config_.limits.key_block) * 4);
  auto first = ReserveKeys(connection, config_, migration_.name, unit->table.name, block);
  // Near the end of the type a smaller block may still fit.
  uint64_t reserved = block;
  if (absl::IsResourceExhausted(first.status())) {
    absl::Status counted = count_missing();
    if (!counted.ok()) return counted;
    if (worker->end_key - worker->next_key >= count) return absl::OkStatus();
    first = ReserveKeys(connection, config_, migration_.name, unit->table.name, count);
    reserved = count;
  }
  if (!first.ok()) return first.status();
  worker->next_key = *first;
  worker->end_key = *first + reserved;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Copier::Fill(Unit* unit, Worker* worker, const std::string& range, bool wait) {
  const bool keys = unit->sql.numbers();
  const uint64_t keys_left = worker->end_key - worker->next_key;
  uint64_t count = keys_left;
  bool locked_first = false;
  if (const std::string lock = unit->sql.Lock(range, wait); !lock.empty()) {
    auto locked = worker->connection->Query(lock);
    if (!locked.ok()) return locked.status();
    count = Number(locked->rows[0][0]);
    locked_first = true;
    if (count == 0) return uint64_t{0};
    if (keys && keys_left < count) return absl::AbortedError(std::string("rows without a new key were added meanwhile"));
  }
  CROSSFADE_FAILPOINT("chunk.locked", fmt::format("{} {}", unit->table.name, FillKindName(unit->role.kind)));
  if (const std::string before = unit->sql.BeforeFill(worker->next_key); !before.empty()) {
    auto set = worker->connection->Execute(before);
    if (!set.ok()) return set.status();
  }
  auto filled = worker->connection->Execute(unit->sql.Fill(range, worker->next_key, keys_left));
  if (!filled.ok()) return filled.status();
  if (keys) {
    if (*filled > count) return absl::AbortedError(std::string("more rows were numbered than locked"));
    worker->next_key += locked_first ? count : *filled;
    if (!locked_first && *filled == keys_left) {  // the rows that it left lack their keys
      auto missing = worker->connection->Query(unit->sql.CountMissing(range));
      if (!missing.ok()) return missing.status();
      if (missing->rows[0][0] != "0") return absl::AbortedError(std::string("rows without a new key were added meanwhile"));
    }
  }
  return *filled;
}

// The mark as it is once this commits: up to the first piece that is not done.
absl::Status Copier::Checkpoint(Unit* unit, Worker* worker, Piece* piece, const KeyValues& to, bool ends, uint64_t rows, uint64_t changed) {
  uint64_t seq = 0;
  KeyValues mark;
  bool last_of_all = false, again = false;
  {
    const std::lock_guard lock(mutex_);
    seq = ++unit->seq;
    mark = unit->handed;
    last_of_all = unit->all_handed;
    for (const Piece& each : unit->pieces) {
      if (each.done || (&each == piece && ends)) {
        if (each.last && last_of_all) mark = each.from;  // no key stands for the end
        continue;
      }
      mark = &each == piece ? to : each.from;
      last_of_all = false;
      break;
    }
    again = last_of_all && Repeats(*unit) && unit->changed + changed > 0;
  }
  auto set = worker->connection->Execute(fmt::format(
      "UPDATE {} SET seq = {}, last_key = {}, rows_done = rows_done + {}, rows_changed = rows_changed + {} WHERE {} AND worker = {} AND pass = {}",
      ControlTable(config_, "backfill_workers"), seq, mark.empty() ? "NULL" : worker->connection->Quote(ToJson(mark)), rows, changed, unit->where,
      worker->number, unit->pass));
  if (!set.ok()) return set.status();
  if (*set == 0) return absl::FailedPreconditionError(std::string("another migrator has begun this table anew"));
  if (!last_of_all) return absl::OkStatus();
  absl::Status finished = Finish(*worker->connection, *unit, again);
  if (!finished.ok()) return finished;
  const std::lock_guard lock(mutex_);
  unit->complete = !again;
  unit->again = again;
  return absl::OkStatus();
}

absl::Status Copier::Chunk(Unit* unit, Worker* worker, Piece* piece, Result* result) {
  const Throttle::Working working(throttle_);
  const auto begin = Clock::now();
  const bool wait = piece->failures >= kPatience;
  // One that was given up is done in smaller parts.
  KeyValues to = piece->to;
  bool ends = true;
  uint64_t rows = 0;
  {
    const std::lock_guard lock(mutex_);
    rows = unit->rows;
  }
  if (piece->failures > 0) {
    auto part = NextBound(*worker->connection, unit->table, unit->keyset, piece->from, piece->to, rows);
    if (!part.ok()) return part.status();
    ends = part->empty() || *part == piece->to;
    if (!ends) to = *part;
  }
  const std::string range = unit->keyset.Range(unit->sql.alias(), piece->from, to);
  [[maybe_unused]] const auto at = [&] {  // of failpoints
    return fmt::format("{} {}, {} chunk", unit->table.name, FillKindName(unit->role.kind), piece->last && ends ? "last" : piece->from.empty() ? "first" : "a");
  };
  CROSSFADE_FAILPOINT("chunk.begin", at());
  if (unit->role.kind == FillKind::kKeys) {
    absl::Status reserved = ReserveFor(unit, worker, range, to.empty() ? 0 : rows);
    if (!reserved.ok()) return reserved;
    CROSSFADE_FAILPOINT("chunk.reserved", at());
  }
  absl::Status set = LockWait(worker, dialect_.flavor == rewrite::Flavor::kMySql || wait ? "1" : "0");
  if (!set.ok()) return set;
  uint64_t changed = 0;
  auto round_trip = Clock::duration::zero();
  const auto asked = Clock::now();
  absl::Status status = InTransaction(*worker->connection, [&]() -> absl::Status {
    round_trip = Clock::now() - asked;
    auto filled = Fill(unit, worker, range, wait);
    if (!filled.ok()) return filled.status();
    changed = *filled;
    CROSSFADE_FAILPOINT("chunk.filled", at());
    // The last chunk's rows are what the estimate leaves; its own count would need another scan.
    if (to.empty()) rows = changed;
    absl::Status checkpoint = Checkpoint(unit, worker, piece, to, ends, rows, changed);
    CROSSFADE_FAILPOINT("chunk.checkpoint", at());
    return checkpoint;
  });
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  CROSSFADE_FAILPOINT("chunk.committed", at());
  const std::lock_guard lock(mutex_);
  if (!status.ok()) unit->complete = unit->again = false;
  if (absl::IsAborted(status)) {
    ++piece->failures;
    unit->rows = std::max<uint64_t>(piece->failures > kPatience ? 1 : kMinRows, unit->rows / 2);
    result->rest = std::chrono::milliseconds(std::min(10 * piece->failures, 200));
    result->waiting_for = fmt::format("rows of {} that the application holds locked", unit->table.name);
    return absl::OkStatus();
  }
  if (!status.ok()) return status;
  result->waiting_for.clear();
  piece->failures = ends ? 0 : 1;
  piece->from = ends ? piece->from : to;
  piece->done = ends;
  unit->changed += changed;
  unit->done += rows;
  const double pace = throttle_ == nullptr ? 1 : throttle_->pace();
  std::chrono::microseconds most = config_.limits.chunk_target;
  if (throttle_ != nullptr && throttle_->application()) most = std::min<std::chrono::microseconds>(most, config_.limits.chunk_target_beside);
  // Where the database is far away, a chunk so short would be nothing but its round trips.
  const auto trip = std::chrono::duration_cast<std::chrono::microseconds>(round_trip);
  unit->round_trip = unit->round_trip.count() == 0 ? trip : std::min(trip, unit->round_trip + unit->round_trip / 8 + std::chrono::microseconds(1));
  const auto least = std::min<std::chrono::microseconds>(unit->round_trip * kRoundTrips, config_.limits.chunk_target);
  const double target = std::max(static_cast<double>(most.count()) * pace, static_cast<double>(least.count()));
  const double factor = std::clamp(target / std::max<double>(1, static_cast<double>(took.count())), 0.5, 2.0);
  unit->rows = std::clamp<uint64_t>(static_cast<uint64_t>(static_cast<double>(unit->rows) * factor), kMinRows, MaxRows());
  const double busy = (1 - config_.limits.backfill_idle_share) * pace;
  result->rest = std::chrono::microseconds(static_cast<int64_t>(static_cast<double>(took.count()) * (1 - busy) / busy));
  return absl::OkStatus();
}

}  // namespace crossfade::backfill

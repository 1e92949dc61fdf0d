// SPDX-License-Identifier: Apache-2.0
// The work of each phase and the gates between them.
#include "backfill/walker.h"

#include <algorithm>

#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/comparisons.h"
#include "backfill/phase_machine.h"
#include "backfill/preflight.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/new_key.h"

namespace crossfade::backfill {
namespace {

using config::Phase;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr microseconds kNow{0};
constexpr milliseconds kThrottledLook{100};
constexpr std::chrono::seconds kWatchPause{10};  // between two rounds of verification in cutover
constexpr int kWatchRest = 9;                    // times as long as a chunk took
constexpr milliseconds kFirstBackoff{500}, kLongestBackoff{30'000};

std::string SetPhase(Phase phase) { return fmt::format("phase = '{}'", config::PhaseName(phase)); }

}  // namespace

absl::StatusOr<rewrite::Catalog> Walker::Tables() { return LoadCatalog(connection_, {migration_}); }

absl::StatusOr<microseconds> Walker::Step(const ControlState& state, const MigrationRow& row) {
  if (work_epoch_ != row.changed_epoch) {
    copier_.reset();
    verifier_.reset();
    watcher_.reset();
    work_epoch_ = row.changed_epoch;
    backoff_ = milliseconds(0);
    not_before_ = {};
  }
  if (row.phase != Phase::kExpand) defaults_.reset();
  const auto now = std::chrono::steady_clock::now();
  if (now < not_before_) return std::chrono::duration_cast<microseconds>(not_before_ - now);
  microseconds again = config_.limits.control_poll;
  absl::StatusOr<Waiting> waiting = Waiting();
  if (row.held) {
    waiting = UnderHold(state, row);
  } else if (row.paused) {
    waiting = Waiting(row.message.starts_with("paused") ? row.message : "paused");
  } else if (row.spec != SpecText(migration_)) {
    waiting = Waiting("the file describes other tables or columns than those that are migrating");
  } else {
    waiting = Work(state, row, &again);
    const Phase next = NextPhase(row.phase, row.desired);
    if (waiting.ok() && waiting->empty() && next != row.phase) waiting = next > row.phase ? Ready(state, row, next, &again) : Waiting();
    if (waiting.ok() && waiting->empty() && next != row.phase) {
      waiting = next > row.phase ? Go(state, row, next) : GoBack(state, row, next);
      if (waiting.ok() && waiting->empty()) return kNow;
    } else if (waiting.ok() && waiting->empty() && row.phase == Phase::kCutover && row.percent != row.desired_percent) {
      absl::Status changed = ChangeEpoch(connection_, config_, state.epoch, row.name, {fmt::format("percent = {}", row.desired_percent)});
      if (!changed.ok()) waiting = changed;
    } else if (waiting.ok() && waiting->empty() && row.building) {
      waiting = Build(state, row, {}, &again);  // not to be gone on with
    }
  }
  if (absl::IsUnavailable(waiting.status())) return waiting.status();
  absl::Status told = SetMessage(connection_, config_, row, waiting.ok() ? *waiting : std::string(waiting.status().message()));
  if (!told.ok()) return told;
  if (waiting.ok()) {
    backoff_ = milliseconds(0);
    return again;
  }
  // Aborted is somebody else's turn; anything else is told once and tried again ever more slowly.
  if (!absl::IsAborted(waiting.status()) && row.message != waiting.status().message()) {
    AddEvent(connection_, config_, row.name, Severity::kError, std::string(waiting.status().message()));
  }
  copier_.reset();
  verifier_.reset();
  watcher_.reset();
  if (absl::IsAborted(waiting.status()) && std::string_view(waiting.status().message().data(), waiting.status().message().size()).starts_with("waits for")) {
    return again;
  }
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
  not_before_ = std::chrono::steady_clock::now() + backoff_;
  return microseconds(backoff_);
}

// Numbers that the new columns have already, from a migration of another name or control schema, are not given again.
absl::Status Walker::StartAllKeys(const rewrite::Catalog& tables) {
  for (const config::KeyMigration& key : migration_.keys) {
    if (!rewrite::IsIntegerType(key.new_type) || !key.from.empty()) continue;
    const rewrite::Table* table = tables.FindTable(migration_.schema, key.table);
    if (table == nullptr) continue;
    uint64_t last = 0;
    if (table->FindColumn(key.new_column) != nullptr) {
      absl::StatusOr<bool> started = KeysStarted(connection_, config_, migration_.name, key.table);
      if (!started.ok()) return started.status();
      if (*started) continue;
      auto most = connection_.Query(fmt::format("SELECT MAX({}) FROM {}", rewrite::QuoteName(key.new_column), TableName(migration_.schema, key.table)));
      if (!most.ok()) return most.status();
      if (most->rows[0][0].has_value() && !most->rows[0][0]->starts_with('-')) last = std::strtoull(most->rows[0][0]->c_str(), nullptr, 10);
    }
    absl::Status begun = StartKeys(connection_, config_, migration_.name, key.table, last);
    if (!begun.ok()) return begun;
  }
  return absl::OkStatus();
}

// What a phase does while the migration stands in it, whatever is asked next. Empty: nothing is left to do.
absl::StatusOr<Waiting> Walker::Work(const ControlState& state, const MigrationRow& row, microseconds* again) {
  switch (row.phase) {
    case Phase::kObserve:
    case Phase::kDualWrite:
    case Phase::kDone:
      return Waiting();
    case Phase::kExpand: {
      auto tables = Tables();
      if (!tables.ok()) return tables.status();
      if (HeldExpandDdl(row, *tables).empty()) return Waiting();
      absl::Status started = row.desired < Phase::kExpand ? absl::OkStatus() : StartAllKeys(*tables);
      if (!started.ok()) return started;
      auto added = UnderHold(state, row);
      if (!added.ok() || !added->empty()) return added;
      *again = kNow;  // `state` is an epoch old by now
      return Waiting(row.desired < Phase::kExpand ? "the new columns have no defaults any more" : "the new columns are there");
    }
    case Phase::kBackfill:
      if (row.desired < Phase::kBackfill) return Waiting();
      return CopyPiece(state, row, again);
    case Phase::kVerify:
      if (row.desired < Phase::kVerify) return Waiting();
      return VerifyPiece(row, migration_, again);
    case Phase::kCutover:
      if (row.desired == Phase::kCutover) {
        absl::Status judged = JudgeReads(row);
        if (!judged.ok()) return judged;
      }
      if (row.desired <= Phase::kCutover || row.percent != 100) {
        absl::Status watched = row.percent == row.desired_percent && row.desired == Phase::kCutover ? Watch(row, again) : absl::OkStatus();
        if (!watched.ok()) return watched;
        return Waiting();
      }
      return VerifyPiece(row, migration_, again);
    case Phase::kRetire: {
      auto tables = Tables();
      if (!tables.ok()) return tables.status();
      auto dropped = Build(state, row, DropOldIndexDdl(migration_, *tables), again);
      if (!dropped.ok() || !dropped->empty()) return dropped;
      // Keys that are made of the old ones are written on both sides to the end: once more before the old side goes.
      if (row.desired > Phase::kRetire && !derived_.keys.empty()) return VerifyPiece(row, derived_, again);
      return Waiting();
    }
    case Phase::kContract: {
      if (!row.swapped) return UnderHold(state, row);
      auto tables = Tables();
      if (!tables.ok()) return tables.status();
      return Build(state, row, DropOldColumnDdl(migration_, *tables), again);
    }
  }
  return absl::InternalError(std::string("no such phase"));
}

absl::StatusOr<Waiting> Walker::Throttled(microseconds* again) {
  const ThrottleVerdict verdict = throttle_->Look();
  if (verdict.stop) {
    absl::Status paused = SetPaused(connection_, config_, migration_.name, true);
    if (!paused.ok()) return paused;
    AddEvent(connection_, config_, migration_.name, Severity::kError,
             fmt::format("paused by the throttle: {}; `crossfade resume` lets it go on", verdict.reason));
    return Waiting("paused by the throttle: " + verdict.reason);
  }
  if (!verdict.hold) return Waiting();
  *again = kThrottledLook;
  return Waiting("throttled: " + verdict.reason);
}

absl::StatusOr<Waiting> Walker::CopyPiece(const ControlState& state, const MigrationRow& asked, microseconds* again) {
  if (copier_ == nullptr) {
    auto complete = BackfillComplete(connection_, config_, migration_.name);
    if (!complete.ok()) return complete.status();
    if (!*complete) {
      auto copier = Copier::Make(connection_, config_, migration_, throttle_);
      if (!copier.ok()) return copier.status();
      copier_ = *std::move(copier);
    }
  }
  if (copier_ != nullptr) {
    auto throttled = Throttled(again);
    if (!throttled.ok() || !throttled->empty()) return throttled;
    auto step = copier_->Step();
    if (!step.ok()) return step.status();
    if (!step->complete) {
      *again = step->rest;
      return Waiting(step->waiting_for.empty() ? "backfill under way" : "waits for " + step->waiting_for);
    }
    copier_.reset();
    AddEvent(connection_, config_, migration_.name, Severity::kInfo, "backfill complete");
  }
  auto tables = Tables();
  if (!tables.ok()) return tables.status();
  const std::vector<Alter> indexes = IndexDdl(migration_, *tables);
  if (!indexes.empty()) {
    MigrationRow row;
    row.name = migration_.name;
    absl::Status told = SetMessage(connection_, config_, row, "building indexes on the new columns, online");
    if (!told.ok()) return told;
  }
  auto built = Build(state, asked, indexes, again);
  if (!built.ok() || !built->empty()) return built;
  if (asked.desired <= Phase::kBackfill) return Waiting();
  auto copier = Copier::Make(connection_, config_, migration_);
  if (!copier.ok()) return copier.status();
  Copier::Result result;
  auto filled = (*copier)->FillMoved(&result);
  if (!filled.ok()) return filled.status();
  if (*filled) return Waiting();
  *again = std::max<microseconds>(result.rest, kNow);
  return Waiting(result.waiting_for.empty() ? "filling rows whose key was changed meanwhile" : "waits for " + result.waiting_for);
}

absl::StatusOr<Waiting> Walker::VerifyPiece(const MigrationRow& row, const config::Migration& what, microseconds* again) {
  auto verdict = ReadVerdict(connection_, config_, row.name, row.changed_epoch);
  if (!verdict.ok()) return verdict.status();
  if (verdict->finished) {
    verifier_.reset();
    if (verdict->differences == 0) return Waiting();
    return Waiting(fmt::format("verification found {} rows whose sides differ; see `crossfade status`, mend with `crossfade verify --repair`",
                               verdict->differences));
  }
  auto throttled = Throttled(again);
  if (!throttled.ok() || !throttled->empty()) return throttled;
  if (verifier_ == nullptr) {
    auto verifier = Verifier::Make(connection_, config_, what, false, row.changed_epoch);
    if (!verifier.ok()) return verifier.status();
    verifier_ = *std::move(verifier);
  }
  const auto begin = std::chrono::steady_clock::now();
  const Throttle::Working working(throttle_);
  auto finished = verifier_->Step();
  if (!finished.ok()) return finished.status();
  const auto took = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - begin);
  const double idle = config_.limits.backfill_idle_share;
  *again = *finished ? kNow : microseconds(static_cast<int64_t>(took.count() * idle / (1 - idle)));
  const std::string waiting_for = verifier_->waiting_for();
  if (*finished) {
    const Verification& result = verifier_->result();
    AddEvent(connection_, config_, row.name, result.differences == 0 ? Severity::kInfo : Severity::kError,
             fmt::format("verification: {} rows checked, {} differ", result.rows_checked, result.differences));
    verifier_.reset();
  }
  return Waiting(waiting_for.empty() ? "verification under way" : "waits for " + waiting_for);
}

// Verification goes round while readers may see the new side: every row was right already, so one that is not was written past
// the proxies. It is mended, and told.
absl::Status Walker::Watch(const MigrationRow& row, microseconds* again) {
  const auto begin = std::chrono::steady_clock::now();
  if (begin < watch_at_ || throttle_->Look().hold) return absl::OkStatus();
  if (watcher_ == nullptr) {
    auto watcher = Verifier::Make(connection_, config_, migration_, true);
    if (!watcher.ok()) return watcher.status();
    watcher_ = *std::move(watcher);
    watcher_->OnDifference([this, name = row.name](const std::string& key, const std::string& text, bool mended) {
      AddEvent(connection_, config_, name, Severity::kError, fmt::format("a row was written past the proxies: {} {}", text, mended ? "mended" : "NOT mended"));
      (void)connection_.Execute(fmt::format("INSERT INTO {}(migration, table_name, row_key, found_at, text, mended) VALUES ({}, {}, {}, UTC_TIMESTAMP(6), {}, {})",
                                            ControlTable(config_, "drift"), connection_.Quote(name), connection_.Quote(text.substr(0, text.find(' '))),
                                            connection_.Quote(key.substr(0, 4'000)), connection_.Quote(text.substr(0, 4'000)), mended ? 1 : 0));
    });
  }
  absl::StatusOr<bool> finished = false;
  {
    const Throttle::Working working(throttle_);
    finished = watcher_->Step();
  }
  if (!finished.ok()) return finished.status();
  const auto now = std::chrono::steady_clock::now();
  if (*finished) watcher_.reset();
  watch_at_ = now + (*finished ? std::chrono::duration_cast<microseconds>(kWatchPause) : std::chrono::duration_cast<microseconds>(now - begin) * kWatchRest);
  *again = std::min(*again, std::chrono::duration_cast<microseconds>(watch_at_ - now));
  return absl::OkStatus();
}

// Too many reads that differ between the sides: back by one phase, as an operator would ask for it.
absl::Status Walker::JudgeReads(const MigrationRow& row) {
  const auto now = std::chrono::steady_clock::now();
  if (now < judge_at_) return absl::OkStatus();
  judge_at_ = now + std::chrono::seconds(1);
  auto verdict = JudgeComparisons(connection_, config_, migration_, row);
  if (!verdict.ok() || verdict->empty()) return verdict.status();
  AddEvent(connection_, config_, row.name, Severity::kError, fmt::format("back to verify: {}", *verdict));
  return SetDesired(connection_, config_, row.name, Phase::kVerify, 0, false);
}

absl::StatusOr<Waiting> Walker::DigestGate() {
  const int64_t quiet = microseconds(config_.limits.quiet_before_expand).count();
  const std::string since =
      quiet > 0 ? fmt::format("UTC_TIMESTAMP(6) - INTERVAL {} MICROSECOND", quiet)
                : fmt::format("COALESCE((SELECT MIN(started) FROM {} WHERE expires > UTC_TIMESTAMP(6)), UTC_TIMESTAMP(6))", ControlTable(config_, "proxies"));
  std::string accepted;
  for (const std::string& digest : migration_.accepted) accepted += fmt::format("{}{}", accepted.empty() ? " AND digest NOT IN (" : ", ", connection_.Quote(digest));
  if (!accepted.empty()) accepted += ")";
  auto refused = connection_.Query(fmt::format("SELECT digest, user, reason FROM {} WHERE migration = {} AND strategy = 'C' AND last_seen >= {}{} ORDER BY count DESC",
                                               ControlTable(config_, "digests"), connection_.Quote(migration_.name), since, accepted));
  if (!refused.ok()) return refused.status();
  if (refused->rows.empty()) return Waiting();
  const Row& worst = refused->rows[0];
  return Waiting(fmt::format("{} statement shape(s) with live traffic would be refused, the most frequent by {}: {}: {}", refused->rows.size(),
                             worst[1].value_or(""), worst[0].value_or("").substr(0, 200), worst[2].value_or("")));
}

absl::StatusOr<Waiting> Walker::GateToExpand() {
  auto findings = Preflight(connection_, config_, migration_);
  if (!findings.ok()) return findings.status();
  for (const Finding& finding : *findings) {
    if (finding.level != Finding::kError) continue;
    return Waiting(fmt::format("preflight: {}{}{}", finding.text, finding.advice.empty() ? "" : "; ", finding.advice));
  }
  return DigestGate();
}

// A transaction that was prepared for XA and left by its connection is in no proxy's hands, and what it wrote may be from before dual
// writes. MySQL keeps its metadata locks, for which an ALTER has waited; MariaDB does not.
absl::StatusOr<Waiting> Walker::LeftPrepared() {
  auto maria = connection_.Query("SELECT 1 FROM DUAL WHERE VERSION() LIKE '%MariaDB%'");
  if (!maria.ok()) return maria.status();
  if (maria->rows.empty()) return Waiting();
  auto prepared = connection_.Query("XA RECOVER");  // of those that still have a connection too
  if (!prepared.ok()) return prepared.status();
  if (prepared->rows.empty()) return Waiting();
  auto left = connection_.Query("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = 0");  // takes the privilege PROCESS
  if (left.ok() && left->rows[0][0] == "0") return Waiting();
  return Waiting("a transaction that was prepared for XA and left by its connection (XA RECOVER shows it) may have written before both sides were; commit it or roll it back");
}

absl::StatusOr<Waiting> Walker::Ready(const ControlState& state, const MigrationRow& row, Phase next, microseconds* again) {
  switch (next) {
    case Phase::kObserve:
      return Waiting();
    case Phase::kExpand: {
      auto waiting = GateToExpand();
      if (waiting.ok() && !waiting->empty()) *again = std::chrono::seconds(1);
      return waiting;
    }
    case Phase::kDualWrite: {
      // Once more: by now every proxy has reported what it saw before it acknowledged expand.
      auto waiting = DigestGate();
      if (!waiting.ok() || !waiting->empty()) {
        *again = std::chrono::seconds(1);
        return waiting;
      }
      auto tables = Tables();
      absl::Status started = tables.ok() ? StartAllKeys(*tables) : tables.status();
      if (!started.ok()) return started;
      absl::Status prepared = PrepareProgress(connection_, config_, migration_);
      if (!prepared.ok()) return prepared;
      return Waiting();
    }
    case Phase::kBackfill: {  // the drain of what is in a proxy's hands: ChangeEpoch itself
      auto waiting = LeftPrepared();
      if (waiting.ok() && !waiting->empty()) *again = std::chrono::seconds(1);
      return waiting;
    }
    case Phase::kVerify:    // the copy and the indexes: Work of backfill
    case Phase::kCutover:   // clean: Work of verify
    case Phase::kDone:      // the old columns are gone: Work of contract
      return Waiting();
    case Phase::kRetire: {
      if (!row.confirmed) return Waiting("retire cannot be undone and needs a confirmation");
      if (row.percent != 100) return Waiting();  // Go raises it first
      auto tables = Tables();
      if (!tables.ok()) return tables.status();
      return Build(state, row, KeySwapDdl(migration_, *tables), again);
    }
    case Phase::kContract:
      return row.confirmed ? Waiting() : Waiting("contract cannot be undone and needs a confirmation");
  }
  return absl::InternalError(std::string("no such phase"));
}

absl::StatusOr<Waiting> Walker::Go(const ControlState& state, const MigrationRow& row, Phase next) {
  std::string assignments = SetPhase(next);
  if (next == Phase::kCutover) {
    assignments += fmt::format(", percent = {}, cutover_since = UTC_TIMESTAMP(6)", row.desired > Phase::kCutover ? 100 : row.desired_percent);
  } else if (row.phase == Phase::kCutover && row.percent != 100) {
    assignments = "percent = 100, desired_percent = 100";  // retire is entered from 100 % alone
  } else if (next == Phase::kRetire) {
    return UnderHold(state, row);
  }
  absl::Status changed = ChangeEpoch(connection_, config_, state.epoch, row.name, {assignments});
  if (!changed.ok()) return changed;
  AddEvent(connection_, config_, row.name, Severity::kInfo, fmt::format("epoch {}: {}", state.epoch + 1, assignments));
  return Waiting();
}

absl::StatusOr<Waiting> Walker::GoBack(const ControlState& state, const MigrationRow& row, Phase next) {
  std::function<absl::Status()> also;
  if (row.phase == Phase::kDualWrite) {
    auto tables = Tables();
    if (!tables.ok()) return tables.status();
    if (KeysSwapped(migration_, *tables)) {
      return Waiting("the keys are swapped already (the way to retire was begun): dual writes must go on; dual_write is as far back as it goes");
    }
    // Without dual writes the new side goes stale: the next backfill has to compare every row.
    also = [this, &row] { return RestartProgress(connection_, config_, row.name); };
  }
  EpochChange change{SetPhase(next) + ", percent = 0" + (row.building ? ", building = 0" : "")};
  change.also = std::move(also);
  absl::Status changed = ChangeEpoch(connection_, config_, state.epoch, row.name, change);
  if (!changed.ok()) return changed;
  AddEvent(connection_, config_, row.name, Severity::kInfo, fmt::format("epoch {}: back to {}", state.epoch + 1, config::PhaseName(next)));
  return Waiting();
}

}  // namespace crossfade::backfill

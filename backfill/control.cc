// SPDX-License-Identifier: Apache-2.0
// Reading and asking for phases: what the file declares, what an operator asks, what the migrator has reached.
#include "backfill/control.h"

#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

absl::StatusOr<Phase> ReadPhase(const std::optional<std::string>& value) {
  const auto phase = config::ParsePhase(value.value_or(""));
  if (!phase) return absl::DataLossError(fmt::format("the control schema names an unknown phase '{}'", value.value_or("")));
  return *phase;
}

// A request that can never be met is refused where it is made.
absl::Status CheckReachable(const MigrationRow& row, Phase desired, bool confirmed) {
  if (desired < row.phase && row.phase >= Phase::kRetire) {
    return absl::FailedPreconditionError(fmt::format("{} is in {}: from retire on there is no way back, only forward", row.name,
                                                     config::PhaseName(row.phase)));
  }
  if (desired >= Phase::kRetire && desired > row.phase && !confirmed) {
    return absl::FailedPreconditionError(fmt::format("{}: {} cannot be undone and needs a confirmation", row.name, config::PhaseName(desired)));
  }
  return absl::OkStatus();
}

absl::StatusOr<MigrationRow> LockRow(Connection& connection, const config::Config& config, const std::string& name) {
  auto rows = connection.Query(fmt::format("SELECT phase, desired, percent, desired_percent, confirmed FROM {} WHERE name = {} FOR UPDATE",
                                           ControlTable(config, "migrations"), connection.Quote(name)));
  if (!rows.ok()) return rows.status();
  if (rows->rows.empty()) return absl::NotFoundError(fmt::format("no migration named {} in the control schema", name));
  const Row& row = rows->rows[0];
  MigrationRow out;
  out.name = name;
  auto phase = ReadPhase(row[0]);
  auto desired = ReadPhase(row[1]);
  if (!phase.ok()) return phase.status();
  if (!desired.ok()) return desired.status();
  out.phase = *phase;
  out.desired = *desired;
  out.percent = std::atof(row[2].value_or("0").c_str());
  out.desired_percent = std::atof(row[3].value_or("0").c_str());
  out.confirmed = Number(row[4]) != 0;
  return out;
}

absl::Status Ask(Connection& connection, const config::Config& config, const MigrationRow& row, Phase phase, double percent, bool confirmed,
                 const std::string& also) {
  return connection
      .Execute(fmt::format("UPDATE {} SET desired = '{}', desired_percent = {}, confirmed = {}{} WHERE name = {}",
                           ControlTable(config, "migrations"), config::PhaseName(phase), percent, confirmed ? 1 : 0, also,
                           connection.Quote(row.name)))
      .status();
}

absl::Status SyncOne(Connection& connection, const config::Config& config, const config::Migration& migration) {
  const std::string table = ControlTable(config, "migrations");
  auto rows = connection.Query(fmt::format("SELECT declared, declared_percent, spec, phase FROM {} WHERE name = {} FOR UPDATE", table,
                                           connection.Quote(migration.name)));
  if (!rows.ok()) return rows.status();
  const std::string spec = SpecText(migration);
  const std::string_view declared = config::PhaseName(migration.phase);
  if (rows->rows.empty()) {
    auto added = connection.Execute(fmt::format(
        "INSERT INTO {}(name, spec, phase, desired, desired_percent, confirmed, message, declared, declared_percent, changed_epoch, changed_at)"
        " SELECT {}, {}, 'observe', '{}', {}, {}, '', '{}', {}, epoch + 1, UTC_TIMESTAMP(6) FROM {} WHERE id = 1",
        table, connection.Quote(migration.name), connection.Quote(spec), declared, migration.percent, migration.phase >= Phase::kRetire, declared,
        migration.percent, ControlTable(config, "state")));
    if (!added.ok()) return added.status();
    // A migration that observes asks nothing of a proxy, so this change alone need not wait for acknowledgements.
    return connection.Execute(fmt::format("UPDATE {} SET epoch = epoch + 1 WHERE id = 1", ControlTable(config, "state"))).status();
  }
  const Row& row = rows->rows[0];
  auto phase = ReadPhase(row[3]);
  if (!phase.ok()) return phase.status();
  if (row[2] != spec) {
    if (*phase != Phase::kObserve && *phase != Phase::kDone) {
      return absl::FailedPreconditionError(fmt::format(
          "{}: the file describes other tables or columns than those it is migrating (phase {}); restore the earlier description",
          migration.name, config::PhaseName(*phase)));
    }
    auto set = connection.Execute(
        fmt::format("UPDATE {} SET spec = {} WHERE name = {}", table, connection.Quote(spec), connection.Quote(migration.name)));
    if (!set.ok()) return set.status();
    set = connection.Execute(fmt::format("UPDATE {} SET epoch = epoch + 1 WHERE id = 1", ControlTable(config, "state")));
    if (!set.ok()) return set.status();
  }
  const double declared_percent = std::atof(row[1].value_or("0").c_str());
  if (row[0] == declared && declared_percent == migration.percent) return absl::OkStatus();
  auto locked = LockRow(connection, config, migration.name);
  if (!locked.ok()) return locked.status();
  // Writing the phase into the file is the confirmation.
  absl::Status reachable = CheckReachable(*locked, migration.phase, true);
  if (!reachable.ok()) return reachable;
  return Ask(connection, config, *locked, migration.phase, migration.percent, migration.phase >= Phase::kRetire,
             fmt::format(", declared = '{}', declared_percent = {}", declared, migration.percent));
}

}  // namespace

absl::Status SyncDeclared(Connection& connection, const config::Config& config) {
  for (const config::Migration& migration : config.migrations) {
    // Nothing new, as nearly always: then no lock is taken that a process could stop with.
    auto known = connection.Query(fmt::format("SELECT declared, declared_percent, spec FROM {} WHERE name = {}", ControlTable(config, "migrations"),
                                              connection.Quote(migration.name)));
    if (!known.ok()) return known.status();
    if (!known->rows.empty() && known->rows[0][0] == config::PhaseName(migration.phase) &&
        std::atof(known->rows[0][1].value_or("0").c_str()) == migration.percent && known->rows[0][2] == SpecText(migration)) {
      continue;
    }
    const auto sync = [&]() -> absl::Status {
      // The epoch's row first, as ChangeEpoch takes it: one order of locks.
      auto lock = connection.Query(fmt::format("SELECT epoch FROM {} WHERE id = 1 FOR UPDATE", ControlTable(config, "state")));
      if (!lock.ok()) return lock.status();
      return SyncOne(connection, config, migration);
    };
    absl::Status status = Retried([&] { return InTransaction(connection, sync); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<ControlState> ReadState(Connection& connection, const config::Config& config) {
  // One statement, so that epoch and phases are of one moment.
  auto rows = connection.Query(fmt::format(
      "SELECT s.epoch, m.name, m.phase, m.desired, m.percent, m.desired_percent, m.held, m.swapped, m.paused, m.confirmed,"
      " m.message, m.spec, m.changed_epoch, m.building FROM {} AS s LEFT JOIN {} AS m ON TRUE WHERE s.id = 1 ORDER BY m.name",
      ControlTable(config, "state"), ControlTable(config, "migrations")));
  if (!rows.ok()) return rows.status();
  if (rows->rows.empty()) return absl::FailedPreconditionError(std::string("the control schema is not installed"));
  ControlState state;
  state.epoch = Number(rows->rows[0][0]);
  for (const Row& row : rows->rows) {
    if (!row[1]) continue;
    MigrationRow& migration = state.migrations.emplace_back();
    migration.name = *row[1];
    auto phase = ReadPhase(row[2]);
    auto desired = ReadPhase(row[3]);
    if (!phase.ok()) return phase.status();
    if (!desired.ok()) return desired.status();
    migration.phase = *phase;
    migration.desired = *desired;
    migration.percent = std::atof(row[4].value_or("0").c_str());
    migration.desired_percent = std::atof(row[5].value_or("0").c_str());
    migration.held = Number(row[6]) != 0;
    migration.swapped = Number(row[7]) != 0;
    migration.paused = Number(row[8]) != 0;
    migration.confirmed = Number(row[9]) != 0;
    migration.message = row[10].value_or("");
    migration.spec = row[11].value_or("");
    migration.changed_epoch = Number(row[12]);
    migration.building = Number(row[13]) != 0;
  }
  return state;
}

absl::Status SetDesired(Connection& connection, const config::Config& config, const std::string& migration, config::Phase phase,
                        std::optional<double> percent, bool confirmed) {
  if (percent && !(*percent >= 0 && *percent <= 100)) return absl::InvalidArgumentError(std::string("percent must be from 0 to 100"));
  const auto set = [&]() -> absl::Status {
    auto row = LockRow(connection, config, migration);
    if (!row.ok()) return row.status();
    absl::Status reachable = CheckReachable(*row, phase, confirmed);
    if (!reachable.ok()) return reachable;
    return Ask(connection, config, *row, phase, percent.value_or(row->desired_percent), confirmed || row->phase >= Phase::kRetire, "");
  };
  return Retried([&] { return InTransaction(connection, set); });
}

absl::Status SetPaused(Connection& connection, const config::Config& config, const std::string& migration, bool paused) {
  auto known = connection.Query(
      fmt::format("SELECT 1 FROM {} WHERE name = {}", ControlTable(config, "migrations"), connection.Quote(migration)));
  if (!known.ok()) return known.status();
  if (known->rows.empty()) return absl::NotFoundError(fmt::format("no migration named {} in the control schema", migration));
  return connection
      .Execute(fmt::format("UPDATE {} SET paused = {} WHERE name = {}", ControlTable(config, "migrations"), paused ? 1 : 0,
                           connection.Quote(migration)))
      .status();
}

}  // namespace crossfade::backfill

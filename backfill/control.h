// SPDX-License-Identifier: Apache-2.0
// The control schema: desired and actual phases, the epoch, the proxies' leases, key allocators, checkpoints,
// verification results, refused digests and the event log. Every state lives here and nowhere else: whoever
// reads it (a proxy, the migrator, a command) derives what to do from it anew each time.
//
// Epoch: one number for the whole control schema. Every change that a proxy must know of (a phase, a percent, the
// statement gate, the swap of names) raises it by one, in the transaction that makes the change. A change is
// made only when every live proxy has acknowledged the current epoch and none still works under an earlier one,
// so at most two neighbouring epochs are ever live (Rae et al., Online, Asynchronous Schema Change in F1, 2013).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"
#include "rewrite/snapshot.h"

namespace crossfade::backfill {

struct MigrationRow {
  std::string name;
  config::Phase phase = config::Phase::kObserve;
  config::Phase desired = config::Phase::kObserve;
  double percent = 0, desired_percent = 0;
  bool held = false, building = false, swapped = false, paused = false;
  bool confirmed = false;   // the operator said yes to retire or contract
  std::string message;      // what the migrator waits for or last failed at; empty: nothing
  std::string spec;         // the description it was begun with, see SpecText
  uint64_t changed_epoch = 0;  // the epoch at which phase, percent or names last changed
};

struct ControlState {
  uint64_t epoch = 0;
  std::vector<MigrationRow> migrations;
};

struct ProxyRow {
  std::string id;
  uint64_t acked_epoch = 0, oldest_epoch = 0;
  bool alive = false;
  std::string address;
};

// A statement shape that names a migrating table, as the proxies saw it.
struct DigestRow {
  std::string migration, digest, strategy, reason, user;
  uint64_t count = 0;
  std::string first_seen = {}, last_seen = {};  // UTC; of a status
  bool accepted = false;                        // … by the file
};

// All functions are blocking and use `connection`, which belongs to one thread.
// Errors: Unavailable (connection lost: reconnect and try again), or the server's error with its number.
absl::Status InstallControlSchema(Connection& connection, const config::Config& config);

// Enters migrations that the control schema does not know yet and, where the file's `phase:` (or percent) differs
// from the one last read from a file, sets it as the desired one.
absl::Status SyncDeclared(Connection& connection, const config::Config& config);

absl::StatusOr<ControlState> ReadState(Connection& connection, const config::Config& config);
absl::StatusOr<std::vector<ProxyRow>> ReadProxies(Connection& connection, const config::Config& config);

// The snapshot of `state`: specs from the file, tables from INFORMATION_SCHEMA.
absl::StatusOr<std::shared_ptr<const rewrite::Snapshot>> LoadSnapshot(Connection& connection, const config::Config& config,
                                                                      const ControlState& state);

// What a renewal found. While a lease had run out nobody waited for its proxy, so work begun before may be epochs behind.
struct LeaseTerm {
  uint64_t epoch = 0;     // the database's, at the moment of the renewal
  bool unbroken = false;  // the lease was still running
  uint64_t term = 0;      // goes up each time it was not: says so also to whoever never got that answer
};

// Renews (or first takes) the lease of proxy `id` for config.limits.lease from now by the database's clock. In one
// statement that no change of the epoch can overlap; a process that stops within leaves no lock. Not within a transaction.
absl::StatusOr<LeaseTerm> RenewLease(Connection& connection, const config::Config& config, const std::string& id,
                                     const std::string& address, uint64_t acked_epoch, uint64_t oldest_epoch);
absl::Status EndLease(Connection& connection, const config::Config& config, const std::string& id);

// Reserves `count` consecutive new keys of one key migration; returns the first. In one statement. ResourceExhausted: the type
// has not so many left. With `granted`, the last of a type are given in smaller parts, and it says how many these are.
absl::StatusOr<uint64_t> ReserveKeys(Connection& connection, const config::Config& config, const std::string& migration,
                                     const std::string& table, uint64_t count, uint64_t* granted = nullptr);

// The new keys of this table begin behind `last`, if none were reserved so far.
absl::Status StartKeys(Connection& connection, const config::Config& config, const std::string& migration, const std::string& table, uint64_t last);
// … and whether any were.
absl::StatusOr<bool> KeysStarted(Connection& connection, const config::Config& config, const std::string& migration, const std::string& table);

// Adds counts of digests seen since the last call.
absl::Status ReportDigests(Connection& connection, const config::Config& config, const std::vector<DigestRow>& digests);

// How long the application's commands took lately, as proxy `id` saw it, in microseconds.
absl::Status ReportLatency(Connection& connection, const config::Config& config, const std::string& id, double p50, double p99, uint64_t commands);

// `crossfade phase`: sets the desired phase. FailedPrecondition: not reachable (back across retire), or
// retire / contract without `confirmed`.
absl::Status SetDesired(Connection& connection, const config::Config& config, const std::string& migration,
                        config::Phase phase, std::optional<double> percent, bool confirmed);
absl::Status SetPaused(Connection& connection, const config::Config& config, const std::string& migration, bool paused);

}  // namespace crossfade::backfill

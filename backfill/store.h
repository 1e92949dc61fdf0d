// SPDX-License-Identifier: Apache-2.0
// What only the migrator writes to the control schema: epoch changes, messages, events. See control.h for the rest.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "backfill/control.h"
#include "config/config.h"

namespace crossfade::backfill {

// `schema`.`name` of a control table.
std::string ControlTable(const config::Config& config, std::string_view name);
// `schema`.`name` of any table.
std::string TableName(std::string_view schema, std::string_view name);

// What the file says of a migration but its phase and percent, as one text: two specs are the same if these are.
std::string SpecText(const config::Migration& migration);

// The largest value of an integer type as DDL writes it ("int unsigned"); 0: not an integer type.
uint64_t LargestInteger(std::string_view type);

enum class Severity : uint8_t { kInfo, kWarning, kError };
std::string_view SeverityName(Severity severity);

// Appends to the event log and to the process's log. Old events are dropped beyond 10,000.
void AddEvent(Connection& connection, const config::Config& config, std::string_view migration, Severity severity,
              std::string_view text);

// Sets migrations.message, where it differs.
absl::Status SetMessage(Connection& connection, const config::Config& config, const MigrationRow& row, std::string_view message);

// Runs `body` in a transaction; rolled back if it fails.
absl::Status InTransaction(Connection& connection, const std::function<absl::Status()>& body);

// Runs `work`, and again for up to a second where the server took it for a deadlock's victim (1213). MySQL finds deadlocks among
// metadata locks too: a look at INFORMATION_SCHEMA meets one while another session alters a table.
absl::Status Retried(const std::function<absl::Status()>& work);

// INSERT INTO `into` VALUES `rows` ON DUPLICATE KEY UPDATE `update`, many rows in one statement. None of it is a transaction that a
// process could stop in, with rows locked that other proxies report to.
absl::Status InsertRows(Connection& connection, const std::string& into, const std::vector<std::string>& rows, const std::string& update);

// True once every live proxy works under `epoch` and nothing older is in flight; else `*waiting_for` says who is awaited.
absl::StatusOr<bool> Drained(Connection& connection, const config::Config& config, uint64_t epoch, std::string* waiting_for);

struct EpochChange {
  std::string assignments;         // of the migration's row: "phase = 'verify', percent = 0"
  bool restarts_work = true;       // sets changed_epoch: what was verified before does not count any more
  bool wait_for_drain = true;      // false only where the new state equals the one before the last change
  std::function<absl::Status()> also;  // in the same transaction
};

// The one way to change what proxies see: raises the epoch with the change, in one transaction, if the epoch still is
// `epoch`. Aborted: another writer was there first, or "waits for …": a live proxy is not yet there.
absl::Status ChangeEpoch(Connection& connection, const config::Config& config, uint64_t epoch, std::string_view migration,
                         const EpochChange& change);

}  // namespace crossfade::backfill

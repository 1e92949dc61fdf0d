// SPDX-License-Identifier: Apache-2.0
// The migrator's writes to the control schema.
#include "backfill/store.h"

#include <chrono>
#include <thread>

#include "backfill/failpoint.h"
#include "backfill/fence.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"

namespace crossfade::backfill {

std::string ControlTable(const config::Config& config, std::string_view name) {
  return TableName(config.control.schema, name);
}

std::string TableName(std::string_view schema, std::string_view name) {
  return QuoteName(schema) + "." + QuoteName(name);
}

std::string SpecText(const config::Migration& migration) {
  std::string out = fmt::format("schema {}\n", migration.schema);
  for (const config::KeyMigration& key : migration.keys) {
    out += fmt::format("key {}.{} -> {} {} final '{}' old_from '{}' keep_old_lookup {}\n", key.table, key.old_column, key.new_column,
                       key.new_type, key.final_name, key.old_from, key.keep_old_lookup);
    if (!key.from.empty()) out += fmt::format("  from {} back {}\n", key.from, key.back);
    for (const config::KeyReference& reference : key.references) {
      out += fmt::format("  reference {}.{} -> {} final '{}'\n", reference.table, reference.old_column, reference.new_column,
                         reference.final_name);
    }
  }
  for (const config::ColumnMigration& columns : migration.columns) {
    if (columns.of_key) continue;
    out += fmt::format("columns {} final '{}'\n", columns.table, columns.final_name);
    for (const std::string& old : columns.old_columns) out += fmt::format("  old {}\n", old);
    for (const config::NewColumn& column : columns.new_columns) {
      out += fmt::format("  new {} {} from {}\n", column.name, column.type, column.from);
    }
    for (const auto& back : columns.back) out += fmt::format("  back {} {}\n", back.column, back.expression);
  }
  return out;
}

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kInfo: return "info";
    case Severity::kWarning: return "warning";
    case Severity::kError: return "error";
  }
  return "error";
}

void AddEvent(Connection& connection, const config::Config& config, std::string_view migration, Severity severity,
              std::string_view text) {
  switch (severity) {
    case Severity::kInfo: spdlog::info("{}: {}", migration, text); break;
    case Severity::kWarning: spdlog::warn("{}: {}", migration, text); break;
    case Severity::kError: spdlog::error("{}: {}", migration, text); break;
  }
  // The log is a comfort: a failure to write it must not fail what it tells of.
  const std::string events = ControlTable(config, "events");
  auto added = connection.Execute(fmt::format("INSERT INTO {}(at, migration, severity, text) VALUES (UTC_TIMESTAMP(6), {}, '{}', {})", events,
                                              connection.Quote(migration), SeverityName(severity),
                                              connection.Quote(text.substr(0, 16'000))));
  if (added.ok()) {
    (void)connection.Execute(fmt::format("DELETE FROM {} WHERE id < LAST_INSERT_ID() - 10000", events));
  }
}

absl::Status SetMessage(Connection& connection, const config::Config& config, const MigrationRow& row, std::string_view message) {
  if (row.message == message) return absl::OkStatus();
  return connection
      .Execute(fmt::format("UPDATE {} SET message = {} WHERE name = {}", ControlTable(config, "migrations"), connection.Quote(message),
                           connection.Quote(row.name)))
      .status();
}

absl::Status InTransaction(Connection& connection, const std::function<absl::Status()>& body) {
  auto begun = connection.Execute("START TRANSACTION");
  if (!begun.ok()) return begun.status();
  absl::Status status = body();
  if (status.ok()) status = connection.Execute("COMMIT").status();
  if (!status.ok()) (void)connection.Execute("ROLLBACK");
  return status;
}

absl::Status Retried(const std::function<absl::Status()>& work) {
  constexpr uint32_t kDeadlock = 1213;
  absl::Status status = work();
  for (int pause = 10; pause <= 640 && ServerError(status) == kDeadlock; pause *= 2) {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    status = work();
  }
  return status;
}

absl::Status InsertRows(Connection& connection, const std::string& into, const std::vector<std::string>& rows, const std::string& update) {
  constexpr size_t kMostBytes = 256 * 1024, kMostRows = 200;
  for (size_t i = 0; i < rows.size();) {
    std::string sql = fmt::format("INSERT INTO {} VALUES ", into);
    const size_t begin = i;
    for (; i < rows.size() && i - begin < kMostRows && (i == begin || sql.size() + rows[i].size() < kMostBytes); ++i) sql += (i == begin ? "" : ", ") + rows[i];
    absl::Status added = connection.Execute(sql + " ON DUPLICATE KEY UPDATE " + update).status();
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Drained(Connection& connection, const config::Config& config, uint64_t epoch, std::string* waiting_for) {
  auto behind = connection.Query(fmt::format(
      "SELECT id, acked_epoch, oldest_epoch FROM {} AS p WHERE {} AND (acked_epoch < {} OR oldest_epoch < {}) ORDER BY id",
      ControlTable(config, "proxies"), LiveLease("p"), epoch, epoch));
  if (!behind.ok()) return behind.status();
  waiting_for->clear();
  for (const Row& row : behind->rows) {
    if (!waiting_for->empty()) *waiting_for += ", ";
    *waiting_for += fmt::format("proxy {} (acknowledged epoch {}, oldest transaction under {}, now {})", row[0].value_or(""),
                                row[1].value_or(""), row[2].value_or(""), epoch);
  }
  if (!behind->rows.empty()) return false;
  auto unfenced = UnfencedConnections(connection, config);
  if (!unfenced.ok()) return unfenced.status();
  *waiting_for = *std::move(unfenced);
  return waiting_for->empty();
}

absl::Status ChangeEpoch(Connection& connection, const config::Config& config, uint64_t epoch, std::string_view migration,
                         const EpochChange& change) {
  CROSSFADE_FAILPOINT("epoch.before", fmt::format("{}: {}", migration, change.assignments));
  absl::Status status = InTransaction(connection, [&]() -> absl::Status {
    auto locked = connection.Query(fmt::format("SELECT epoch FROM {} WHERE id = 1 FOR UPDATE", ControlTable(config, "state")));
    if (!locked.ok()) return locked.status();
    if (locked->rows.empty() || locked->rows[0][0] != std::to_string(epoch)) {
      return absl::AbortedError(std::string("another change of the epoch came first"));
    }
    if (change.wait_for_drain) {
      std::string waiting_for;
      auto drained = Drained(connection, config, epoch, &waiting_for);
      if (!drained.ok()) return drained.status();
      if (!*drained) return absl::AbortedError(fmt::format("waits for {}", waiting_for));
      // Who was not waited for is told so by its next renewal, whatever the clock says by then.
      auto fenced = connection.Execute(fmt::format("UPDATE {} SET fenced = 1 WHERE expires <= UTC_TIMESTAMP(6) AND fenced = 0", ControlTable(config, "proxies")));
      if (!fenced.ok()) return fenced.status();
    }
    const std::string restart = change.restarts_work ? fmt::format(", changed_epoch = {}", epoch + 1) : std::string();
    auto set = connection.Execute(fmt::format("UPDATE {} SET {}{}, changed_at = UTC_TIMESTAMP(6) WHERE name = {}",
                                              ControlTable(config, "migrations"), change.assignments, restart,
                                              connection.Quote(migration)));
    if (!set.ok()) return set.status();
    if (change.also != nullptr) {
      absl::Status status = change.also();
      if (!status.ok()) return status;
    }
    absl::Status raised =
        connection.Execute(fmt::format("UPDATE {} SET epoch = {} WHERE id = 1", ControlTable(config, "state"), epoch + 1)).status();
    CROSSFADE_FAILPOINT("epoch.set", fmt::format("{}: {}", migration, change.assignments));
    return raised;
  });
  if (status.ok()) CROSSFADE_FAILPOINT("epoch.after", fmt::format("{}: {}", migration, change.assignments));
  return status;
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// Runs schema changes with short metadata lock waits.
#include "backfill/alter.h"

#include <algorithm>

#include "backfill/failpoint.h"
#include "backfill/lock_watch.h"
#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr uint32_t kDuplicate = 1062, kLockWait = 1205, kInterrupted = 1317;
constexpr int kTriesOfRebuild = 5;

}  // namespace

std::string Blocker(Connection& connection, const std::vector<std::pair<std::string, std::string>>& tables) {
  std::string mysql, maria;
  for (const auto& [schema, table] : tables) {
    mysql += fmt::format("{}(m.object_schema = {} AND m.object_name = {})", mysql.empty() ? "" : " OR ", connection.Quote(schema), connection.Quote(table));
    maria += fmt::format("{}(m.table_schema = {} AND m.table_name = {})", maria.empty() ? "" : " OR ", connection.Quote(schema), connection.Quote(table));
  }
  constexpr char kWho[] = "SELECT p.id, COALESCE(p.user, '?'), COALESCE(p.host, '?'), p.command, p.time FROM ";
  constexpr char kLongest[] = " AND p.id <> CONNECTION_ID() ORDER BY p.time DESC LIMIT 1";
  for (const std::string& sql :
       {fmt::format("{}performance_schema.metadata_locks AS m JOIN performance_schema.threads AS t ON t.thread_id = m.owner_thread_id"
                    " JOIN information_schema.processlist AS p ON p.id = t.processlist_id WHERE m.lock_status = 'GRANTED' AND ({}){}", kWho, mysql, kLongest),
        fmt::format("{}information_schema.metadata_lock_info AS m JOIN information_schema.processlist AS p ON p.id = m.thread_id WHERE ({}){}", kWho, maria, kLongest)}) {
    auto rows = connection.Query(sql);
    if (!rows.ok() || rows->rows.empty()) continue;
    const Row& row = rows->rows[0];
    return fmt::format("it is held by connection {} ({}@{}, {} for {} s)", row[0].value_or(""), row[1].value_or(""), row[2].value_or(""),
                       row[3] == "Sleep" ? "idle in a transaction" : row[3].value_or(""), row[4].value_or(""));
  }
  auto rows = connection.Query(
      "SELECT t.trx_mysql_thread_id, t.trx_started, COALESCE(p.user, '?'), COALESCE(p.host, '?') FROM information_schema.innodb_trx AS t"
      " LEFT JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id WHERE t.trx_mysql_thread_id <> CONNECTION_ID()"
      " ORDER BY t.trx_started LIMIT 1");
  if (!rows.ok() || rows->rows.empty()) return "";
  const Row& row = rows->rows[0];
  if (row[0] == "0") {  // of no connection
    auto prepared = connection.Query("XA RECOVER");
    if (prepared.ok() && !prepared->rows.empty()) return "a transaction was prepared for XA and left by its connection (XA RECOVER shows it); commit it or roll it back";
  }
  return fmt::format("the oldest transaction is that of connection {} ({}@{}), whose transaction is open since {}", row[0].value_or(""), row[2].value_or(""),
                     row[3].value_or(""), row[1].value_or(""));
}

absl::Status RunAlter(Connection& connection, const config::Config& config, const std::string& migration, const Alter& alter) {
  const int64_t wait = std::max<int64_t>(1, (config.limits.ddl_lock_wait.count() + 999) / 1000);
  // Row locks too: MariaDB's ALTER of a parent locks its children in InnoDB while it holds the metadata lock, and a transaction
  // that wrote a child and now wants the parent waits for that. Nobody detects this deadlock; by default it lasts 50 s.
  auto set = connection.Execute(fmt::format("SET SESSION lock_wait_timeout = {0}, innodb_lock_wait_timeout = {0}, foreign_key_checks = {1}", wait,
                                            alter.skip_foreign_key_checks ? 0 : 1));
  if (!set.ok()) return set.status();
  const std::string sql = AlterSql(alter);
  CROSSFADE_FAILPOINT("alter.before", sql);
  auto watch = LockWatch::Start(config, connection, config.limits.ddl_lock_wait);
  if (!watch.ok()) return watch.status();
  absl::Status status = connection.Execute(sql).status();
  // MySQL replays the changes made meanwhile row by row: an UPDATE of the old primary key puts the row in before it takes it
  // out, which the rebuilt table finds to be a duplicate. The new keys themselves have been proved unique by then.
  for (int tries = 1; tries < kTriesOfRebuild && ServerError(status) == kDuplicate; ++tries) status = connection.Execute(sql).status();
  const bool withdrawn = *watch != nullptr && (*watch)->Stop();
  if (!absl::IsUnavailable(status)) (void)connection.Execute("SET SESSION foreign_key_checks = 1");
  if (status.ok()) {
    CROSSFADE_FAILPOINT("alter.after", sql);
    AddEvent(connection, config, migration, Severity::kInfo, sql);
    return status;
  }
  const uint32_t error = ServerError(status);
  if (error == kLockWait || (error == kInterrupted && withdrawn)) {
    const std::string blocker = Blocker(connection, {{alter.schema, alter.table}});
    return absl::AbortedError(fmt::format("{}.{} is in use: its metadata lock was not free within {} ms{}{}; will be tried again", alter.schema,
                                          alter.table, config.limits.ddl_lock_wait.count(), blocker.empty() ? "" : "; ", blocker));
  }
  if (error == 1845 || error == 1846) {
    return absl::FailedPreconditionError(fmt::format("the engine cannot do this without copying or locking the table: {}: {}", sql,
                                                     std::string(status.message())));
  }
  if (absl::IsUnavailable(status) || absl::IsAborted(status)) return status;
  return absl::FailedPreconditionError(fmt::format("{}: {}", sql, std::string(status.message())));
}

absl::Status RunAlters(Connection& connection, const config::Config& config, const std::string& migration, const std::vector<Alter>& alters) {
  for (const Alter& alter : alters) {
    absl::Status status = RunAlter(connection, config, migration, alter);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace crossfade::backfill

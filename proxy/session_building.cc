// SPDX-License-Identifier: Apache-2.0
// While a table is altered online (`building`, see backfill/building.cc), a transaction takes the metadata locks of the migration's
// tables for writing before its first statement on one of them: one that reads first and writes later would be the deadlock's victim
// of an ALTER that waits for the table in between. A locking SELECT of no row takes them, and no lock of a row.
#include <algorithm>

#include "fmt/format.h"
#include "protocol/constants.h"
#include "proxy/metrics.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "rewrite/names.h"
#include "rewrite/touch.h"

namespace crossfade::proxy {
namespace {

constexpr size_t kMostTables = 60;  // in one query: the servers join 61
constexpr uint16_t kDeadlock = 1213, kLockWait = 1205, kInterrupted = 1317;

// Each table once, quoted, with its schema.
std::vector<std::string> TablesOf(const config::Migration& migration) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& table) {
    std::string name = rewrite::QuoteName(migration.schema) + "." + rewrite::QuoteName(table);
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
  };
  for (const config::KeyMigration& key : migration.keys) {
    add(key.table);
    for (const config::KeyReference& reference : key.references) add(reference.table);
  }
  for (const config::ColumnMigration& columns : migration.columns) add(columns.table);
  return out;
}

}  // namespace

// kRelay: go on. What the user has no right to write, or the session cannot, it will not write later either: such errors are not told.
// A deadlock, a lock that does not come and a KILL are: the client's own statement would have met them.
awaitable<Session::Action> Session::TakeTables(rewrite::MigrationSet migrations, std::string_view sql) {
  migrations &= ~taken_;
  if (migrations.none() || rewrite::AsksForTheLast(sql)) co_return kRelay;
  taken_ |= migrations;
  std::vector<std::string> tables;
  for (size_t i = 0; i < pinned_->snapshot->migrations.size(); ++i) {
    if (!migrations[i]) continue;
    for (std::string& name : TablesOf(pinned_->snapshot->migrations[i].spec)) tables.push_back(std::move(name));
  }
  std::vector<std::vector<std::string>> asked;  // a query each
  for (size_t i = 0; i < tables.size(); i += kMostTables) asked.emplace_back(tables.begin() + i, tables.begin() + std::min(tables.size(), i + kMostTables));
  for (size_t i = 0; i < asked.size(); ++i) {
    std::string from;
    for (size_t j = 0; j < asked[i].size(); ++j) from += fmt::format("{}{} AS t{}", j == 0 ? "" : ", ", asked[i][j], j);
    const std::string command = QueryCommand("SELECT 1 FROM " + from + " WHERE FALSE FOR UPDATE");
    protocol::ReplyTracker tracker;
    std::string reply;
    const bool alive = co_await HiddenCommand(command, &tracker, &reply);
    if (!alive) co_return kEnd;
    if (!tracker.is_error()) continue;
    const uint16_t error = tracker.error_code();
    if (error == kDeadlock || error == kLockWait || error == kInterrupted) {
      const bool known = co_await LearnTransactionState();
      if (!known) co_return kEnd;
      tracker_.set_status(status_);
      const std::string payload(tracker.last_packet());
      uint8_t sequence = AfterCommand();
      const bool sent = co_await WriteMessage(&client_, &sequence, payload);
      co_return sent ? kAnswered : kEnd;
    }
    // One of them is not to be had: each by itself.
    if (asked[i].size() > 1) {
      const std::vector<std::string> each = asked[i];
      for (const std::string& table : each) asked.push_back({table});
    }
  }
  co_return kRelay;
}

// Of statements that name no migrating table, but one that a foreign key ties to it, and may take its lock for reading so.
awaitable<Session::Action> Session::TakeTablesOfRelatives(protocol::Command command, std::string_view payload) {
  if ((pinned_->building & ~taken_).none() || !NamesRelative(*pinned_->snapshot->kin, command, payload)) co_return kRelay;
  const std::string_view sql = command == protocol::Command::kQuery ? payload : std::string_view(FindPrepared(payload)->text);
  co_return co_await TakeTables(pinned_->building, sql);
}

}  // namespace crossfade::proxy

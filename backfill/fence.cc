// SPDX-License-Identifier: Apache-2.0
// See fence.h. Connections are told apart by id and by the peer that the server shows for them: after a restart of the server
// another one may have the id.
#include "backfill/fence.h"

#include <chrono>
#include <thread>

#include "backfill/failpoint.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"

namespace crossfade::backfill {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kNoSuchThread = 1094;
constexpr uint32_t kInterrupted = 1317;
constexpr milliseconds kPatience{500}, kLook{5};

struct Entry {
  std::string proxy;
  uint64_t id = 0;
  std::string host;
};

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

std::string IdList(const std::vector<uint64_t>& ids) {
  std::string list;
  for (uint64_t id : ids) list += fmt::format("{}{}", list.empty() ? "" : ", ", id);
  return list;
}

std::vector<Entry> Entries(const Rows& rows) {
  std::vector<Entry> entries;
  for (const Row& row : rows.rows) entries.push_back({row[0].value_or(""), Number(row[1]), row[2].value_or("")});
  return entries;
}

absl::StatusOr<uint64_t> LockEpoch(Connection& connection, const config::Config& config, const char* how) {
  auto state = connection.Query(fmt::format("SELECT epoch FROM {} WHERE id = 1 {}", ControlTable(config, "state"), how));
  if (!state.ok()) return state.status();
  if (state->rows.empty()) return absl::InternalError(std::string("the control schema has lost its state row"));
  return Number(state->rows[0][0]);
}

std::string LostSql(const config::Config& config) {
  return fmt::format("SELECT c.proxy, c.connection_id, c.host FROM {} AS c LEFT JOIN {} AS p ON p.id = c.proxy WHERE c.leader = 0 AND (p.id IS NULL OR NOT ({}))",
                     ControlTable(config, "connections"), ControlTable(config, "proxies"), LiveLease("p"));
}

// True: it is gone.
absl::StatusOr<bool> KillOne(Connection& connection, const std::map<uint64_t, std::string>& there, const Entry& entry) {
  const auto at = there.find(entry.id);
  // Not there, or somebody else's by now. (MySQL stops showing one that has only its rollback left.)
  if (!entry.host.empty() && (at == there.end() || at->second != entry.host)) return true;
  const absl::Status killed = connection.Execute(fmt::format("KILL CONNECTION {}", entry.id)).status();
  if (ServerError(killed) == kNoSuchThread) return true;
  if (!killed.ok() && ServerError(killed) != kInterrupted) return killed;
  return false;
}

// Kills all of them and waits for their end, at most kPatience. Gives those that are still there.
absl::StatusOr<std::vector<Entry>> KillAll(Connection& connection, const config::Config& config, std::vector<Entry> entries, std::string* why) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    std::vector<uint64_t> ids;
    for (const Entry& entry : entries) ids.push_back(entry.id);
    auto there = FindConnections(connection, ids);
    if (!there.ok()) return there.status();
    std::vector<Entry> left;
    std::map<std::string, std::map<uint64_t, std::string>> gone;
    for (const Entry& entry : entries) {
      auto ended = KillOne(connection, *there, entry);
      if (absl::IsUnavailable(ended.status())) return ended.status();
      if (!ended.ok()) *why = std::string(ended.status().message());
      if (ended.ok() && *ended) {
        gone[entry.proxy][entry.id] = entry.host;
      } else {
        left.push_back(entry);
      }
    }
    for (const auto& [proxy, killed] : gone) {
      CROSSFADE_FAILPOINT("fence.killed", proxy);
      absl::Status forgotten = ForgetConnections(connection, config, proxy, killed);
      if (!forgotten.ok()) return forgotten;
      CROSSFADE_FAILPOINT("fence.forgotten", proxy);
    }
    if (left.empty() || std::chrono::steady_clock::now() >= until) return left;
    entries = std::move(left);
    std::this_thread::sleep_for(kLook);
  }
}

std::string Text(const std::vector<Entry>& left, const std::string& why) {
  std::string text;
  for (const Entry& entry : left) {
    text += fmt::format("{}connection {} of proxy {}, whose lease ran out", text.empty() ? "" : ", ", entry.id, entry.proxy);
    if (text.size() > 500) break;
  }
  if (!text.empty() && !why.empty()) text += ": " + why;
  return text;
}

}  // namespace

std::string LiveLease(std::string_view alias) { return fmt::format("{0}.expires > UTC_TIMESTAMP(6) AND {0}.fenced = 0", alias); }

absl::StatusOr<std::map<uint64_t, std::string>> FindConnections(Connection& connection, const std::vector<uint64_t>& ids) {
  std::map<uint64_t, std::string> found;
  if (ids.empty()) return found;
  auto rows = connection.Query("SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE ID IN (" + IdList(ids) + ")");
  if (!rows.ok()) return rows.status();
  for (const Row& row : rows->rows) found[Number(row[0])] = row[1].value_or("");
  return found;
}

absl::StatusOr<bool> RegisterConnections(Connection& connection, const config::Config& config, const std::string& proxy,
                                         const std::map<uint64_t, std::string>& hosts) {
  std::string rows;
  for (const auto& [id, host] : hosts) {
    rows += rows.empty() ? fmt::format("SELECT {} AS id, {} AS host", id, connection.Quote(host)) : fmt::format(" UNION ALL SELECT {}, {}", id, connection.Quote(host));
  }
  if (rows.empty()) return false;
  // One statement, so that a process that stops now holds no lock. The epoch's row first, as FenceLost and ChangeEpoch take it.
  auto registered = connection.Execute(fmt::format(
      "REPLACE INTO {}(proxy, connection_id, host, leader) SELECT STRAIGHT_JOIN p.id, v.id, v.host, 0 FROM {} AS s JOIN {} AS p JOIN ({}) AS v"
      " WHERE s.id = 1 AND p.id = {} AND {} LOCK IN SHARE MODE",
      ControlTable(config, "connections"), ControlTable(config, "state"), ControlTable(config, "proxies"), rows, connection.Quote(proxy), LiveLease("p")));
  if (!registered.ok()) return registered.status();
  return *registered > 0;
}

absl::Status ForgetConnections(Connection& connection, const config::Config& config, const std::string& proxy, const std::map<uint64_t, std::string>& hosts) {
  if (hosts.empty()) return absl::OkStatus();
  std::string list;
  for (const auto& [id, host] : hosts) list += fmt::format("{}({}, {})", list.empty() ? "" : ", ", id, connection.Quote(host));
  return connection
      .Execute(fmt::format("DELETE FROM {} WHERE proxy = {} AND (connection_id, host) IN ({})", ControlTable(config, "connections"), connection.Quote(proxy), list))
      .status();
}

absl::StatusOr<std::string> UnfencedConnections(Connection& connection, const config::Config& config) {
  auto rows = connection.Query(LostSql(config));
  if (!rows.ok()) return rows.status();
  return Text(Entries(*rows), "");
}

absl::StatusOr<std::string> FenceLost(Connection& connection, const config::Config& config) {
  auto lost = connection.Query(LostSql(config) + " LIMIT 1");
  if (!lost.ok()) return lost.status();
  if (lost->rows.empty()) return std::string();
  CROSSFADE_FAILPOINT("fence.lost", "");
  std::vector<Entry> entries;
  absl::Status status = InTransaction(connection, [&]() -> absl::Status {
    auto epoch = LockEpoch(connection, config, "FOR UPDATE");
    if (!epoch.ok()) return epoch.status();
    auto rows = connection.Query(LostSql(config));
    if (!rows.ok()) return rows.status();
    entries = Entries(*rows);
    // Its next renewal tells it, whatever a clock says by then.
    return connection
        .Execute(fmt::format("UPDATE {} SET fenced = 1 WHERE expires <= UTC_TIMESTAMP(6) AND fenced = 0", ControlTable(config, "proxies")))
        .status();
  });
  if (!status.ok()) return status;
  CROSSFADE_FAILPOINT("fence.fenced", "");
  const size_t count = entries.size();
  std::string why;
  auto left = KillAll(connection, config, std::move(entries), &why);
  if (!left.ok()) return left.status();
  if (count > left->size()) spdlog::info("migrator: ended {} connections of proxies whose leases ran out", count - left->size());
  return Text(*left, why);
}

absl::StatusOr<std::string> TakeLead(Connection& connection, const config::Config& config, const std::string& proxy) {
  const std::string connections = ControlTable(config, "connections");
  auto rows = connection.Query(fmt::format("SELECT proxy, connection_id, host FROM {} WHERE leader = 1 AND connection_id <> {}", connections, connection.thread_id()));
  if (!rows.ok()) return rows.status();
  std::string why;
  auto left = KillAll(connection, config, Entries(*rows), &why);
  if (!left.ok()) return left.status();
  if (!left->empty() || proxy.empty()) return Text(*left, why);
  auto host = FindConnections(connection, {connection.thread_id()});
  if (!host.ok()) return host.status();
  absl::Status status = InTransaction(connection, [&]() -> absl::Status {
    auto epoch = LockEpoch(connection, config, "FOR UPDATE");
    if (!epoch.ok()) return epoch.status();
    auto set = connection.Execute(fmt::format("INSERT INTO {0}(proxy, connection_id, host, leader) VALUES ({1}, {2}, {3}, 1) ON DUPLICATE KEY UPDATE host = {3}, leader = 1",
                                              connections, connection.Quote(proxy), connection.thread_id(), connection.Quote((*host)[connection.thread_id()])));
    if (!set.ok()) return set.status();
    return connection
        .Execute(fmt::format("REPLACE INTO {}(id, proxy, connection_id, since) VALUES (1, {}, {}, UTC_TIMESTAMP(6))", ControlTable(config, "leader"),
                             connection.Quote(proxy), connection.thread_id()))
        .status();
  });
  if (!status.ok()) return status;
  return std::string();
}

absl::StatusOr<std::string> DislodgeLeader(Connection& connection, const config::Config& config, const std::string& lock_name) {
  // Whoever has just started has a lease before long.
  const int64_t grace = std::chrono::microseconds(config.limits.lease).count();
  auto rows = connection.Query(fmt::format("SELECT l.connection_id, l.proxy FROM {} AS l LEFT JOIN {} AS p ON p.id = l.proxy WHERE l.id = 1 AND l.connection_id = IS_USED_LOCK({})"
                                           " AND IF(p.id IS NULL, l.since < UTC_TIMESTAMP(6) - INTERVAL {} MICROSECOND, NOT ({}))",
                                           ControlTable(config, "leader"), ControlTable(config, "proxies"), connection.Quote(lock_name), grace, LiveLease("p")));
  if (!rows.ok()) return rows.status();
  if (rows->rows.empty()) return std::string();
  absl::Status killed = connection.Execute("KILL CONNECTION " + rows->rows[0][0].value_or("0")).status();
  if (!killed.ok() && ServerError(killed) != kNoSuchThread) return killed;
  return fmt::format("the leader, proxy {}, has lost its lease; its connection {} was ended", rows->rows[0][1].value_or(""), rows->rows[0][0].value_or(""));
}

absl::StatusOr<Connection> OpenWorker(Connection& main, const config::Config& config) {
  auto leader = main.Query(fmt::format("SELECT proxy FROM {} WHERE id = 1 AND connection_id = {}", ControlTable(config, "leader"), main.thread_id()));
  if (!leader.ok()) return leader.status();
  auto opened = Connection::Open(config);
  if (!opened.ok() || leader->rows.empty()) return opened;
  auto host = FindConnections(main, {opened->thread_id()});
  if (!host.ok()) return host.status();
  // On the leader's own connection: whoever is none any more has none.
  absl::Status added = main.Execute(fmt::format("INSERT INTO {0}(proxy, connection_id, host, leader) VALUES ({1}, {2}, {3}, 1) ON DUPLICATE KEY UPDATE host = {3}, leader = 1",
                                                ControlTable(config, "connections"), main.Quote(leader->rows[0][0].value_or("")), opened->thread_id(),
                                                main.Quote((*host)[opened->thread_id()])))
                           .status();
  if (!added.ok()) return added;
  return opened;
}

}  // namespace crossfade::backfill

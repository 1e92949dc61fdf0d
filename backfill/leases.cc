// SPDX-License-Identifier: Apache-2.0
// What proxies write: leases, reserved keys, the digests they saw.
#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include "backfill/control.h"
#include "backfill/fence.h"
#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

// The largest key that the type of the new column of `table` holds.
uint64_t LargestKey(const config::Config& config, const std::string& migration, const std::string& table) {
  const config::Migration* spec = config.FindMigration(migration);
  if (spec == nullptr) return std::numeric_limits<uint64_t>::max();
  for (const config::KeyMigration& key : spec->keys) {
    if (key.table == table) return LargestInteger(key.new_type);
  }
  return std::numeric_limits<uint64_t>::max();
}

}  // namespace

uint64_t LargestInteger(std::string_view type) {
  std::string lower;
  for (char c : type) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::pair<std::string_view, int> kWidths[] = {{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}, {"bigint", 64}};
  for (const auto& [name, bits] : kWidths) {
    if (lower.rfind(name, 0) != 0) continue;
    const bool is_unsigned = lower.find("unsigned") != std::string::npos;
    return std::numeric_limits<uint64_t>::max() >> (64 - bits + (is_unsigned ? 0 : 1));
  }
  return 0;
}

absl::StatusOr<std::vector<ProxyRow>> ReadProxies(Connection& connection, const config::Config& config) {
  auto rows = connection.Query(fmt::format(
      "SELECT id, acked_epoch, oldest_epoch, {}, address FROM {} AS p ORDER BY id", LiveLease("p"), ControlTable(config, "proxies")));
  if (!rows.ok()) return rows.status();
  std::vector<ProxyRow> out;
  for (const Row& row : rows->rows) {
    ProxyRow& proxy = out.emplace_back();
    proxy.id = row[0].value_or("");
    proxy.acked_epoch = Number(row[1]);
    proxy.oldest_epoch = Number(row[2]);
    proxy.alive = row[3] == "1";
    proxy.address = row[4].value_or("");
  }
  return out;
}

absl::StatusOr<LeaseTerm> RenewLease(Connection& connection, const config::Config& config, const std::string& id,
                                     const std::string& address, uint64_t acked_epoch, uint64_t oldest_epoch) {
  const std::string state = ControlTable(config, "state"), proxies = ControlTable(config, "proxies"), name = connection.Quote(id);
  const int64_t lease = std::chrono::microseconds(config.limits.lease).count();
  auto before = connection.Query(fmt::format("SELECT term FROM {} WHERE id = {}", proxies, name));
  if (!before.ok()) return before.status();
  // One statement, so that a process that stops now holds no lock: ChangeEpoch takes the state's row before it reads the leases.
  // `term` first: the assignments behind it change what it asks for.
  auto renewed = connection.Execute(fmt::format(
      "INSERT INTO {0}(id, address, acked_epoch, oldest_epoch, started, expires, term) SELECT {1}, {2}, {3}, {4}, UTC_TIMESTAMP(6),"
      " UTC_TIMESTAMP(6) + INTERVAL {5} MICROSECOND, 1 FROM {6} AS s WHERE s.id = 1 LOCK IN SHARE MODE ON DUPLICATE KEY UPDATE"
      " term = term + IF(expires > UTC_TIMESTAMP(6) AND fenced = 0, 0, 1), address = {2}, acked_epoch = {3}, oldest_epoch = {4},"
      " expires = UTC_TIMESTAMP(6) + INTERVAL {5} MICROSECOND, fenced = 0",
      proxies, name, connection.Quote(address), acked_epoch, oldest_epoch, lease, state));
  if (!renewed.ok()) return renewed.status();
  if (*renewed == 0) return absl::InternalError(std::string("the control schema has lost its state row"));
  // The epoch may have changed since: a later one only makes the fence stricter.
  auto after = connection.Query(fmt::format("SELECT s.epoch, p.term FROM {} AS s JOIN {} AS p ON p.id = {} WHERE s.id = 1", state, proxies, name));
  if (!after.ok()) return after.status();
  if (after->rows.empty()) return absl::AbortedError(std::string("the lease was taken away as it was renewed"));
  LeaseTerm term;
  term.epoch = Number(after->rows[0][0]);
  term.term = Number(after->rows[0][1]);
  term.unbroken = !before->rows.empty() && Number(before->rows[0][0]) == term.term;
  return term;
}

absl::Status EndLease(Connection& connection, const config::Config& config, const std::string& id) {
  auto ended = connection.Execute(fmt::format("DELETE FROM {} WHERE id = {}", ControlTable(config, "proxies"), connection.Quote(id)));
  if (!ended.ok()) return ended.status();
  ended = connection.Execute(fmt::format("DELETE FROM {} WHERE proxy = {}", ControlTable(config, "latency"), connection.Quote(id)));
  if (!ended.ok()) return ended.status();
  // Rows of proxies that died long ago, so that the table does not grow with every crash.
  return connection
      .Execute(fmt::format("DELETE FROM {} WHERE expires < UTC_TIMESTAMP(6) - INTERVAL 1 DAY", ControlTable(config, "proxies")))
      .status();
}

absl::Status ReportLatency(Connection& connection, const config::Config& config, const std::string& id, double p50, double p99, uint64_t commands) {
  return connection
      .Execute(fmt::format("INSERT INTO {0}(proxy, at, p50_us, p99_us, commands) VALUES ({1}, UTC_TIMESTAMP(6), {2}, {3}, {4}) ON DUPLICATE KEY UPDATE"
                           " at = UTC_TIMESTAMP(6), p50_us = {2}, p99_us = {3}, commands = {4}",
                           ControlTable(config, "latency"), connection.Quote(id), p50, p99, commands))
      .status();
}

absl::StatusOr<uint64_t> ReserveKeys(Connection& connection, const config::Config& config, const std::string& migration,
                                     const std::string& table, uint64_t count, uint64_t* granted) {
  const uint64_t largest = LargestKey(config, migration, table);
  // The last of a type come in parts, since others want some too.
  const auto part = [&](uint64_t first) { return count - 1 <= largest - first ? count : std::max<uint64_t>(1, std::min(count, (largest - first + 1) / 8)); };
  const std::string taken = granted == nullptr ? std::to_string(count)
                                               : fmt::format("IF({0} <= {1} - next, {2}, GREATEST(1, LEAST({2}, ({1} - next + 1) DIV 8)))", count - 1, largest, count);
  const bool ever = granted != nullptr || count - 1 <= largest;
  const std::string update = fmt::format("UPDATE {} SET next = LAST_INSERT_ID(next) + {} WHERE migration = {} AND table_name = {} AND next <= {}",
                                         ControlTable(config, "allocators"), taken, connection.Quote(migration), connection.Quote(table),
                                         granted != nullptr ? largest : largest - (count - 1));
  // One statement: whoever stops here holds no lock that others wait for.
  for (int tries = 0; tries < 2 && ever; ++tries) {
    auto raised = connection.Execute(update);
    if (!raised.ok()) return raised.status();
    if (*raised > 0) {
      auto first = connection.Query("SELECT LAST_INSERT_ID()");
      if (!first.ok()) return first.status();
      const uint64_t begin = Number(first->rows[0][0]);
      if (granted != nullptr) *granted = part(begin);
      return begin;
    }
    absl::Status begun = StartKeys(connection, config, migration, table, 0);  // the first of all; else nothing
    if (!begun.ok()) return begun;
  }
  return absl::ResourceExhaustedError(fmt::format("{}: the new keys of {} are used up: its type holds no more than {}", migration, table, largest));
}

absl::Status StartKeys(Connection& connection, const config::Config& config, const std::string& migration, const std::string& table, uint64_t last) {
  return connection.Execute(fmt::format("INSERT IGNORE INTO {}(migration, table_name, next) VALUES ({}, {}, {})", ControlTable(config, "allocators"),
                                        connection.Quote(migration), connection.Quote(table), last + 1)).status();
}

absl::StatusOr<bool> KeysStarted(Connection& connection, const config::Config& config, const std::string& migration, const std::string& table) {
  auto rows = connection.Query(fmt::format("SELECT 1 FROM {} WHERE migration = {} AND table_name = {}", ControlTable(config, "allocators"),
                                           connection.Quote(migration), connection.Quote(table)));
  if (!rows.ok()) return rows.status();
  return !rows->rows.empty();
}

absl::Status ReportDigests(Connection& connection, const config::Config& config, const std::vector<DigestRow>& digests) {
  std::vector<const DigestRow*> ordered;  // always in one order, so that two proxies cannot deadlock
  for (const DigestRow& digest : digests) ordered.push_back(&digest);
  std::stable_sort(ordered.begin(), ordered.end(), [](const DigestRow* a, const DigestRow* b) {
    return std::tie(a->migration, a->user, a->digest) < std::tie(b->migration, b->user, b->digest);
  });
  std::vector<std::string> values;
  for (const DigestRow* each : ordered) {
    const DigestRow& digest = *each;
    const std::string text = connection.Quote(std::string_view(digest.digest).substr(0, 16'000));
    values.push_back(fmt::format("({}, {}, UNHEX(SHA2({}, 256)), {}, {}, {}, {}, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))", connection.Quote(digest.migration),
                                 connection.Quote(std::string_view(digest.user).substr(0, 128)), text, text, connection.Quote(digest.strategy),
                                 connection.Quote(std::string_view(digest.reason).substr(0, 4'000)), digest.count));
  }
  return InsertRows(connection, ControlTable(config, "digests") + "(migration, user, hash, digest, strategy, reason, count, first_seen, last_seen)", values,
                    "strategy = VALUES(strategy), reason = VALUES(reason), count = count + VALUES(count), last_seen = VALUES(last_seen)");
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// What proxies write: leases, reserved keys, the digests they saw.
#include <algorithm>
#include <limits>
#include <tuple>

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
  const std::string table = ControlTable(config, "proxies"), name = connection.Quote(id);
  const int64_t lease = std::chrono::microseconds(config.limits.lease).count();
  LeaseTerm term;
  absl::Status status = InTransaction(connection, [&]() -> absl::Status {
    // ChangeEpoch takes this row before it reads the leases.
    auto state = connection.Query(fmt::format(
        "SELECT s.epoch, COALESCE({}, 0), COALESCE(p.term, 0) FROM {} AS s LEFT JOIN {} AS p ON p.id = {} WHERE s.id = 1 LOCK IN SHARE MODE",
        LiveLease("p"), ControlTable(config, "state"), table, name));
    if (!state.ok()) return state.status();
    if (state->rows.empty()) return absl::InternalError(std::string("the control schema has lost its state row"));
    term.epoch = Number(state->rows[0][0]);
    term.unbroken = state->rows[0][1] == "1";
    term.term = Number(state->rows[0][2]) + (term.unbroken ? 0 : 1);
    return connection
        .Execute(fmt::format("INSERT INTO {0}(id, address, acked_epoch, oldest_epoch, started, expires, term) VALUES ({1}, {2}, {3}, {4},"
                             " UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL {5} MICROSECOND, {6}) ON DUPLICATE KEY UPDATE address = {2},"
                             " acked_epoch = {3}, oldest_epoch = {4}, expires = UTC_TIMESTAMP(6) + INTERVAL {5} MICROSECOND, fenced = 0, term = {6}",
                             table, name, connection.Quote(address), acked_epoch, oldest_epoch, lease, term.term))
        .status();
  });
  if (!status.ok()) return status;
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
  const std::string allocators = ControlTable(config, "allocators");
  const std::string where = fmt::format("migration = {} AND table_name = {}", connection.Quote(migration), connection.Quote(table));
  uint64_t first = 0;
  if (granted != nullptr) *granted = count;
  absl::Status status = InTransaction(connection, [&]() -> absl::Status {
    auto raised = connection.Execute(fmt::format(
        "INSERT INTO {}(migration, table_name, next) VALUES ({}, {}, 1 + {}) ON DUPLICATE KEY UPDATE next = next + {}", allocators,
        connection.Quote(migration), connection.Quote(table), count, count));
    if (!raised.ok()) return raised.status();
    auto next = connection.Query(fmt::format("SELECT next FROM {} WHERE {}", allocators, where));
    if (!next.ok()) return next.status();
    if (next->rows.empty()) return absl::InternalError(std::string("the key allocator's row has gone"));
    first = Number(next->rows[0][0]) - count;
    const uint64_t largest = LargestKey(config, migration, table);
    if (first <= largest && count - 1 <= largest - first) return absl::OkStatus();
    if (granted == nullptr || first > largest) {
      return absl::ResourceExhaustedError(
          fmt::format("{}: the new keys of {} are used up: its type holds no more than {}", migration, table, largest));
    }
    // Not all of what is left: others want some too.
    *granted = std::max<uint64_t>(1, std::min(count, (largest - first + 1) / 8));
    return connection.Execute(fmt::format("UPDATE {} SET next = {} WHERE {}", allocators, first + *granted, where)).status();
  });
  if (!status.ok()) return status;
  return first;
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
  if (digests.empty()) return absl::OkStatus();
  // One transaction: hundreds of commits would hold up what else this connection does. Always in one order, so that two
  // proxies cannot deadlock.
  std::vector<const DigestRow*> ordered;
  for (const DigestRow& digest : digests) ordered.push_back(&digest);
  std::sort(ordered.begin(), ordered.end(), [](const DigestRow* a, const DigestRow* b) {
    return std::tie(a->migration, a->user, a->digest) < std::tie(b->migration, b->user, b->digest);
  });
  absl::Status begun = connection.Execute("START TRANSACTION").status();
  if (!begun.ok()) return begun;
  for (const DigestRow* each : ordered) {
    const DigestRow& digest = *each;
    const std::string text = connection.Quote(std::string_view(digest.digest).substr(0, 16'000));
    const std::string reason = connection.Quote(std::string_view(digest.reason).substr(0, 4'000));
    const std::string strategy = connection.Quote(digest.strategy);
    auto counted = connection.Execute(fmt::format(
        "INSERT INTO {0}(migration, user, hash, digest, strategy, reason, count, first_seen, last_seen) VALUES ({1}, {2}, UNHEX(SHA2({3}, 256)),"
        " {3}, {4}, {5}, {6}, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE strategy = {4}, reason = {5}, count = count + {6},"
        " last_seen = UTC_TIMESTAMP(6)",
        ControlTable(config, "digests"), connection.Quote(digest.migration), connection.Quote(std::string_view(digest.user).substr(0, 128)), text,
        strategy, reason, digest.count));
    if (!counted.ok()) {
      if (!absl::IsUnavailable(counted.status())) (void)connection.Execute("ROLLBACK");
      return counted.status();
    }
  }
  return connection.Execute("COMMIT").status();
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// See replicas.h.
#include "backfill/replicas.h"

#include <algorithm>
#include <set>

#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kFindEvery{10}, kConnectAgain{10};
constexpr std::chrono::seconds kGoneFor{60};  // one that stopped replicating may have crashed: it is waited for as long
constexpr std::chrono::milliseconds kConnectTimeout{2'000};
constexpr size_t kBeats = 20'000;

uint64_t Number(const std::optional<std::string>& value) { return value ? std::strtoull(value->c_str(), nullptr, 10) : 0; }

int ColumnNamed(const Rows& rows, std::string_view a, std::string_view b) {
  for (size_t i = 0; i < rows.columns.size(); ++i) {
    if (rows.columns[i] == a || rows.columns[i] == b) return static_cast<int>(i);
  }
  return -1;
}

// The client library takes the name localhost for a unix socket.
std::string HostOf(const std::string& client) {
  const std::string host = client.substr(0, client.rfind(':'));
  return host == "localhost" ? "127.0.0.1" : host;
}

std::string Joined(const std::string& host, const std::string& port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

// Seconds_Behind_Source of the worst channel.
absl::StatusOr<double> SecondsBehind(Connection& connection) {
  auto status = connection.Query("SHOW REPLICA STATUS");
  if (status.ok() && status->rows.empty()) status = connection.Query("SHOW ALL SLAVES STATUS");  // MariaDB: named channels
  if (!status.ok()) return status.status();
  const int column = ColumnNamed(*status, "Seconds_Behind_Source", "Seconds_Behind_Master");
  if (column < 0 || status->rows.empty()) return absl::FailedPreconditionError(std::string("is no replica"));
  double worst = 0;
  for (const Row& row : status->rows) {
    if (!row[column]) return absl::FailedPreconditionError(std::string("replication is stopped there"));
    worst = std::max(worst, std::strtod(row[column]->c_str(), nullptr));
  }
  return worst;
}

}  // namespace

Replicas::Replicas(const config::Config& config) : config_(config) {
  config_.limits.connect_timeout = std::min(config_.limits.connect_timeout, kConnectTimeout);
  for (const std::string& address : config_.throttle.replicas) {
    Replica& replica = replicas_.emplace_back();
    replica.address = address;
    replica.listed = true;
  }
}

absl::Status Replicas::Find(Connection& primary) {
  auto hosts = primary.Query("SHOW REPLICAS");
  if (!hosts.ok() && ServerError(hosts.status()) == 1064) hosts = primary.Query("SHOW SLAVE HOSTS");
  if (absl::IsUnavailable(hosts.status())) return hosts.status();
  auto dumps = primary.Query("SELECT DISTINCT host FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'");
  if (!dumps.ok()) return dumps.status();
  std::set<std::string> clients;
  for (const Row& row : dumps->rows) clients.insert(HostOf(row[0].value_or("")));
  std::vector<Replica> found;
  if (hosts.ok()) {  // else: no right to ask
    for (const Row& row : hosts->rows) {
      if (row.size() < 3) continue;
      const std::string port = row[2].value_or("0") == "0" ? "3306" : *row[2];
      const std::string host = row[1].value_or("");
      std::set<std::string> candidates = {host};
      if (host.empty()) candidates = clients;
      for (const std::string& each : candidates) {
        Replica replica;
        replica.address = Joined(each, port);
        replica.server_id = row[0].value_or("");
        found.push_back(std::move(replica));
      }
    }
  }
  // MariaDB lists none that does not report its host: perhaps it has the primary's port.
  if (found.empty() && !clients.empty()) {
    auto id = primary.Query("SELECT @@server_id");
    if (!id.ok()) return id.status();
    primary_id_ = id->rows[0][0].value_or("");
    const config::Backend* backend = config_.FindBackend(config_.control.backend);
    const size_t colon = backend->address.rfind(':');
    for (const std::string& each : clients) {
      Replica replica;
      replica.address = Joined(each, backend->address.starts_with("unix:") ? "3306" : backend->address.substr(colon + 1));
      found.push_back(std::move(replica));
    }
  }
  for (Replica& known : replicas_) {
    const bool there = std::any_of(found.begin(), found.end(), [&](const Replica& each) { return each.address == known.address; });
    if (there) {
      known.gone_since.reset();
    } else if (!known.listed && !known.gone_since) {
      known.gone_since = Clock::now();
    }
  }
  std::erase_if(replicas_, [](const Replica& known) { return known.gone_since && (!known.reached || Clock::now() - *known.gone_since > kGoneFor); });
  for (Replica& each : found) {
    const bool known = std::any_of(replicas_.begin(), replicas_.end(), [&](const Replica& old) { return old.address == each.address; });
    if (!known) replicas_.push_back(std::move(each));
  }
  return absl::OkStatus();
}

void Replicas::Connect(Replica* replica) {
  if (replica->connection != nullptr || Clock::now() < replica->not_before) return;
  replica->not_before = Clock::now() + kConnectAgain;
  auto opened = Connection::OpenAt(config_, replica->address);
  if (!opened.ok()) {
    replica->error = std::string(opened.status().message());
    return;
  }
  auto id = opened->Query("SELECT @@server_id");
  if (!id.ok() || id->rows.empty()) {
    replica->error = std::string(id.status().message());
    return;
  }
  const bool other = replica->server_id.empty() ? !replica->listed && id->rows[0][0] == primary_id_ : id->rows[0][0] != replica->server_id;
  if (other) {
    replica->error = "another server answers there";
    return;
  }
  replica->connection = std::make_unique<Connection>(*std::move(opened));
  replica->reached = true;
  replica->error.clear();
}

ReplicaLag Replicas::Read(Replica* replica, uint64_t now) {
  ReplicaLag lag{replica->address, std::nullopt, "", true};
  Connect(replica);
  if (replica->connection == nullptr) {
    lag.error = replica->error;
    lag.counts = replica->listed || replica->reached;
    return lag;
  }
  auto beat = replica->connection->Query(
      fmt::format("SELECT CAST(UNIX_TIMESTAMP(at) * 1000000 AS UNSIGNED) FROM {} WHERE id = 1", ControlTable(config_, "heartbeat")));
  absl::Status status = beat.status();
  if (beat.ok() && !beats_.empty()) {
    const uint64_t seen = beat->rows.empty() ? 0 : Number(beat->rows[0][0]);
    const auto missing = std::upper_bound(beats_.begin(), beats_.end(), seen);
    lag.seconds = missing == beats_.end() || *missing > now ? 0.0 : static_cast<double>(now - *missing) / 1e6;
    return lag;
  }
  if (beat.ok() || absl::IsNotFound(status) || absl::IsPermissionDenied(status)) {
    auto behind = SecondsBehind(*replica->connection);
    if (behind.ok()) {
      lag.seconds = *behind;
      return lag;
    }
    status = behind.status();
  }
  lag.error = std::string(status.message());
  if (absl::IsUnavailable(status)) {
    replica->connection.reset();
    replica->error = lag.error;
  }
  return lag;
}

absl::StatusOr<std::vector<ReplicaLag>> Replicas::Look(Connection& primary) {
  if (config_.throttle.find_replicas && Clock::now() >= find_at_) {
    find_at_ = Clock::now() + kFindEvery;
    absl::Status found = Find(primary);
    if (!found.ok()) return found;
  }
  std::vector<ReplicaLag> out;
  if (replicas_.empty()) return out;
  const std::string heartbeat = ControlTable(config_, "heartbeat");
  auto now = primary.Query("SELECT CAST(UNIX_TIMESTAMP(UTC_TIMESTAMP(6)) * 1000000 AS UNSIGNED)");
  if (!now.ok()) return now.status();
  for (Replica& replica : replicas_) out.push_back(Read(&replica, Number(now->rows[0][0])));
  auto beat = primary.Execute(
      fmt::format("INSERT INTO {}(id, at) VALUES (1, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE at = UTC_TIMESTAMP(6)", heartbeat));
  if (!beat.ok()) return beat.status();
  auto at = primary.Query(fmt::format("SELECT CAST(UNIX_TIMESTAMP(at) * 1000000 AS UNSIGNED) FROM {} WHERE id = 1", heartbeat));
  if (!at.ok()) return at.status();
  if (!at->rows.empty()) beats_.push_back(Number(at->rows[0][0]));
  if (beats_.size() > kBeats) beats_.pop_front();
  return out;
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// See replica_reader.h. MariaDB keeps GTIDs whether replication uses them or not; MySQL where gtid_mode is on, else the position in
// the binary log's files counts, which only a direct replica can be asked for.
#include "backfill/replica_reader.h"

#include <thread>

#include "backfill/catalog_loader.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr double kWait = 0.05;  // seconds
constexpr uint32_t kNoFunction = 1305, kSyntax = 1064;

absl::StatusOr<std::string> FirstValue(Connection& connection, const std::string& sql) {
  auto rows = connection.Query(sql);
  if (!rows.ok()) return rows.status();
  return rows->rows.empty() || rows->rows[0].empty() ? std::string() : rows->rows[0][0].value_or("");
}

// The statement by which a replica says whether it has what `primary` has now: 0, or 1 to MySQL's older functions' taste, see CaughtUp.
absl::StatusOr<std::string> WaitFor(Connection& primary) {
  auto dialect = LoadDialect(primary);
  if (!dialect.ok()) return dialect.status();
  const auto none = [](const std::string& why) { return absl::FailedPreconditionError("verification on a replica needs the primary's binary log: " + why); };
  if (dialect->flavor != rewrite::Flavor::kMySql) {
    auto position = FirstValue(primary, "SELECT @@global.gtid_binlog_pos");
    if (!position.ok()) return position.status();
    if (position->empty()) return none("its position is empty");
    return fmt::format("SELECT MASTER_GTID_WAIT({}, {}) = 0", primary.Quote(*position), kWait);
  }
  auto mode = FirstValue(primary, "SELECT @@global.gtid_mode");
  if (!mode.ok()) return mode.status();
  if (*mode == "ON") {
    auto executed = FirstValue(primary, "SELECT @@global.gtid_executed");
    if (!executed.ok()) return executed.status();
    return fmt::format("SELECT WAIT_FOR_EXECUTED_GTID_SET({}, {}) = 0", primary.Quote(*executed), kWait);
  }
  auto status = primary.Query("SHOW BINARY LOG STATUS");
  if (ServerError(status.status()) == kSyntax) status = primary.Query("SHOW MASTER STATUS");
  if (absl::IsUnavailable(status.status())) return status.status();
  if (!status.ok()) return none(std::string(status.status().message()));
  if (status->rows.empty()) return none("it is off");
  return fmt::format("SELECT SOURCE_POS_WAIT({}, {}, {}) >= 0", primary.Quote(status->rows[0][0].value_or("")), status->rows[0][1].value_or("4"), kWait);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplicaReader>> ReplicaReader::Open(Connection& primary, const config::Config& config, const std::string& backend) {
  const config::Backend* found = config.FindBackend(backend);
  if (found == nullptr) return absl::InvalidArgumentError(fmt::format("verify_on: there is no backend {}", backend));
  auto wait = WaitFor(primary);
  if (!wait.ok()) return wait.status();
  auto opened = Connection::OpenOn(config, *found);
  if (!opened.ok()) return absl::AbortedError(fmt::format("the replica that verification reads cannot be reached: {}", std::string(opened.status().message())));
  std::unique_ptr<ReplicaReader> reader(new ReplicaReader(*std::move(opened), backend, *std::move(wait)));
  auto own = FirstValue(primary, "SELECT @@server_id"), other = FirstValue(reader->connection_, "SELECT @@server_id");
  if (!own.ok()) return own.status();
  if (!other.ok()) return reader->Mapped(other.status());
  if (*own == *other) return absl::FailedPreconditionError(fmt::format("verify_on: the backend {} is the primary itself, or has its server_id", backend));
  return reader;
}

absl::StatusOr<bool> ReplicaReader::CaughtUp() {
  if (caught_up_) return true;
  auto there = FirstValue(connection_, wait_);
  if (ServerError(there.status()) == kNoFunction && wait_.find("SOURCE_POS_WAIT") != std::string::npos) {  // before MySQL 8.0.26
    wait_.replace(wait_.find("SOURCE_POS_WAIT"), 15, "MASTER_POS_WAIT");
    there = FirstValue(connection_, wait_);
  }
  if (!there.ok()) return Mapped(there.status());
  if (there->empty()) std::this_thread::sleep_for(std::chrono::duration<double>(kWait));  // NULL, at once: nothing is applied there
  caught_up_ = *there == "1";
  return caught_up_;
}

absl::Status ReplicaReader::Mapped(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::AbortedError(fmt::format("the replica {} that verification reads: {}", name_, std::string(status.message())));
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// A replica that verification reads in place of the primary. It may be behind, and read without a lock: what is compared there is
// a state that the primary had. It counts from the moment on that it has all that the primary had when the reader was opened.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

class ReplicaReader {
 public:
  // `backend`: its name in the file. Aborted: it cannot be had now; FailedPrecondition: it is no replica, or the primary's position
  // cannot be told (no binary log, no right to ask).
  static absl::StatusOr<std::unique_ptr<ReplicaReader>> Open(Connection& primary, const config::Config& config, const std::string& backend);

  // True: it has come so far. Blocks for a moment, no longer.
  absl::StatusOr<bool> CaughtUp();
  // An error of the replica's as one that does not stand for the primary.
  absl::Status Mapped(const absl::Status& status) const;
  Connection& connection() { return connection_; }
  const std::string& name() const { return name_; }

 private:
  ReplicaReader(Connection connection, std::string name, std::string wait)
      : connection_(std::move(connection)), name_(std::move(name)), wait_(std::move(wait)) {}
  Connection connection_;
  std::string name_;
  std::string wait_;  // "SELECT MASTER_GTID_WAIT('0-1-5', 0.05)"
  bool caught_up_ = false;
};

}  // namespace crossfade::backfill

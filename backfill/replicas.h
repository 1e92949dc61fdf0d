// SPDX-License-Identifier: Apache-2.0
// The replicas of the control backend and how far each is behind. Found by SHOW REPLICAS (SHOW SLAVE HOSTS) and, where a replica
// does not say its host, by the connections that fetch the binary log; or listed in the file.
//
// Lag is measured by a beat: a row of the control schema that is set to the primary's clock, and looked for on the replica. It
// counts waiting relay logs and replicas of replicas too, and compares one clock with itself. Where the control schema is not
// replicated, the replica's own Seconds_Behind_Source counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

struct ReplicaLag {
  std::string address;
  std::optional<double> seconds;  // nullopt: not known, see `error`
  std::string error;
  bool counts = true;  // false: found, but never reached: another tool that reads the binary log, or no rights there
};

class Replicas {
 public:
  explicit Replicas(const config::Config& config);
  // Sends a beat where there is a replica, and reads each one's lag. Blocks for 2 s at most for each one that does not answer.
  absl::StatusOr<std::vector<ReplicaLag>> Look(Connection& primary);

 private:
  struct Replica {
    std::string address;
    std::string server_id;  // as the primary lists it; empty: not known
    bool listed = false, reached = false;
    std::unique_ptr<Connection> connection;
    std::chrono::steady_clock::time_point not_before;  // next try to connect
    std::optional<std::chrono::steady_clock::time_point> gone_since;  // from the primary's list
    std::string error;
  };
  absl::Status Find(Connection& primary);
  void Connect(Replica* replica);
  ReplicaLag Read(Replica* replica, uint64_t now);

  config::Config config_;
  std::vector<Replica> replicas_;
  std::string primary_id_;
  std::deque<uint64_t> beats_;  // microseconds by the primary's clock
  std::chrono::steady_clock::time_point find_at_;
};

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// What the server's disks have left, and how fast its binary log grows: where that can be known.
//
// Free space: MariaDB tells it where the plugin `disks` is installed (and the control user has FILE); else it is asked of the file
// system, where the server runs on this machine and its folders are seen here. MySQL itself never tells.
// The binary log: MariaDB counts bytes in its status; MySQL tells its place (REPLICATION CLIENT).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

struct Measured {
  std::optional<double> value;
  std::string detail;  // what it is of, or why there is none
};

// Bytes free where the least is left, of the data folder and the binary log's. Unavailable: the connection is lost.
absl::StatusOr<Measured> DiskFree(Connection& connection, const config::Config& config);

// Bytes a second over the last few seconds.
class BinlogRate {
 public:
  absl::StatusOr<Measured> Look(Connection& connection);

 private:
  using Clock = std::chrono::steady_clock;
  // Bytes written since some moment, the same in all answers.
  absl::StatusOr<std::optional<double>> Written(Connection& connection, std::string* why);
  std::deque<std::pair<Clock::time_point, double>> seen_;
  std::string file_;      // MySQL: the last seen
  double position_ = 0, before_ = 0;  // in it; of all before it
};

}  // namespace crossfade::backfill

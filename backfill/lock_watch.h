// SPDX-License-Identifier: Apache-2.0
// Withdraws a schema change that waits for locks longer than it may, because every other statement on the table queues behind it.
// The servers' own lock_wait_timeout knows whole seconds only; what is between is watched from a second connection, which ends the
// statement by KILL QUERY. A wait at the change's end, for its last moment of exclusive use, counts like one at its beginning.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

class LockWatch {
 public:
  // Watches what `connection` runs until Stop. nullptr: `limit` is of whole seconds, the server keeps to it by itself.
  static absl::StatusOr<std::unique_ptr<LockWatch>> Start(const config::Config& config, Connection& connection, std::chrono::milliseconds limit);
  ~LockWatch();
  // Before the next statement on the connection. True: the statement was withdrawn (or was over when it would have been).
  bool Stop();

 private:
  LockWatch(Connection* watched, Connection own, std::chrono::milliseconds limit);
  void Run();

  Connection* watched_;
  Connection own_;
  std::chrono::milliseconds limit_;
  std::atomic<bool> stop_{false}, withdrawn_{false};
  std::thread thread_;
};

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// The proxy's line to the control schema, on a thread of its own (libmysqlclient blocks): brings new snapshots to the io
// threads, reserves blocks of new keys, reports digests. The lease has its own thread: lease_keeper.h.
//
//   epoch N+1 is read -> snapshot -> every io thread -> all have it -> acknowledged with a renewal of the lease
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "backfill/connection.h"
#include "backfill/control.h"
#include "config/config.h"
#include "proxy/key_pool.h"
#include "proxy/latency.h"
#include "proxy/lease_keeper.h"

namespace crossfade::proxy {

class Server;

class ControlThread {
 public:
  ControlThread(Server* server, std::shared_ptr<const config::Config> config);
  ~ControlThread();
  void Start();
  void Stop();
  void Reload(std::shared_ptr<const config::Config> config);

  // Any thread.
  LeaseKeeper& lease() { return lease_; }
  // Any thread. What `status --json` shows, at most a few seconds old; empty: not read yet, ask again.
  std::string StatusJson();
  // Any thread: the block is handed to io thread `thread` once the database has given it.
  void OrderKeys(uint32_t thread, const KeyPool::Key& key, uint64_t count);

 private:
  struct KeyOrder { uint32_t thread; KeyPool::Key key; uint64_t count; };

  void Run();
  absl::Status Step();      // one round; Unavailable: connect again
  absl::Status FillOrders();
  absl::Status Follow();    // state -> snapshot -> io threads
  absl::Status Report();
  absl::Status ReadStatus();
  absl::Status Measure();   // the application's latency, for the throttle of whoever is the migrator
  void PublishUnknown();    // a snapshot from the file alone: its tables are known, their state is not

  Server* server_;
  LeaseKeeper lease_;
  std::thread thread_;
  std::mutex mutex_;  // the members up to the next blank line
  std::condition_variable wake_;
  std::shared_ptr<const config::Config> config_;
  bool stop_ = false, reloaded_ = true;
  std::deque<KeyOrder> orders_;
  std::string status_json_;
  int64_t status_wanted_until_ = 0;

  std::optional<backfill::Connection> connection_;
  std::shared_ptr<const config::Config> using_;  // the config of this round
  uint64_t published_epoch_ = 0;
  bool published_ = false, force_load_ = false;
  bool held_ = false;  // a statement gate is closed: its end is looked for more often
  bool measuring_ = false;  // a migration writes both sides: how the application fares is wanted
  std::deque<Latency::Counts> measured_;
  int64_t next_report_ = 0, next_status_ = 0, next_measure_ = 0;
  std::string last_error_;
};

}  // namespace crossfade::proxy

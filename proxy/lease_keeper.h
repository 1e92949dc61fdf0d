// SPDX-License-Identifier: Apache-2.0
// The proxy's sign of life, on a thread and a connection of its own, so that nothing else (a catalog that waits for a
// metadata lock, a slow report) can keep it from being renewed. With each renewal goes what the migrator waits for: the epoch
// that all io threads have taken up, and the oldest one that some open transaction still works under.
//
// A write to a migrating table needs a valid lease and a snapshot from fence() on: whoever comes back after its lease ran
// out was not waited for, so what was begun before must not write any more. Nor must it when this process is stopped between
// looking and writing: so each session's connection is registered before its first such write, and whoever changes the epoch
// without this proxy kills what is registered (backfill/fence.h). From `verify` on, where both sides are read, so it is for reads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::proxy {

class Server;

class LeaseKeeper {
 public:
  LeaseKeeper(Server* server, std::string id, std::string address) : server_(server), id_(std::move(id)), address_(std::move(address)) {}
  ~LeaseKeeper() { Stop(); }
  void Stop();  // ends the lease
  // From the control thread: `epoch` has been sent to the io threads. The first call starts the lease.
  void Published(std::shared_ptr<const config::Config> config, uint64_t epoch);

  // Any thread. A session's connection to the control backend, before its first fenced statement:
  // IoThread::ConnectionRegistered follows once it is in the database.
  void Register(uint32_t io_thread, uint64_t session, uint64_t connection);
  // The session of a registered one has ended. `busy`: with a statement under way, which the server may still finish: the
  // drain waits for it as for any work under `epoch`.
  void Closed(uint64_t session, uint64_t connection, uint64_t epoch, bool busy);
  const std::string& id() const { return id_; }
  bool Valid() const;
  uint64_t fence() const { return fence_.load(std::memory_order_acquire); }

 private:
  void Run();
  absl::Status Round(const config::Config& config, bool* behind);
  absl::Status Renew(const config::Config& config, uint64_t acked, uint64_t oldest);
  absl::Status FillOrders(const config::Config& config);
  absl::Status Forget(const config::Config& config);

  Server* const server_;
  const std::string id_, address_;
  std::thread thread_;
  std::mutex mutex_;  // the members up to the next blank line
  std::condition_variable wake_;
  std::shared_ptr<const config::Config> config_;
  uint64_t published_ = 0;
  bool stop_ = false, news_ = false;
  struct Order { uint32_t io_thread; uint64_t session, connection; };
  std::vector<Order> orders_;
  struct Ended { uint64_t session, connection, epoch; bool busy; };
  std::vector<Ended> ended_;

  std::optional<backfill::Connection> connection_;
  uint64_t acked_ = 0, oldest_ = 0;  // as last told
  uint64_t term_ = 0;  // of the lease, as the database counts
  int64_t next_renewal_ = 0, next_look_ = 0;
  struct Owner { uint64_t session; std::string host; };
  std::unordered_map<uint64_t, Owner> owners_;  // of registered connections; the later one's where an id came twice
  std::unordered_map<uint64_t, uint64_t> busy_;      // ended ones whose statement may go on -> its epoch
  std::string last_error_;
  std::atomic<int64_t> until_{0};  // BootTime
  std::atomic<uint64_t> fence_{0};
};

}  // namespace crossfade::proxy

// SPDX-License-Identifier: Apache-2.0
// One core's share of the proxy: an io_context with its thread, and everything its sessions use without a lock.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "protocol/proxy_header.h"
#include "proxy/buffers.h"
#include "proxy/close_watch.h"
#include "proxy/comparisons.h"
#include "proxy/digest_counts.h"
#include "proxy/event.h"
#include "proxy/key_pool.h"
#include "proxy/latency.h"
#include "proxy/metrics.h"
#include "proxy/snapshot_store.h"
#include "proxy/stream.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {

class Session;
class Server;
struct ListenerContext;

class IoThread {
 public:
  IoThread(Server* server, uint32_t index);
  ~IoThread();

  void Start();
  void Join();

  // On this thread: a client has come in, from `peer`.
  void Adopt(Socket socket, const ListenerContext* listener, const protocol::SocketAddress& peer);

  // From any thread.
  void PublishSnapshot(std::shared_ptr<const rewrite::Snapshot> snapshot, bool known);
  // An order of `ordered` new keys came in with `count` of them; none: `why` there will be none, where that is known.
  void KeysCame(const KeyPool::Key& key, uint64_t first, uint64_t count, uint64_t ordered, std::string why);
  void KillDone(uint64_t session, bool killed);  // what Killer came to
  void ConnectionRegistered(uint64_t session, uint64_t connection);  // its writes to migrating tables may begin
  void StartDrain();    // sessions end once they are idle outside a transaction
  void CloseSessions(); // all of them, now
  void Expect() { load_.fetch_add(1, std::memory_order_relaxed); }  // an Adopt is on its way
  void GiveUp();                                                     // … or not after all; takes the connection out of the server's count too
  uint32_t load() const { return load_.load(std::memory_order_relaxed); }  // sessions, with those on their way
  uint32_t session_count() const { return session_count_.load(std::memory_order_relaxed); }

  // For sessions, on this thread.
  boost::asio::io_context& io() { return io_; }
  uint32_t index() const { return index_; }
  Server* server() { return server_; }
  ChunkPool* pool() { return &pool_; }
  protocol::Packer* packer() { return &packer_; }
  SnapshotStore* snapshots() { return &snapshots_; }
  KeyPool* keys() { return &keys_; }
  rewrite::Planner* planner() { return &planner_; }
  Metrics* metrics() { return &metrics_; }
  Latency* latency() { return &latency_; }
  DigestCounts* digests() { return &digests_; }
  Comparisons* comparisons() { return &comparisons_; }
  Event* snapshot_changed() { return &snapshot_changed_; }
  Event* keys_came() { return &keys_came_; }
  Event* kill_done() { return &kill_done_; }
  Event* registered() { return &registered_; }
  CloseWatch* close_watch() { return &close_watch_; }
  bool draining() const { return draining_; }
  void Forget(uint64_t id);
  Session* Find(uint64_t id);

 private:
  void Tick();  // twice a second: deadlines, and a look at idle sessions

  Server* server_;
  uint32_t index_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  std::thread thread_;
  ChunkPool pool_;
  protocol::Packer packer_;
  SnapshotStore snapshots_;
  KeyPool keys_;
  rewrite::Planner planner_;
  Metrics metrics_;
  Latency latency_;
  DigestCounts digests_;
  Comparisons comparisons_;
  Event snapshot_changed_{io_}, keys_came_{io_}, kill_done_{io_}, registered_{io_};
  boost::asio::steady_timer tick_{io_};
  CloseWatch close_watch_;
  std::unordered_map<uint64_t, Session*> sessions_;
  uint64_t next_session_ = 1;
  std::atomic<uint32_t> session_count_{0}, load_{0};
  bool draining_ = false;
};

}  // namespace crossfade::proxy

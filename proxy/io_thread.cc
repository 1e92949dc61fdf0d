// SPDX-License-Identifier: Apache-2.0
// See io_thread.h.
#include "proxy/io_thread.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <vector>

#include "proxy/control_thread.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "spdlog/spdlog.h"

namespace crossfade::proxy {
namespace asio = boost::asio;

namespace {
constexpr std::chrono::milliseconds kTick{500};
}

IoThread::IoThread(Server* server, uint32_t index)
    : server_(server), index_(index),
      keys_(server->config().limits.key_block,
            [server, index](const KeyPool::Key& key, uint64_t count) {
              if (server->control() != nullptr) server->control()->OrderKeys(index, key, count);
            }),
      planner_(server->config().limits.plan_cache_entries, server->config().limits.parse_depth), close_watch_(io_, [this](uint64_t id) {
        if (Session* session = Find(id); session != nullptr) session->BackendClosed();
      }) {}

IoThread::~IoThread() { Join(); }

void IoThread::Start() {
  thread_ = std::thread([this] {
    Tick();
    close_watch_.Start();
    io_.run();
  });
}

void IoThread::Join() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    tick_.cancel();
    work_.reset();
    io_.stop();
  });
  thread_.join();
}

void IoThread::Adopt(Socket socket, const ListenerContext* listener, const protocol::SocketAddress& peer) {
  if (draining_) return GiveUp();
  const uint64_t id = (next_session_++ << 8) | index_;
  bool known = false;
  try {
    ErrorCode ignored;
    if (!listener->address.is_unix) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    auto session = std::make_unique<Session>(this, id, std::move(socket), listener, peer);
    known = sessions_.emplace(id, session.get()).second;
    session_count_.store(static_cast<uint32_t>(sessions_.size()), std::memory_order_relaxed);
    asio::co_spawn(io_, Session::Run(std::move(session)), [id](std::exception_ptr error) {
      if (!error) return;
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& e) {
        spdlog::error("session {}: {}", id, e.what());
      }
    });
  } catch (const std::bad_alloc& error) {  // the client is closed, the others stay
    spdlog::error("session {} is not begun: {}", id, error.what());
    if (!known) GiveUp();
    else Forget(id);
  }
}

void IoThread::GiveUp() {
  load_.fetch_sub(1, std::memory_order_relaxed);
  server_->connections().fetch_sub(1, std::memory_order_relaxed);
}

void IoThread::Forget(uint64_t id) {
  if (sessions_.erase(id) == 0) return;
  session_count_.store(static_cast<uint32_t>(sessions_.size()), std::memory_order_relaxed);
  GiveUp();
}

Session* IoThread::Find(uint64_t id) {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : it->second;
}

void IoThread::PublishSnapshot(std::shared_ptr<const rewrite::Snapshot> snapshot, bool known) {
  asio::post(io_, [this, snapshot = std::move(snapshot), known] {
    snapshots_.Publish(snapshot, known);
    snapshot_changed_.Notify();
  });
}

void IoThread::KeysCame(const KeyPool::Key& key, uint64_t first, uint64_t count, uint64_t ordered, std::string why) {
  asio::post(io_, [this, key, first, count, ordered, why = std::move(why)] {
    if (count > 0) {
      keys_.Add(key, first, count, ordered);
    } else {
      keys_.OrderFailed(key, why);
    }
    keys_came_.Notify();
  });
}

void IoThread::KillDone(uint64_t session, bool killed) {
  asio::post(io_, [this, session, killed] {
    if (Session* found = Find(session); found != nullptr) found->KillDone(killed);
    kill_done_.Notify();
  });
}

void IoThread::ConnectionRegistered(uint64_t session, uint64_t connection) {
  asio::post(io_, [this, session, connection] {
    if (Session* found = Find(session); found != nullptr) found->Registered();
    else server_->control()->lease().Closed(session, connection, snapshots_.current()->epoch, false);  // it ended meanwhile, and wrote nothing
    registered_.Notify();
  });
}

void IoThread::StartDrain() {
  asio::post(io_, [this] {
    draining_ = true;
    for (auto& [id, session] : sessions_) session->Drain();
  });
}

void IoThread::CloseSessions() {
  asio::post(io_, [this] {
    for (auto& [id, session] : sessions_) session->Abort("closed: the proxy stops");
    snapshot_changed_.Notify();
    keys_came_.Notify();
    kill_done_.Notify();
    registered_.Notify();
  });
}

void IoThread::Tick() {
  const auto now = std::chrono::steady_clock::now();
  for (auto& [id, session] : sessions_) session->Tick(now);
  tick_.expires_after(kTick);
  tick_.async_wait([this](ErrorCode ec) {
    if (!ec) Tick();
  });
}

}  // namespace crossfade::proxy

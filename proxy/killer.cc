// SPDX-License-Identifier: Apache-2.0
// See killer.h. A connection for each burst of orders: they are rare, and an idle one would run into wait_timeout.
#include "proxy/killer.h"

#include "backfill/connection.h"
#include "fmt/format.h"
#include "proxy/server.h"
#include "spdlog/spdlog.h"

namespace crossfade::proxy {

Killer::Killer(Server* server, std::shared_ptr<const config::Config> config)
    : server_(server), config_(std::move(config)), thread_([this] { Run(); }) {}

Killer::~Killer() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Killer::Give(const Order& order) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    orders_.push_back(order);
  }
  changed_.notify_one();
}

void Killer::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !orders_.empty(); });
    if (stopping_) return;
    std::deque<Order> orders;
    orders.swap(orders_);
    lock.unlock();
    absl::StatusOr<backfill::Connection> connection = backfill::Connection::Open(*config_);
    if (!connection.ok()) spdlog::warn("statement_timeout: nothing can be killed: {}", std::string(connection.status().message()));
    for (const Order& order : orders) {
      const bool killed = connection.ok() && Kill(&*connection, order);
      if (order.session != 0) server_->threads()[order.io_thread]->KillDone(order.session, killed);
    }
    lock.lock();
  }
}

bool Killer::Kill(backfill::Connection* connection, const Order& order) {
  absl::StatusOr<backfill::Rows> list = connection->Query("SHOW PROCESSLIST");
  if (!list.ok()) {
    spdlog::warn("statement_timeout: SHOW PROCESSLIST: {}", std::string(list.status().message()));
    return false;
  }
  const std::string id = std::to_string(order.thread_id), port = fmt::format(":{}", order.port);
  for (const backfill::Row& row : list->rows) {
    if (row.size() < 3 || row[0] != id) continue;
    if (order.port != 0 && !row[2].value_or("").ends_with(port)) break;
    const absl::StatusOr<uint64_t> done = connection->Execute(fmt::format("KILL {} {}", order.connection ? "CONNECTION" : "QUERY", id));
    if (done.ok()) return true;
    spdlog::warn("statement_timeout: {}", std::string(done.status().message()));
    return false;
  }
  return false;
}

}  // namespace crossfade::proxy

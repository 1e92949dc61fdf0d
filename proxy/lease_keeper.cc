// SPDX-License-Identifier: Apache-2.0
// See lease_keeper.h.
#include "proxy/lease_keeper.h"

#include <algorithm>

#include "backfill/control.h"
#include "backfill/fence.h"
#include "proxy/boot_time.h"
#include "proxy/server.h"
#include "spdlog/spdlog.h"

namespace crossfade::proxy {

namespace {
constexpr std::chrono::milliseconds kSoon{2};         // while io threads still take up a new epoch
constexpr std::chrono::milliseconds kAfterError{200};
}  // namespace

bool LeaseKeeper::Valid() const { return BootTime() < until_.load(std::memory_order_acquire); }

void LeaseKeeper::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::Published(std::shared_ptr<const config::Config> config, uint64_t epoch) {
  {
    const std::lock_guard lock(mutex_);
    config_ = std::move(config);
    published_ = epoch;
    news_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void LeaseKeeper::Run() {
  std::shared_ptr<const config::Config> config;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stop_) break;
      config = config_;
      news_ = false;
    }
    bool behind = false;
    const absl::Status status = Round(*config, &behind);
    if (!status.ok()) {
      const std::string message(status.message());
      if (message != last_error_) spdlog::error("lease: {}", message);
      last_error_ = message;
      connection_.reset();
    } else {
      last_error_.clear();
    }
    std::unique_lock lock(mutex_);
    const auto pause = !status.ok() ? kAfterError : behind ? kSoon : config->limits.control_poll;
    wake_.wait_for(lock, pause, [&] { return stop_ || news_; });
  }
  if (connection_) (void)backfill::EndLease(*connection_, *config, id_);
  connection_.reset();
}

void LeaseKeeper::Register(uint32_t io_thread, uint64_t session, uint64_t connection) {
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back({io_thread, session, connection});
    news_ = true;
  }
  wake_.notify_all();
}

void LeaseKeeper::Closed(uint64_t session, uint64_t connection, uint64_t epoch, bool busy) {
  const std::lock_guard lock(mutex_);
  ended_.push_back({session, connection, epoch, busy});
}

absl::Status LeaseKeeper::Round(const config::Config& config, bool* behind) {
  if (!connection_) {
    // A network that swallows packets must not cost more than one lease.
    const auto patience = std::max(std::chrono::seconds(2), std::chrono::duration_cast<std::chrono::seconds>(config.limits.lease));
    absl::StatusOr<backfill::Connection> opened = backfill::Connection::Open(config, patience);
    if (!opened.ok()) return opened.status();
    connection_ = *std::move(opened);
    next_renewal_ = 0;
  }
  uint64_t acked = UINT64_MAX, oldest = UINT64_MAX;
  for (const auto& thread : server_->threads()) {
    acked = std::min(acked, thread->snapshots()->newest());
    oldest = std::min(oldest, thread->snapshots()->oldest());
  }
  {
    // Behind the reading of `oldest`: a session says that it has ended before it lets go of its epoch.
    const std::lock_guard lock(mutex_);
    *behind = acked < published_;
    for (const Ended& ended : ended_) {
      if (ended.busy) oldest = std::min(oldest, ended.epoch);
    }
  }
  for (const auto& [connection, epoch] : busy_) oldest = std::min(oldest, epoch);
  absl::Status status = Renew(config, acked, oldest);
  if (status.ok()) status = FillOrders(config);
  if (status.ok()) status = Forget(config);
  return status;
}

absl::Status LeaseKeeper::FillOrders(const config::Config& config) {
  std::vector<Order> orders;
  {
    const std::lock_guard lock(mutex_);
    orders.swap(orders_);
  }
  if (orders.empty()) return absl::OkStatus();
  std::vector<uint64_t> ids;
  for (const Order& order : orders) ids.push_back(order.connection);
  absl::StatusOr<std::map<uint64_t, std::string>> hosts = backfill::FindConnections(*connection_, ids);
  absl::StatusOr<bool> live = false;
  if (hosts.ok()) {
    for (uint64_t id : ids) hosts->try_emplace(id, "");  // not to be seen: killed by its id alone
    live = backfill::RegisterConnections(*connection_, config, id_, *hosts);
  }
  if (!hosts.ok() || !live.ok() || !*live) {
    const std::lock_guard lock(mutex_);
    orders_.insert(orders_.end(), orders.begin(), orders.end());
    next_renewal_ = 0;
    return !hosts.ok() ? hosts.status() : live.status();
  }
  // A server that was started since counts its connections anew: whoever had the id has ended with the old one, and the row
  // is the new one's.
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(ended_, [&](const Ended& ended) { return hosts->count(ended.connection) != 0; });
  }
  for (const auto& [id, host] : *hosts) busy_.erase(id);
  for (const Order& order : orders) owners_[order.connection] = {order.session, (*hosts)[order.connection]};
  for (const Order& order : orders) server_->threads()[order.io_thread]->ConnectionRegistered(order.session, order.connection);
  return absl::OkStatus();
}

// Rows of connections that have ended. One that was closed in the middle of a statement is looked for until it is gone.
absl::Status LeaseKeeper::Forget(const config::Config& config) {
  const int64_t now = BootTime();
  if (now < next_look_) return absl::OkStatus();
  next_look_ = now + Nanoseconds(config.limits.control_poll);
  std::vector<uint64_t> gone, busy;
  {
    const std::lock_guard lock(mutex_);
    for (const Ended& ended : ended_) {
      // Its id is another session's by now: that one's row stays, and what this one had begun has ended with its server.
      const auto owner = owners_.find(ended.connection);
      if (owner == owners_.end() || owner->second.session != ended.session) continue;
      if (ended.busy) busy_[ended.connection] = ended.epoch;
      else gone.push_back(ended.connection);
    }
    ended_.clear();
  }
  for (const auto& [id, epoch] : busy_) busy.push_back(id);
  absl::StatusOr<std::map<uint64_t, std::string>> there = backfill::FindConnections(*connection_, busy);
  if (there.ok()) {
    for (uint64_t id : busy) {
      const auto at = there->find(id);
      if (at == there->end() || at->second != owners_[id].host) gone.push_back(id);
    }
  }
  std::map<uint64_t, std::string> rows;
  for (uint64_t id : gone) rows[id] = owners_[id].host;
  absl::Status status = there.status();
  if (status.ok()) status = backfill::ForgetConnections(*connection_, config, id_, rows);
  if (!status.ok()) {
    const std::lock_guard lock(mutex_);
    for (uint64_t id : gone) {
      if (busy_.count(id) == 0) ended_.push_back({owners_[id].session, id, 0, false});
    }
    return status;
  }
  for (uint64_t id : gone) {
    busy_.erase(id);
    owners_.erase(id);
  }
  return absl::OkStatus();
}

absl::Status LeaseKeeper::Renew(const config::Config& config, uint64_t acked, uint64_t oldest) {
  const int64_t now = BootTime();
  if (acked == acked_ && oldest == oldest_ && now < next_renewal_) return absl::OkStatus();
  absl::StatusOr<backfill::LeaseTerm> term = backfill::RenewLease(*connection_, config, id_, address_, acked, oldest);
  if (!term.ok()) return term.status();
  acked_ = acked;
  oldest_ = oldest;
  next_renewal_ = now + Nanoseconds(config.limits.lease) / 4;
  // By its term as well: the answer that said so may have been lost on its way.
  if (!term->unbroken || term->term != term_) {
    term_ = term->term;
    if (fence() != 0) spdlog::warn("the lease had run out; transactions from before epoch {} may not write to migrating tables any more", term->epoch);
    fence_.store(term->epoch, std::memory_order_release);
  }
  // Counted from before the call, so that the database never thinks it over while we think it runs.
  until_.store(now + Nanoseconds(config.limits.lease), std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace crossfade::proxy

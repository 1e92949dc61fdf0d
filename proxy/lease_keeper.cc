// SPDX-License-Identifier: Apache-2.0
// See lease_keeper.h.
#include "proxy/lease_keeper.h"

#include <algorithm>

#include "backfill/control.h"
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
    const absl::Status status = Renew(*config, &behind);
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

absl::Status LeaseKeeper::Renew(const config::Config& config, bool* behind) {
  if (!connection_) {
    absl::StatusOr<backfill::Connection> opened = backfill::Connection::Open(config);
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
    const std::lock_guard lock(mutex_);
    *behind = acked < published_;
  }
  const int64_t now = BootTime();
  if (acked == acked_ && oldest == oldest_ && now < next_renewal_) return absl::OkStatus();
  absl::StatusOr<backfill::LeaseTerm> term = backfill::RenewLease(*connection_, config, id_, address_, acked, oldest);
  if (!term.ok()) return term.status();
  acked_ = acked;
  oldest_ = oldest;
  next_renewal_ = now + Nanoseconds(config.limits.lease) / 4;
  if (!term->unbroken) {
    if (fence() != 0) spdlog::warn("the lease had run out; transactions from before epoch {} may not write to migrating tables any more", term->epoch);
    fence_.store(term->epoch, std::memory_order_release);
  }
  // Counted from before the call, so that the database never thinks it over while we think it runs.
  until_.store(now + Nanoseconds(config.limits.lease), std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace crossfade::proxy

// SPDX-License-Identifier: Apache-2.0
// See control_thread.h. Every round reads the state anew; nothing is assumed from the round before but what was published.
#include "proxy/control_thread.h"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include "backfill/old_uses.h"
#include "backfill/status.h"
#include "fmt/format.h"
#include "proxy/boot_time.h"
#include "proxy/server.h"
#include "spdlog/spdlog.h"

namespace crossfade::proxy {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kStatusEvery = 1'000 * kMillisecond, kStatusFor = 10'000 * kMillisecond;
constexpr int64_t kMeasureEvery = 1'000 * kMillisecond;
constexpr int64_t kReportEvery = 2'000 * kMillisecond;

constexpr std::chrono::milliseconds kPollWhileHeld{10};

std::string MakeId() {
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  std::random_device random;
  return fmt::format("{}-{}-{:08x}", std::string(host).substr(0, 30), ::getpid(), random());
}

}  // namespace

ControlThread::ControlThread(Server* server, std::shared_ptr<const config::Config> config)
    : server_(server), lease_(server, MakeId(), config->listeners.empty() ? "" : config->listeners.front().address), config_(std::move(config)) {}

ControlThread::~ControlThread() { Stop(); }

void ControlThread::Start() {
  using_ = config_;
  PublishUnknown();
  thread_ = std::thread([this] { Run(); });
}

void ControlThread::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  lease_.Stop();
}

void ControlThread::Reload(std::shared_ptr<const config::Config> config) {
  {
    const std::lock_guard lock(mutex_);
    config_ = std::move(config);
    reloaded_ = true;
  }
  wake_.notify_all();
}

void ControlThread::OrderKeys(uint32_t thread, const KeyPool::Key& key, uint64_t count) {
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back({thread, key, count});
  }
  wake_.notify_all();
}

void ControlThread::PublishUnknown() {
  std::vector<rewrite::MigrationState> states;
  for (const config::Migration& migration : using_->migrations) {
    rewrite::MigrationState state;
    state.spec = migration;
    states.push_back(std::move(state));
  }
  const auto snapshot = rewrite::MakeSnapshot(0, std::move(states), rewrite::Catalog());
  for (const auto& thread : server_->threads()) thread->PublishSnapshot(snapshot, false);
}

void ControlThread::Run() {
  for (;;) {
    bool reloaded = false;
    {
      std::unique_lock lock(mutex_);
      if (stop_) break;
      using_ = config_;
      reloaded = reloaded_;
      reloaded_ = false;
    }
    force_load_ = force_load_ || reloaded;
    absl::Status status = Step();
    if (!status.ok()) {
      const std::string message(status.message());
      if (message != last_error_) spdlog::error("control schema: {}", message);
      last_error_ = message;
      connection_.reset();
      // Orders wait for the connection; whoever waits for their keys times out.
    } else {
      last_error_.clear();
    }
    std::unique_lock lock(mutex_);
    if (stop_) break;
    auto pause = using_->limits.control_poll;
    if (!status.ok()) pause = std::max<std::chrono::milliseconds>(pause, std::chrono::milliseconds(500));
    else if (held_) pause = std::min<std::chrono::milliseconds>(pause, kPollWhileHeld);
    wake_.wait_for(lock, pause, [&] { return stop_ || reloaded_ || (status.ok() && !orders_.empty()); });
  }
  connection_.reset();
}

absl::Status ControlThread::Step() {
  if (!connection_) {
    absl::StatusOr<backfill::Connection> opened = backfill::Connection::Open(*using_);
    if (!opened.ok()) return opened.status();
    connection_ = *std::move(opened);
    force_load_ = true;
  }
  if (force_load_) {
    absl::Status status = backfill::InstallControlSchema(*connection_, *using_);
    if (status.ok()) status = backfill::SyncDeclared(*connection_, *using_);
    if (!status.ok()) return status;
  }
  absl::Status status = FillOrders();
  if (status.ok()) status = Follow();
  if (status.ok()) status = Measure();
  if (status.ok()) status = Report();
  if (status.ok()) status = ReadStatus();
  return status;
}

absl::Status ControlThread::FillOrders() {
  for (;;) {
    KeyOrder order;
    {
      const std::lock_guard lock(mutex_);
      if (orders_.empty()) return absl::OkStatus();
      order = orders_.front();
      orders_.pop_front();
    }
    uint64_t granted = 0;
    absl::StatusOr<uint64_t> first = backfill::ReserveKeys(*connection_, *using_, order.key.first, order.key.second, order.count, &granted);
    const bool used_up = absl::IsResourceExhausted(first.status());
    server_->threads()[order.thread]->KeysCame(order.key, first.ok() ? *first : 0, first.ok() ? granted : 0, order.count, used_up ? std::string(first.status().message()) : "");
    if (!first.ok() && !used_up) return first.status();
  }
}

absl::Status ControlThread::Follow() {
  absl::StatusOr<backfill::ControlState> state = backfill::ReadState(*connection_, *using_);
  if (!state.ok()) return state.status();
  measuring_ = std::any_of(state->migrations.begin(), state->migrations.end(), [](const backfill::MigrationRow& row) {
    return row.phase >= config::Phase::kDualWrite && row.phase <= config::Phase::kCutover;
  });
  if (!published_ || force_load_ || state->epoch != published_epoch_) {
    absl::StatusOr<std::shared_ptr<const rewrite::Snapshot>> snapshot = backfill::LoadSnapshot(*connection_, *using_, *state);
    if (!snapshot.ok()) return snapshot.status();
    // Before the new epoch is acknowledged: what this proxy saw under the one before counts at the gate to the next.
    next_report_ = 0;
    absl::Status reported = Report();
    if (!reported.ok()) return reported;
    for (const auto& thread : server_->threads()) thread->PublishSnapshot(*snapshot, true);
    published_epoch_ = (*snapshot)->epoch;
    published_ = true;
    force_load_ = false;
    held_ = std::any_of(state->migrations.begin(), state->migrations.end(), [](const backfill::MigrationRow& row) { return row.held; });
    lease_.Published(using_, published_epoch_);
    spdlog::info("epoch {}", published_epoch_);
  }
  return absl::OkStatus();
}

absl::Status ControlThread::Report() {
  const int64_t now = BootTime();
  if (now < next_report_) return absl::OkStatus();
  next_report_ = now + kReportEvery;
  std::vector<backfill::DigestRow> rows;
  std::vector<backfill::OldUseRow> uses;
  for (const auto& thread : server_->threads()) thread->digests()->Collect(&rows, &uses);
  absl::Status reported = rows.empty() ? absl::OkStatus() : backfill::ReportDigests(*connection_, *using_, rows);
  if (reported.ok()) reported = backfill::ReportOldUses(*connection_, *using_, uses);
  std::vector<backfill::ComparisonRow> compared;
  for (const auto& thread : server_->threads()) thread->comparisons()->Collect(&compared);
  return reported.ok() ? backfill::ReportComparisons(*connection_, *using_, compared) : reported;
}

// Each second, of the last two.
absl::Status ControlThread::Measure() {
  const int64_t now = BootTime();
  if (!measuring_) measured_.clear();
  if (!measuring_ || now < next_measure_) return absl::OkStatus();
  next_measure_ = now + kMeasureEvery;
  Latency::Counts all{};
  for (const auto& thread : server_->threads()) thread->latency()->AddTo(&all);
  measured_.push_back(all);
  if (measured_.size() > 3) measured_.pop_front();
  Latency::Counts window{};
  uint64_t commands = 0;
  for (size_t i = 0; i < window.size(); ++i) commands += window[i] = all[i] - measured_.front()[i];
  if (commands == 0) return absl::OkStatus();
  return backfill::ReportLatency(*connection_, *using_, lease_.id(), Latency::Quantile(window, 0.5) / 1000, Latency::Quantile(window, 0.99) / 1000, commands);
}

std::string ControlThread::StatusJson() {
  const std::lock_guard lock(mutex_);
  const int64_t now = BootTime();
  if (status_wanted_until_ < now) status_json_.clear();  // nobody has asked for a while: it is old
  status_wanted_until_ = now + kStatusFor;
  return status_json_;
}

absl::Status ControlThread::ReadStatus() {
  const int64_t now = BootTime();
  {
    const std::lock_guard lock(mutex_);
    if (status_wanted_until_ < now || (now < next_status_ && !status_json_.empty())) return absl::OkStatus();
  }
  next_status_ = now + kStatusEvery;
  absl::StatusOr<backfill::StatusReport> report = backfill::ReadStatus(*connection_, *using_, "");
  if (!report.ok()) return report.status();
  std::string json = backfill::ToJson(*report);
  const std::lock_guard lock(mutex_);
  status_json_ = std::move(json);
  return absl::OkStatus();
}

}  // namespace crossfade::proxy

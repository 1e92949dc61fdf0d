// SPDX-License-Identifier: Apache-2.0
// See throttle.h.
#include "backfill/throttle.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "backfill/store.h"
#include "config/throttle.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kWantedFor{5};            // after the last question
constexpr milliseconds kLatencyWindow{2'600};  // what a proxy reports is of the last 2 s, and up to half a second old
constexpr seconds kRestEvery{60};           // a look at the p99 at rest, where nothing else made the backfill rest
constexpr double kNoise = 3;                // milliseconds that a p99 may rise by in any case
constexpr uint64_t kEnoughCommands = 100;   // in a window; fewer have no p99
constexpr double kSlowest = 0.5;  // with as much rest as work, a quarter of the undisturbed rate

double Real(const std::optional<std::string>& value) { return value ? std::strtod(value->c_str(), nullptr) : 0; }

int MinuteOfWeek() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  return ((utc.tm_wday + 6) % 7) * 24 * 60 + utc.tm_hour * 60 + utc.tm_min;
}

ThrottleValue Bounded(std::string name, double value, const config::Throttle::Bound& bound) {
  ThrottleValue out;
  out.name = std::move(name);
  out.value = value;
  out.limit = bound.limit;
  out.stop = bound.stop;
  const auto beyond = [&](double limit) { return limit > 0 && (out.below() ? value < limit : value > limit); };
  out.holds = beyond(bound.limit) || beyond(bound.stop);
  return out;
}

bool Wanted(const config::Throttle::Bound& bound) { return bound.limit > 0 || bound.stop > 0; }

}  // namespace

Throttle::~Throttle() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

ThrottleVerdict Throttle::Look() {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (now - wanted_ > kWantedFor) {  // what is known is old
    verdict_ = {true, false, "its first look at the servers is not over"};
    wake_.notify_all();
  }
  wanted_ = now;
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  return verdict_;
}

std::vector<ThrottleValue> Throttle::Values() const {
  const std::lock_guard lock(mutex_);
  return Clock::now() - wanted_ > kWantedFor ? std::vector<ThrottleValue>() : values_;
}

Clock::duration Throttle::Quiet() const {
  if (working_ != 0) return Clock::duration::zero();
  const int64_t at = worked_at_;
  return at == 0 ? std::chrono::hours(1) : Clock::now().time_since_epoch() - Clock::duration(at);
}

void Throttle::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (Clock::now() - wanted_ > kWantedFor) {
      values_.clear();
      lock.unlock();
      connection_.reset();
      replicas_.reset();
      lock.lock();
      wake_.wait(lock, [this] { return stop_ || Clock::now() - wanted_ <= kWantedFor; });
      continue;
    }
    lock.unlock();
    absl::Status polled = Poll();
    lock.lock();
    if (!polled.ok()) {
      verdict_ = {true, false, "its look at the servers failed: " + std::string(polled.message())};
      if (absl::IsUnavailable(polled)) connection_.reset();
    }
    wake_.wait_for(lock, config_.throttle.poll, [this] { return stop_; });
  }
}

absl::Status Throttle::Poll() {
  if (!connection_) {
    auto opened = Connection::Open(config_);
    if (!opened.ok()) return opened.status();
    connection_ = *std::move(opened);
  }
  std::vector<ThrottleValue> values;
  if (!config::InWindow(config_.throttle.windows, MinuteOfWeek())) {
    ThrottleValue window{"windows", 0, 0, 0, true, "outside of its windows of time"};
    values.push_back(std::move(window));
  }
  absl::Status read = ReadServer(&values);
  if (read.ok()) read = ReadStorage(&values);
  if (read.ok()) read = ReadLatency(&values);
  if (!read.ok()) return read;
  if (Wanted(config_.throttle.replica_lag)) {
    if (replicas_ == nullptr) replicas_ = std::make_unique<Replicas>(config_);
    auto lags = replicas_->Look(*connection_);
    if (!lags.ok()) return lags.status();
    for (const ReplicaLag& lag : *lags) {
      ThrottleValue value = Bounded("replica_lag " + lag.address, lag.seconds.value_or(0), config_.throttle.replica_lag);
      if (!lag.seconds) {
        value.holds = lag.counts;
        value.detail = lag.error.empty() ? "not known" : lag.error;
      }
      values.push_back(std::move(value));
    }
  }
  Judge(values);
  return Publish(values);
}

absl::Status Throttle::ReadServer(std::vector<ThrottleValue>* values) {
  const config::Throttle& limits = config_.throttle;
  if (Wanted(limits.threads_running)) {
    auto rows = connection_->Query("SHOW GLOBAL STATUS LIKE 'Threads_running'");
    if (!rows.ok()) return rows.status();
    if (!rows->rows.empty()) values->push_back(Bounded("threads_running", Real(rows->rows[0][1]), limits.threads_running));
  }
  if (Wanted(limits.history_list)) {
    auto rows = connection_->Query("SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'");
    if (absl::IsUnavailable(rows.status())) return rows.status();
    if (rows.ok() && !rows->rows.empty()) values->push_back(Bounded("history_list", Real(rows->rows[0][0]), limits.history_list));
  }
  if (!limits.query_sql.empty()) {
    auto rows = connection_->Query(limits.query_sql);
    if (absl::IsUnavailable(rows.status())) return rows.status();
    ThrottleValue value = Bounded("query", 0, limits.query);
    if (!rows.ok() || rows->rows.empty() || rows->rows[0].empty() || !rows->rows[0][0]) {
      value.holds = true;
      value.detail = rows.ok() ? "gave no value" : std::string(rows.status().message());
    } else {
      value = Bounded("query", Real(rows->rows[0][0]), limits.query);
    }
    values->push_back(std::move(value));
  }
  return absl::OkStatus();
}

absl::Status Throttle::ReadStorage(std::vector<ThrottleValue>* values) {
  const config::Throttle& limits = config_.throttle;
  const auto add = [&](const char* name, const absl::StatusOr<Measured>& measured, const config::Throttle::Bound& bound) {
    if (!measured.ok()) return absl::IsUnavailable(measured.status()) ? measured.status() : absl::OkStatus();
    ThrottleValue value = Bounded(name, measured->value.value_or(0), bound);
    if (!measured->value) value.holds = false;  // what cannot be known holds nothing
    value.detail = measured->detail;
    value.known = measured->value.has_value();
    values->push_back(std::move(value));
    return absl::OkStatus();
  };
  if (Wanted(limits.binlog_rate)) {
    absl::Status added = add("binlog_rate", binlog_rate_.Look(*connection_), limits.binlog_rate);
    if (!added.ok()) return added;
  }
  if (!Wanted(limits.disk_free)) return absl::OkStatus();
  return add("disk_free", DiskFree(*connection_, config_), limits.disk_free);
}

absl::Status Throttle::ReadLatency(std::vector<ThrottleValue>* values) {
  const config::Throttle& limits = config_.throttle;
  if (!Wanted(limits.p99) && limits.p99_rise == 0) return absl::OkStatus();
  auto rows = connection_->Query(fmt::format("SELECT MAX(p99_us) FROM {} WHERE at > UTC_TIMESTAMP(6) - INTERVAL 3 SECOND AND commands >= {}",
                                             ControlTable(config_, "latency"), kEnoughCommands));
  if (!rows.ok()) return rows.status();
  const auto now = Clock::now();
  application_ = !rows->rows.empty() && rows->rows[0][0].has_value();
  if (!application_) {  // no traffic, nobody to hurt
    p99_ = 0;
    risen_ = false;
    pace_ = std::min(1.0, pace_ * 1.05);
    return absl::OkStatus();
  }
  const double p99 = Real(rows->rows[0][0]) / 1000;
  p99_ = p99_ == 0 ? p99 : (p99_ + p99) / 2;
  const bool at_rest = Quiet() >= kLatencyWindow;
  if (at_rest) {
    p99_ = p99;
    rest_p99_ = rest_p99_ ? *rest_p99_ * 0.7 + p99 * 0.3 : p99;
    rest_measured_ = now;
    risen_ = false;
  }
  ThrottleValue value = Bounded("p99", p99_, limits.p99);
  if (limits.p99_rise > 0) {
    if (!rest_p99_ || now - rest_measured_ > kRestEvery) {
      value.holds = true;
      value.detail = "the application's p99 at rest is being measured";
    } else {
      const double most = std::max(*rest_p99_ * limits.p99_rise, *rest_p99_ + kNoise);
      // What is seen in the first window is still that of the rest before.
      const bool over = p99_ > most && now - rest_measured_ >= kLatencyWindow;
      if (over && !risen_ && !at_rest) pace_ = std::max(kSlowest, pace_ / 2);
      risen_ = risen_ || (over && !at_rest);
      if (!risen_) pace_ = std::min(1.0, pace_ * 1.05);
      value.limit = value.limit == 0 ? most : std::min(value.limit, most);
      value.holds = value.holds || risen_;
      value.detail = fmt::format("{:.1f} ms at rest, pace {:.2f}", *rest_p99_, pace_.load());
    }
  }
  values->push_back(std::move(value));
  return absl::OkStatus();
}

void Throttle::Judge(const std::vector<ThrottleValue>& values) {
  ThrottleVerdict verdict;
  for (const ThrottleValue& value : values) {
    const auto beyond = [&](double limit) { return value.known && limit > 0 && (value.below() ? value.value < limit : value.value > limit); };
    const bool stops = beyond(value.stop);
    if ((!value.holds && !stops) || (verdict.hold && !stops) || verdict.stop) continue;
    verdict.hold = true;
    verdict.stop = stops;
    if (value.holds && !stops && !value.detail.empty() && !beyond(value.limit)) {
      verdict.reason = value.name == "windows" ? value.detail : fmt::format("{}: {}", value.name, value.detail);
    } else {
      verdict.reason = fmt::format("{} is {:.4g}, {} {:.4g}", value.name, value.value, stops ? (value.below() ? "which stops it below" : "which stops it above") : "limit",
                                   stops ? value.stop : value.limit);
    }
  }
  const std::lock_guard lock(mutex_);
  verdict_ = verdict;
  values_ = values;
}

// For `status`, wherever it runs. Not at every look: it costs a commit.
absl::Status Throttle::Publish(const std::vector<ThrottleValue>& values) {
  const auto now = Clock::now();
  std::string held;
  for (const ThrottleValue& value : values) held += value.holds ? value.name + "," : "";
  if (held == published_reason_ && now - published_ < seconds(2)) return absl::OkStatus();
  published_ = now;
  published_reason_ = held;
  const std::string table = ControlTable(config_, "throttle");
  return InTransaction(*connection_, [&]() -> absl::Status {
    auto done = connection_->Execute(fmt::format("DELETE FROM {}", table));
    for (const ThrottleValue& value : values) {
      if (!done.ok()) break;
      done = connection_->Execute(fmt::format("INSERT INTO {} VALUES ({}, {}, {}, {}, {}, {}, UTC_TIMESTAMP(6))", table,
                                              connection_->Quote(value.name.substr(0, 250)), value.value, value.limit, value.stop, value.holds ? 1 : 0,
                                              connection_->Quote(value.detail.substr(0, 1000))));
    }
    return done.status();
  });
}

}  // namespace crossfade::backfill

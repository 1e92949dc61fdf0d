// SPDX-License-Identifier: Apache-2.0
// The migrator's thread: becomes the one leader, then gives each migration its turn, for ever. Everything it needs to
// know is read from the control schema in each round, so a new leader goes on where the last one was.
#include "backfill/migrator.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "backfill/control.h"
#include "backfill/fence.h"
#include "backfill/store.h"
#include "backfill/walker.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"

namespace crossfade::backfill {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::seconds kReconnect{1};
constexpr std::chrono::seconds kPatience{2};  // Stop: how long a statement may go on before it is ended

}  // namespace

struct Migrator::Impl {
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<const config::Config> config;
  std::string proxy;
  bool stop = false, reload = false, running = false;
  uint64_t busy_connection = 0;
  std::shared_ptr<Throttle> throttle;  // of the leadership under way
  std::thread thread;

  // False: stop.
  bool Sleep(microseconds time) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, time, [this] { return stop; });
    return !stop;
  }

  std::shared_ptr<const config::Config> TakeConfig() {
    const std::lock_guard lock(mutex);
    reload = false;
    return config;
  }
  bool Interrupted() {
    const std::lock_guard lock(mutex);
    return stop || reload;
  }

  void Run() {
    std::string last_error;
    while (Sleep(microseconds(0))) {
      const auto current = TakeConfig();
      absl::Status status = Lead(*current);
      if (!status.ok() && std::string(status.message()) != last_error) {
        last_error = std::string(status.message());
        spdlog::warn("migrator: {}", last_error);
      }
      if (status.ok()) last_error.clear();
      if (!status.ok() && !Sleep(kReconnect)) break;
    }
    const std::lock_guard lock(mutex);
    running = false;
    changed.notify_all();
  }

  // Returns when told to stop or to take another config, or with what broke the connection.
  absl::Status Lead(const config::Config& config) {
    auto opened = Connection::Open(config);
    if (!opened.ok()) return opened.status();
    Connection connection = *std::move(opened);
    absl::Status installed = InstallControlSchema(connection, config);
    if (!installed.ok()) return installed;
    SetBusy(connection.thread_id());
    absl::Status status = Walk(connection, config);
    SetBusy(0);
    return status;
  }

  void SetBusy(uint64_t id) {
    const std::lock_guard lock(mutex);
    busy_connection = id;
  }

  absl::Status Walk(Connection& connection, const config::Config& config) {
    const std::string lock_name = ("crossfade." + config.control.schema).substr(0, 64);  // MySQL's limit
    while (true) {  // the lock goes with the connection, so whoever has it can still write
      auto got = connection.Query(fmt::format("SELECT GET_LOCK({}, 0)", connection.Quote(lock_name)));
      if (!got.ok()) return got.status();
      if (got->rows[0][0] == "1") break;
      auto dislodged = DislodgeLeader(connection, config, lock_name);
      if (!dislodged.ok()) return dislodged.status();
      if (!dislodged->empty()) spdlog::warn("migrator: {}", *dislodged);
      Sleep(config.limits.control_poll);
      if (Interrupted()) return absl::OkStatus();
    }
    for (;;) {
      auto left = TakeLead(connection, config, proxy);
      if (!left.ok()) return left.status();
      if (left->empty()) break;
      spdlog::warn("migrator: waits for {}", *left);
      Sleep(config.limits.control_poll);
      if (Interrupted()) return absl::OkStatus();
    }
    spdlog::info("migrator: leading, with connection {}", connection.thread_id());
    // innodb_trx and table sizes as they are, not as cached; unknown to MariaDB.
    (void)connection.Execute("SET SESSION information_schema_stats_expiry = 0");
    const auto throttle = std::make_shared<Throttle>(config);
    {
      const std::lock_guard lock(mutex);
      this->throttle = throttle;
    }
    absl::Status status = Turns(connection, config, throttle.get());
    const std::lock_guard lock(mutex);
    this->throttle.reset();
    return status;
  }

  // Gives each migration its turn, for ever.
  absl::Status Turns(Connection& connection, const config::Config& config, Throttle* throttle) {
    std::map<std::string, Walker> walkers;
    std::map<std::string, std::chrono::steady_clock::time_point> due;
    while (!Interrupted()) {
      auto fenced = FenceLost(connection, config);
      if (!fenced.ok()) return fenced.status();
      auto state = ReadState(connection, config);
      if (!state.ok()) return state.status();
      microseconds rest = config.limits.control_poll;
      for (size_t i = 0; i < state->migrations.size(); ++i) {
        const std::string name = state->migrations[i].name;
        const config::Migration* spec = config.FindMigration(name);
        if (spec == nullptr) continue;
        const auto now = std::chrono::steady_clock::now();
        if (const auto at = due.find(name); at != due.end() && now < at->second) {
          rest = std::min(rest, std::chrono::duration_cast<microseconds>(at->second - now));
          continue;
        }
        auto walker = walkers.try_emplace(name, connection, config, *spec, throttle, [this](microseconds time) { return Sleep(time); }).first;
        auto again = walker->second.Step(*state, state->migrations[i]);
        if (!again.ok()) return again.status();
        due[name] = std::chrono::steady_clock::now() + std::min<microseconds>(*again, config.limits.control_poll);
        rest = std::min(rest, *again);
        if (Interrupted()) return absl::OkStatus();
        // The step may have changed the epoch.
        if (i + 1 < state->migrations.size()) {
          state = ReadState(connection, config);
          if (!state.ok()) return state.status();
        }
      }
      Sleep(rest);
    }
    return absl::OkStatus();
  }
};

Migrator::Migrator(std::shared_ptr<const config::Config> config, std::string proxy) : impl_(std::make_unique<Impl>()) {
  impl_->config = std::move(config);
  impl_->proxy = std::move(proxy);
}

Migrator::~Migrator() { Stop(); }

void Migrator::Start() {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->thread.joinable()) return;
  impl_->stop = false;
  impl_->running = true;
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void Migrator::Stop() {
  std::shared_ptr<const config::Config> config;
  uint64_t busy = 0;
  {
    std::unique_lock lock(impl_->mutex);
    if (!impl_->thread.joinable()) return;
    impl_->stop = true;
    impl_->changed.notify_all();
    impl_->changed.wait_for(lock, kPatience, [this] { return !impl_->running; });
    if (impl_->running) busy = impl_->busy_connection;
    config = impl_->config;
  }
  if (busy != 0) {
    // A long statement (an index being built) is ended; what it did is rolled back and done again next time.
    auto killer = Connection::Open(*config);
    if (killer.ok()) (void)killer->Execute(fmt::format("KILL QUERY {}", busy));
  }
  impl_->thread.join();
}

void Migrator::Reload(std::shared_ptr<const config::Config> config) {
  const std::lock_guard lock(impl_->mutex);
  impl_->config = std::move(config);
  impl_->reload = true;
  impl_->changed.notify_all();
}

std::vector<ThrottleValue> Migrator::ThrottleValues() const {
  std::shared_ptr<Throttle> throttle;
  {
    const std::lock_guard lock(impl_->mutex);
    throttle = impl_->throttle;
  }
  return throttle == nullptr ? std::vector<ThrottleValue>() : throttle->Values();
}

}  // namespace crossfade::backfill

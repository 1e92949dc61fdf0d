// SPDX-License-Identifier: Apache-2.0
// Starting, killing and starting again; see supervisor.h.
#include "tests/demo/supervisor.h"

#include <signal.h>

#include <chrono>

#include "fmt/format.h"

namespace crossfade::demo {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds kStartLimit{20'000};
constexpr double kMeanSecondsBetweenKills = 5;

}  // namespace

absl::Status Supervisor::Start() {
  thread_ = std::thread([this] { Run(); });
  while (!up_ && !failed_) std::this_thread::sleep_for(milliseconds(5));
  if (up_) return absl::OkStatus();
  return absl::UnavailableError("the proxy does not start:\n" + servers::LastLines(servers::ReadFile(log_), 10));
}

void Supervisor::Spare() {
  spared_ = true;
  while (!up_) std::this_thread::sleep_for(milliseconds(5));
}

int Supervisor::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  return exit_code_;
}

bool Supervisor::StartOnce() {
  auto process = servers::Process::Spawn(command_, log_);
  if (!process.ok()) return false;
  process_ = *std::move(process);
  const auto end = steady_clock::now() + kStartLimit;
  while (process_.running() && steady_clock::now() < end) {
    if (servers::PortOpen(port_)) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

void Supervisor::Run() {
  if (!StartOnce()) {
    process_.Kill();
    failed_ = true;
    return;
  }
  up_ = true;
  std::exponential_distribution<> pause(1 / kMeanSecondsBetweenKills);
  const auto next = [&] { return steady_clock::now() + milliseconds(200 + static_cast<int64_t>(1000 * pause(rng_))); };
  auto kill_at = next();
  while (!stop_) {
    std::this_thread::sleep_for(milliseconds(5));
    if (kill_ && !spared_ && steady_clock::now() > kill_at) {
      up_ = false;
      process_.Kill();
      ++kills_;
    } else if (process_.running()) {
      continue;
    } else {
      ++crashes_;
    }
    while (!stop_ && !StartOnce()) {
      process_.Kill();
      ++crashes_;
      std::this_thread::sleep_for(milliseconds(200));
    }
    up_ = true;
    kill_at = next();
  }
  process_.Signal(SIGTERM);
  const auto code = process_.Wait(std::chrono::seconds(40));
  if (!code) process_.Kill();
  exit_code_ = code.value_or(-1);
}

}  // namespace crossfade::demo

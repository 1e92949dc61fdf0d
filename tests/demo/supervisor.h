// SPDX-License-Identifier: Apache-2.0
// Runs the proxy under test and starts it again whenever it is gone; on request it is the one that kills it (SIGKILL)
// at random moments. Lives on a thread of its own, as a child dies with the thread that started it.
#pragma once

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "tests/servers/process.h"

namespace crossfade::demo {

class Supervisor {
 public:
  // `port` is where the proxy listens; its output is appended to `log`.
  Supervisor(std::vector<std::string> command, int port, std::string log, bool kill, uint64_t seed)
      : command_(std::move(command)), port_(port), log_(std::move(log)), kill_(kill), rng_(seed) {}
  ~Supervisor() { Stop(); }

  absl::Status Start();  // returns when the port answers
  void Spare();          // kills it no more; returns when it is up
  int Stop();            // SIGTERM; the exit code, -1: it had to be killed
  int kills() const { return kills_; }
  int crashes() const { return crashes_; }  // it ended and nobody had asked for it

 private:
  void Run();
  bool StartOnce();

  const std::vector<std::string> command_;
  const int port_;
  const std::string log_;
  const bool kill_;
  std::mt19937_64 rng_;
  servers::Process process_;
  std::thread thread_;
  std::atomic<bool> stop_{false}, up_{false}, failed_{false}, spared_{false};
  std::atomic<int> kills_{0}, crashes_{0}, exit_code_{0};
};

}  // namespace crossfade::demo

// SPDX-License-Identifier: Apache-2.0
// The application as a whole; see fleet.h.
#include "tests/demo/fleet.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "fmt/format.h"

namespace crossfade::demo {

namespace {
constexpr size_t kTargets = 200;
}

Fleet::Fleet(const PackageIndex& index, const FleetOptions& options, Stats* stats) {
  application_.stats = stats;
  application_.think_ms = options.think_ms;
  application_.release = static_cast<int>(options.release);
  std::vector<uint32_t> order(index.packages.size());
  std::iota(order.begin(), order.end(), 0u);
  std::mt19937_64 rng(options.seed);
  std::shuffle(order.begin(), order.end(), rng);
  // What the application refers to is never locked for writing by it, so that it makes no deadlocks of its own.
  const size_t targets = std::min(kTargets, order.size() / 2);
  size_t next = 0;
  while (next < targets) application_.targets.push_back(index.packages[order[next++]].name);
  for (int i = 0; i < options.connections; ++i) {
    std::vector<std::string> base;
    for (int k = 0; k < options.packages_each && next < order.size(); ++k, ++next) {
      owned_.push_back(order[next]);
      base.push_back(index.packages[order[next]].name);
    }
    workers_.push_back(std::make_unique<Worker>(&application_, options.first + i, std::move(base), rng()));
  }
}

Fleet::~Fleet() { Stop(); }

template <typename Done>
absl::Status Fleet::WaitFor(const char* what, Done done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (const auto& worker : workers_) {
    while (!done(*worker)) {
      if (std::chrono::steady_clock::now() > end) {
        return absl::DeadlineExceededError(fmt::format("the application did not {} within a minute", what));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  return absl::OkStatus();
}

absl::Status Fleet::Start(const Endpoint& endpoint, int other_port) {
  application_.other_port = other_port;
  application_.port = endpoint.port;
  application_.user = endpoint.user;
  application_.password = endpoint.password;
  application_.schema = endpoint.schema;
  servers::Reply version;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (;;) {  // the proxy may be killed at any moment
    auto client = servers::Client::Connect({.port = endpoint.port, .user = endpoint.user, .password = endpoint.password});
    if (client.ok()) version = client->Query("SELECT VERSION()");
    if (client.ok() && version.ok() && !version.rows.empty()) break;
    if (!application_.faults || std::chrono::steady_clock::now() > end) return client.ok() ? absl::UnavailableError(Describe(version)) : client.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  application_.replace_deletes_children = version.rows[0][0]->find("MariaDB") != std::string::npos;
  for (const auto& worker : workers_) threads_.emplace_back([&worker] { worker->Run(); });
  return WaitFor("read its rows", [](const Worker& worker) { return worker.ready(); });
}

absl::Status Fleet::Release(demo::Release release) {
  application_.release = static_cast<int>(release);
  return WaitFor("roll out a release", [&](const Worker& worker) { return worker.release() == static_cast<int>(release); });
}

absl::Status Fleet::Audit() {
  const int wanted = ++application_.audit;
  return WaitFor("compare its rows", [&](const Worker& worker) { return worker.audit() >= wanted; });
}

absl::Status Fleet::MoveTo(int port) {
  application_.other_port = 0;
  application_.port = port;
  return WaitFor("move to another port", [&](const Worker& worker) { return worker.port() == port; });
}

void Fleet::Stop() {
  application_.stop = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace crossfade::demo

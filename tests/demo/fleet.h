// SPDX-License-Identifier: Apache-2.0
// All connections of the application together: started, moved to another release or port, audited, stopped.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "tests/demo/package_index.h"
#include "tests/demo/worker.h"

namespace crossfade::demo {

struct FleetOptions {
  int connections = 8;
  int first = 0;            // the number of the first one: it stands in the names of what they make
  int packages_each = 300;  // of the index, that a connection owns
  double think_ms = 15;
  uint64_t seed = 1;
  demo::Release release = demo::Release::kNames;  // the one they start with
};

class Fleet {
 public:
  Fleet(const PackageIndex& index, const FleetOptions& options, Stats* stats);
  ~Fleet();  // Stop

  // `other_port`: of a second proxy.
  absl::Status Start(const Endpoint& endpoint, int other_port);  // returns when all have read their rows
  // Each returns when every connection has done it. DeadlineExceeded: one did not within a minute.
  absl::Status Release(demo::Release release);
  absl::Status Audit();
  absl::Status MoveTo(int port);
  void ExpectFaults(bool expected) { application_.faults = expected; }
  void Stop();

  // Names of the index that the application may have changed or whose dependencies it may have.
  const std::vector<uint32_t>& owned() const { return owned_; }

 private:
  template <typename Done>
  absl::Status WaitFor(const char* what, Done done);

  Application application_;
  std::vector<uint32_t> owned_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace crossfade::demo

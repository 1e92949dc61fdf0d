// SPDX-License-Identifier: Apache-2.0
// The demo as a whole.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "tests/demo/fleet.h"

namespace crossfade::demo {

struct DemoOptions {
  std::string index, crossfade, dir;
  int port = 0;
  int rows = 1;
  double dwell_s = 4;
  bool kill_proxy = false;
  FleetOptions fleet;
};

// Fails when a phase was not reached, a reply was wrong, or a row is not what it should be.
absl::Status RunDemo(const DemoOptions& options);

}  // namespace crossfade::demo

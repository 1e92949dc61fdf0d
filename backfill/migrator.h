// SPDX-License-Identifier: Apache-2.0
// The migrator: walks each migration from its phase towards the desired one, one gate at a time. Runs on its own
// thread inside `serve`; of several proxies one is the migrator at a time (GET_LOCK on the control backend).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backfill/throttle.h"
#include "config/config.h"

namespace crossfade::backfill {

class Migrator {
 public:
  // `proxy`: whose lease it leads under; empty: nobody's, and nobody takes the lead from it.
  explicit Migrator(std::shared_ptr<const config::Config> config, std::string proxy = "");
  ~Migrator();  // Stop
  void Start();
  void Stop();  // returns once the chunk under way is committed or rolled back
  void Reload(std::shared_ptr<const config::Config> config);
  // Any thread. What the throttle saw; empty where this is not the one that works.
  std::vector<ThrottleValue> ThrottleValues() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace crossfade::backfill

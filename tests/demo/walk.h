// SPDX-License-Identifier: Apache-2.0
// Asks crossfade for one phase after the other, as an operator does, and shows how far it is.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "tests/demo/stats.h"

namespace crossfade::demo {

class Walk {
 public:
  Walk(std::string crossfade, std::string config, std::string migration, Stats* stats);

  // `crossfade phase ... --wait --yes`; percent < 0: none. The step of the statistics that is under way goes on as
  // `then` from the moment `phase` is reached (empty: it stays). An error holds what crossfade said.
  absl::Status To(const std::string& phase, int percent = -1, const std::string& then = "");
  void Dwell(double seconds);  // lets the application run
  void Say(const std::string& line);

  nlohmann::json Status();  // of the migration; null: there was none to be had
  nlohmann::json last_verification() const { return verification_; }
  uint64_t rows_backfilled() const { return rows_backfilled_; }

 private:
  void Show(const nlohmann::json& status);
  void ClearLine();

  const std::string crossfade_, config_, migration_;
  Stats* const stats_;
  const bool terminal_;
  bool line_shown_ = false;
  const std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point shown_at_;
  nlohmann::json verification_;
  uint64_t rows_backfilled_ = 0;
};

}  // namespace crossfade::demo

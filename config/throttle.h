// SPDX-License-Identifier: Apache-2.0
// The `throttle:` section.
#pragma once

#include <optional>
#include <string_view>

#include "config/config.h"
#include "config/section.h"

namespace crossfade::config {

// "22:00-06:00", "sat 00:00-24:00", "mon-fri 20:00-05:30"
std::optional<Window> ParseWindow(std::string_view text);

void ReadThrottle(const YAML::Node& node, Throttle* throttle, Diagnostics* diagnostics);

// `minute_of_week`: minutes since Monday 00:00 UTC. True where there is no window.
bool InWindow(const std::vector<Window>& windows, int minute_of_week);

}  // namespace crossfade::config

// SPDX-License-Identifier: Apache-2.0
// The `limits:` section: one table of names, members and ranges.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "config/config.h"
#include "config/section.h"

namespace crossfade::config {

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);  // "500ms", "5s", "2m", "1h", "0"
std::optional<uint64_t> ParseSize(std::string_view text);  // "1024", "64KiB", "16MiB", "1GiB"

void ReadLimits(const YAML::Node& node, Limits* limits, Diagnostics* diagnostics);

}  // namespace crossfade::config

// SPDX-License-Identifier: Apache-2.0
// The `migrations:` section. What two entries must not both claim is checked here too, while the lines are known.
#pragma once

#include <vector>

#include "config/config.h"
#include "config/section.h"

namespace crossfade::config {

inline constexpr size_t kMaxMigrations = 128;  // a session's cohorts are one bit each: see MigrationSet

std::vector<Migration> ReadMigrations(const std::vector<YAML::Node>& nodes, const Control& control,
                                      Diagnostics* diagnostics);

}  // namespace crossfade::config

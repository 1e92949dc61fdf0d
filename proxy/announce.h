// SPDX-License-Identifier: Apache-2.0
// What `crossfade phase` says before it does anything: each step on the way, and what cannot be undone.
#pragma once

#include <string>

#include "config/config.h"

namespace crossfade::proxy {

// One line for each step from where the migration stands; `percent`: of cutover. Empty: it is there.
std::string Announcement(const config::Migration& migration, config::Phase from, config::Phase to, double percent);
// What cannot be undone of it; empty: nothing.
std::string NoWayBack(const config::Migration& migration, config::Phase from, config::Phase to);

}  // namespace crossfade::proxy

// SPDX-License-Identifier: Apache-2.0
// crossfade serve: the proxy, with the migrator inside.
#pragma once

#include <string>

namespace crossfade::proxy {

// Runs until SIGTERM or SIGINT and drains then. Returns the exit code; one clear line on stderr where it cannot start.
int Serve(const std::string& config_path);

}  // namespace crossfade::proxy

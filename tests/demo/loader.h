// SPDX-License-Identifier: Apache-2.0
// The tables of the demo, filled with the package index over direct connections to the server.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "tests/demo/package_index.h"

namespace crossfade::demo {

inline constexpr char kSchema[] = "debian";

// Makes the schema (dropping an older one), the tables and the rows. dependencies.id is 1 + the index in
// index.dependencies. `port`: of the server on 127.0.0.1, as root without password.
absl::Status Load(const PackageIndex& index, int port, const std::string& schema = kSchema);

}  // namespace crossfade::demo

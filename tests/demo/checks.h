// SPDX-License-Identifier: Apache-2.0
// Full scans over a direct connection: that both sides agree, and that nothing of what was loaded is lost or changed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/demo/package_index.h"

namespace crossfade::demo {

struct Scan {
  uint64_t rows = 0;
  uint64_t wrong = 0;
};

// While both sides are there: every package has its number, each once, and every reference's number is that of its name.
absl::StatusOr<Scan> ScanBothSides(int port);

// On the final schema: the rows of the index that the application did not own are as they were loaded, in both tables.
absl::StatusOr<Scan> ScanAgainstIndex(const PackageIndex& index, const std::vector<uint32_t>& owned, int port);

absl::StatusOr<std::string> ShowCreateTable(const std::string& table, int port);
absl::StatusOr<uint64_t> CountRows(const std::string& table, int port);

}  // namespace crossfade::demo

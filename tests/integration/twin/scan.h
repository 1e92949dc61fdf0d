// SPDX-License-Identifier: Apache-2.0
// The full scan: old columns of both servers are the same, and on the proxy's side new = f(old) in every row
// where it must hold.
#pragma once

#include "absl/status/status.h"
#include "tests/integration/twin/schema.h"
#include "tests/servers/client.h"

namespace crossfade::twin {

enum class NewSide : uint8_t {
  kAbsent,   // before expand: no new column
  kUnused,   // expand: the new columns are there, nothing writes them
  kWritten,  // dual_write and backfill: right wherever it is filled; filled where the proxy inserted
  kComplete, // verify and cutover: right and filled everywhere
  kOnly,     // retire: the old references are no longer kept
};

// `first_serial`: child rows of a serial key above it were inserted through the proxy while it wrote both sides.
absl::Status Scan(servers::Client& proxied, servers::Client& direct, const Schema& schema, NewSide side, int64_t first_serial);

// new = f(old) alone, of one server; kWritten or kComplete.
absl::Status ScanMapping(servers::Client& client, const Schema& schema, NewSide side, int64_t first_serial);

}  // namespace crossfade::twin

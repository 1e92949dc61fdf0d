// SPDX-License-Identifier: Apache-2.0
// What `crossfade status` shows, read from the control schema in one go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/control.h"
#include "backfill/status_cutover.h"
#include "backfill/throttle.h"

namespace crossfade::backfill {

struct TableProgress {
  std::string table, role;
  uint64_t rows_done = 0, rows_total = 0;  // total is the engine's estimate
  double rate = 0;                         // rows a second, of the last chunks
  bool complete = false;
};

struct LastVerification {
  bool present = false, finished = false;
  uint64_t epoch = 0, rows_checked = 0, rows_total = 0, differences = 0, repaired = 0;
  std::string at, examples;
  std::string table, on;  // while it is under way: where it is, and the replica that is read
};

struct Event { std::string at, severity, text; };

struct MigrationStatus {
  MigrationRow row;
  std::vector<TableProgress> tables;
  LastVerification verification;
  std::vector<DigestRow> refused;  // most frequent first, at most 20
  ComparedReads compared;
  OldUses old_uses;
  std::vector<Event> events;       // newest first, at most 10
  double Fraction() const;         // 0 to 1, of the backfill
  double Rate() const;             // rows a second
  double EtaSeconds() const;       // of the backfill; negative: unknown
};

struct StatusReport {
  uint64_t epoch = 0;
  std::vector<ThrottleValue> throttle;  // of the last seconds; empty: nothing that it would hold is under way
  std::vector<ProxyRow> proxies;
  std::vector<MigrationStatus> migrations;
};

// `only`: one migration's name; empty: all. NotFound: the control schema does not know it.
absl::StatusOr<StatusReport> ReadStatus(Connection& connection, const config::Config& config, const std::string& only);

std::string ToJson(const StatusReport& report);
// The report as lines for a person. `bar_width`: columns of the progress bar; 0: none.
std::string ToText(const StatusReport& report, int bar_width);

}  // namespace crossfade::backfill

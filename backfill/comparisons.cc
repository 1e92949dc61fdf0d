// SPDX-License-Identifier: Apache-2.0
// See comparisons.h.
#include "backfill/comparisons.h"

#include <algorithm>
#include <tuple>

#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {

absl::Status ReportComparisons(Connection& connection, const config::Config& config, const std::vector<ComparisonRow>& rows) {
  if (rows.empty()) return absl::OkStatus();
  std::vector<const ComparisonRow*> ordered;  // always in one order: no deadlock between two proxies
  for (const ComparisonRow& row : rows) ordered.push_back(&row);
  std::sort(ordered.begin(), ordered.end(),
            [](const ComparisonRow* a, const ComparisonRow* b) { return std::tie(a->migration, a->digest) < std::tie(b->migration, b->digest); });
  return InTransaction(connection, [&]() -> absl::Status {
    for (const ComparisonRow* row : ordered) {
      const std::string digest = connection.Quote(std::string_view(row->digest).substr(0, 16'000)), sample = connection.Quote(std::string_view(row->sample).substr(0, 8'000));
      // epoch last: the assignments before it ask for what it was.
      auto added = connection.Execute(fmt::format(
          "INSERT INTO {0}(migration, hash, digest, compared, mismatches, old_us, new_us, sample, epoch, last_seen) VALUES ({1}, UNHEX(SHA2({2}, 256)), {2}, {3}, {4}, {5}, {6}, {7},"
          " {8}, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE compared = IF(epoch < {8}, 0, compared) + {3}, mismatches = IF(epoch < {8}, 0, mismatches) + {4},"
          " old_us = IF(epoch < {8}, 0, old_us) + {5}, new_us = IF(epoch < {8}, 0, new_us) + {6}, sample = IF({7} = '', sample, {7}), last_seen = UTC_TIMESTAMP(6),"
          " epoch = GREATEST(epoch, {8})",
          ControlTable(config, "comparisons"), connection.Quote(row->migration), digest, row->compared, row->mismatches, row->old_us, row->new_us, sample, row->epoch));
      if (!added.ok()) return added.status();
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::string> JudgeComparisons(Connection& connection, const config::Config& config, const config::Migration& migration, const MigrationRow& row) {
  const config::CompareReads& compare = migration.compare_reads;
  if (compare.mismatch_limit <= 0) return std::string();
  auto sums = connection.Query(fmt::format("SELECT COALESCE(SUM(compared), 0), COALESCE(SUM(mismatches), 0) FROM {} WHERE migration = {} AND epoch >= {}",
                                           ControlTable(config, "comparisons"), connection.Quote(migration.name), row.changed_epoch));
  if (!sums.ok()) return sums.status();
  const double compared = std::atof(sums->rows[0][0].value_or("0").c_str()), mismatches = std::atof(sums->rows[0][1].value_or("0").c_str());
  if (compared < compare.at_least || mismatches * 100 <= compare.mismatch_limit * compared) return std::string();
  return fmt::format("{:.0f} of {:.0f} reads compared differ between the sides, more than {:g} %: table comparisons of the control schema has samples", mismatches, compared,
                     compare.mismatch_limit);
}

}  // namespace crossfade::backfill

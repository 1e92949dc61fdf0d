// SPDX-License-Identifier: Apache-2.0
// See comparisons.h.
#include "backfill/comparisons.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {

absl::Status ReportComparisons(Connection& connection, const config::Config& config, const std::vector<ComparisonRow>& rows) {
  if (rows.empty()) return absl::OkStatus();
  std::vector<const ComparisonRow*> ordered;  // always in one order: no deadlock between two proxies
  for (const ComparisonRow& row : rows) ordered.push_back(&row);
  std::sort(ordered.begin(), ordered.end(),
            [](const ComparisonRow* a, const ComparisonRow* b) { return std::tie(a->migration, a->digest) < std::tie(b->migration, b->digest); });
  std::vector<std::string> values;
  for (const ComparisonRow* row : ordered) {
    const std::string digest = connection.Quote(std::string_view(row->digest).substr(0, 16'000));
    values.push_back(fmt::format("({}, UNHEX(SHA2({}, 256)), {}, {}, {}, {}, {}, {}, {}, UTC_TIMESTAMP(6))", connection.Quote(row->migration), digest, digest, row->compared,
                                 row->mismatches, row->old_us, row->new_us, connection.Quote(std::string_view(row->sample).substr(0, 8'000)), row->epoch));
  }
  // epoch last: the assignments before it ask for what it was.
  std::string update;
  for (const char* sum : {"compared", "mismatches", "old_us", "new_us"}) update += fmt::format("{0} = IF(epoch < VALUES(epoch), 0, {0}) + VALUES({0}), ", sum);
  return InsertRows(connection, ControlTable(config, "comparisons") + "(migration, hash, digest, compared, mismatches, old_us, new_us, sample, epoch, last_seen)", values,
                    update + "sample = IF(VALUES(sample) = '', sample, VALUES(sample)), last_seen = VALUES(last_seen), epoch = GREATEST(epoch, VALUES(epoch))");
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

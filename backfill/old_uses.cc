// SPDX-License-Identifier: Apache-2.0
// See old_uses.h.
#include "backfill/old_uses.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr size_t kShown = 50;

std::string Span(double seconds) {
  if (seconds >= 2 * 86'400) return fmt::format("{:.1f} days", seconds / 86'400);
  if (seconds >= 2 * 3'600) return fmt::format("{:.1f} h", seconds / 3'600);
  return fmt::format("{:.0f} s", seconds);
}

}  // namespace

absl::Status ReportOldUses(Connection& connection, const config::Config& config, const std::vector<OldUseRow>& uses) {
  if (uses.empty()) return absl::OkStatus();
  std::vector<const OldUseRow*> ordered;  // always in one order: no deadlock between two proxies
  for (const OldUseRow& use : uses) ordered.push_back(&use);
  std::sort(ordered.begin(), ordered.end(), [](const OldUseRow* a, const OldUseRow* b) {
    return std::tie(a->migration, a->user, a->address, a->digest) < std::tie(b->migration, b->user, b->address, b->digest);
  });
  std::vector<std::string> values;
  for (const OldUseRow* use : ordered) {
    const std::string digest = connection.Quote(std::string_view(use->digest).substr(0, 16'000));
    values.push_back(fmt::format("({}, {}, {}, UNHEX(SHA2({}, 256)), {}, {}, {}, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))", connection.Quote(use->migration),
                                 connection.Quote(std::string_view(use->user).substr(0, 128)), connection.Quote(std::string_view(use->address).substr(0, 64)), digest, digest,
                                 connection.Quote(std::string_view(use->what).substr(0, 4'000)), use->count));
  }
  return InsertRows(connection, ControlTable(config, "old_uses") + "(migration, user, address, hash, digest, what, count, first_seen, last_seen)", values,
                    "what = VALUES(what), count = count + VALUES(count), last_seen = VALUES(last_seen)");
}

absl::StatusOr<Quiet> ReadQuiet(Connection& connection, const config::Config& config, const config::Migration& migration) {
  Quiet quiet;
  const std::string name = connection.Quote(migration.name);
  auto since = connection.Query(fmt::format("SELECT TIMESTAMPDIFF(MICROSECOND, cutover_since, UTC_TIMESTAMP(6)) / 1000000 FROM {} WHERE name = {}",
                                            ControlTable(config, "migrations"), name));
  if (!since.ok()) return since.status();
  quiet.counted_for = since->rows.empty() || !since->rows[0][0] ? -1 : std::atof(since->rows[0][0]->c_str());
  const auto window = std::chrono::microseconds(migration.quiet_before_retire);
  auto rows = connection.Query(fmt::format("SELECT user, address, digest, what, count, last_seen FROM {} WHERE migration = {} AND last_seen > UTC_TIMESTAMP(6) - INTERVAL {} MICROSECOND"
                                           " ORDER BY last_seen DESC, count DESC",
                                           ControlTable(config, "old_uses"), name, window.count()));
  if (!rows.ok()) return rows.status();
  for (const Row& row : rows->rows) {
    if (quiet.uses.size() == kShown) {
      ++quiet.more;
      continue;
    }
    quiet.uses.push_back({migration.name, row[0].value_or(""), row[1].value_or(""), row[2].value_or(""), row[3].value_or(""),
                          std::strtoull(row[4].value_or("0").c_str(), nullptr, 10), row[5].value_or("").substr(0, 19)});
  }
  const double seconds = std::chrono::duration<double>(window).count();
  quiet.enough = quiet.uses.empty() && (window.count() == 0 || quiet.counted_for >= seconds);
  return quiet;
}

std::string ToText(const Quiet& quiet, const config::Migration& migration) {
  const std::string asked = Span(std::chrono::duration<double>(migration.quiet_before_retire).count());
  std::string text;
  if (!quiet.uses.empty()) {
    text = fmt::format("{} statement shape(s) of the last {} break once the old side has gone:\n", quiet.uses.size() + quiet.more, asked);
    for (const OldUseRow& use : quiet.uses) {
      text += fmt::format("  {} from {}, {} times, last {} UTC: {}\n      {}\n", use.user, use.address.empty() ? "?" : use.address, use.count, use.last_seen, use.what,
                          use.digest.substr(0, 300));
    }
    if (quiet.more > 0) text += fmt::format("  and {} more: table old_uses of the control schema\n", quiet.more);
  } else if (!quiet.enough) {
    text = quiet.counted_for < 0 ? fmt::format("uses of the old side are counted from `cutover` on; quiet_before_retire asks for {} without one\n", asked)
                                 : fmt::format("no use of the old side was seen, but they are counted for {} only; quiet_before_retire asks for {}\n",
                                               Span(quiet.counted_for), asked);
  }
  return text;
}

}  // namespace crossfade::backfill

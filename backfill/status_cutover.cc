// SPDX-License-Identifier: Apache-2.0
// See status_cutover.h.
#include "backfill/status_cutover.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "backfill/store.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace crossfade::backfill {
namespace {

constexpr int kMost = 20;
constexpr size_t kTextDigest = 300, kTextShown = 5;

std::string Text(const std::optional<std::string>& cell) { return cell.value_or(""); }
uint64_t Number(const std::optional<std::string>& cell) { return cell ? std::strtoull(cell->c_str(), nullptr, 10) : 0; }
double Real(const std::optional<std::string>& cell) { return cell ? std::strtod(cell->c_str(), nullptr) : 0; }
std::string Second(const std::string& at) { return at.substr(0, 19); }

}  // namespace

absl::Status ReadComparedReads(Connection& connection, const config::Config& config, const MigrationRow& row, ComparedReads* reads) {
  const std::string from = fmt::format("FROM {} WHERE migration = {}", ControlTable(config, "comparisons"), connection.Quote(row.name));
  auto sums = connection.Query(fmt::format("SELECT COALESCE(SUM(compared), 0), COALESCE(SUM(mismatches), 0), COALESCE(SUM(old_us) / SUM(compared), 0),"
                                           " COALESCE(SUM(new_us) / SUM(compared), 0) {} AND epoch >= {}", from, row.changed_epoch));
  if (!sums.ok()) return sums.status();
  reads->compared = Number(sums->rows[0][0]);
  reads->mismatches = Number(sums->rows[0][1]);
  reads->old_us = Real(sums->rows[0][2]);
  reads->new_us = Real(sums->rows[0][3]);
  auto shapes = connection.Query(fmt::format("SELECT digest, sample, last_seen, epoch, compared, mismatches, old_us / compared, new_us / compared {}"
                                             " ORDER BY mismatches DESC, compared DESC LIMIT {}", from, kMost));
  if (!shapes.ok()) return shapes.status();
  for (const Row& each : shapes->rows) {
    reads->shapes.push_back({Text(each[0]), Text(each[1]), Text(each[2]), Number(each[3]), Number(each[4]), Number(each[5]), Real(each[6]), Real(each[7])});
  }
  return absl::OkStatus();
}

absl::Status ReadOldUses(Connection& connection, const config::Config& config, const MigrationRow& row, OldUses* uses) {
  const std::string from = fmt::format("FROM {} WHERE migration = {}", ControlTable(config, "old_uses"), connection.Quote(row.name));
  auto sums = connection.Query("SELECT COUNT(*), COALESCE(SUM(count), 0), MAX(last_seen) " + from);
  if (!sums.ok()) return sums.status();
  uses->shapes = Number(sums->rows[0][0]);
  uses->count = Number(sums->rows[0][1]);
  uses->last_seen = Text(sums->rows[0][2]);
  auto rows = connection.Query(fmt::format("SELECT user, address, digest, what, first_seen, last_seen, count {} ORDER BY last_seen DESC, count DESC LIMIT {}", from, kMost));
  if (!rows.ok()) return rows.status();
  for (const Row& each : rows->rows) {
    uses->uses.push_back({Text(each[0]), Text(each[1]), Text(each[2]), Text(each[3]), Text(each[4]), Text(each[5]), Number(each[6])});
  }
  return absl::OkStatus();
}

nlohmann::json ToJson(const ComparedReads& reads) {
  if (reads.shapes.empty()) return nullptr;
  nlohmann::json out = {{"compared", reads.compared}, {"mismatches", reads.mismatches}, {"mismatch_percent", reads.Percent()},
                        {"old_us", reads.old_us}, {"new_us", reads.new_us}, {"digests", nlohmann::json::array()}};
  for (const ComparedReads::Shape& shape : reads.shapes) {
    out["digests"].push_back({{"digest", shape.digest}, {"compared", shape.compared}, {"mismatches", shape.mismatches}, {"old_us", shape.old_us},
                              {"new_us", shape.new_us}, {"epoch", shape.epoch}, {"last_seen", shape.last_seen}, {"sample", shape.sample}});
  }
  return out;
}

nlohmann::json ToJson(const OldUses& uses) {
  nlohmann::json out = {{"shapes", uses.shapes}, {"count", uses.count}, {"last_seen", uses.shapes == 0 ? nlohmann::json(nullptr) : nlohmann::json(uses.last_seen)},
                        {"uses", nlohmann::json::array()}};
  for (const OldUses::Use& use : uses.uses) {
    out["uses"].push_back({{"user", use.user}, {"address", use.address}, {"digest", use.digest}, {"what", use.what}, {"count", use.count},
                           {"first_seen", use.first_seen}, {"last_seen", use.last_seen}});
  }
  return out;
}

std::string ToText(const ComparedReads& reads) {
  if (reads.shapes.empty()) return "";
  std::string out = fmt::format("  reads compared {}, {} differ ({:.3g} %)", reads.compared, reads.mismatches, reads.Percent());
  if (reads.compared > 0) out += fmt::format("; on average {:.2f} ms on the old side, {:.2f} ms on the new", reads.old_us / 1000, reads.new_us / 1000);
  out += "\n";
  size_t shown = 0;
  for (const ComparedReads::Shape& shape : reads.shapes) {
    if (shape.mismatches == 0) break;
    if (++shown > kTextShown) return out + "    and more: table comparisons of the control schema\n";
    out += fmt::format("    {} of {} differ under epoch {}, last read {}: {}\n", shape.mismatches, shape.compared, shape.epoch, Second(shape.last_seen),
                       shape.digest.substr(0, kTextDigest));
    if (!shape.sample.empty()) out += fmt::format("      {}\n", shape.sample.substr(0, std::min(shape.sample.find('\n'), kTextDigest)));
  }
  if (shown == 0) out += fmt::format("    last {}, most often: {}\n", Second(reads.shapes[0].last_seen), reads.shapes[0].digest.substr(0, kTextDigest));
  return out;
}

std::string ToText(const OldUses& uses) {
  if (uses.shapes == 0) return "";
  std::string out = fmt::format("  old side: used {} times by {} statement shape(s), last {}; they break with retire\n", uses.count, uses.shapes, Second(uses.last_seen));
  size_t shown = 0;
  for (const OldUses::Use& use : uses.uses) {
    if (++shown > kTextShown) return out + "    and more: `crossfade phase NAME retire` lists them\n";
    out += fmt::format("    {} from {}, {} times, last {}: {}\n      {}\n", use.user, use.address.empty() ? "?" : use.address, use.count, Second(use.last_seen), use.what,
                       use.digest.substr(0, kTextDigest));
  }
  return out;
}

}  // namespace crossfade::backfill

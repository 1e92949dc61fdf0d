// SPDX-License-Identifier: Apache-2.0
// The status report: control tables -> struct -> JSON or text.
#include "backfill/status.h"

#include <algorithm>

#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace crossfade::backfill {
namespace {

std::string Text(const std::optional<std::string>& cell) { return cell.value_or(""); }
uint64_t Number(const std::optional<std::string>& cell) { return cell ? std::strtoull(cell->c_str(), nullptr, 10) : 0; }
double Real(const std::optional<std::string>& cell) { return cell ? std::strtod(cell->c_str(), nullptr) : 0; }

absl::Status ReadOne(Connection& connection, const config::Config& config, const std::string& schema, MigrationStatus* status) {
  const std::string name = connection.Quote(status->row.name);
  auto progress = connection.Query(fmt::format(
      "SELECT table_name, role, rows_done, rows_total, rate, complete FROM {}.backfill_progress WHERE migration = {} ORDER BY started",
      schema, name));
  if (!progress.ok()) return progress.status();
  for (const Row& row : progress->rows) {
    status->tables.push_back({Text(row[0]), Text(row[1]), Number(row[2]), Number(row[3]), Real(row[4]), Number(row[5]) != 0});
  }
  auto verified = connection.Query(fmt::format(
      "SELECT epoch, COALESCE(finished, updated), finished IS NOT NULL, rows_checked, rows_total, differences, repaired, examples, place"
      " FROM {}.verifications WHERE migration = {} ORDER BY id DESC LIMIT 1", schema, name));
  if (!verified.ok()) return verified.status();
  for (const Row& row : verified->rows) {
    LastVerification& last = status->verification;
    last.present = true;
    last.epoch = Number(row[0]);
    last.at = Text(row[1]);
    last.finished = Number(row[2]) != 0;
    last.rows_checked = Number(row[3]);
    last.rows_total = Number(row[4]);
    last.differences = Number(row[5]);
    last.repaired = Number(row[6]);
    last.examples = Text(row[7]);
    const auto place = nlohmann::json::parse(Text(row[8]), nullptr, false);
    if (place.is_object()) {
      last.table = place.value("table", "");
      last.on = place.value("on", "");
    }
  }
  auto refused = connection.Query(fmt::format(
      "SELECT digest, strategy, reason, user, count, first_seen, last_seen FROM {}.digests WHERE migration = {} AND strategy = 'C' ORDER BY count DESC LIMIT 20",
      schema, name));
  if (!refused.ok()) return refused.status();
  for (const Row& row : refused->rows) {
    DigestRow digest;
    digest.migration = status->row.name;
    digest.digest = Text(row[0]);
    digest.strategy = Text(row[1]);
    digest.reason = Text(row[2]);
    digest.user = Text(row[3]);
    digest.count = Number(row[4]);
    digest.first_seen = Text(row[5]);
    digest.last_seen = Text(row[6]);
    for (const config::Migration& migration : config.migrations) {
      const auto& accepted = migration.accepted;
      if (migration.name == status->row.name) digest.accepted = std::find(accepted.begin(), accepted.end(), digest.digest) != accepted.end();
    }
    status->refused.push_back(std::move(digest));
  }
  absl::Status cutover = ReadComparedReads(connection, config, status->row, &status->compared);
  if (cutover.ok()) cutover = ReadOldUses(connection, config, status->row, &status->old_uses);
  if (!cutover.ok()) return cutover;
  auto events = connection.Query(fmt::format(
      "SELECT at, severity, text FROM {}.events WHERE migration = {} ORDER BY id DESC LIMIT 10", schema, name));
  if (!events.ok()) return events.status();
  for (const Row& row : events->rows) status->events.push_back({Text(row[0]), Text(row[1]), Text(row[2])});
  return absl::OkStatus();
}

std::string Duration(double seconds) {
  const auto s = static_cast<uint64_t>(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
}

}  // namespace

double MigrationStatus::Fraction() const {
  double done = 0, total = 0;
  for (const TableProgress& table : tables) {
    const double size = static_cast<double>(std::max({table.rows_total, table.rows_done, uint64_t{1}}));
    total += size;
    done += table.complete ? size : static_cast<double>(table.rows_done);
  }
  return total == 0 ? 0 : done / total;
}

double MigrationStatus::Rate() const {
  double rate = 0;
  for (const TableProgress& table : tables) {
    if (!table.complete) rate += table.rate;
  }
  return rate;
}

double MigrationStatus::EtaSeconds() const {
  double left = 0, rate = 0;
  for (const TableProgress& table : tables) {
    if (table.complete) continue;
    if (table.rows_total > table.rows_done) left += static_cast<double>(table.rows_total - table.rows_done);
    rate = std::max(rate, table.rate);
  }
  if (left == 0) return 0;
  return rate > 0 ? left / rate : -1;
}

absl::StatusOr<StatusReport> ReadStatus(Connection& connection, const config::Config& config, const std::string& only) {
  const std::string schema = QuoteName(config.control.schema);
  auto state = ReadState(connection, config);
  if (!state.ok()) return state.status();
  auto proxies = ReadProxies(connection, config);
  if (!proxies.ok()) return proxies.status();
  StatusReport report;
  report.epoch = state->epoch;
  report.proxies = *std::move(proxies);
  auto throttle = connection.Query(fmt::format(
      "SELECT name, value, wait_above, stop_above, holds, detail FROM {}.throttle WHERE at > UTC_TIMESTAMP(6) - INTERVAL 10 SECOND ORDER BY name", schema));
  if (!throttle.ok()) return throttle.status();
  for (const Row& row : throttle->rows) {
    report.throttle.push_back({Text(row[0]), Real(row[1]), Real(row[2]), Real(row[3]), Number(row[4]) != 0, Text(row[5])});
  }
  for (MigrationRow& row : state->migrations) {
    if (!only.empty() && row.name != only) continue;
    MigrationStatus status;
    status.row = std::move(row);
    absl::Status read = ReadOne(connection, config, schema, &status);
    if (!read.ok()) return read;
    report.migrations.push_back(std::move(status));
  }
  if (!only.empty() && report.migrations.empty()) {
    return absl::NotFoundError(fmt::format("no migration {} in the control schema {}", only, config.control.schema));
  }
  return report;
}

std::string ToJson(const StatusReport& report) {
  using nlohmann::json;
  json out;
  out["epoch"] = report.epoch;
  out["proxies"] = json::array();
  for (const ProxyRow& proxy : report.proxies) {
    out["proxies"].push_back({{"id", proxy.id}, {"address", proxy.address}, {"alive", proxy.alive},
                              {"acked_epoch", proxy.acked_epoch}, {"oldest_epoch", proxy.oldest_epoch}});
  }
  out["throttle"] = json::array();
  for (const ThrottleValue& value : report.throttle) {
    out["throttle"].push_back({{"name", value.name}, {"value", value.value}, {"limit", value.limit}, {"stop", value.stop}, {"holds", value.holds}, {"detail", value.detail}});
  }
  out["migrations"] = json::array();
  for (const MigrationStatus& migration : report.migrations) {
    json one = {{"name", migration.row.name},
                {"phase", config::PhaseName(migration.row.phase)},
                {"desired", config::PhaseName(migration.row.desired)},
                {"percent", migration.row.percent},
                {"desired_percent", migration.row.desired_percent},
                {"held", migration.row.held},
                {"building", migration.row.building},
                {"swapped", migration.row.swapped},
                {"paused", migration.row.paused},
                {"message", migration.row.message},
                {"fraction", migration.Fraction()},
                {"rows_per_second", migration.Rate()},
                {"eta_seconds", migration.EtaSeconds() < 0 ? json(nullptr) : json(migration.EtaSeconds())}};
    one["tables"] = json::array();
    for (const TableProgress& table : migration.tables) {
      one["tables"].push_back({{"table", table.table}, {"role", table.role}, {"rows_done", table.rows_done},
                               {"rows_total", table.rows_total}, {"rows_per_second", table.rate}, {"complete", table.complete}});
    }
    const LastVerification& last = migration.verification;
    one["verification"] = nullptr;
    if (last.present) {
      one["verification"] = {{"epoch", last.epoch}, {"at", last.at}, {"finished", last.finished},
                             {"rows_checked", last.rows_checked}, {"rows_total", last.rows_total},
                             {"differences", last.differences}, {"repaired", last.repaired}, {"examples", last.examples},
                             {"table", last.table}, {"on", last.on}};
    }
    one["refused"] = json::array();
    for (const DigestRow& digest : migration.refused) {
      one["refused"].push_back({{"digest", digest.digest}, {"reason", digest.reason}, {"user", digest.user}, {"count", digest.count},
                                {"first_seen", digest.first_seen}, {"last_seen", digest.last_seen}, {"accepted", digest.accepted}});
    }
    one["compared_reads"] = ToJson(migration.compared);
    one["old_uses"] = ToJson(migration.old_uses);
    one["events"] = json::array();
    for (const Event& event : migration.events) {
      one["events"].push_back({{"at", event.at}, {"severity", event.severity}, {"text", event.text}});
    }
    out["migrations"].push_back(std::move(one));
  }
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string ToText(const StatusReport& report, int bar_width) {
  std::string out = fmt::format("epoch {}, {} {}\n", report.epoch, report.proxies.size(), report.proxies.size() == 1 ? "proxy" : "proxies");
  for (const ProxyRow& proxy : report.proxies) {
    out += fmt::format("  proxy {} at {}: {}, epoch {}{}\n", proxy.id, proxy.address, proxy.alive ? "alive" : "lease ran out",
                       proxy.acked_epoch,
                       proxy.oldest_epoch < proxy.acked_epoch ? fmt::format(", still working under {}", proxy.oldest_epoch) : "");
  }
  if (!report.throttle.empty()) out += "throttle\n";
  for (const ThrottleValue& value : report.throttle) {
    const bool bytes = value.name == "disk_free" || value.name == "binlog_rate";
    const auto shown = [bytes](double number) { return bytes ? fmt::format("{:.1f} MiB", number / (1 << 20)) : fmt::format("{:.4g}", number); };
    const char* beyond = value.below() ? "below" : "above";
    out += fmt::format("  {} {}", value.name, value.detail.starts_with("not known") ? "?" : shown(value.value));
    if (value.limit > 0) out += fmt::format(", waits {} {}", beyond, shown(value.limit));
    if (value.stop > 0) out += fmt::format(", stops {} {}", beyond, shown(value.stop));
    out += fmt::format("{}{}{}\n", value.holds ? ": HOLDS" : "", value.detail.empty() ? "" : "; ", value.detail);
  }
  for (const MigrationStatus& migration : report.migrations) {
    const MigrationRow& row = migration.row;
    out += fmt::format("\n{}: {}", row.name, config::PhaseName(row.phase));
    if (row.phase == config::Phase::kCutover) out += fmt::format(" at {:g} %", row.percent);
    if (row.desired != row.phase) out += fmt::format(", on the way to {}", config::PhaseName(row.desired));
    if (row.desired == config::Phase::kCutover && row.desired_percent != row.percent) out += fmt::format(" at {:g} %", row.desired_percent);
    if (row.paused) out += ", paused";
    if (row.held) out += ", statements held";
    out += "\n";
    if (!row.message.empty()) out += fmt::format("  {}\n", row.message);
    for (const TableProgress& table : migration.tables) {
      out += fmt::format("  {} ({}): {} of about {} rows{}\n", table.table, table.role, table.rows_done, std::max(table.rows_total, table.rows_done),
                         table.complete ? ", complete" : fmt::format(", {:.0f} rows/s", table.rate));
    }
    if (!migration.tables.empty() && bar_width > 0) {
      const int filled = static_cast<int>(migration.Fraction() * bar_width);
      const double eta = migration.EtaSeconds();
      out += fmt::format("  [{}{}] {:5.1f} %{}\n", std::string(filled, '#'), std::string(bar_width - filled, '.'),
                         migration.Fraction() * 100, eta > 0 ? ", about " + Duration(eta) + " left" : "");
    }
    const LastVerification& last = migration.verification;
    if (last.present) {
      std::string where = last.at;
      if (!last.finished) {
        const double total = static_cast<double>(std::max({last.rows_total, last.rows_checked, uint64_t{1}}));
        where = fmt::format("under way{}, {:.0f} %", last.table.empty() ? "" : " in " + last.table, 100 * static_cast<double>(last.rows_checked) / total);
      }
      if (!last.on.empty()) where += " on the replica " + last.on;
      out += fmt::format("  verification {}: {} rows checked, {} differ{}\n", where, last.rows_checked,
                         last.differences, last.repaired ? fmt::format(", {} repaired", last.repaired) : "");
      if (last.differences != 0 && !last.examples.empty()) out += fmt::format("    {}\n", last.examples);
    }
    for (const DigestRow& digest : migration.refused) {
      out += fmt::format("  refused {} times from {} to {} (user {}{}): {}\n    {}\n", digest.count, digest.first_seen.substr(0, 19), digest.last_seen.substr(0, 19),
                         digest.user, digest.accepted ? ", accepted" : "", digest.digest, digest.reason);
    }
    out += ToText(migration.compared);
    out += ToText(migration.old_uses);
    if (!migration.events.empty()) out += fmt::format("  last event {}: {}\n", migration.events[0].at, migration.events[0].text);
  }
  return out;
}

}  // namespace crossfade::backfill

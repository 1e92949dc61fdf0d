// SPDX-License-Identifier: Apache-2.0
// crossfade status and crossfade phase.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <thread>

#include "backfill/control.h"
#include "backfill/old_uses.h"
#include "backfill/preflight.h"
#include "backfill/status.h"
#include "fmt/format.h"
#include "proxy/announce.h"
#include "proxy/cli.h"
#include "proxy/cli_common.h"

namespace crossfade::proxy {
namespace {

using config::Phase;
using std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(200);
constexpr auto kNobodyThere = std::chrono::seconds(30);  // no live proxy for so long: nothing will happen

int BarWidth() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 40;
  return std::min<int>(size.ws_col - 30, 60);
}

bool Confirm(const std::string& question) {
  if (isatty(STDIN_FILENO) == 0) return false;
  fmt::print("{}. Go on? [y/N] ", question);
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// In force: the proxies serve by it. Whoever waits may go on with statements that need the phase.
bool Arrived(const backfill::StatusReport& report, const backfill::MigrationRow& row, Phase phase, double percent) {
  // `contract` begins with the names that are to be swapped.
  const bool there = row.phase == phase && (phase != Phase::kCutover || row.percent == percent) && (phase != Phase::kContract || row.swapped) && !row.held;
  return there && std::all_of(report.proxies.begin(), report.proxies.end(), [&](const backfill::ProxyRow& proxy) {
    return !proxy.alive || proxy.acked_epoch >= row.changed_epoch;
  });
}

// One line that changes in place on a terminal; elsewhere a line where what it says changed.
class Ticker {
 public:
  void Show(const backfill::MigrationStatus& status) {
    const backfill::MigrationRow& row = status.row;
    std::string line = fmt::format("{}: {}", row.name, config::PhaseName(row.phase));
    if (row.phase == Phase::kCutover) line += fmt::format(" {:g} %", row.percent);
    if (row.phase == Phase::kBackfill && !status.tables.empty()) line += Progress(status);
    else if (!row.message.empty()) line += ": " + row.message;
    if (terminal_) {
      if (line.size() > 150) line.resize(150);
      fmt::print("\r\033[K{}", line);
    } else if (line != last_ && (row.phase != last_phase_ || steady_clock::now() - shown_ > std::chrono::seconds(2))) {
      fmt::print("{}\n", line);
      last_phase_ = row.phase;
      shown_ = steady_clock::now();
      last_ = line;
    }
    std::fflush(stdout);
  }
  void End() const {
    if (terminal_) fmt::print("\r\033[K");
  }

 private:
  std::string Progress(const backfill::MigrationStatus& status) const {
    std::string bar;
    if (terminal_) {
      const int width = BarWidth() / 2, filled = static_cast<int>(status.Fraction() * width);
      bar = fmt::format(" [{}{}]", std::string(filled, '#'), std::string(width - filled, '.'));
    }
    const double eta = status.EtaSeconds();
    return fmt::format("{} {:.1f} %, {:.0f} rows/s{}", bar, status.Fraction() * 100, status.Rate(),
                       eta > 0 ? fmt::format(", about {:.0f} s left", eta) : "");
  }

  bool terminal_ = isatty(STDOUT_FILENO) != 0;
  std::string last_;
  Phase last_phase_ = Phase::kDone;
  steady_clock::time_point shown_{};
};

int WaitFor(Opened& opened, const PhaseOptions& options, Phase phase, double percent) {
  const auto start = steady_clock::now();
  auto last_alive = start;
  Ticker ticker;
  auto fail = [&](const std::string& message) {
    ticker.End();
    return Fail(options.migration + ": " + message);
  };
  for (;; std::this_thread::sleep_for(kPoll)) {
    const auto now = steady_clock::now();
    auto report = backfill::ReadStatus(opened.connection, opened.config, options.migration);
    if (!report.ok()) {
      // The database restarts, say: what was asked for is kept there.
      auto again = backfill::Connection::Open(opened.config);
      if (again.ok()) opened.connection = *std::move(again);
      if (now - last_alive > kNobodyThere) return fail(std::string(report.status().message()));
      continue;
    }
    const backfill::MigrationStatus& status = report->migrations[0];
    ticker.Show(status);
    if (Arrived(*report, status.row, phase, percent)) {
      ticker.End();
      fmt::print("{}: {}{}\n", options.migration, options.phase, phase == Phase::kCutover ? fmt::format(" at {:g} %", percent) : "");
      return 0;
    }
    if (status.row.desired != phase || (phase == Phase::kCutover && status.row.desired_percent != percent)) {
      return fail(fmt::format("somebody else asked for {} meanwhile", config::PhaseName(status.row.desired)));
    }
    if (std::any_of(report->proxies.begin(), report->proxies.end(), [](const auto& proxy) { return proxy.alive; })) last_alive = now;
    if (now - last_alive > kNobodyThere) {
      return fail(fmt::format("no live proxy for {} s, so nothing moves: start `crossfade serve`; what was asked for is kept",
                              kNobodyThere.count()));
    }
    if (options.timeout > 0 && now - start > std::chrono::duration<double>(options.timeout)) {
      return fail(fmt::format("still in {} after {:g} s{}{}", config::PhaseName(status.row.phase), options.timeout,
                              status.row.message.empty() ? "" : ": ", status.row.message));
    }
  }
}

}  // namespace

int Status(const std::string& config_path, const StatusOptions& options) {
  auto opened = OpenControl(config_path);
  if (!opened.ok()) return Fail(opened.status());
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  for (;; std::this_thread::sleep_for(std::chrono::seconds(1))) {
    auto report = backfill::ReadStatus(opened->connection, opened->config, options.migration);
    if (!report.ok()) return Fail(report.status());
    if (options.watch && terminal) fmt::print("\033[H\033[2J");
    fmt::print("{}", options.json ? backfill::ToJson(*report) : backfill::ToText(*report, terminal ? BarWidth() : 40));
    std::fflush(stdout);
    if (!options.watch) return 0;
  }
}

int SetPhase(const std::string& config_path, const PhaseOptions& options) {
  const auto phase = config::ParsePhase(options.phase);
  if (!phase) {
    return Fail(fmt::format("there is no phase '{}': observe, expand, dual_write, backfill, verify, cutover, retire, contract, done",
                            options.phase));
  }
  if (options.percent && *phase != Phase::kCutover) return Fail("--percent belongs to cutover");
  if (options.percent && !(*options.percent >= 0 && *options.percent <= 100)) return Fail("--percent is from 0 to 100");
  const double percent = *phase == Phase::kCutover ? options.percent.value_or(100) : 0;

  auto opened = OpenControl(config_path);
  if (!opened.ok()) return Fail(opened.status());
  auto& [config, connection] = *opened;
  auto declared = FindDeclared(config, options.migration);
  if (!declared.ok()) return Fail(declared.status());
  absl::Status synced = backfill::SyncDeclared(connection, config);
  if (!synced.ok()) return Fail(synced);
  auto before = backfill::ReadStatus(connection, config, options.migration);
  if (!before.ok()) return Fail(before.status());
  const Phase from = before->migrations[0].row.phase;

  if (from == Phase::kObserve && *phase > Phase::kObserve) {
    auto findings = backfill::Preflight(connection, config, **declared);
    if (!findings.ok()) return Fail(findings.status());
    for (const backfill::Finding& finding : *findings) {
      if (finding.level != backfill::Finding::kError) continue;
      return Fail(fmt::format("{}: {}{}{}", options.migration, finding.text, finding.advice.empty() ? "" : "; ", finding.advice));
    }
  }
  fmt::print("{}: {} -> {}\n{}", options.migration, config::PhaseName(from), options.phase, Announcement(**declared, from, *phase, percent));
  std::fflush(stdout);
  const std::string warning = NoWayBack(**declared, from, *phase);
  bool confirmed = options.yes || from >= Phase::kRetire;
  if (!warning.empty()) {
    std::string asked = warning;
    if (from < Phase::kRetire) {
      auto quiet = backfill::ReadQuiet(connection, config, **declared);
      if (!quiet.ok()) return Fail(quiet.status());
      fmt::print("{}", backfill::ToText(*quiet, **declared));
      std::fflush(stdout);
      if (!quiet->uses.empty()) asked = fmt::format("{} statement shape(s) still use the old side; {}", quiet->uses.size() + quiet->more, warning);
      else if (!quiet->enough) asked = "the old side has not been quiet for as long as quiet_before_retire asks; " + warning;
    }
    if (!options.yes && !Confirm(fmt::format("{}: {}", options.migration, asked))) {
      return Fail(fmt::format("{}: {}; `--yes` says that this is meant", options.migration, asked));
    }
    confirmed = true;
  }
  absl::Status set = backfill::SetDesired(connection, config, options.migration, *phase, percent, confirmed);
  if (!set.ok()) return Fail(set);
  if (options.wait) return WaitFor(*opened, options, *phase, percent);
  fmt::print("{}: asked for {}; it is in {} now\n", options.migration, options.phase, config::PhaseName(from));
  return 0;
}

}  // namespace crossfade::proxy

// SPDX-License-Identifier: Apache-2.0
// The operator's side of the demo; see walk.h.
#include "tests/demo/walk.h"

#include <unistd.h>

#include <cstdio>
#include <thread>

#include "fmt/format.h"
#include "tests/servers/process.h"

namespace crossfade::demo {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::minutes kPhaseLimit{10};
constexpr milliseconds kPoll{400};
constexpr std::chrono::seconds kPlainLineEvery{3};

double Seconds(steady_clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double Real(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

}  // namespace

Walk::Walk(std::string crossfade, std::string config, std::string migration, Stats* stats)
    : crossfade_(std::move(crossfade)), config_(std::move(config)), migration_(std::move(migration)), stats_(stats),
      terminal_(isatty(STDOUT_FILENO) != 0), began_(steady_clock::now()) {}

void Walk::ClearLine() {
  if (line_shown_) std::printf("\r\033[K");
  line_shown_ = false;
}

void Walk::Say(const std::string& line) {
  ClearLine();
  std::printf("%6.1f s  %s\n", Seconds(steady_clock::now() - began_), line.c_str());
  std::fflush(stdout);
}

json Walk::Status() {
  const servers::CommandResult result =
      servers::RunCommand({crossfade_, "status", "-c", config_, migration_, "--json"}, std::chrono::seconds(10));
  if (result.exit_code != 0) return nullptr;
  const json report = json::parse(result.output, nullptr, false);
  if (report.is_discarded() || !report.contains("migrations") || report["migrations"].empty()) return nullptr;
  json one = report["migrations"][0];
  if (one.contains("verification") && one["verification"].is_object()) verification_ = one["verification"];
  uint64_t rows = 0;
  for (const json& table : one.value("tables", json::array())) rows += static_cast<uint64_t>(Real(table, "rows_done"));
  rows_backfilled_ = std::max(rows_backfilled_, rows);
  return one;
}

void Walk::Show(const json& status) {
  if (!status.is_object()) return;
  const auto now = steady_clock::now();
  if (!terminal_ && now - shown_at_ < kPlainLineEvery) return;
  shown_at_ = now;
  const std::string phase = status.value("phase", "");
  std::string text = phase;
  if (phase == "backfill") {
    const double fraction = Real(status, "fraction");
    const int filled = static_cast<int>(fraction * 30);
    text = fmt::format("backfill [{}{}] {:5.1f} %  {:.0f} rows/s", std::string(filled, '#'), std::string(30 - filled, '.'),
                       fraction * 100, Real(status, "rows_per_second"));
    if (Real(status, "eta_seconds") > 0) text += fmt::format("  ETA {:.0f} s", Real(status, "eta_seconds"));
  } else if (verification_.is_object() && !verification_.value("finished", true)) {
    text += fmt::format("  {:.0f} of {:.0f} rows compared", Real(verification_, "rows_checked"), Real(verification_, "rows_total"));
  }
  const std::string message = status.value("message", "");
  if (!message.empty()) text += "  (" + message.substr(0, 100) + ")";
  text += fmt::format("  | {} requests, {} errors", stats_->requests(), stats_->errors());
  if (!terminal_) return Say(text);
  ClearLine();
  std::printf("%6.1f s  %s", Seconds(now - began_), text.c_str());
  std::fflush(stdout);
  line_shown_ = true;
}

absl::Status Walk::To(const std::string& phase, int percent, const std::string& then) {
  const auto asked = steady_clock::now();
  std::vector<std::string> command{crossfade_, "phase", "-c", config_, migration_, phase, "--wait", "--yes"};
  std::string name = phase;
  if (percent >= 0) {
    command.insert(command.end(), {"--percent", std::to_string(percent)});
    name += fmt::format(" {} %", percent);
  }
  const std::string log = config_ + ".phase.log";
  servers::WriteFile(log, "");
  auto process = servers::Process::Spawn(command, log);
  if (!process.ok()) return process.status();
  std::optional<int> code;
  shown_at_ = steady_clock::now();
  while (!(code = process->Wait(kPoll))) {
    Show(Status());
    if (steady_clock::now() - asked > kPhaseLimit) {
      process->Kill();
      return absl::DeadlineExceededError(fmt::format("{} was not reached in {} minutes: {}", name, kPhaseLimit.count(),
                                                     Status().value("message", "")));
    }
  }
  if (*code != 0) {
    return absl::FailedPreconditionError(fmt::format("crossfade phase {} ended with {}: {}", name, *code,
                                                     servers::LastLines(servers::ReadFile(log), 5)));
  }
  if (!then.empty()) stats_->BeginStep(then);
  Status();
  Say(fmt::format("{:<14} reached after {:.1f} s", name, Seconds(steady_clock::now() - asked)));
  return absl::OkStatus();
}

void Walk::Dwell(double seconds) {
  const auto end = steady_clock::now() + std::chrono::duration<double>(seconds);
  while (steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(100));
    if (terminal_ && steady_clock::now() - shown_at_ > kPoll) Show(Status());
  }
}

}  // namespace crossfade::demo

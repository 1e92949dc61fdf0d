// SPDX-License-Identifier: Apache-2.0
// Running the crossfade executable; see crossfade_process.h.
#include "tests/servers/crossfade_process.h"

#include <signal.h>
#include <stdlib.h>

#include <thread>

#include "fmt/format.h"

namespace crossfade::servers {

using std::chrono::seconds;
using std::chrono::steady_clock;

std::string CrossfadeBinary() {
  const char* chosen = getenv("CROSSFADE_BINARY");
  return chosen != nullptr ? chosen : CROSSFADE_BINARY;
}

absl::StatusOr<std::unique_ptr<CrossfadeProcess>> CrossfadeProcess::Start(
    const CrossfadeOptions& options) {
  std::unique_ptr<CrossfadeProcess> proxy(new CrossfadeProcess);
  proxy->port_ = FreePort();
  proxy->admin_port_ = FreePort();
  proxy->config_path_ = proxy->folder_.path() + "/crossfade.yaml";
  std::string text = fmt::format(
      "listen:\n  - {{address: \"127.0.0.1:{}\", backend: primary}}\n{}"
      "backends:\n  primary: {{address: \"{}\", tls: disabled}}\n"
      "control: {{backend: primary, user: root, schema: {}}}\n"
      "admin: \"127.0.0.1:{}\"\n",
      proxy->port_, options.listeners, options.backend, options.control_schema, proxy->admin_port_);
  if (!options.limits.empty()) text += "limits:\n" + options.limits;
  if (!options.migrations.empty()) text += "migrations:\n" + options.migrations;
  WriteFile(proxy->config_path_, text);
  const absl::Status status = proxy->Launch();
  if (!status.ok()) return status;
  return proxy;
}

CrossfadeProcess::~CrossfadeProcess() { Kill(); }

std::string CrossfadeProcess::log() const { return ReadFile(folder_.path() + "/log"); }

absl::Status CrossfadeProcess::Launch() {
  absl::StatusOr<Process> process = Process::Spawn(
      {CrossfadeBinary(), "serve", "-c", config_path_}, folder_.path() + "/log");
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  const auto end = steady_clock::now() + seconds(30);
  while (steady_clock::now() < end) {
    if (!process_.running()) {
      return absl::InternalError("crossfade serve ended at its start: " + LastLines(log(), 8));
    }
    if (PortOpen(port_)) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return absl::DeadlineExceededError("crossfade serve does not listen: " + LastLines(log(), 8));
}

int CrossfadeProcess::Stop() {
  process_.Signal(SIGTERM);
  const std::optional<int> code = process_.Wait(seconds(60));
  process_.Kill();
  return code.value_or(-1);
}

absl::Status CrossfadeProcess::StartAgain() {
  if (process_.running()) return absl::FailedPreconditionError("crossfade is running");
  return Launch();
}

CommandResult CrossfadeProcess::Run(const std::string& command,
                                    const std::vector<std::string>& arguments,
                                    std::chrono::milliseconds limit) {
  std::vector<std::string> argv = {CrossfadeBinary(), command, "-c", config_path_};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunCommand(argv, limit);
}

absl::Status CrossfadeProcess::WalkTo(const std::string& migration, const std::string& phase,
                                      int percent, std::chrono::milliseconds limit) {
  std::vector<std::string> arguments = {migration, phase, "--wait", "--yes"};
  if (percent >= 0) {
    arguments.push_back("--percent");
    arguments.push_back(std::to_string(percent));
  }
  const CommandResult result = Run("phase", arguments, limit);
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::InternalError(fmt::format("crossfade phase {} {}: exit code {}: {}", migration, phase,
                                         result.exit_code, result.output));
}

}  // namespace crossfade::servers

// SPDX-License-Identifier: Apache-2.0
// The crossfade executable as a process of a test: a configuration file, `serve` on a free loopback port,
// kill -9 and start again, and the other commands with their exit codes.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/servers/process.h"
#include "tests/servers/server.h"

namespace crossfade::servers {

struct CrossfadeOptions {
  std::string backend;      // "127.0.0.1:PORT"
  std::string migrations;   // YAML: what stands under `migrations:`, indented by two
  std::string listeners;    // YAML: more of them under `listen:`, indented by two
  std::string limits;       // YAML: what stands under `limits:`, indented by two; may be empty
  std::string control_schema = "crossfade";
};

std::string CrossfadeBinary();  // build/<preset>/crossfade, or what CROSSFADE_BINARY names

class CrossfadeProcess {
 public:
  // Writes the file, starts `serve` and waits until the port answers.
  static absl::StatusOr<std::unique_ptr<CrossfadeProcess>> Start(const CrossfadeOptions& options);
  ~CrossfadeProcess();  // kills it

  int port() const { return port_; }
  int admin_port() const { return admin_port_; }
  pid_t pid() const { return process_.pid(); }
  bool running() { return process_.running(); }
  const std::string& config_path() const { return config_path_; }
  std::string log() const;

  void Kill() { process_.Kill(); }  // SIGKILL
  void Signal(int number) { process_.Signal(number); }
  // SIGTERM; the exit code, -1: it had to be killed.
  int Stop();
  absl::Status StartAgain();  // same file, same port

  // `crossfade COMMAND -c FILE ARGUMENTS...`
  CommandResult Run(const std::string& command, const std::vector<std::string>& arguments,
                    std::chrono::milliseconds limit = std::chrono::seconds(60));
  // `crossfade phase -c FILE NAME PHASE --wait --yes [--percent N]`; an error holds the output.
  absl::Status WalkTo(const std::string& migration, const std::string& phase, int percent = -1,
                      std::chrono::milliseconds limit = std::chrono::seconds(120));

 private:
  CrossfadeProcess() : folder_("proxy") {}
  absl::Status Launch();

  TempFolder folder_;
  std::string config_path_;
  int port_ = 0, admin_port_ = 0;
  Process process_;
};

}  // namespace crossfade::servers

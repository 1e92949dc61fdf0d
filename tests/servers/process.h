// SPDX-License-Identifier: Apache-2.0
// A child process of a test: started with its output in a file, ended by its own pid, never by name.
// A child dies with the thread that started it (PR_SET_PDEATHSIG), so a killed test leaves nothing running:
// start children from a thread that outlives them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crossfade::servers {

class Process {
 public:
  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();  // Kill

  // argv[0] is a path or a name on PATH. Output and errors are appended to `log`.
  static absl::StatusOr<Process> Spawn(const std::vector<std::string>& argv, const std::string& log);

  bool running();                      // reaps it when it has ended
  pid_t pid() const { return pid_; }   // 0: not running
  void Signal(int number);             // SIGSTOP: returns when each thread has stopped
  // The exit code (128 + signal when a signal ended it); nullopt: still running after `limit`.
  std::optional<int> Wait(std::chrono::milliseconds limit);
  void Kill();  // SIGKILL, and waits

 private:
  pid_t pid_ = 0;
  std::optional<int> exit_code_;
};

struct CommandResult {
  int exit_code = -1;
  std::string output;  // stdout and stderr as they came
};
// Runs a command to its end, at most `limit` (then it is killed and exit_code is -1).
CommandResult RunCommand(const std::vector<std::string>& argv, std::chrono::milliseconds limit);

// A TCP port of 127.0.0.1 that nobody listens on, and that no other test is given while this process lives (a lock file for each
// in the folder of temporary files; tests/servers/ports.py takes the same). It is below the kernel's range for outgoing connections,
// so that a server finds it free once more when it is started again. 0 where none is left.
int FreePort();
bool PortOpen(int port);  // somebody listens on 127.0.0.1:port

// A folder of its own, removed with all it holds at the end (kept when CROSSFADE_KEEP is set).
class TempFolder {
 public:
  explicit TempFolder(const std::string& name);
  TempFolder(TempFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempFolder& operator=(TempFolder&&) = delete;
  ~TempFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);           // empty when it cannot be read
void WriteFile(const std::string& path, const std::string& text);
std::string LastLines(const std::string& text, int lines);

}  // namespace crossfade::servers

// SPDX-License-Identifier: Apache-2.0
// See failpoint.h.
#include "tests/crash/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "backfill/failpoint.h"
#include "tests/servers/process.h"

namespace crossfade::backfill {
namespace {

FailpointHandler& Handler() {
  static FailpointHandler handler;
  return handler;
}

// One line, in one write.
void Append(const std::string& path, const std::string& line) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string text = line + "\n";
  (void)!write(file, text.data(), text.size());
  close(file);
}

}  // namespace

void SetFailpointHandler(FailpointHandler handler) { Handler() = std::move(handler); }

void ReachFailpoint(const char* name, const std::string& detail) {
  if (Handler() != nullptr) Handler()(name, detail);
}

FailpointHandler CrashAtEachPoint(const std::string& folder, CrashMode mode, bool by_name) {
  struct State {
    std::mutex mutex;
    std::set<std::string> reached;
  };
  auto state = std::make_shared<State>();
  std::istringstream lines(servers::ReadFile(folder + "/reached"));
  for (std::string line; std::getline(lines, line);) state->reached.insert(line);
  return [=](const std::string& name, const std::string& detail) {
    const std::string point = by_name ? name : name + "\t" + detail;
    {
      const std::lock_guard lock(state->mutex);
      if (!state->reached.insert(point).second) return;
      Append(folder + "/reached", point);
      if (mode == CrashMode::kDie) raise(SIGKILL);
      servers::WriteFile(folder + "/stopped", point);
    }
    while (std::filesystem::exists(folder + "/stopped")) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
}

}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// Children by fork and exec; see process.h.
#include "tests/servers/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include "fmt/format.h"

namespace crossfade::servers {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Process::Process(Process&& other) noexcept : pid_(other.pid_), exit_code_(other.exit_code_) {
  other.pid_ = 0;
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = other.pid_;
    exit_code_ = other.exit_code_;
    other.pid_ = 0;
  }
  return *this;
}

Process::~Process() { Kill(); }

namespace {

// A thread that has not run since the signal goes on until it does: on a busy machine that may be a while.
bool AllStopped(pid_t pid) {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
    const std::string stat = ReadFile(task.path().string() + "/stat");
    const size_t name_end = stat.rfind(')');  // "1 (name) T …"
    if (name_end != std::string::npos && stat.substr(name_end + 1, 2) != " T") return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<Process> Process::Spawn(const std::vector<std::string>& argv,
                                       const std::string& log) {
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (output < 0) return absl::InternalError(fmt::format("{}: {}", log, std::strerror(errno)));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    int input = open("/dev/null", O_RDONLY);
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    execvp(pointers[0], pointers.data());
    dprintf(2, "%s: %s\n", pointers[0], std::strerror(errno));
    _exit(127);
  }
  close(output);
  if (pid < 0) return absl::InternalError(fmt::format("fork: {}", std::strerror(errno)));
  Process process;
  process.pid_ = pid;
  return process;
}

bool Process::running() { return pid_ > 0 && !Wait(milliseconds(0)).has_value(); }

void Process::Signal(int number) {
  if (pid_ <= 0 || kill(pid_, number) != 0 || number != SIGSTOP) return;
  const auto end = steady_clock::now() + std::chrono::seconds(30);
  while (!AllStopped(pid_) && running() && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(1));
}

std::optional<int> Process::Wait(milliseconds limit) {
  if (pid_ <= 0) return exit_code_;
  const auto end = steady_clock::now() + limit;
  while (true) {
    int status = 0;
    const pid_t done = waitpid(pid_, &status, WNOHANG);
    if (done == pid_ || (done < 0 && errno == ECHILD)) {
      pid_ = 0;
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      return exit_code_;
    }
    if (steady_clock::now() >= end) return std::nullopt;
    std::this_thread::sleep_for(milliseconds(5));
  }
}

void Process::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  Wait(std::chrono::seconds(30));
}

CommandResult RunCommand(const std::vector<std::string>& argv, milliseconds limit) {
  TempFolder folder("command");
  const std::string log = folder.path() + "/output";
  absl::StatusOr<Process> process = Process::Spawn(argv, log);
  CommandResult result;
  if (!process.ok()) {
    result.output = process.status().ToString();
    return result;
  }
  result.exit_code = process->Wait(limit).value_or(-1);
  process->Kill();
  result.output = ReadFile(log);
  return result;
}

namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

}  // namespace

int FreePort() {
  static std::mt19937 random{std::random_device{}()};
  static std::mutex mutex;
  const std::lock_guard guard(mutex);
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("crossfade-ports-{}", getuid());
  mkdir(folder.c_str(), 0700);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = std::uniform_int_distribution(10000, 19999)(random);
    const int lock = open((folder / std::to_string(port)).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(port);
    const bool free = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0 &&
                      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (free) return port;  // the lock is given back by the end of the process
    if (lock >= 0) close(lock);
  }
  return 0;
}

bool PortOpen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(port);
  const bool open = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return open;
}

TempFolder::TempFolder(const std::string& name) {
  std::string pattern =
      (std::filesystem::temp_directory_path() / ("crossfade-" + name + "-XXXXXX")).string();
  if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
}

TempFolder::~TempFolder() {
  if (path_.empty() || getenv("CROSSFADE_KEEP") != nullptr) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::string LastLines(const std::string& text, int lines) {
  size_t at = text.size();
  while (at > 0 && lines >= 0) {
    at = text.rfind('\n', at - 1);
    if (at == std::string::npos) return text;
    --lines;
  }
  return text.substr(at == 0 ? 0 : at + 1);
}

}  // namespace crossfade::servers

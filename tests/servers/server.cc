// SPDX-License-Identifier: Apache-2.0
// Finding, initialising and running the engines' servers; see server.h.
#include "tests/servers/server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "fmt/format.h"
#include "tests/servers/client.h"

namespace crossfade::servers {

namespace fs = std::filesystem;
using std::chrono::seconds;
using std::chrono::steady_clock;

std::string EngineName(Engine engine) { return engine == Engine::kMariaDb ? "mariadb" : "mysql"; }

namespace {

// The command that runs the engine's server, without data folder and port.
absl::StatusOr<std::vector<std::string>> ServerCommand(Engine engine) {
  if (engine == Engine::kMariaDb) {
    if (RunCommand({"mariadbd", "--version"}, seconds(20)).exit_code != 0) {
      return absl::NotFoundError("no mariadbd on PATH: install mariadb-server-core");
    }
    return std::vector<std::string>{"mariadbd", "--no-defaults", "--user=root"};
  }
  const char* chosen = getenv("CROSSFADE_MYSQL_ROOT");
  const std::string root = chosen != nullptr ? chosen : "/var/cache/crossfade/mysql-root";
  if (fs::exists(root + "/usr/sbin/mysqld")) {
    return std::vector<std::string>{
        root + "/usr/lib64/ld-linux-x86-64.so.2",
        "--library-path",
        root + "/usr/lib/x86_64-linux-gnu:" + root + "/usr/lib/mysql/private",
        root + "/usr/sbin/mysqld",
        "--no-defaults",
        "--basedir=" + root + "/usr",
        "--lc-messages-dir=" + root + "/usr/share/mysql",
        "--plugin-dir=" + root + "/usr/lib/mysql/plugin",
        "--character-sets-dir=" + root + "/usr/share/mysql/charsets",
        "--user=root",
        "--mysqlx=OFF",
        "--skip-log-bin",
        "--performance-schema=OFF"};
  }
  const CommandResult version = RunCommand({"mysqld", "--version"}, seconds(20));
  if (version.exit_code != 0 || version.output.find("MariaDB") != std::string::npos) {
    return absl::NotFoundError(fmt::format(
        "no MySQL server: neither {}/usr/sbin/mysqld nor a mysqld on PATH that is not MariaDB's",
        root));
  }
  return std::vector<std::string>{"mysqld",       "--no-defaults",  "--user=root",
                                  "--mysqlx=OFF", "--skip-log-bin", "--performance-schema=OFF"};
}

absl::Status MakeData(Engine engine, std::vector<std::string> command, const std::string& data) {
  CommandResult result;
  const std::string temporary = data + "-tmp";
  std::error_code error;
  fs::create_directories(temporary, error);
  if (engine == Engine::kMariaDb) {
    // A MariaDB server that starts deletes the temporary tables of every other one with the same folder for them.
    result = RunCommand({"env", "TMPDIR=" + temporary, "mariadb-install-db", "--no-defaults", "--datadir=" + data,
                         "--auth-root-authentication-method=normal", "--skip-test-db",
                         "--user=root"},
                        seconds(120));
  } else {
    command.push_back("--initialize-insecure");
    command.push_back("--datadir=" + data);
    result = RunCommand(command, seconds(180));
  }
  fs::remove_all(temporary, error);
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::InternalError(fmt::format("cannot initialise a {} data folder: {}",
                                         EngineName(engine), LastLines(result.output, 5)));
}

// Copies the engine's fresh data folder to `data`; makes it first where this build has none yet.
absl::Status CopyTemplate(Engine engine, const std::vector<std::string>& command,
                          const std::string& data) {
  const fs::path templates = CROSSFADE_SERVER_TEMPLATES;
  const fs::path ready = templates / EngineName(engine);
  std::error_code error;
  fs::create_directories(templates, error);
  const int lock = open((templates / "lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  flock(lock, LOCK_EX);
  absl::Status status;
  if (!fs::exists(ready)) {
    const fs::path fresh = templates / (EngineName(engine) + ".new");
    fs::remove_all(fresh, error);
    status = MakeData(engine, command, fresh.string());
    if (status.ok()) {
      fs::remove(fresh / "auto.cnf", error);  // each MySQL server draws its own UUID
      fs::rename(fresh, ready, error);
    }
  }
  close(lock);
  if (!status.ok()) return status;
  fs::copy(ready, data, fs::copy_options::recursive, error);
  if (error) return absl::InternalError(fmt::format("copy to {}: {}", data, error.message()));
  return absl::OkStatus();
}

}  // namespace

Server::Server(Engine engine, ServerOptions options)
    : engine_(engine), options_(std::move(options)), folder_(EngineName(engine)) {}

Server::~Server() { Kill(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Engine engine, ServerOptions options) {
  absl::StatusOr<std::vector<std::string>> command = ServerCommand(engine);
  if (!command.ok()) return command.status();
  std::unique_ptr<Server> server(new Server(engine, std::move(options)));
  absl::Status status = CopyTemplate(engine, *command, server->folder_.path() + "/data");
  if (!status.ok()) return status;
  // Another process may take the port between the look and the start: then the next one.
  for (int attempt = 0; attempt < 3; ++attempt) {
    server->port_ = FreePort();
    status = server->Launch();
    if (status.ok()) return server;
  }
  return status;
}

std::string Server::address() const { return fmt::format("127.0.0.1:{}", port_); }
std::string Server::log() const { return ReadFile(folder_.path() + "/log"); }

absl::Status Server::Launch() {
  absl::StatusOr<std::vector<std::string>> command = ServerCommand(engine_);
  if (!command.ok()) return command.status();
  std::vector<std::string> argv = *command;
  for (const char* argument :
       {"--bind-address=127.0.0.1", "--innodb-buffer-pool-size=128M", "--max-connections=500",
        "--innodb-flush-log-at-trx-commit=2", "--secure-file-priv="}) {
    argv.push_back(argument);
  }
  argv.push_back("--datadir=" + folder_.path() + "/data");
  std::error_code error;
  fs::create_directories(folder_.path() + "/tmp", error);
  argv.push_back("--tmpdir=" + folder_.path() + "/tmp");  // see MakeData
  argv.push_back("--socket=" + folder_.path() + "/socket");
  argv.push_back("--pid-file=" + folder_.path() + "/pid");
  argv.push_back(fmt::format("--port={}", port_));
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  absl::StatusOr<Process> process = Process::Spawn(argv, folder_.path() + "/log");
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  const auto end = steady_clock::now() + seconds(180);  // recovery on a machine that is busy with other things
  while (steady_clock::now() < end) {
    if (!process_.running()) {
      return absl::InternalError(fmt::format("{} ended at its start: {}", EngineName(engine_),
                                             LastLines(log(), 8)));
    }
    if (PortOpen(port_)) {
      absl::StatusOr<Client> client = Client::Connect({.port = port_});
      if (client.ok()) {
        const Reply reply = client->Query("SELECT @@socket");
        if (reply.ok() && reply.rows.at(0).at(0) == folder_.path() + "/socket") return absl::OkStatus();
        process_.Kill();
        return absl::AbortedError(fmt::format("port {} is another server's", port_));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return absl::DeadlineExceededError(
      fmt::format("{} does not answer: {}", EngineName(engine_), LastLines(log(), 8)));
}

absl::Status Server::Stop() {
  process_.Signal(SIGTERM);
  if (process_.Wait(seconds(180)).has_value()) return absl::OkStatus();
  process_.Kill();
  return absl::DeadlineExceededError("the server did not stop within 180 s");
}

absl::Status Server::StartAgain() {
  if (process_.running()) return absl::FailedPreconditionError("the server is running");
  return Launch();
}

}  // namespace crossfade::servers

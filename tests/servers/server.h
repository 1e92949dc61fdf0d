// SPDX-License-Identifier: Apache-2.0
// A private MariaDB or MySQL server on a free loopback port, with a data folder of its own, for one test.
// User root, no password. MariaDB: mariadbd on PATH. MySQL: CROSSFADE_MYSQL_ROOT (a root tree that holds
// usr/sbin/mysqld), else /var/cache/crossfade/mysql-root, else a mysqld on PATH that is not MariaDB's.
// The freshly made data folder of each engine is kept in the build folder and copied for every server.
#pragma once

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/servers/process.h"

namespace crossfade::servers {

enum class Engine : uint8_t { kMariaDb, kMySql };
std::string EngineName(Engine engine);  // "mariadb", "mysql"
inline void PrintTo(Engine engine, std::ostream* out) { *out << EngineName(engine); }  // GoogleTest's

struct ServerOptions {
  std::vector<std::string> arguments;  // more for the server's command line
};

class Server {
 public:
  // Starts one and waits until it answers. NotFound: that engine is not on this machine.
  static absl::StatusOr<std::unique_ptr<Server>> Start(Engine engine, ServerOptions options = {});
  ~Server();  // kills it and removes its data

  Engine engine() const { return engine_; }
  int port() const { return port_; }
  pid_t pid() const { return process_.pid(); }
  std::string address() const;  // "127.0.0.1:PORT"
  std::string log() const;      // what it wrote so far

  void Kill() { process_.Kill(); }  // SIGKILL: a crash
  absl::Status Stop();              // SIGTERM: orderly
  absl::Status StartAgain();        // on the same data and port

 private:
  Server(Engine engine, ServerOptions options);
  absl::Status Launch();

  Engine engine_;
  ServerOptions options_;
  TempFolder folder_;
  int port_ = 0;
  Process process_;
};

}  // namespace crossfade::servers

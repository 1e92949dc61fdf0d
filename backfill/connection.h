// SPDX-License-Identifier: Apache-2.0
// A blocking client connection (libmysqlclient, the subset that Connector/C and MySQL's own share). Belongs to one
// thread, which is never an io_context's.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/config.h"

namespace crossfade::backfill {

using Row = std::vector<std::optional<std::string>>;  // nullopt: NULL

struct Rows {
  std::vector<std::string> columns;
  std::vector<Row> rows;
};

class Connection {
 public:
  // Connects to the control backend with the control user, as config says, in UTC, utf8mb4, READ COMMITTED.
  // `read_timeout`: of any one answer; 0: as long as it takes.
  static absl::StatusOr<Connection> Open(const config::Config& config, std::chrono::seconds read_timeout = std::chrono::seconds(0));
  // The same to another server (a replica), with the control user's password and the control backend's TLS.
  static absl::StatusOr<Connection> OpenAt(const config::Config& config, const std::string& address);
  // The same to another backend, by its own address and TLS.
  static absl::StatusOr<Connection> OpenOn(const config::Config& config, const config::Backend& backend,
                                           std::chrono::seconds read_timeout = std::chrono::seconds(0));
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  absl::StatusOr<Rows> Query(std::string_view sql);
  absl::StatusOr<uint64_t> Execute(std::string_view sql);  // affected rows
  std::string Quote(std::string_view value) const;         // 'escaped for this session'
  uint64_t thread_id() const;

 private:
  Connection();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The server's error number behind a Status of Query or Execute; 0: none.
uint32_t ServerError(const absl::Status& status);
std::string QuoteName(std::string_view name);  // `name`, backticks doubled

}  // namespace crossfade::backfill

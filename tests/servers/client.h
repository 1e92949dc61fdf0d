// SPDX-License-Identifier: Apache-2.0
// A blocking client that keeps every field of a reply that an application can see, in both protocols.
// The one that test programs talk with, directly to a server or through the proxy.
#pragma once

#include <mysql.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace crossfade::servers {

struct ReplyColumn {
  std::string name, org_name, table, org_table, schema;
  uint64_t length = 0;
  uint32_t flags = 0, decimals = 0, charset = 0, type = 0;
  bool operator==(const ReplyColumn&) const = default;
};

using Cell = std::optional<std::string>;  // nullopt: NULL

struct Reply {
  uint32_t error = 0;  // 0: none
  std::string sqlstate, message;
  bool has_rows = false;  // a result set, may be empty
  std::vector<ReplyColumn> columns;
  std::vector<std::vector<Cell>> rows;
  uint64_t affected = 0, insert_id = 0;
  uint32_t warnings = 0;
  std::string info;
  uint32_t status = 0;  // SERVER_STATUS_* of the last packet
  bool ok() const { return error == 0; }
  bool lost() const { return error >= 2000 && error < 3000; }  // the connection, not the statement
};

// A parameter of a prepared statement: NULL, an integer or a string.
using Parameter = std::variant<std::nullptr_t, int64_t, std::string>;

struct ConnectOptions {
  int port = 0;
  std::string user = "root", password, database;
  uint64_t flags = 0;  // CLIENT_FOUND_ROWS, CLIENT_MULTI_STATEMENTS ...
  unsigned timeout_s = 60;  // connect, read and write
};

class Client;

class Statement {
 public:
  ~Statement();
  Reply Execute(const std::vector<Parameter>& parameters);
  unsigned long parameter_count() const { return mysql_stmt_param_count(statement_); }

 private:
  friend class Client;
  Statement(MYSQL* connection, MYSQL_STMT* statement) : connection_(connection), statement_(statement) {}
  MYSQL* connection_;
  MYSQL_STMT* statement_;
};

class Client {
 public:
  static absl::StatusOr<Client> Connect(const ConnectOptions& options);
  Client(Client&& other) noexcept : connection_(other.connection_) { other.connection_ = nullptr; }
  Client& operator=(Client&& other) noexcept;
  ~Client();

  Reply Query(std::string_view sql);
  // The reply of the PREPARE (its columns, or its error); the statement when there was no error.
  Reply Prepare(std::string_view sql, std::unique_ptr<Statement>* statement);
  // Prepares, executes once and closes.
  Reply Execute(std::string_view sql, const std::vector<Parameter>& parameters);
  uint64_t thread_id() const { return mysql_thread_id(connection_); }
  MYSQL* raw() { return connection_; }
  void Drop();  // closes the socket without COM_QUIT, as a crashed client does

 private:
  explicit Client(MYSQL* connection) : connection_(connection) {}
  MYSQL* connection_ = nullptr;
};

// A printable form, for messages: rows up to `max_rows`.
std::string Describe(const Reply& reply, size_t max_rows = 5);

}  // namespace crossfade::servers

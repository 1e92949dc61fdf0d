// SPDX-License-Identifier: Apache-2.0
// The test client on libmariadb; see client.h.
#include "tests/servers/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "fmt/format.h"

namespace crossfade::servers {
namespace {

std::string Text(const char* text) { return text == nullptr ? std::string() : std::string(text); }

void ReadColumns(MYSQL_RES* result, Reply* reply) {
  reply->has_rows = true;
  const unsigned count = mysql_num_fields(result);
  const MYSQL_FIELD* fields = mysql_fetch_fields(result);
  for (unsigned i = 0; i < count; ++i) {
    const MYSQL_FIELD& field = fields[i];
    reply->columns.push_back({Text(field.name), Text(field.org_name), Text(field.table),
                              Text(field.org_table), Text(field.db), field.length, field.flags,
                              field.decimals, field.charsetnr,
                              static_cast<uint32_t>(field.type)});
  }
}

void ReadState(MYSQL* connection, Reply* reply) {
  reply->warnings = mysql_warning_count(connection);
  reply->info = Text(mysql_info(connection));
  unsigned status = 0;
  mariadb_get_infov(connection, MARIADB_CONNECTION_SERVER_STATUS, &status);
  reply->status = status;
}

Reply Failure(MYSQL* connection) {
  Reply reply;
  reply.error = mysql_errno(connection);
  reply.sqlstate = Text(mysql_sqlstate(connection));
  reply.message = Text(mysql_error(connection));
  return reply;
}

Reply Failure(MYSQL_STMT* statement) {
  Reply reply;
  reply.error = mysql_stmt_errno(statement);
  reply.sqlstate = Text(mysql_stmt_sqlstate(statement));
  reply.message = Text(mysql_stmt_error(statement));
  return reply;
}

}  // namespace

absl::StatusOr<Client> Client::Connect(const ConnectOptions& options) {
  MYSQL* connection = mysql_init(nullptr);
  my_bool off = 0;
  mysql_options(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
  mysql_options(connection, MYSQL_OPT_CONNECT_TIMEOUT, &options.timeout_s);
  mysql_options(connection, MYSQL_OPT_READ_TIMEOUT, &options.timeout_s);
  mysql_options(connection, MYSQL_OPT_WRITE_TIMEOUT, &options.timeout_s);
  mysql_options(connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (mysql_real_connect(connection, "127.0.0.1", options.user.c_str(), options.password.c_str(),
                         options.database.empty() ? nullptr : options.database.c_str(),
                         static_cast<unsigned>(options.port), nullptr, options.flags) == nullptr) {
    const absl::Status status = absl::UnavailableError(
        fmt::format("{} ({})", mysql_error(connection), mysql_errno(connection)));
    mysql_close(connection);
    return status;
  }
  return Client(connection);
}

Client& Client::operator=(Client&& other) noexcept {
  std::swap(connection_, other.connection_);
  return *this;
}

Client::~Client() {
  if (connection_ != nullptr) mysql_close(connection_);
}

void Client::Drop() { shutdown(mysql_get_socket(connection_), SHUT_RDWR); }

Reply Client::Query(std::string_view sql) {
  if (mysql_real_query(connection_, sql.data(), sql.size()) != 0) return Failure(connection_);
  Reply reply;
  MYSQL_RES* result = mysql_store_result(connection_);
  if (result == nullptr && mysql_errno(connection_) != 0) return Failure(connection_);
  if (result != nullptr) {
    ReadColumns(result, &reply);
    while (MYSQL_ROW row = mysql_fetch_row(result)) {
      const unsigned long* lengths = mysql_fetch_lengths(result);
      std::vector<Cell>& cells = reply.rows.emplace_back();
      for (size_t i = 0; i < reply.columns.size(); ++i) {
        cells.push_back(row[i] == nullptr ? Cell() : Cell(std::string(row[i], lengths[i])));
      }
    }
    mysql_free_result(result);
  } else {
    reply.affected = mysql_affected_rows(connection_);
    reply.insert_id = mysql_insert_id(connection_);
  }
  ReadState(connection_, &reply);
  return reply;
}

Reply Client::Prepare(std::string_view sql, std::unique_ptr<Statement>* statement) {
  MYSQL_STMT* handle = mysql_stmt_init(connection_);
  if (mysql_stmt_prepare(handle, sql.data(), sql.size()) != 0) {
    Reply reply = Failure(handle);
    mysql_stmt_close(handle);
    return reply;
  }
  Reply reply;
  if (MYSQL_RES* result = mysql_stmt_result_metadata(handle); result != nullptr) {
    ReadColumns(result, &reply);
    mysql_free_result(result);
  }
  reply.affected = mysql_stmt_param_count(handle);
  reply.warnings = mysql_warning_count(connection_);
  statement->reset(new Statement(connection_, handle));
  return reply;
}

Reply Client::Execute(std::string_view sql, const std::vector<Parameter>& parameters) {
  std::unique_ptr<Statement> statement;
  Reply reply = Prepare(sql, &statement);
  return statement == nullptr ? reply : statement->Execute(parameters);
}

Statement::~Statement() { mysql_stmt_close(statement_); }

Reply Statement::Execute(const std::vector<Parameter>& parameters) {
  std::vector<MYSQL_BIND> binds(parameters.size() + 1);
  std::memset(binds.data(), 0, binds.size() * sizeof(MYSQL_BIND));
  std::vector<int64_t> integers(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (const auto* number = std::get_if<int64_t>(&parameters[i])) {
      integers[i] = *number;
      binds[i].buffer_type = MYSQL_TYPE_LONGLONG;
      binds[i].buffer = &integers[i];
    } else if (const auto* text = std::get_if<std::string>(&parameters[i])) {
      binds[i].buffer_type = MYSQL_TYPE_STRING;
      binds[i].buffer = const_cast<char*>(text->data());
      binds[i].buffer_length = text->size();
    } else {
      binds[i].buffer_type = MYSQL_TYPE_NULL;
    }
  }
  if (!parameters.empty() && mysql_stmt_bind_param(statement_, binds.data()) != 0) {
    return Failure(statement_);
  }
  if (mysql_stmt_execute(statement_) != 0) return Failure(statement_);
  Reply reply;
  MYSQL_RES* meta = mysql_stmt_result_metadata(statement_);
  if (meta == nullptr) {
    reply.affected = mysql_stmt_affected_rows(statement_);
    reply.insert_id = mysql_stmt_insert_id(statement_);
    ReadState(connection_, &reply);
    return reply;
  }
  ReadColumns(meta, &reply);
  mysql_free_result(meta);
  if (mysql_stmt_store_result(statement_) != 0) return Failure(statement_);
  const size_t count = reply.columns.size();
  std::vector<MYSQL_BIND> out(count);
  std::memset(out.data(), 0, count * sizeof(MYSQL_BIND));
  std::vector<unsigned long> lengths(count);
  std::vector<my_bool> nulls(count);
  for (size_t i = 0; i < count; ++i) {
    out[i].buffer_type = MYSQL_TYPE_STRING;
    out[i].length = &lengths[i];
    out[i].is_null = &nulls[i];
  }
  mysql_stmt_bind_result(statement_, out.data());
  int fetched = 0;
  while ((fetched = mysql_stmt_fetch(statement_)) == 0 || fetched == MYSQL_DATA_TRUNCATED) {
    std::vector<Cell>& cells = reply.rows.emplace_back();
    for (size_t i = 0; i < count; ++i) {
      if (nulls[i]) {
        cells.emplace_back();
        continue;
      }
      std::string value(std::max<unsigned long>(lengths[i], 256), '\0');
      MYSQL_BIND one = out[i];
      unsigned long length = 0;
      one.buffer = value.data();
      one.buffer_length = value.size();
      one.length = &length;
      mysql_stmt_fetch_column(statement_, &one, static_cast<unsigned>(i), 0);
      value.resize(std::min<size_t>(length, value.size()));
      cells.emplace_back(std::move(value));
    }
  }
  if (fetched == 1) return Failure(statement_);
  mysql_stmt_free_result(statement_);
  ReadState(connection_, &reply);
  return reply;
}

std::string Describe(const Reply& reply, size_t max_rows) {
  if (!reply.ok()) {
    return fmt::format("ERROR {} ({}): {}", reply.error, reply.sqlstate, reply.message);
  }
  std::string text = fmt::format("affected {} insert_id {} warnings {} status {:#x} info '{}'",
                                 reply.affected, reply.insert_id, reply.warnings, reply.status,
                                 reply.info);
  if (!reply.has_rows) return text;
  text += fmt::format("; {} rows of", reply.rows.size());
  for (const ReplyColumn& column : reply.columns) {
    text += fmt::format(" {}:{}({})", column.name, column.type, column.length);
  }
  for (size_t i = 0; i < reply.rows.size() && i < max_rows; ++i) {
    text += "\n    ";
    for (const Cell& cell : reply.rows[i]) text += cell ? "'" + *cell + "' " : "NULL ";
  }
  return text;
}

}  // namespace crossfade::servers

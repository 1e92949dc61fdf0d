// SPDX-License-Identifier: Apache-2.0
// Connection on the C client library. One statement at a time, results stored whole: what is asked here is small.
#include "backfill/connection.h"

#include <mysql.h>

#include <charconv>
#include <mutex>

#include "absl/strings/cord.h"
#include "config/load.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr char kErrorPayload[] = "crossfade/server-error";
constexpr char kReplica[] = "of a replica";  // no name of the file's

bool ConnectionIsGone(uint32_t error) {
  switch (error) {
    case 1053:  // server shutdown in progress
    case 1077:  // normal shutdown
    case 1079:  // shutdown complete
    case 1152:  // aborted connection
    case 1927:  // connection was killed (MariaDB)
    case 3169:  // session was killed (MySQL)
    case 4031:  // disconnected for inactivity
      return true;
    default:
      return (error >= 2000 && error < 3000) || (error >= 5000 && error < 5020);  // CR_*
  }
}

absl::Status MakeStatus(uint32_t error, const std::string& message) {
  const std::string text = fmt::format("{} (error {})", message, error);
  absl::Status status;
  if (ConnectionIsGone(error)) {
    status = absl::UnavailableError(text);
  } else if (error == 1044 || error == 1045 || error == 1142 || error == 1143 || error == 1227) {
    status = absl::PermissionDeniedError(text);
  } else if (error == 1049 || error == 1146) {
    status = absl::NotFoundError(text);
  } else if (error == 1205 || error == 1213 || error == 3572 || error == 1317) {
    status = absl::AbortedError(text);
  } else {
    status = absl::InternalError(text);
  }
  status.SetPayload(kErrorPayload, absl::Cord(std::to_string(error)));
  return status;
}

struct Endpoint {
  std::string host, socket;
  unsigned port = 3306;
};

absl::StatusOr<Endpoint> ParseAddress(const std::string& address) {
  Endpoint endpoint;
  if (address.rfind("unix:", 0) == 0) {
    endpoint.socket = address.substr(5);
    return endpoint;
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return absl::InvalidArgumentError(fmt::format("backend address {} has no port", address));
  endpoint.host = address.substr(0, colon);
  if (endpoint.host.size() > 2 && endpoint.host.front() == '[') endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  const char* end = address.data() + address.size();
  const auto parsed = std::from_chars(address.data() + colon + 1, end, endpoint.port);
  if (parsed.ec != std::errc() || parsed.ptr != end || endpoint.port > 65535) {
    return absl::InvalidArgumentError(fmt::format("backend address {} has no valid port", address));
  }
  return endpoint;
}

}  // namespace

struct Connection::Impl {
  MYSQL* mysql = nullptr;
  unsigned read_timeout = 0;  // seconds
  ~Impl() {
    if (mysql != nullptr) mysql_close(mysql);
  }

  absl::Status Error() const { return MakeStatus(mysql_errno(mysql), mysql_error(mysql)); }

  absl::Status Connect(const Endpoint& endpoint, const config::Config& config, const config::Backend& backend,
                       const std::string& password, config::TlsMode tls) {
    if (mysql != nullptr) mysql_close(mysql);
    mysql = mysql_init(nullptr);
    if (mysql == nullptr) return absl::ResourceExhaustedError(std::string("no memory for a connection"));
    const unsigned timeout = std::max<unsigned>(1, config.limits.connect_timeout.count() / 1000);
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    if (read_timeout > 0) mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    const my_bool no = 0, yes = 1;
    mysql_options(mysql, MYSQL_OPT_RECONNECT, &no);
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &no);
    const unsigned no_files = 0;
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no_files);
    if (tls != config::TlsMode::kDisabled) {
      mysql_ssl_set(mysql, nullptr, nullptr, backend.ca.empty() ? nullptr : backend.ca.c_str(), nullptr, nullptr);
    }
    if (tls == config::TlsMode::kRequired || tls == config::TlsMode::kVerify) mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    if (tls == config::TlsMode::kVerify) mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    // CLIENT_FOUND_ROWS is left off: affected rows are rows changed.
    if (mysql_real_connect(mysql, endpoint.socket.empty() ? endpoint.host.c_str() : "localhost", config.control.user.c_str(),
                           password.c_str(), nullptr, endpoint.port,
                           endpoint.socket.empty() ? nullptr : endpoint.socket.c_str(), 0) == nullptr) {
      return Error();
    }
    if (tls >= config::TlsMode::kRequired && mysql_get_ssl_cipher(mysql) == nullptr) {
      return absl::UnavailableError(fmt::format("backend {} does not offer TLS", backend.name));
    }
    return absl::OkStatus();
  }
};

Connection::Connection() : impl_(std::make_unique<Impl>()) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

absl::StatusOr<Connection> Connection::Open(const config::Config& config, std::chrono::seconds read_timeout) {
  const config::Backend* backend = config.FindBackend(config.control.backend);
  if (backend == nullptr) return absl::InvalidArgumentError(fmt::format("no backend named {}", config.control.backend));
  return OpenOn(config, *backend, read_timeout);
}

absl::StatusOr<Connection> Connection::OpenAt(const config::Config& config, const std::string& address) {
  const config::Backend* backend = config.FindBackend(config.control.backend);
  if (backend == nullptr) return absl::InvalidArgumentError(fmt::format("no backend named {}", config.control.backend));
  config::Backend replica = *backend;
  replica.name = kReplica;
  replica.address = address;
  return OpenOn(config, replica);
}

absl::StatusOr<Connection> Connection::OpenOn(const config::Config& config, const config::Backend& to, std::chrono::seconds read_timeout) {
  static std::once_flag once;
  std::call_once(once, [] { mysql_library_init(0, nullptr, nullptr); });
  const config::Backend* backend = &to;
  auto endpoint = ParseAddress(backend->address);
  if (!endpoint.ok()) return endpoint.status();
  std::string password;
  if (!config.control.password_file.empty()) {
    auto read = config::ReadControlPassword(config);
    if (!read.ok()) return read.status();
    password = *std::move(read);
  }
  Connection connection;
  connection.impl_->read_timeout = static_cast<unsigned>(read_timeout.count());
  absl::Status status = connection.impl_->Connect(*endpoint, config, *backend, password, backend->tls);
  if (!status.ok() && backend->tls == config::TlsMode::kPreferred && ServerError(status) == 2026) {
    status = connection.impl_->Connect(*endpoint, config, *backend, password, config::TlsMode::kDisabled);
  }
  if (!status.ok()) {
    const std::string what = backend->name == kReplica ? std::string("replica") : "backend " + backend->name;
    absl::Status named(status.code(), fmt::format("{} at {}: {}", what, backend->address, std::string(status.message())));
    named.SetPayload(kErrorPayload, absl::Cord(std::to_string(ServerError(status))));
    return named;
  }
  // One known dialect whatever the server's defaults are; zero dates in old rows must not stop a rebuild.
  for (const char* sql : {"SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', autocommit=1",
                          "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"}) {
    auto set = connection.Execute(sql);
    if (!set.ok()) return set.status();
  }
  return connection;
}

absl::StatusOr<Rows> Connection::Query(std::string_view sql) {
  MYSQL* mysql = impl_->mysql;
  if (mysql_real_query(mysql, sql.data(), sql.size()) != 0) return impl_->Error();
  MYSQL_RES* result = mysql_store_result(mysql);
  Rows out;
  if (result == nullptr) {
    if (mysql_field_count(mysql) != 0) return impl_->Error();
    return out;
  }
  const unsigned fields = mysql_num_fields(result);
  const MYSQL_FIELD* field = mysql_fetch_fields(result);
  for (unsigned i = 0; i < fields; ++i) out.columns.emplace_back(field[i].name);
  out.rows.reserve(mysql_num_rows(result));
  while (MYSQL_ROW row = mysql_fetch_row(result)) {
    const unsigned long* lengths = mysql_fetch_lengths(result);
    Row& values = out.rows.emplace_back();
    values.reserve(fields);
    for (unsigned i = 0; i < fields; ++i) {
      if (row[i] == nullptr) {
        values.emplace_back();
      } else {
        values.emplace_back(std::string(row[i], lengths[i]));
      }
    }
  }
  mysql_free_result(result);
  return out;
}

absl::StatusOr<uint64_t> Connection::Execute(std::string_view sql) {
  MYSQL* mysql = impl_->mysql;
  if (mysql_real_query(mysql, sql.data(), sql.size()) != 0) return impl_->Error();
  if (MYSQL_RES* result = mysql_store_result(mysql)) {
    mysql_free_result(result);
    return uint64_t{0};
  }
  if (mysql_field_count(mysql) != 0) return impl_->Error();
  return static_cast<uint64_t>(mysql_affected_rows(mysql));
}

std::string Connection::Quote(std::string_view value) const {
  std::string out(value.size() * 2 + 3, '\0');
  out[0] = '\'';
  const unsigned long n = mysql_real_escape_string(impl_->mysql, out.data() + 1, value.data(), value.size());
  out[n + 1] = '\'';
  out.resize(n + 2);
  return out;
}

uint64_t Connection::thread_id() const { return mysql_thread_id(impl_->mysql); }

uint32_t ServerError(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrorPayload);
  if (!payload.has_value()) return 0;
  const std::string text(*payload);
  uint32_t error = 0;
  std::from_chars(text.data(), text.data() + text.size(), error);
  return error;
}

std::string QuoteName(std::string_view name) {
  std::string out = "`";
  for (char c : name) {
    if (c == '`') out += '`';
    out += c;
  }
  return out + "`";
}

}  // namespace crossfade::backfill

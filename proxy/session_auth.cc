// SPDX-License-Identifier: Apache-2.0
// The connection phase. The backend's greeting goes to the client and the client's login to the backend, so the proxy
// needs no passwords; capabilities are cut to what both sides and the proxy understand. Where only one side is secure,
// caching_sha2_password's full exchange is bridged: towards the clear side by RSA, towards the secure one in clear.
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "fmt/format.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"

namespace crossfade::proxy {
namespace asio = boost::asio;
using namespace protocol;

namespace {

constexpr uint64_t kLoginLimit = 64 * 1024;     // bytes of one packet of a client that has not logged in
constexpr uint64_t kBackendLimit = 1024 * 1024;
constexpr char kSha2Key[] = "\x02", kSha256Key[] = "\x01";  // caching_sha2_password, sha256_password: send me your public key

// What the proxy can relay. Not: compression, MariaDB's progress reports and COM_MULTI, further authentication factors.
// Nor MariaDB's cached metadata: the server would leave out the columns of a variant, taking them as known, while the
// client knows those of its own statement (a reference that was a string is a number for the new cohort).
constexpr uint64_t kSupported =
    kClientLongPassword | kClientFoundRows | (1u << 2) /* long flag */ | kClientConnectWithDb | (1u << 4) /* no schema */ |
    (1u << 6) /* ODBC */ | kClientLocalFiles | (1u << 8) /* ignore space */ | kClientProtocol41 | (1u << 10) /* interactive */ |
    (1u << 12) /* ignore SIGPIPE */ | kClientTransactions | (1u << 14) /* reserved */ | kClientSecureConnection |
    kClientMultiStatements | kClientMultiResults | kClientPsMultiResults | kClientPluginAuth | kClientConnectAttrs |
    kClientPluginAuthLenencData | kClientCanHandleExpiredPasswords | kClientSessionTrack | kClientDeprecateEof |
    kClientOptionalResultsetMetadata | kClientQueryAttributes | kMariaDbStmtBulk | kMariaDbExtendedMetadata;

}  // namespace

awaitable<bool> Session::ConnectBackend() {
  const BackendContext& backend = *listener_->backend;
  ErrorCode ec;
  std::vector<Endpoint> endpoints = backend.endpoints;
  if (endpoints.empty()) {
    asio::ip::tcp::resolver resolver(thread_->io());
    auto resolved = co_await resolver.async_resolve(backend.address.host, backend.address.port, kAsTuple);
    ec = std::get<0>(resolved);
    for (const auto& each : std::get<1>(resolved)) endpoints.emplace_back(each.endpoint());
  }
  for (const Endpoint& endpoint : endpoints) {
    Socket& socket = backend_.socket();
    ErrorCode ignored;
    socket.close(ignored);
    socket.open(endpoint.protocol(), ec);
    if (ec) continue;
    std::tie(ec) = co_await socket.async_connect(endpoint, kAsTuple);
    if (!ec) {
      if (!backend.address.is_unix) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      co_return true;
    }
  }
  if (closing_) ec = asio::error::timed_out;
  (void)co_await SendError(0, 1105, "HY000", fmt::format("crossfade: cannot reach backend {} ({}): {}", backend.spec.name,
                                                         backend.spec.address, ec.message()));
  co_return Fail(fmt::format("cannot reach backend {}: {}", backend.spec.name, ec.message()));
}

awaitable<bool> Session::Login() {
  const bool connected = co_await ConnectBackend();
  if (!connected) co_return false;
  uint8_t backend_sequence = 0, client_sequence = 0;
  std::string payload;
  bool ok = co_await ReadMessage(&backend_, &backend_sequence, &payload, kBackendLimit);
  if (!ok) {
    (void)co_await SendError(0, 1105, "HY000", fmt::format("crossfade: backend {} sent no greeting", listener_->backend->spec.name));
    co_return false;
  }
  if (!payload.empty() && static_cast<uint8_t>(payload[0]) == 0xFF) {  // "Too many connections", "Host is blocked"
    (void)co_await WriteMessage(&client_, &client_sequence, payload);
    co_return Fail("the backend refused the connection");
  }
  absl::StatusOr<Greeting> greeting = ParseGreeting(payload);
  if (!greeting.ok()) {
    (void)co_await SendError(0, 1105, "HY000", "crossfade: malformed greeting from the backend");
    co_return Fail("malformed greeting from the backend");
  }
  const uint64_t server_capabilities = greeting->capabilities;
  const bool server_tls = (server_capabilities & kClientSsl) != 0;
  const config::TlsMode mode = listener_->backend->spec.tls;
  if (!server_tls && (mode == config::TlsMode::kRequired || mode == config::TlsMode::kVerify)) {
    (void)co_await SendError(0, 1105, "HY000", fmt::format("crossfade: backend {} offers no TLS, which its configuration asks for",
                                                           listener_->backend->spec.name));
    co_return Fail("the backend offers no TLS");
  }
  scramble_ = greeting->scramble;
  status_ = greeting->status;
  greeting->capabilities = (server_capabilities & kSupported) | (listener_->tls ? kClientSsl : 0);
  const std::string shown = BuildGreeting(*greeting);
  ok = co_await WriteMessage(&client_, &client_sequence, shown);
  if (!ok) co_return false;

  protocol::Login login;
  ok = co_await ReadLogin(&login, &client_sequence);
  if (!ok) co_return false;
  user_ = login.user;
  if ((login.capabilities & kClientProtocol41) == 0) {
    (void)co_await SendError(client_sequence, 1251, "08004", "Client does not support authentication protocol requested by server; consider upgrading MySQL client");
    co_return Fail("the client speaks a protocol older than 4.1");
  }
  const uint64_t agreed = login.capabilities & server_capabilities & kSupported;
  // Flags that a client sends whatever the server offers pass; the server ignores what it does not know.
  login.capabilities = agreed | (login.capabilities & kClientConnectAttrs & server_capabilities);

  const bool use_tls = server_tls && listener_->backend->tls != nullptr && !listener_->backend->address.is_unix;
  if (use_tls) {
    login.capabilities |= kClientSsl;
    const std::string request = BuildSslRequest(login);
    ok = co_await WriteMessage(&backend_, &backend_sequence, request);
    if (!ok) co_return false;
    if (!backend_.in().empty()) co_return Fail("the backend sent bytes before its TLS handshake");
    const ErrorCode ec = co_await backend_.TlsConnect(listener_->backend->tls.get(), listener_->backend->address.host);
    if (ec) {
      (void)co_await SendError(client_sequence, 1105, "HY000", fmt::format("crossfade: TLS to backend {}: {}",
                               listener_->backend->spec.name, backend_.tls_error()));
      co_return Fail(fmt::format("TLS to the backend: {}", backend_.tls_error()));
    }
  }
  capabilities_ = agreed;
  multi_statements_ = (agreed & protocol::kClientMultiStatements) != 0;
  const std::string& plugin = (agreed & kClientPluginAuth) != 0 && !login.auth_plugin.empty() ? login.auth_plugin : greeting->auth_plugin;
  HoldPassword(plugin, &login.auth_response);
  if (plugin != "sha256_password" && LeaksPassword(plugin)) {
    (void)co_await SendError(client_sequence, 1105, "HY000", fmt::format("crossfade: {} would send the password in clear to the backend", plugin));
    co_return Fail("a plugin that would send the password in clear to the backend");
  }
  const std::string forwarded = BuildLogin(login);
  ok = co_await WriteMessage(&backend_, &backend_sequence, forwarded);
  if (!ok) co_return false;
  co_return co_await Authenticate(client_sequence, backend_sequence);
}

awaitable<bool> Session::ReadLogin(protocol::Login* login, uint8_t* sequence) {
  std::string payload;
  for (bool tls_asked = false;; tls_asked = true) {
    const bool ok = co_await ReadMessage(&client_, sequence, &payload, kLoginLimit);
    if (!ok) co_return false;
    absl::StatusOr<protocol::Login> parsed = ParseLogin(payload);
    if (!parsed.ok()) {
      (void)co_await SendError(*sequence, 1043, "08S01", "Bad handshake");
      co_return Fail("malformed login");
    }
    const bool ssl_request = payload.size() == 32 && (parsed->capabilities & kClientSsl) != 0;
    if (!ssl_request) {
      *login = std::move(*parsed);
      co_return true;
    }
    if (listener_->tls == nullptr || tls_asked) {
      (void)co_await SendError(*sequence, 1043, "08S01", "Bad handshake");
      co_return Fail("an unexpected TLS request");
    }
    const ErrorCode ec = co_await client_.TlsAccept(listener_->tls.get());
    if (ec) co_return Fail(fmt::format("TLS with the client: {}", client_.tls_error()));
  }
}

// A client behind TLS hands these plugins its password as it is.
bool Session::LeaksPassword(std::string_view plugin) const {
  return !backend_.secure() && client_.secure() && (plugin == "mysql_clear_password" || plugin == "sha256_password");
}

// Behind TLS a client of sha256_password sends its password at once. A backend in clear is asked for its key instead.
void Session::HoldPassword(std::string_view plugin, std::string* response) {
  if (plugin != "sha256_password" || !LeaksPassword(plugin) || response->size() <= 1) return;
  held_password_ = std::move(*response);
  *response = kSha256Key;
}

void Session::DropPassword() {
  OPENSSL_cleanse(held_password_.data(), held_password_.size());
  held_password_.clear();
}

// Passes packets to and fro until the server says OK or ERR.
awaitable<bool> Session::Authenticate(uint8_t client_sequence, uint8_t backend_sequence) {
  std::string payload;
  for (;;) {
    bool sha256 = false;
    bool ok = co_await ReadMessage(&backend_, &backend_sequence, &payload, kBackendLimit);
    if (!ok) {
      (void)co_await SendError(client_sequence, 1105, "HY000", "crossfade: the backend closed during authentication");
      co_return false;
    }
    const AuthStep step = ClassifyAuth(payload);
    if (step == AuthStep::kMoreData && !held_password_.empty()) {
      absl::StatusOr<std::string> encrypted = EncryptPassword(held_password_, scramble_, std::string_view(payload).substr(1));
      DropPassword();
      if (!encrypted.ok()) {
        (void)co_await SendError(client_sequence, 1105, "HY000", "crossfade: the backend's public key is unusable");
        co_return Fail("the backend's public key is unusable");
      }
      ok = co_await WriteMessage(&backend_, &backend_sequence, *encrypted);
      if (!ok) co_return false;
      continue;
    }
    DropPassword();  // the server goes another way
    if (step == AuthStep::kSwitch && payload.size() > 1) {
      absl::StatusOr<AuthSwitch> request = ParseAuthSwitch(payload);
      if (!request.ok()) co_return Fail("malformed authentication switch from the backend");
      sha256 = request->plugin == "sha256_password";
      if (!sha256 && LeaksPassword(request->plugin)) {
        (void)co_await SendError(client_sequence, 1105, "HY000", fmt::format("crossfade: {} would send the password in clear to the backend", request->plugin));
        co_return Fail("a plugin that would send the password in clear to the backend");
      }
      scramble_ = request->data.substr(0, 20);
    }
    ok = co_await WriteMessage(&client_, &client_sequence, payload);
    if (!ok) co_return false;
    if (step == AuthStep::kOk) {
      OkPacket packet;
      if (ParseOk(payload, capabilities_, &packet)) status_ = packet.status;
      co_return true;
    }
    if (step == AuthStep::kError) {
      closing_ = true;  // the server has said why; nothing to log
      co_return false;
    }
    if (step == AuthStep::kFastAuthOk) continue;  // an OK follows
    if ((step == AuthStep::kFullAuth || sha256) && client_.secure() != backend_.secure()) {
      ok = co_await FullAuth(sha256 ? kSha256Key : kSha2Key, &client_sequence, &backend_sequence);
      if (!ok) co_return false;
      continue;
    }
    ok = co_await ReadMessage(&client_, &client_sequence, &payload, kLoginLimit);
    if (!ok) co_return false;
    ok = co_await WriteMessage(&backend_, &backend_sequence, payload);
    if (!ok) co_return false;
  }
}

// One side is secure, the other is not. The client has been told to send its password in full; in clear it asks for the
// public key first, by `request_key`.
awaitable<bool> Session::FullAuth(std::string_view request_key, uint8_t* client_sequence, uint8_t* backend_sequence) {
  std::string payload;
  bool ok = co_await ReadMessage(&client_, client_sequence, &payload, kLoginLimit);
  if (!ok) co_return false;
  if (!client_.secure() && payload == request_key) {
    const absl::StatusOr<protocol::RsaKey>& own = thread_->server()->rsa_key();
    if (!own.ok()) co_return Fail("the proxy has no key pair of its own");
    std::string key = "\x01";
    key += own->public_key_pem();
    ok = co_await WriteMessage(&client_, client_sequence, key);
    if (!ok) co_return false;
    ok = co_await ReadMessage(&client_, client_sequence, &payload, kLoginLimit);
    if (!ok) co_return false;
    absl::StatusOr<std::string> password = own->DecryptPassword(payload, scramble_);
    payload = password.ok() ? *std::move(password) : std::string(1, '\0');  // garbage: the server says "access denied"
  } else if (client_.secure() && payload.size() > 1) {
    std::string request(request_key), answer;
    ok = co_await WriteMessage(&backend_, backend_sequence, request);
    if (!ok) co_return false;
    ok = co_await ReadMessage(&backend_, backend_sequence, &answer, kBackendLimit);
    if (!ok) co_return false;
    if (answer.size() < 2 || answer[0] != '\x01') {
      (void)co_await WriteMessage(&client_, client_sequence, answer);
      co_return Fail("the backend gave no public key");
    }
    absl::StatusOr<std::string> encrypted = EncryptPassword(payload, scramble_, std::string_view(answer).substr(1));
    if (!encrypted.ok()) {
      (void)co_await SendError(*client_sequence, 1105, "HY000", "crossfade: the backend's public key is unusable");
      co_return Fail("the backend's public key is unusable");
    }
    payload = *std::move(encrypted);
  }
  ok = co_await WriteMessage(&backend_, backend_sequence, payload);
  OPENSSL_cleanse(payload.data(), payload.size());
  co_return ok;
}

void Session::ResetState() {
  facts_known_ = false;
  prepared_.clear();
  load_local_.clear();
}

// The command is forwarded by Serve's rules of order: request, authentication exchange, OK or ERR.
awaitable<bool> Session::ChangeUser(std::string_view payload) {
  absl::StatusOr<protocol::ChangeUser> request = ParseChangeUser(payload.substr(1), capabilities_);
  if (!request.ok()) {
    (void)co_await SendError(AfterCommand(), 1047, "08S01", "Unknown command");
    co_return Fail("malformed COM_CHANGE_USER");
  }
  if (request->auth_plugin != "sha256_password" && LeaksPassword(request->auth_plugin)) {
    (void)co_await SendError(AfterCommand(), 1105, "HY000", "crossfade: the plugin would send the password in clear to the backend");
    co_return Fail("a plugin that would send the password in clear to the backend");
  }
  user_ = request->user;
  uint8_t backend_sequence = 0;
  HoldPassword(request->auth_plugin, &request->auth_response);
  const std::string forwarded = held_password_.empty() ? std::string(payload) : BuildChangeUser(*request, capabilities_);
  const bool ok = co_await WriteMessage(&backend_, &backend_sequence, forwarded);
  if (!ok) co_return false;
  ResetState();
  client_.in().Consume(command_size_);
  command_size_ = 0;
  const bool in = co_await Authenticate(AfterCommand(), backend_sequence);
  tracker_.set_status(status_);
  co_return in;
}

}  // namespace crossfade::proxy

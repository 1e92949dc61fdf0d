// SPDX-License-Identifier: Apache-2.0
// The connection phase. The backend's greeting goes to the client and the client's login to the backend, so the proxy
// needs no passwords; capabilities are cut to what both sides and the proxy understand. Where only one side is secure,
// caching_sha2_password's full exchange is bridged: towards the clear side by RSA, towards the secure one in clear.
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>

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

// What the proxy can relay. Not: MariaDB's COM_MULTI. Compression is its own, on each side.
// Nor MariaDB's cached metadata: the server would leave out the columns of a variant, taking them as known, while the
// client knows those of its own statement (a reference that was a string is a number for the new cohort).
constexpr uint64_t kSupported =
    kClientLongPassword | kClientFoundRows | (1u << 2) /* long flag */ | kClientConnectWithDb | (1u << 4) /* no schema */ |
    (1u << 6) /* ODBC */ | kClientLocalFiles | (1u << 8) /* ignore space */ | kClientProtocol41 | (1u << 10) /* interactive */ |
    (1u << 12) /* ignore SIGPIPE */ | kClientTransactions | (1u << 14) /* reserved */ | kClientSecureConnection |
    kClientMultiStatements | kClientMultiResults | kClientPsMultiResults | kClientPluginAuth | kClientConnectAttrs |
    kClientPluginAuthLenencData | kClientCanHandleExpiredPasswords | kClientSessionTrack | kClientDeprecateEof |
    kClientOptionalResultsetMetadata | kClientQueryAttributes | kClientMultiFactor | kMariaDbProgress | kMariaDbStmtBulk | kMariaDbExtendedMetadata;
constexpr uint64_t kCompressions = kClientCompress | kClientZstdCompression;

uint64_t BackendCompression(config::Compression compression) {
  if (compression == config::Compression::kOff) return 0;
  return compression == config::Compression::kZlib ? kClientCompress : kClientZstdCompression;
}

Compression MethodOf(uint64_t capability) { return capability == kClientCompress ? Compression::kZlib : Compression::kZstd; }

// On the same machine a connection is there when connect returns: asked once more, it says so, and nothing has to be waited for.
ErrorCode TryConnect(Socket* socket, const Endpoint& endpoint) {
  ErrorCode ec;
  socket->native_non_blocking(true, ec);
  if (ec) return ec;
  int error = 0;
  for (int looks = 0; looks < 2; ++looks) {
    if (::connect(socket->native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) return {};
    error = errno;
    if (error == EISCONN && looks > 0) return {};
    if (error != EINPROGRESS && error != EINTR) break;
  }
  if (error == EALREADY || error == EINTR) error = EINPROGRESS;
  return ErrorCode(error, boost::system::system_category());
}

ErrorCode ConnectError(Socket* socket) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(socket->native_handle(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  return ErrorCode(error, boost::system::system_category());
}

}  // namespace

awaitable<bool> Session::ConnectBackend() {
  const BackendContext& backend = *listener_->backend;
  deadline_ = std::min(login_deadline_, Clock::now() + limits().connect_timeout);
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
    ec = TryConnect(&socket, endpoint);
    if (ec == asio::error::in_progress) {
      std::tie(ec) = co_await socket.async_wait(asio::socket_base::wait_write, kAsTuple);
      if (!ec) ec = ConnectError(&socket);
    }
    if (ending_ != Ending::kNone) break;
    if (!ec) {
      if (!backend.address.is_unix) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      deadline_ = login_deadline_;
      co_return true;
    }
  }
  if (closing_ || ending_ != Ending::kNone) ec = asio::error::timed_out;
  (void)co_await SendError(0, 1105, "HY000", fmt::format("crossfade: cannot reach backend {} ({}): {}", backend.spec.name,
                                                         backend.spec.address, ec.message()));
  co_return Refused(Refusal::kBackend, fmt::format("cannot reach backend {}: {}", backend.spec.name, ec.message()));
}

// A message of the connection phase. An error may bear another number than is due: MariaDB, which looks at the address in a
// PROXY header behind its greeting, refuses it without waiting for the login.
awaitable<bool> Session::ReadBackend(uint8_t* sequence, std::string* payload) {
  for (;;) {
    const std::string_view head = backend_.in().empty() ? std::string_view() : backend_.in().data();
    if (head.size() > kFrameHeader && static_cast<uint8_t>(head[kFrameHeader]) == 0xFF) *sequence = ParseFrameHeader(head.data()).sequence;
    if (head.size() > kFrameHeader || (head.size() == kFrameHeader && ParseFrameHeader(head.data()).length == 0)) break;
    Stream::ReadResult read = greeted_ || !backend_.in().empty() ? co_await backend_.ReadMore() : co_await backend_.Read();  // the first looks, too
    const ErrorCode ec = std::get<0>(read);
    if (ec) co_return Fail(fmt::format("backend: {}", ec.message()));
  }
  co_return co_await ReadMessage(&backend_, sequence, payload, kBackendLimit);
}

awaitable<bool> Session::Login() {
  client_.in().set_frugal(true);
  bool ok = co_await Arrive();
  if (ok) ok = co_await ConnectBackend();
  if (ok) ok = co_await SendProxyHeader();
  if (!ok) co_return false;
  uint8_t backend_sequence = 0, client_sequence = 0;
  std::string payload;
  ok = co_await ReadBackend(&backend_sequence, &payload);
  if (!ok) {
    refusal_ = ending_ == Ending::kNone ? Refusal::kBackend : refusal_;
    (void)co_await SendError(0, 1105, "HY000", fmt::format("crossfade: backend {} sent no greeting", listener_->backend->spec.name));
    co_return false;
  }
  if (!payload.empty() && static_cast<uint8_t>(payload[0]) == 0xFF) {  // "Too many connections", "Host is blocked"
    (void)co_await WriteMessage(&client_, &client_sequence, payload);
    co_return Refused(Refusal::kBackend, "the backend refused the connection");
  }
  absl::StatusOr<Greeting> greeting = ParseGreeting(payload);
  if (!greeting.ok()) {
    (void)co_await SendError(0, 1105, "HY000", "crossfade: malformed greeting from the backend");
    co_return Refused(Refusal::kBackend, "malformed greeting from the backend");
  }
  const uint64_t server_capabilities = greeting->capabilities;
  const bool server_tls = (server_capabilities & kClientSsl) != 0;
  const config::TlsMode mode = listener_->backend->spec.tls;
  if (!server_tls && (mode == config::TlsMode::kRequired || mode == config::TlsMode::kVerify)) {
    (void)co_await SendError(0, 1105, "HY000", fmt::format("crossfade: backend {} offers no TLS, which its configuration asks for",
                                                           listener_->backend->spec.name));
    co_return Refused(Refusal::kBackendTls, "the backend offers no TLS");
  }
  scramble_ = greeting->scramble;
  status_ = greeting->status;
  backend_thread_ = greeting->thread_id;
  mariadb_ = greeting->server_version.find("MariaDB") != std::string::npos;
  greeting->capabilities = (server_capabilities & kSupported) | kCompressions | (listener_->spec.offers_tls() ? uint64_t{kClientSsl} : 0);
  const std::string shown = BuildGreeting(*greeting);
  ok = co_await WriteMessage(&client_, &client_sequence, shown);
  if (!ok) co_return false;
  greeted_ = true;

  protocol::Login login;
  ok = co_await ReadLogin(&login, &client_sequence);
  if (!ok) co_return false;
  user_ = login.user;
  MayEnterInformation(login.database);
  if ((login.capabilities & kClientProtocol41) == 0) {
    (void)co_await SendError(client_sequence, 1251, "08004", "Client does not support authentication protocol requested by server; consider upgrading MySQL client");
    co_return Refused(Refusal::kMalformed, "the client speaks a protocol older than 4.1");
  }
  // MySQL's order: zlib, where both are asked for.
  const uint64_t client_compression = login.capabilities & ((login.capabilities & kClientCompress) != 0 ? kClientCompress : kClientZstdCompression);
  const uint8_t client_level = login.zstd_level;
  if (client_compression == kClientZstdCompression && (client_level < kLowestZstdLevel || client_level > kHighestZstdLevel)) {
    (void)co_await SendError(client_sequence, 3923, "HY000", "Invalid zstd compression level for algorithm 'zstd'.");
    co_return Fail("the client asks for a compression level that does not exist");
  }
  const uint64_t backend_compression = BackendCompression(listener_->backend->spec.compression) & server_capabilities;
  const uint64_t agreed = login.capabilities & server_capabilities & kSupported;
  // Flags that a client sends whatever the server offers pass; the server ignores what it does not know.
  login.capabilities = agreed | (login.capabilities & kClientConnectAttrs & server_capabilities) | backend_compression;
  login.zstd_level = kDefaultZstdLevel;

  SslCtxPtr backend_tls;
  if (server_tls && !listener_->backend->address.is_unix) backend_tls = listener_->backend->tls.Get();
  if (backend_tls != nullptr) {
    login.capabilities |= kClientSsl;
    const std::string request = BuildSslRequest(login);
    if (!backend_.in().empty() || backend_.Look() == Stream::Peek::kBytes) {
      ok = co_await ReadBackend(&backend_sequence, &payload);
      if (ok && ClassifyAuth(payload) == AuthStep::kError) (void)co_await WriteMessage(&client_, &client_sequence, payload);
      co_return Refused(Refusal::kBackend, "the backend refused the connection");
    }
    ok = co_await WriteMessage(&backend_, &backend_sequence, request);
    if (!ok) co_return false;
    if (!backend_.in().empty()) co_return Refused(Refusal::kBackendTls, "the backend sent bytes before its TLS handshake");
    const ErrorCode ec = co_await backend_.TlsConnect(backend_tls.get(), listener_->backend->address.host);
    if (ec) {
      (void)co_await SendError(client_sequence, 1105, "HY000", fmt::format("crossfade: TLS to backend {}: {}",
                               listener_->backend->spec.name, backend_.tls_error()));
      co_return Refused(Refusal::kBackendTls, fmt::format("TLS to the backend: {}", backend_.tls_error()));
    }
  }
  KeepAttributes(login.connect_attributes);
  capabilities_ = agreed;
  multi_statements_ = (agreed & protocol::kClientMultiStatements) != 0;
  const std::string& plugin = (agreed & kClientPluginAuth) != 0 && !login.auth_plugin.empty() ? login.auth_plugin : greeting->auth_plugin;
  HoldPassword(plugin, &login.auth_response);
  if (plugin != "sha256_password" && LeaksPassword(plugin)) {
    (void)co_await SendError(client_sequence, 1105, "HY000", fmt::format("crossfade: {} would send the password in clear to the backend", plugin));
    co_return Fail("a plugin that would send the password in clear to the backend");
  }
  payload = BuildLogin(login);
  ok = co_await WriteMessage(&backend_, &backend_sequence, payload);
  if (!ok) co_return false;
  // What a client sent is not kept while it takes its time over the next packet.
  std::string().swap(payload);
  login = protocol::Login();
  ok = co_await Authenticate(client_sequence, backend_sequence);
  client_.in().set_frugal(false);
  if (!ok) co_return false;
  if (client_compression != 0) {
    client_.StartCompression(MethodOf(client_compression), client_level, CompressedLink::Peer::kClient,
                             limits().max_packet, thread_->packer());
  }
  if (backend_compression != 0) {
    backend_.StartCompression(MethodOf(backend_compression), kDefaultZstdLevel, CompressedLink::Peer::kServer, kMaxFramePayload,
                              thread_->packer());
  }
  co_return true;
}

awaitable<bool> Session::ReadLogin(protocol::Login* login, uint8_t* sequence) {
  std::string payload;
  for (bool tls_asked = false;; tls_asked = true) {
    bool ok = co_await ReadHead(tls_asked, *sequence);
    if (ok) ok = co_await ReadMessage(&client_, sequence, &payload, kLoginLimit);
    if (!ok) co_return false;
    absl::StatusOr<protocol::Login> parsed = ParseLogin(payload);
    if (!parsed.ok()) {
      (void)co_await SendError(*sequence, 1043, "08S01", "Bad handshake");
      co_return Refused(Refusal::kMalformed, "malformed login");
    }
    const bool ssl_request = payload.size() == 32 && (parsed->capabilities & kClientSsl) != 0;
    if (!ssl_request) {
      *login = std::move(*parsed);
      co_return true;
    }
    const SslCtxPtr tls = listener_->tls.Get();
    if (tls == nullptr || tls_asked) {
      (void)co_await SendError(*sequence, 1043, "08S01", "Bad handshake");
      co_return Refused(Refusal::kMalformed, "an unexpected TLS request");
    }
    const ErrorCode ec = co_await client_.TlsAccept(tls.get());
    if (ec) co_return Refused(Refusal::kTls, fmt::format("TLS with the client: {}", client_.tls_error()));
  }
}

bool Session::MayStartTls() const { return !client_.tls() && listener_->spec.offers_tls(); }

// Looks at the head of a client's packet before the rest of it is read: bytes that are no packet at all, a length that no
// login has, and a login in clear where TLS is required, whose user and password then are never looked at.
awaitable<bool> Session::ReadHead(bool tls_asked, uint8_t sequence) {
  constexpr size_t kHead = kFrameHeader + 4;  // up to the capabilities
  while (client_.in().size() < kHead) {
    const std::string_view seen = client_.in().data();
    if (seen.size() >= kFrameHeader && ParseFrameHeader(seen.data()).length < 4) co_return true;  // ParseLogin says it
    Stream::ReadResult read;
    if (MayStartTls()) {
      read = co_await client_.ReadAtMost(kHead - seen.size());  // behind a TLS request, all is OpenSSL's to read
    } else if (client_.in().empty()) {
      read = co_await client_.Read();
    } else {
      read = co_await client_.ReadMore();
    }
    if (std::get<0>(read)) co_return Refused(Refusal::kOther, fmt::format("client: {}", std::get<0>(read).message()));
  }
  const std::string_view head = client_.in().data().substr(0, kHead);
  ProxyHeader header;
  size_t consumed = 0;
  if (!tls_asked && ParseProxyHeader(head, &header, &consumed) != ProxyHeaderResult::kNotOne) {
    co_return Refused(Refusal::kProxyProtocol, "a PROXY header from a peer that proxy_protocol does not list");
  }
  if (ParseFrameHeader(head.data()).length > kLoginLimit) {
    (void)co_await SendError(static_cast<uint8_t>(sequence + 1), 1043, "08S01", "Bad handshake");
    co_return Refused(Refusal::kMalformed, "a login that is too large");
  }
  const bool wants_tls = (static_cast<uint8_t>(head[kFrameHeader + 1]) << 8 & kClientSsl) != 0;
  if (listener_->spec.tls_required && !client_.secure() && !wants_tls) {
    (void)co_await SendError(static_cast<uint8_t>(sequence + 1), 3159, mariadb_ ? "08004" : "HY000",
                             "Connections using insecure transport are prohibited while --require_secure_transport=ON.");
    co_return Refused(Refusal::kTlsRequired, "a login without TLS, which tls.required asks for");
  }
  co_return true;
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
    bool ok = co_await ReadBackend(&backend_sequence, &payload);
    if (!ok) {
      if (ending_ == Ending::kNone) (void)co_await SendError(client_sequence, 1105, "HY000", "crossfade: the backend closed during authentication");
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
    if (step == AuthStep::kOk && !AdmitUser()) {
      (void)co_await SendError(client_sequence, 1203, "42000", fmt::format("User {} already has more than 'max_user_connections' active connections", user_));
      co_return Refused(Refusal::kMaxPerUser, "limits.max_user_connections is reached");
    }
    if ((step == AuthStep::kSwitch && payload.size() > 1) || step == AuthStep::kNextFactor) {
      absl::StatusOr<AuthSwitch> request = step == AuthStep::kSwitch ? ParseAuthSwitch(payload) : ParseNextFactor(payload);
      if (!request.ok()) co_return Refused(Refusal::kBackend, "malformed authentication switch from the backend");
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
    if (step == AuthStep::kError && authenticated_) co_return true;  // a change of user that failed: the server goes on
    if (step == AuthStep::kError) {
      closing_ = true;  // the server has said why; nothing to log
      refusal_ = Refusal::kAccessDenied;
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
  sql_prepared_.clear();
  load_local_.clear();
  thread_->server()->admission().statements.fetch_sub(statements_.size(), std::memory_order_relaxed);
  statements_.clear();
  prepare_refused_ = false;
  marked_.clear();  // their transaction is rolled back
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
  KeepAttributes(request->connect_attributes);
  uint8_t backend_sequence = 0;
  HoldPassword(request->auth_plugin, &request->auth_response);
  const std::string forwarded = held_password_.empty() ? std::string(payload) : BuildChangeUser(*request, capabilities_);
  const bool ok = co_await WriteMessage(&backend_, &backend_sequence, forwarded);
  if (!ok) co_return false;
  ResetState();
  client_.in().Consume(command_size_);
  command_size_ = 0;
  login_deadline_ = deadline_ = Clock::now() + limits().handshake_timeout;
  client_.SetExchange(true);
  backend_.SetExchange(true);
  const bool in = co_await Authenticate(AfterCommand(), backend_sequence);
  if (ending_ == Ending::kNone) deadline_ = {};
  client_.SetExchange(false);
  backend_.SetExchange(false);
  tracker_.set_status(status_);
  co_return in;
}

}  // namespace crossfade::proxy

// SPDX-License-Identifier: Apache-2.0
// The connection phase: greeting, TLS request, login, authentication exchange, COM_CHANGE_USER.
// Source: page_protocol_connection_phase. All functions take and make payloads without frame headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "protocol/constants.h"

namespace crossfade::protocol {

struct Greeting {  // HandshakeV10
  std::string server_version;
  uint32_t thread_id = 0;
  std::string scramble;  // 20 bytes (without the closing 0)
  uint64_t capabilities = 0;  // MariaDB's upper half included (only if CLIENT_LONG_PASSWORD is absent)
  uint8_t charset = 0;
  uint16_t status = 0;
  std::string auth_plugin;
};
// Errors, here and below: InvalidArgument where bytes are missing or lengths overrun.
absl::StatusOr<Greeting> ParseGreeting(std::string_view payload);
std::string BuildGreeting(const Greeting& greeting);

struct Login {  // HandshakeResponse41
  uint64_t capabilities = 0;
  uint32_t max_packet = 0;
  uint8_t charset = 0;
  std::string user;
  std::string auth_response;
  std::string database;
  std::string auth_plugin;
  std::string connect_attributes;  // raw key/value bytes, without the total length
  uint8_t zstd_level = 0;
  std::string rest;                // bytes after all known fields, kept
};
// A payload of 32 bytes is an SSLRequest: only capabilities, max_packet and charset are set.
absl::StatusOr<Login> ParseLogin(std::string_view payload);
std::string BuildLogin(const Login& login);
std::string BuildSslRequest(const Login& login);  // the first 32 bytes, with CLIENT_SSL set

struct AuthSwitch { std::string plugin, data; };   // 0xFE
absl::StatusOr<AuthSwitch> ParseAuthSwitch(std::string_view payload);
std::string BuildAuthSwitch(const AuthSwitch& request);
// AuthNextFactor, 0x02: the same fields (page_protocol_connection_phase_packets_protocol_auth_next_factor_request).
absl::StatusOr<AuthSwitch> ParseNextFactor(std::string_view payload);
std::string BuildNextFactor(const AuthSwitch& request);

struct ChangeUser {  // COM_CHANGE_USER, without the command byte
  std::string user, auth_response, database;
  bool has_charset = false;
  uint16_t charset = 0;
  std::string auth_plugin, connect_attributes;
};
absl::StatusOr<ChangeUser> ParseChangeUser(std::string_view payload, uint64_t capabilities);
std::string BuildChangeUser(const ChangeUser& request, uint64_t capabilities);  // with the command byte

// What an authentication payload from the server is, by its first byte(s).
enum class AuthStep : uint8_t { kOk, kError, kSwitch, kMoreData, kFastAuthOk /* 01 03 */, kFullAuth /* 01 04 */, kInvalid,
                                kNextFactor /* 02: MySQL's second and third factor */ };
AuthStep ClassifyAuth(std::string_view payload);
std::string BuildMoreData(std::string_view data);  // 0x01: to the client, as a public key
inline constexpr char kRequestPublicKey = 2;       // the client's one-byte answer to kFullAuth without TLS

// caching_sha2_password full exchange without TLS: password XOR scramble, RSA-OAEP(SHA-1) with the server's key.
// `password` carries its closing 0; of `scramble` the first 20 bytes count. Errors: InvalidArgument (no scramble, no key,
// password over 214 bytes), Internal from OpenSSL. The RSA half of bridging TLS and clear sides.
absl::StatusOr<std::string> EncryptPassword(std::string_view password, std::string_view scramble, std::string_view public_key_pem);
class RsaKey {  // the proxy's own key pair, made at start
 public:
  static absl::StatusOr<RsaKey> Generate();  // 2048 bits
  RsaKey(RsaKey&&) noexcept;
  RsaKey& operator=(RsaKey&&) noexcept;
  ~RsaKey();
  const std::string& public_key_pem() const;
  // The password with its closing 0.
  absl::StatusOr<std::string> DecryptPassword(std::string_view encrypted, std::string_view scramble) const;

 private:
  RsaKey();
  struct Impl;
  Impl* impl_ = nullptr;
};

}  // namespace crossfade::protocol

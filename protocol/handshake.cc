// SPDX-License-Identifier: Apache-2.0
// Payloads of the connection phase (page_protocol_connection_phase_packets). MariaDB drops CLIENT_LONG_PASSWORD
// (its CLIENT_MYSQL bit) to say that 4 of the reserved bytes hold its own capabilities, bits 32 and up.
#include "protocol/handshake.h"

#include <algorithm>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "protocol/codec.h"

namespace crossfade::protocol {
namespace {

constexpr size_t kScramblePart1 = 8;
constexpr size_t kScramblePart2 = 13;  // at least, its closing 0 included
constexpr size_t kLargestScramble = 255;  // its length is one byte
constexpr size_t kSslRequest = 32;

absl::Status Malformed(const char* what) { return absl::InvalidArgumentError(fmt::format("malformed {}", what)); }

bool MariaDb(uint64_t capabilities) { return (capabilities & kClientLongPassword) == 0; }

// Connection attributes: lenenc key, lenenc value, to the end. MariaDB's Node.js driver writes the length of them
// all in the 3-byte form even below 251, and both servers take it.
bool AttributesFit(std::string_view attributes) {
  Reader reader(attributes);
  while (reader.remaining() > 0) {
    reader.LooseLenencString();
    if (reader.remaining() == 0) return false;
    reader.LooseLenencString();
  }
  return reader.ok();
}

std::string_view ShortString(Reader* reader) { return reader->Bytes(reader->U8()); }

void WriteShortString(std::string_view s, Writer* writer) {
  s = s.substr(0, 255);  // all that this form can hold
  writer->U8(static_cast<uint8_t>(s.size()));
  writer->Bytes(s);
}

void WriteLoginHead(const Login& login, uint64_t capabilities, Writer* writer) {
  writer->U32(static_cast<uint32_t>(capabilities));
  writer->U32(login.max_packet);
  writer->U8(login.charset);
  writer->Bytes(std::string(19, '\0'));
  writer->U32(MariaDb(capabilities) ? static_cast<uint32_t>(capabilities >> 32) : 0);
}

}  // namespace

absl::StatusOr<Greeting> ParseGreeting(std::string_view payload) {
  Reader reader(payload);
  Greeting greeting;
  if (reader.U8() != 10) return Malformed("greeting: not protocol version 10");
  greeting.server_version = reader.NulString();
  greeting.thread_id = reader.U32();
  greeting.scramble = reader.Bytes(kScramblePart1);
  reader.U8();
  greeting.capabilities = reader.U16();
  greeting.charset = reader.U8();
  greeting.status = reader.U16();
  greeting.capabilities |= static_cast<uint64_t>(reader.U16()) << 16;
  size_t scramble_size = reader.U8();
  if (!(greeting.capabilities & kClientPluginAuth)) scramble_size = 0;  // the byte says nothing then
  reader.Bytes(6);
  const uint64_t upper = reader.U32();
  if (MariaDb(greeting.capabilities)) greeting.capabilities |= upper << 32;
  greeting.scramble += reader.Bytes(std::max(kScramblePart2, scramble_size - std::min(scramble_size, kScramblePart1)));
  if (!greeting.scramble.empty() && greeting.scramble.back() == '\0') greeting.scramble.pop_back();
  if (greeting.capabilities & kClientPluginAuth) greeting.auth_plugin = reader.NulString();
  if (!reader.ok()) return Malformed("greeting");
  return greeting;
}

std::string BuildGreeting(const Greeting& greeting) {
  Writer writer;
  std::string scramble = greeting.scramble;
  const bool plugin = (greeting.capabilities & kClientPluginAuth) != 0;
  constexpr size_t kUsual = kScramblePart1 + kScramblePart2;
  scramble.resize(plugin ? std::clamp(scramble.size() + 1, kUsual, kLargestScramble) : kUsual, '\0');
  writer.U8(10);
  writer.NulString(greeting.server_version);
  writer.U32(greeting.thread_id);
  writer.Bytes(std::string_view(scramble).substr(0, kScramblePart1));
  writer.U8(0);
  writer.U16(static_cast<uint16_t>(greeting.capabilities));
  writer.U8(greeting.charset);
  writer.U16(greeting.status);
  writer.U16(static_cast<uint16_t>(greeting.capabilities >> 16));
  writer.U8(plugin ? static_cast<uint8_t>(scramble.size()) : 0);
  writer.Bytes(std::string(6, '\0'));
  writer.U32(MariaDb(greeting.capabilities) ? static_cast<uint32_t>(greeting.capabilities >> 32) : 0);
  writer.Bytes(std::string_view(scramble).substr(kScramblePart1));
  if (plugin) writer.NulString(greeting.auth_plugin);
  return writer.Take();
}

absl::StatusOr<Login> ParseLogin(std::string_view payload) {
  Reader reader(payload);
  Login login;
  login.capabilities = reader.U32();
  login.max_packet = reader.U32();
  login.charset = reader.U8();
  reader.Bytes(19);
  const uint64_t upper = reader.U32();
  if (MariaDb(login.capabilities)) login.capabilities |= upper << 32;
  const uint64_t caps = login.capabilities;
  if (!reader.ok() || !(caps & kClientProtocol41)) return Malformed("login: not protocol 4.1");
  if (payload.size() == kSslRequest && (caps & kClientSsl)) return login;

  login.user = reader.NulString();
  login.auth_response = caps & kClientPluginAuthLenencData ? reader.LenencString()
                        : caps & kClientSecureConnection   ? ShortString(&reader)
                                                           : reader.NulString();
  if (caps & kClientConnectWithDb) login.database = reader.NulString();
  if (caps & kClientPluginAuth) login.auth_plugin = reader.NulString();
  if (caps & kClientConnectAttrs) login.connect_attributes = reader.LooseLenencString();
  if (caps & kClientZstdCompression) login.zstd_level = reader.U8();
  login.rest = reader.Rest();
  if (!reader.ok() || !AttributesFit(login.connect_attributes)) return Malformed("login");
  return login;
}

std::string BuildLogin(const Login& login) {
  Writer writer;
  const uint64_t caps = login.capabilities;
  WriteLoginHead(login, caps, &writer);
  writer.NulString(login.user);
  if (caps & kClientPluginAuthLenencData) {
    writer.LenencString(login.auth_response);
  } else if (caps & kClientSecureConnection) {
    WriteShortString(login.auth_response, &writer);
  } else {
    writer.NulString(login.auth_response);
  }
  if (caps & kClientConnectWithDb) writer.NulString(login.database);
  if (caps & kClientPluginAuth) writer.NulString(login.auth_plugin);
  if (caps & kClientConnectAttrs) writer.LenencString(login.connect_attributes);
  if (caps & kClientZstdCompression) writer.U8(login.zstd_level);
  writer.Bytes(login.rest);
  return writer.Take();
}

std::string BuildSslRequest(const Login& login) {
  Writer writer;
  WriteLoginHead(login, login.capabilities | kClientSsl, &writer);
  return writer.Take();
}

namespace {

absl::StatusOr<AuthSwitch> ParsePluginRequest(std::string_view payload, uint8_t first, const char* what) {
  Reader reader(payload);
  AuthSwitch request;
  const bool fits = reader.U8() == first;
  request.plugin = reader.NulString();
  request.data = reader.Rest();
  if (!fits || !reader.ok()) return Malformed(what);
  return request;
}

std::string BuildPluginRequest(const AuthSwitch& request, uint8_t first) {
  Writer writer;
  writer.U8(first);
  writer.NulString(request.plugin);
  writer.Bytes(request.data);
  return writer.Take();
}

}  // namespace

absl::StatusOr<AuthSwitch> ParseAuthSwitch(std::string_view payload) { return ParsePluginRequest(payload, 0xFE, "authentication switch"); }
std::string BuildAuthSwitch(const AuthSwitch& request) { return BuildPluginRequest(request, 0xFE); }
absl::StatusOr<AuthSwitch> ParseNextFactor(std::string_view payload) { return ParsePluginRequest(payload, 0x02, "next authentication factor"); }
std::string BuildNextFactor(const AuthSwitch& request) { return BuildPluginRequest(request, 0x02); }

absl::StatusOr<ChangeUser> ParseChangeUser(std::string_view payload, uint64_t capabilities) {
  Reader reader(payload);
  ChangeUser request;
  request.user = reader.NulString();
  request.auth_response = capabilities & kClientSecureConnection ? ShortString(&reader) : reader.NulString();
  request.database = reader.NulString();
  request.has_charset = reader.remaining() > 0;  // old clients end here
  if (request.has_charset) {
    request.charset = reader.U16();
    if (capabilities & kClientPluginAuth) request.auth_plugin = reader.NulString();
    if (capabilities & kClientConnectAttrs) request.connect_attributes = reader.LooseLenencString();
  }
  if (!reader.ok() || reader.remaining() > 0 || !AttributesFit(request.connect_attributes)) return Malformed("COM_CHANGE_USER");
  return request;
}

std::string BuildChangeUser(const ChangeUser& request, uint64_t capabilities) {
  Writer writer;
  writer.U8(static_cast<uint8_t>(Command::kChangeUser));
  writer.NulString(request.user);
  if (capabilities & kClientSecureConnection) {
    WriteShortString(request.auth_response, &writer);
  } else {
    writer.NulString(request.auth_response);
  }
  writer.NulString(request.database);
  if (!request.has_charset) return writer.Take();
  writer.U16(request.charset);
  if (capabilities & kClientPluginAuth) writer.NulString(request.auth_plugin);
  if (capabilities & kClientConnectAttrs) writer.LenencString(request.connect_attributes);
  return writer.Take();
}

AuthStep ClassifyAuth(std::string_view payload) {
  if (payload.empty()) return AuthStep::kInvalid;
  switch (static_cast<uint8_t>(payload[0])) {
    case 0x00: return AuthStep::kOk;
    case 0xFF: return AuthStep::kError;
    case 0xFE: return AuthStep::kSwitch;
    case 0x02: return AuthStep::kNextFactor;
    case 0x01: break;
    default: return AuthStep::kInvalid;
  }
  if (payload.size() != 2) return AuthStep::kMoreData;
  return payload[1] == 3 ? AuthStep::kFastAuthOk : payload[1] == 4 ? AuthStep::kFullAuth : AuthStep::kMoreData;
}

std::string BuildMoreData(std::string_view data) {
  std::string out(1, '\1');
  return out.append(data);
}

}  // namespace crossfade::protocol

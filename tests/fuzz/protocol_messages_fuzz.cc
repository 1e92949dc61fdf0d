// SPDX-License-Identifier: Apache-2.0
// Decodes each message of the protocol from any bytes. What decodes is encoded, decoded again and must then be equal
// and stable: the second encoding equals the first.
// Input: which message, 8 bytes of capabilities, the payload.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/reply.h"
#include "protocol/statement.h"

namespace crossfade::protocol {
namespace {

void Require(bool held) {
  if (!held) std::abort();
}

template <class Parse, class Build>
void RoundTrip(std::string_view payload, Parse parse, Build build) {
  const auto first = parse(payload);
  if (!first.ok()) return;
  const std::string bytes = build(*first);
  const auto second = parse(std::string_view(bytes));
  Require(second.ok());
  Require(build(*second) == bytes);
}

void Logins(std::string_view payload) {
  const auto login = ParseLogin(payload);
  if (!login.ok()) return;
  const bool ssl = payload.size() == 32;
  const std::string bytes = ssl ? BuildSslRequest(*login) : BuildLogin(*login);
  const auto again = ParseLogin(bytes);
  // A login of 32 bytes would be taken for the TLS request; only a rebuilt, shorter form of the attributes' length gets there.
  if (!ssl && bytes.size() == 32 && (login->capabilities & kClientSsl)) return;
  Require(again.ok());
  Require(again->capabilities == login->capabilities && again->user == login->user && again->auth_response == login->auth_response &&
          again->database == login->database && again->auth_plugin == login->auth_plugin &&
          again->connect_attributes == login->connect_attributes && again->zstd_level == login->zstd_level && again->rest == login->rest);
}

void Executions(std::string_view payload, uint64_t caps) {
  if (payload.empty()) return;
  const uint32_t params = static_cast<uint8_t>(payload[0]) % 20;
  const std::vector<ParamType> known(params, ParamType{253, 0, {}});
  std::vector<bool> long_data(params, false);
  if (params > 3) long_data[2] = true;
  payload.remove_prefix(1);
  const auto execute = ParseExecute(payload, params, known, long_data, caps);
  if (!execute.ok()) return;
  const std::string bytes = BuildExecute(*execute, caps);
  const auto again = ParseExecute(std::string_view(bytes).substr(1), params, {}, long_data, caps);
  Require(again.ok());
  Require(again->values.size() == execute->values.size());
  for (size_t i = 0; i < execute->values.size(); ++i) {
    const ParamValue &a = execute->values[i], &b = again->values[i];
    Require(a.is_null == b.is_null && a.long_data == b.long_data && a.bytes == b.bytes);
    Require(execute->types[i].type == again->types[i].type && execute->types[i].name == again->types[i].name);
    ShapeOf(execute->types[i], a);
  }
  Require(BuildExecute(*again, caps) == bytes);
}

void BulkExecutions(std::string_view payload) {
  if (payload.empty()) return;
  const uint32_t params = static_cast<uint8_t>(payload[0]) % 5;
  BulkReader reader(payload.substr(1), params, std::vector<ParamType>(params, ParamType{253, 0, {}}));
  std::string bytes = BuildBulkHead(reader.statement_id(), reader.flags(), reader.types());
  std::vector<BulkValue> row;
  size_t rows = 0;
  for (; reader.Next(&row); ++rows) {
    for (const BulkValue& value : row) AppendBulkValue(value, &bytes);
  }
  if (!reader.ok()) return;
  BulkReader again(std::string_view(bytes).substr(1), params, {});
  std::string built = BuildBulkHead(again.statement_id(), again.flags(), again.types());
  for (; again.Next(&row); --rows) {
    for (const BulkValue& value : row) AppendBulkValue(value, &built);
  }
  Require(again.ok() && rows == 0 && built == bytes);
}

void Packets(std::string_view payload, uint64_t caps) {
  OkPacket ok;
  if (ParseOk(payload, caps, &ok) && payload[0] == 0) {
    // An OK without text and one with an empty text are the same; sessions that don't track lose the flag.
    const std::string bytes = BuildOk(ok, caps);
    OkPacket again;
    Require(ParseOk(bytes, caps, &again));
    Require(again.affected_rows == ok.affected_rows && again.insert_id == ok.insert_id && again.warnings == ok.warnings &&
            again.info == ok.info && again.session_state == ok.session_state);
    Require(BuildOk(again, caps) == bytes);
    for (SessionChange change; NextSessionChange(&ok.session_state, &change);) {
    }
  }
  ErrPacket err;
  if (ParseErr(payload, caps, &err) && (caps & kClientProtocol41)) {
    const std::string bytes = BuildErr(err.code, err.sql_state, err.message, caps);
    ErrPacket again;
    Require(ParseErr(bytes, caps, &again));
    Require(again.code == err.code && again.message == err.message && (err.sql_state.empty() || again.sql_state == err.sql_state));
  }
}

void Messages(std::string_view stream) {
  MessageReader reader(1 << 16);
  uint8_t sequence = stream.empty() ? 0 : static_cast<uint8_t>(stream.size());
  std::string_view payload;
  size_t consumed = 0;
  while (reader.Next(stream, &sequence, &payload, &consumed) == MessageReader::Result::kMessage) {
    Require(consumed <= stream.size() && payload.size() < consumed);
    stream.remove_prefix(consumed);
  }
}

void Fields(std::string_view payload) {
  Reader reader(payload);
  while (reader.ok() && reader.remaining() > 0) {
    switch (reader.U8() % 8) {
      case 0: reader.Lenenc(); break;
      case 1: reader.LenencString(); break;
      case 2: reader.NulString(); break;
      case 3: reader.U64(); break;
      case 4: reader.LooseLenencString(); break;
      case 5: reader.U24(); break;
      case 6: reader.Bytes(reader.U8()); break;
      default: break;
    }
    Require(reader.position() <= payload.size());
  }
}

}  // namespace
}  // namespace crossfade::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossfade::protocol;  // NOLINT
  if (size < 9) return 0;
  Reader head(std::string_view(reinterpret_cast<const char*>(data), 9));
  const uint8_t which = head.U8();
  const uint64_t caps = head.U64();
  // A block of its own: the sanitizer then sees the very end of the payload.
  const std::vector<char> block(data + 9, data + size);
  const std::string_view payload(block.data(), block.size());
  switch (which % 10) {
    case 0: RoundTrip(payload, ParseGreeting, BuildGreeting); break;
    case 1: Logins(payload); break;
    case 2: RoundTrip(payload, ParseAuthSwitch, BuildAuthSwitch); break;
    case 3:
      RoundTrip(payload, [&](std::string_view p) { return ParseChangeUser(p, caps); },
                [&](const ChangeUser& request) { return BuildChangeUser(request, caps).substr(1); });
      break;
    case 4: Executions(payload, caps); break;
    case 5: Packets(payload, caps); break;
    case 6: Messages(payload); break;
    case 7: Fields(payload); break;
    case 8: BulkExecutions(payload); break;
    default:
      ClassifyAuth(payload);
      (void)ParseLongData(payload).ok();
      (void)ParseQuery(payload, caps).ok();
  }
  return 0;
}

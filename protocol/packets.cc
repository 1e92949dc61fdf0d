// SPDX-License-Identifier: Apache-2.0
// OK, EOF and ERR (page_protocol_basic_response_packets), and the session changes an OK carries.
// With kClientSessionTrack the text is a length-encoded string; without, both servers still send a length, while
// the manual says "to the end": a length that ends exactly at the packet's end is taken as one.
#include "protocol/codec.h"
#include "protocol/reply.h"

namespace crossfade::protocol {

bool ParseOk(std::string_view payload, uint64_t capabilities, OkPacket* ok) {
  *ok = {};
  Reader reader(payload);
  const uint8_t first = reader.U8();
  if (!reader.ok() || (first != 0x00 && first != 0xFE)) return false;
  // A real OK has 7 bytes at least, so a shorter 0xFE is an EOF whatever was agreed on.
  if (first == 0xFE && ((capabilities & kClientDeprecateEof) == 0 || payload.size() < 7)) {
    ok->warnings = reader.U16();
    ok->status = reader.U16();
    return reader.ok() && reader.remaining() == 0;
  }
  ok->affected_rows = reader.Lenenc();
  ok->insert_id = reader.Lenenc();
  ok->status = reader.U16();
  ok->warnings = reader.U16();
  if (reader.ok() && reader.remaining() > 0) {
    if (capabilities & kClientSessionTrack) {
      ok->info = reader.LenencString();
      if ((ok->status & kStatusSessionStateChanged) && reader.remaining() > 0) ok->session_state = reader.LenencString();
      if (reader.remaining() > 0) return false;
    } else {
      const std::string_view text = reader.Rest();
      Reader inner(text);
      ok->info = inner.LenencString();
      if (!inner.ok() || inner.remaining() > 0) ok->info = text;
    }
  }
  return reader.ok();
}

std::string BuildOk(const OkPacket& ok, uint64_t capabilities) {
  Writer writer;
  writer.U8(0x00);
  writer.Lenenc(ok.affected_rows);
  writer.Lenenc(ok.insert_id);
  const bool track = (capabilities & kClientSessionTrack) != 0;
  const bool changed = track && (!ok.session_state.empty() || (ok.status & kStatusSessionStateChanged));
  uint16_t status = ok.status;
  if (!changed) status &= static_cast<uint16_t>(~kStatusSessionStateChanged);
  if (changed) status |= kStatusSessionStateChanged;
  writer.U16(status);
  writer.U16(ok.warnings);
  if (changed || !ok.info.empty()) writer.LenencString(ok.info);
  if (changed) writer.LenencString(ok.session_state);
  return writer.Take();
}

std::string BuildEof(uint16_t status, uint16_t warnings, uint64_t capabilities) {
  if (capabilities & kClientDeprecateEof) {
    OkPacket ok;
    ok.status = status;
    ok.warnings = warnings;
    std::string packet = BuildOk(ok, capabilities);
    packet[0] = static_cast<char>(0xFE);
    return packet;
  }
  Writer writer;
  writer.U8(0xFE);
  writer.U16(warnings);
  writer.U16(status);
  return writer.Take();
}

bool ParseErr(std::string_view payload, uint64_t capabilities, ErrPacket* err) {
  *err = {};
  Reader reader(payload);
  if (reader.U8() != 0xFF) return false;
  err->code = reader.U16();
  // An error before the capabilities are known (too many connections) carries no SQL state.
  if ((capabilities & kClientProtocol41) && reader.remaining() > 0 && payload[reader.position()] == '#') {
    reader.U8();
    err->sql_state = reader.Bytes(5);
  }
  err->message = reader.Rest();
  return reader.ok();
}

std::string BuildErr(uint16_t code, std::string_view sql_state, std::string_view message, uint64_t capabilities) {
  Writer writer;
  writer.U8(0xFF);
  writer.U16(code);
  if (capabilities & kClientProtocol41) {
    std::string state(sql_state.substr(0, 5));
    state.resize(5, '0');
    writer.U8('#');
    writer.Bytes(state);
  }
  writer.Bytes(message);
  return writer.Take();
}

bool NextSessionChange(std::string_view* session_state, SessionChange* change) {
  *change = {};
  if (session_state->empty()) return false;
  Reader reader(*session_state);
  const uint8_t type = reader.U8();
  Reader entry(reader.LenencString());
  if (!reader.ok()) return false;
  if (type < static_cast<uint8_t>(SessionChange::Type::kUnknown)) change->type = static_cast<SessionChange::Type>(type);
  switch (change->type) {
    case SessionChange::Type::kSystemVariable:
      change->name = entry.LenencString();
      change->value = entry.LenencString();
      break;
    case SessionChange::Type::kGtids:
      entry.U8();  // the encoding: 0, text
      change->value = entry.LenencString();
      break;
    case SessionChange::Type::kStateChange:
    case SessionChange::Type::kUnknown:
      change->value = entry.Rest();
      break;
    default:
      change->value = entry.LenencString();
  }
  if (!entry.ok() || entry.remaining() > 0) return false;
  session_state->remove_prefix(reader.position());
  return true;
}

}  // namespace crossfade::protocol

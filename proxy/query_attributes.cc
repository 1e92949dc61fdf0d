// SPDX-License-Identifier: Apache-2.0
// See query_attributes.h.
#include "proxy/query_attributes.h"

#include <cstdint>
#include <vector>

#include "protocol/codec.h"

namespace crossfade::proxy {
namespace {

// Skips one value of the binary protocol.
void SkipValue(uint8_t type, protocol::Reader* reader) {
  switch (type) {
    case 0x01: reader->Bytes(1); return;              // TINY
    case 0x02: case 0x0D: reader->Bytes(2); return;   // SHORT, YEAR
    case 0x03: case 0x04: case 0x09: reader->Bytes(4); return;  // LONG, FLOAT, INT24
    case 0x05: case 0x08: reader->Bytes(8); return;   // DOUBLE, LONGLONG
    case 0x06: return;                                // NULL
    case 0x07: case 0x0A: case 0x0B: case 0x0C: reader->Bytes(reader->U8()); return;  // date and time
    default: reader->LenencString(); return;          // strings, blobs, decimals
  }
}

}  // namespace

size_t QueryTextOffset(std::string_view payload) {
  protocol::Reader reader(payload);
  reader.U8();
  const uint64_t count = reader.Lenenc();
  const uint64_t sets = reader.Lenenc();
  if (!reader.ok() || sets != 1 || count > payload.size()) return std::string_view::npos;
  if (count > 0) {
    const std::string_view nulls = reader.Bytes((count + 7) / 8);
    if (reader.U8() != 1) return std::string_view::npos;
    std::vector<uint8_t> types;
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
      types.push_back(static_cast<uint8_t>(reader.U16()));
      reader.LenencString();
    }
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
      if ((static_cast<uint8_t>(nulls[i / 8]) >> (i % 8) & 1) == 0) SkipValue(types[i], &reader);
    }
  }
  return reader.ok() ? reader.position() : std::string_view::npos;
}

}  // namespace crossfade::proxy

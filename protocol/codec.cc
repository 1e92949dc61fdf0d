// SPDX-License-Identifier: Apache-2.0
// The Reader and the Writer (page_protocol_basic_data_types). Every length is compared with what remains before it
// is used, in 64 bits, so no sum can wrap. After a failure nothing remains and every read gives zero or empty.
#include "protocol/codec.h"

namespace crossfade::protocol {

uint64_t Reader::Lenenc() { return Lenenc(false); }
uint64_t Reader::LooseLenenc() { return Lenenc(true); }
std::string_view Reader::LenencString() { return Counted(Lenenc()); }
std::string_view Reader::LooseLenencString() { return Counted(LooseLenenc()); }

uint64_t Reader::Lenenc(bool loose) {
  const uint8_t first = U8();
  if (first < 0xFB) return first;
  uint64_t value = 0, least = 0;  // `least`: what the next shorter form can't hold
  switch (first) {
    case 0xFC: value = U16(); least = 0xFB; break;
    case 0xFD: value = U24(); least = 0x10000; break;
    case 0xFE: value = U64(); least = 0x1000000; break;
    default: Fail(); return 0;  // 0xFB is NULL, 0xFF an error packet: neither is an integer
  }
  if (value < least && !loose) Fail();
  return ok_ ? value : 0;
}

std::string_view Reader::Bytes(size_t n) {
  if (n > remaining()) {
    Fail();
    return {};
  }
  std::string_view view = bytes_.substr(position_, n);
  position_ += n;
  return view;
}

std::string_view Reader::Counted(uint64_t length) {
  if (length > remaining()) {
    Fail();
    return {};
  }
  return Bytes(static_cast<size_t>(length));
}

std::string_view Reader::NulString() {
  const size_t end = bytes_.find('\0', position_);
  if (end == std::string_view::npos) {
    Fail();
    return {};
  }
  std::string_view view = bytes_.substr(position_, end - position_);
  position_ = end + 1;
  return view;
}

void Writer::Fixed(uint64_t v, size_t n) {
  for (size_t i = 0; i < n; ++i) out_.push_back(static_cast<char>(v >> (8 * i)));
}

void Writer::Lenenc(uint64_t v) {
  if (v < 0xFB) return U8(static_cast<uint8_t>(v));
  if (v < 0x10000) return U8(0xFC), U16(static_cast<uint16_t>(v));
  if (v < 0x1000000) return U8(0xFD), U24(static_cast<uint32_t>(v));
  U8(0xFE);
  U64(v);
}

void Writer::LenencString(std::string_view s) {
  Lenenc(s.size());
  Bytes(s);
}

}  // namespace crossfade::protocol

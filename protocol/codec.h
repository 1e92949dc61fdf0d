// SPDX-License-Identifier: Apache-2.0
// Reading and writing the protocol's integers and strings. Sans-io.
// A Reader's error sticks: read all fields, then ask ok() once. Non-canonical length-encoded integers
// (a longer form than needed) and overrunning lengths are errors: the two engines disagree on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace crossfade::protocol {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  uint8_t U8() { return static_cast<uint8_t>(Fixed<1>()); }
  uint16_t U16() { return static_cast<uint16_t>(Fixed<2>()); }
  uint32_t U24() { return static_cast<uint32_t>(Fixed<3>()); }
  uint32_t U32() { return static_cast<uint32_t>(Fixed<4>()); }
  uint64_t U64() { return Fixed<8>(); }
  uint64_t Lenenc();
  uint64_t LooseLenenc();  // longer forms too: only for connection attributes, where a common driver sends them
  std::string_view LenencString();
  std::string_view LooseLenencString();
  std::string_view Bytes(size_t n);
  std::string_view NulString();  // up to the next 0, which is consumed; none: error
  std::string_view Rest() { return Bytes(remaining()); }
  void Fail() { ok_ = false; position_ = bytes_.size(); }

 private:
  template <size_t kBytes>
  uint64_t Fixed() {
    if (kBytes > remaining()) {
      Fail();
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < kBytes; ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes_[position_ + i])) << (8 * i);
    position_ += kBytes;
    return value;
  }
  uint64_t Lenenc(bool loose);
  std::string_view Counted(uint64_t length);
  std::string_view bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

class Writer {
 public:
  void U8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void U16(uint16_t v) { Fixed(v, 2); }
  void U24(uint32_t v) { Fixed(v, 3); }
  void U32(uint32_t v) { Fixed(v, 4); }
  void U64(uint64_t v) { Fixed(v, 8); }
  void Lenenc(uint64_t v);
  void LenencString(std::string_view s);
  void Bytes(std::string_view s) { out_.append(s); }
  void NulString(std::string_view s) { out_.append(s); out_.push_back('\0'); }
  std::string& out() { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  void Fixed(uint64_t v, size_t n);
  std::string out_;
};

}  // namespace crossfade::protocol

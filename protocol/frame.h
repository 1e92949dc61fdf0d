// SPDX-License-Identifier: Apache-2.0
// Frames: int<3> payload length, int<1> sequence id, payload. A payload of 0xFFFFFF bytes is continued by the
// next frame, so a message of exactly n * 0xFFFFFF bytes ends with an empty frame.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "protocol/constants.h"

namespace crossfade::protocol {

struct FrameHeader {
  uint32_t length = 0;  // bytes of payload in this frame
  uint8_t sequence = 0;
};
inline FrameHeader ParseFrameHeader(const char* four_bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(four_bytes);
  return {static_cast<uint32_t>(p[0] | p[1] << 8 | p[2] << 16), p[3]};
}

// Appends `payload` to `out` as frames from `sequence` on; returns the sequence id after the last one.
uint8_t AppendFrames(std::string_view payload, uint8_t sequence, std::string* out);

// The same where the payload stands in `out` already, behind room for one header.
uint8_t FrameInPlace(uint8_t sequence, std::string* out);

// Cuts whole messages out of a byte stream. Bytes are given to Feed; Next yields a message once it is whole.
class MessageReader {
 public:
  enum class Result : uint8_t { kNeedMore, kMessage, kTooLarge, kBadSequence };

  // `limit`: bytes of payload of one message; larger is kTooLarge (server error 1153, 08S01).
  explicit MessageReader(uint64_t limit) : limit_(limit) {}

  // Looks for a whole message at the head of `bytes`. kMessage: `*consumed` bytes (headers included) make it up.
  // A message of one frame is a view into `bytes` (no copy); of several, into an own buffer valid until the next call.
  // `expected_sequence` is checked on each frame and left at the one after the last; kBadSequence: at the one that was due.
  Result Next(std::string_view bytes, uint8_t* expected_sequence, std::string_view* payload, size_t* consumed);

  void set_limit(uint64_t limit) { limit_ = limit; }

 private:
  uint64_t limit_;
  std::string joined_;
};

}  // namespace crossfade::protocol

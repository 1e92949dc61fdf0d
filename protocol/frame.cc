// SPDX-License-Identifier: Apache-2.0
// Frames (page_protocol_basic_packets). MessageReader keeps no position between calls: it walks the frame headers
// again each time, which costs one step for each 16 MiB, and joins the frames only once the last one is whole.
#include "protocol/frame.h"

#include <algorithm>

namespace crossfade::protocol {
namespace {

constexpr size_t kKeptCapacity = 64 << 10;  // a joined message larger than this gives its memory back

}  // namespace

uint8_t AppendFrames(std::string_view payload, uint8_t sequence, std::string* out) {
  for (;;) {
    const size_t length = std::min<size_t>(payload.size(), kMaxFramePayload);
    const char header[kFrameHeader] = {static_cast<char>(length), static_cast<char>(length >> 8),
                                       static_cast<char>(length >> 16), static_cast<char>(sequence++)};
    out->append(header, kFrameHeader);
    out->append(payload.substr(0, length));
    payload.remove_prefix(length);
    if (length < kMaxFramePayload) return sequence;
  }
}

uint8_t FrameInPlace(uint8_t sequence, std::string* out) {
  const size_t length = out->size() - kFrameHeader;
  if (length >= kMaxFramePayload) {
    const std::string payload = out->substr(kFrameHeader);
    out->clear();
    return AppendFrames(payload, sequence, out);
  }
  (*out)[0] = static_cast<char>(length);
  (*out)[1] = static_cast<char>(length >> 8);
  (*out)[2] = static_cast<char>(length >> 16);
  (*out)[3] = static_cast<char>(sequence);
  return static_cast<uint8_t>(sequence + 1);
}

MessageReader::Result MessageReader::Next(std::string_view bytes, uint8_t* expected_sequence, std::string_view* payload,
                                          size_t* consumed) {
  if (joined_.capacity() > kKeptCapacity) std::string().swap(joined_);
  uint8_t sequence = *expected_sequence;
  uint64_t total = 0;
  size_t end = 0, frames = 0;
  for (;;) {
    if (bytes.size() - end < kFrameHeader) return Result::kNeedMore;
    const FrameHeader header = ParseFrameHeader(bytes.data() + end);
    if (header.sequence != sequence) {
      *expected_sequence = sequence;
      return Result::kBadSequence;
    }
    total += header.length;
    if (total > limit_) return Result::kTooLarge;
    if (bytes.size() - end - kFrameHeader < header.length) return Result::kNeedMore;
    end += kFrameHeader + header.length;
    ++sequence;
    ++frames;
    if (header.length < kMaxFramePayload) break;
  }
  if (frames == 1) {
    *payload = bytes.substr(kFrameHeader, static_cast<size_t>(total));
  } else {
    joined_.clear();
    joined_.reserve(static_cast<size_t>(total));
    for (size_t at = 0; at < end;) {
      const size_t length = ParseFrameHeader(bytes.data() + at).length;
      joined_.append(bytes.substr(at + kFrameHeader, length));
      at += kFrameHeader + length;
    }
    *payload = joined_;
  }
  *expected_sequence = sequence;
  *consumed = end;
  return Result::kMessage;
}

}  // namespace crossfade::protocol

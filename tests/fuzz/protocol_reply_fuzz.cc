// SPDX-License-Identifier: Apache-2.0
// Feeds a ReplyTracker any bytes, whole and in pieces: both must end at the same byte, in the same state, with the
// same facts. Input: the kind, the seed of the pieces' sizes, 8 bytes of capabilities, the stream.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "protocol/codec.h"
#include "protocol/reply.h"

namespace crossfade::protocol {
namespace {

using State = ReplyTracker::State;

// With seed 0 all that is left at once, else in pieces.
size_t FeedAll(ReplyTracker* tracker, std::string_view stream, uint32_t seed) {
  const bool all = seed == 0;
  size_t at = 0;
  while (at < stream.size()) {
    if (tracker->state() == State::kLocalInfile) tracker->FileSent(1);
    if (tracker->state() != State::kMore) break;
    seed = seed * 1664525 + 1013904223;
    const size_t want = seed >> 24 & 3 ? (seed >> 28) + 1 : (seed >> 20) + 1;
    const size_t n = all ? stream.size() - at : std::min(want, stream.size() - at);
    const std::vector<char> piece(stream.begin() + static_cast<std::ptrdiff_t>(at), stream.begin() + static_cast<std::ptrdiff_t>(at + n));
    const size_t taken = tracker->Feed({piece.data(), piece.size()});
    if (taken > n || (tracker->state() == State::kMore && taken != n)) std::abort();
    at += taken;
  }
  return at;
}

}  // namespace
}  // namespace crossfade::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossfade::protocol;  // NOLINT
  if (size < 10) return 0;
  Reader head(std::string_view(reinterpret_cast<const char*>(data), 10));
  const auto kind = static_cast<ReplyTracker::Kind>(head.U8() % 7);
  const uint32_t seed = head.U8() * 2654435762u + 1;
  const uint64_t caps = head.U64();
  const std::string_view stream(reinterpret_cast<const char*>(data) + 10, size - 10);
  ReplyTracker whole, pieces;
  whole.Start(kind, caps);
  pieces.Start(kind, caps);
  const size_t a = FeedAll(&whole, stream, 0);
  const size_t b = FeedAll(&pieces, stream, seed);
  if (a != b || whole.state() != pieces.state() || whole.status() != pieces.status() || whole.is_error() != pieces.is_error() ||
      whole.error_code() != pieces.error_code() || whole.affected_rows() != pieces.affected_rows() || whole.insert_id() != pieces.insert_id() ||
      whole.last_sequence() != pieces.last_sequence() || whole.column_count() != pieces.column_count() ||
      whole.session_state() != pieces.session_state()) {
    std::abort();
  }
  return 0;
}

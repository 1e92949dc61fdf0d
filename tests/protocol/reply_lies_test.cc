// SPDX-License-Identifier: Apache-2.0
// Replies of a server that lies, and replies beyond 4 GiB: sequence ids, columns that are not what was announced, MySQL's
// OUT parameters, sizes that do not fit 32 bits.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/reply.h"
#include "tests/protocol/exact.h"

namespace crossfade::protocol {
namespace {

using Kind = ReplyTracker::Kind;
using State = ReplyTracker::State;

constexpr uint64_t kOld = kClientProtocol41, kNew = kClientProtocol41 | kClientDeprecateEof;
const std::string kColumn = FromHex("03646566000000013100 0c3f000100000008810000000000");
const std::string kEof = FromHex("fe00000200"), kEnd = FromHex("fe000002000000"), kOk = FromHex("00000002000000");

std::string Frames(const std::vector<std::pair<int, std::string>>& packets) {
  std::string out;
  for (const auto& [sequence, payload] : packets) AppendFrames(payload, static_cast<uint8_t>(sequence), &out);
  return out;
}

State Follow(Kind kind, uint64_t caps, const std::string& stream, uint8_t first = 1) {
  State state = State::kMore;
  for (const size_t piece : {size_t{1}, size_t{3}, stream.size()}) {
    ReplyTracker tracker;
    tracker.Start(kind, caps, first);
    for (size_t at = 0; at < stream.size() && tracker.state() == State::kMore; at += piece) {
      const Exact exact(std::string_view(stream).substr(at, piece));
      tracker.Feed(exact.view());
    }
    EXPECT_TRUE(piece == 1 || tracker.state() == state) << "in pieces of " << piece;
    state = tracker.state();
  }
  return state;
}

TEST(ReplyLies, SequenceIdsGoUpByOne) {
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{1, kOk}})), State::kDone);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{2, kOk}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{2, kOk}}), 2), State::kDone);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{1, "\1"}, {2, kColumn}, {3, "\0011"}, {4, kEnd}})), State::kDone);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{1, "\1"}, {2, kColumn}, {3, "\0011"}, {5, kEnd}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{1, "\1"}, {2, kColumn}, {3, "\0011"}, {4, "\0011"}, {4, "\0011"}, {5, kEnd}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kPrepare, kNew, Frames({{0, FromHex("000100000000000000000000")}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kSingle, kNew, Frames({{1, "Uptime"}})), State::kDone);
  EXPECT_EQ(Follow(Kind::kSingle, kNew, Frames({{7, "Uptime"}})), State::kMalformed);
  // Where the other side answers in between, they begin anew.
  EXPECT_EQ(Follow(Kind::kEndless, kNew, Frames({{1, std::string("\0event", 6)}, {1, std::string("\0event", 6)}, {9, kEnd}})), State::kDone);
}

TEST(ReplyLies, TheyWrap) {
  std::vector<std::pair<int, std::string>> packets = {{1, "\1"}, {2, kColumn}};
  for (int i = 3; i < 600; ++i) packets.push_back({i, "\0011"});
  packets.push_back({600, kEnd});
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames(packets)), State::kDone);
}

TEST(ReplyLies, ColumnsThatAreNone) {
  EXPECT_EQ(Follow(Kind::kGeneric, kOld, Frames({{1, "\2"}, {2, kColumn}, {3, kEof}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{1, "\2"}, {2, kColumn}, {3, kEnd}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{1, "\2"}, {2, kColumn}, {3, "\0011"}})), State::kMalformed);  // a row
  EXPECT_EQ(Follow(Kind::kGeneric, kOld, Frames({{1, "\1"}, {2, kColumn}, {3, kColumn}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kPrepare, kOld, Frames({{1, FromHex("000100000000000100000000")}, {2, kEof}})), State::kMalformed);
  EXPECT_EQ(Follow(Kind::kGeneric, kNew, Frames({{1, "\2"}, {2, kColumn}, {3, FromHex("ff480423303838303150")}})), State::kDone);  // an error may
}

// MySQL 9.7, classic EOFs: the result with the OUT parameters ends without SERVER_MORE_RESULTS_EXISTS, and an OK follows.
TEST(ReplyLies, OutParametersAreFollowedByAnOk) {
  const std::string before = FromHex("fe00000a10"), after = FromHex("fe00000200");
  const std::string stream = Frames({{1, "\1"}, {2, kColumn}, {3, before}, {4, FromHex("00000400000000000000")}, {5, after}, {6, kOk}});
  EXPECT_EQ(Follow(Kind::kGeneric, kOld, stream), State::kDone);
  EXPECT_EQ(Follow(Kind::kGeneric, kOld, stream.substr(0, stream.size() - kOk.size() - 4)), State::kMore);
}

TEST(ReplyLies, ARowBeyond4GiB) {
  // A row of 300 full frames and an empty one, and behind it a packet that a length that wraps would take for its end.
  ReplyTracker tracker;
  tracker.Start(Kind::kGeneric, kNew);
  const std::string head = Frames({{1, "\1"}, {2, kColumn}});
  ASSERT_EQ(tracker.Feed(head), head.size());
  std::string frame(kFrameHeader + kMaxFramePayload, '\xfe');
  std::memcpy(frame.data(), "\xff\xff\xff", 3);
  uint64_t total = 0;
  uint8_t sequence = 3;
  for (int i = 0; i < 300; ++i) {
    frame[3] = static_cast<char>(sequence++);
    ASSERT_EQ(tracker.Feed(frame), frame.size());
    ASSERT_EQ(tracker.state(), State::kMore);
    total += kMaxFramePayload;
  }
  ASSERT_GT(total, uint64_t{1} << 32);
  const std::string tail = Frames({{sequence, ""}, {sequence + 1, "\0011"}, {sequence + 2, kEnd}});
  EXPECT_EQ(tracker.Feed(tail), tail.size());
  EXPECT_EQ(tracker.state(), State::kDone);
}

// 5 GiB of address space, of which only the headers' pages are touched.
TEST(ReplyLies, AMessageBeyond4GiBIsNotTakenForASmallOne) {
  constexpr size_t kSize = 5ull << 30;
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "no address space";
  char* bytes = static_cast<char*>(memory);
  size_t at = 0;
  for (int i = 0; at + kFrameHeader + kMaxFramePayload <= kSize; ++i) {
    std::memcpy(bytes + at, "\xff\xff\xff", 3);
    bytes[at + 3] = static_cast<char>(i);
    at += kFrameHeader + kMaxFramePayload;
  }
  MessageReader reader((uint64_t{1} << 32) + 5);
  uint8_t sequence = 0;
  std::string_view payload;
  size_t consumed = 0;
  EXPECT_EQ(reader.Next({bytes, at}, &sequence, &payload, &consumed), MessageReader::Result::kTooLarge);
  reader.set_limit(uint64_t{1} << 40);
  EXPECT_EQ(reader.Next({bytes, at}, &sequence, &payload, &consumed), MessageReader::Result::kNeedMore);
  ::munmap(memory, kSize);
}

}  // namespace
}  // namespace crossfade::protocol

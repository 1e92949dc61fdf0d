// SPDX-License-Identifier: Apache-2.0
// A ReplyTracker allocates nothing for each row: this file counts every operator new of the test program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "protocol/frame.h"
#include "protocol/reply.h"
#include "tests/protocol/exact.h"

namespace {
size_t allocations = 0;  // gtest runs the tests on one thread
}  // namespace

[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* block = std::malloc(size)) return block;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, size_t) noexcept { std::free(block); }

namespace crossfade::protocol {
namespace {

TEST(Allocation, NoneForEachRow) {
  const std::string column = FromHex("036465660000000131000c3f000100000008810000000000");
  std::string stream;
  uint8_t sequence = AppendFrames("\1", 1, &stream);
  sequence = AppendFrames(column, sequence, &stream);
  sequence = AppendFrames(FromHex("fe00000200"), sequence, &stream);
  for (size_t i = 0; i < 20000; ++i) sequence = AppendFrames(std::string(1 + i % 300, '\1'), sequence, &stream);
  AppendFrames(FromHex("fe00000200"), sequence, &stream);
  ReplyTracker tracker;
  for (size_t piece : {size_t{1}, size_t{7}, size_t{1000}, size_t{65536}, stream.size()}) {
    const size_t before = allocations;
    tracker.Start(ReplyTracker::Kind::kGeneric, kClientProtocol41);
    for (size_t at = 0; at < stream.size(); at += piece) tracker.Feed(std::string_view(stream).substr(at, piece));
    ASSERT_EQ(tracker.state(), ReplyTracker::State::kDone);
    EXPECT_EQ(allocations, before) << "in pieces of " << piece;
  }
}

TEST(Allocation, ACommandOfOneFrameIsNotCopied) {
  std::string stream;
  AppendFrames("\3" + std::string(5000, 'x'), 0, &stream);
  MessageReader reader(1 << 20);
  uint8_t sequence = 0;
  std::string_view payload;
  size_t consumed = 0;
  const size_t before = allocations;
  ASSERT_EQ(reader.Next(stream, &sequence, &payload, &consumed), MessageReader::Result::kMessage);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace crossfade::protocol

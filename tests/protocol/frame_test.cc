// SPDX-License-Identifier: Apache-2.0
// Frames: joining and splitting round 16 MiB, sequence ids, limits, and every cut of the stream.
#include "protocol/frame.h"

#include <gtest/gtest.h>

#include "tests/protocol/exact.h"

namespace crossfade::protocol {
namespace {

using Result = MessageReader::Result;

TEST(Frame, HeaderIsUnsigned) {
  const std::string bytes = FromHex("fffefdfc");
  const FrameHeader header = ParseFrameHeader(bytes.data());
  EXPECT_EQ(header.length, 0xFDFEFFu);
  EXPECT_EQ(header.sequence, 0xFCu);
}

TEST(Frame, InPlaceAsAppended) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{kMaxFramePayload - 1}, size_t{kMaxFramePayload}, size_t{kMaxFramePayload + 5}}) {
    const std::string payload(size, 'x');
    std::string appended, in_place = std::string(kFrameHeader, '\0') + payload;
    EXPECT_EQ(FrameInPlace(255, &in_place), AppendFrames(payload, 255, &appended)) << size;
    EXPECT_TRUE(in_place == appended) << size;
  }
}

TEST(Frame, SmallMessagesAreViews) {
  std::string stream;
  EXPECT_EQ(AppendFrames("select 1", 0, &stream), 1);
  EXPECT_EQ(AppendFrames("", 255, &stream), 0) << "the sequence id wraps";
  EXPECT_EQ(ToHex(stream), "08000000" + ToHex("select 1") + "000000ff");
  Exact bytes(stream);
  MessageReader reader(1 << 20);
  uint8_t sequence = 0;
  std::string_view payload;
  size_t consumed = 0;
  ASSERT_EQ(reader.Next(bytes.view(), &sequence, &payload, &consumed), Result::kMessage);
  EXPECT_EQ(payload, "select 1");
  EXPECT_EQ(payload.data(), bytes.view().data() + kFrameHeader) << "no copy";
  EXPECT_EQ(consumed, 12u);
  EXPECT_EQ(sequence, 1);
  sequence = 255;
  ASSERT_EQ(reader.Next(bytes.view().substr(12), &sequence, &payload, &consumed), Result::kMessage);
  EXPECT_EQ(payload, "");
  EXPECT_EQ(sequence, 0);
}

TEST(Frame, EveryCutNeedsMore) {
  std::string stream;
  AppendFrames("select 1", 7, &stream);
  for (size_t cut = 0; cut < stream.size(); ++cut) {
    Exact part(std::string_view(stream).substr(0, cut));
    MessageReader reader(100);
    uint8_t sequence = 7;
    std::string_view payload;
    size_t consumed = 99;
    EXPECT_EQ(reader.Next(part.view(), &sequence, &payload, &consumed), Result::kNeedMore);
    EXPECT_EQ(sequence, 7) << "an unfinished message changes nothing";
    EXPECT_EQ(consumed, 99u);
  }
}

TEST(Frame, MessagesRoundSixteenMebibytes) {
  for (size_t size : {size_t{kMaxFramePayload} - 1, size_t{kMaxFramePayload}, size_t{kMaxFramePayload} + 1,
                      size_t{kMaxFramePayload} * 2, size_t{kMaxFramePayload} * 2 + 5}) {
    std::string text(size, 'x');
    text.front() = 'a', text.back() = 'z';
    std::string stream;
    const size_t frames = size / kMaxFramePayload + 1;
    EXPECT_EQ(AppendFrames(text, 254, &stream), static_cast<uint8_t>(254 + frames));
    EXPECT_EQ(stream.size(), size + frames * kFrameHeader);
    const size_t length = stream.size();
    stream += "next";
    MessageReader reader(size);
    uint8_t sequence = 254;
    std::string_view payload;
    size_t consumed = 0;
    for (size_t cut : {length - 1, size_t{kMaxFramePayload} + 3, size_t{kMaxFramePayload} + 4, size_t{100}}) {
      if (cut >= length) continue;
      EXPECT_EQ(reader.Next(std::string_view(stream).substr(0, cut), &sequence, &payload, &consumed), Result::kNeedMore);
    }
    ASSERT_EQ(reader.Next(stream, &sequence, &payload, &consumed), Result::kMessage);
    EXPECT_TRUE(payload == text);
    EXPECT_EQ(consumed, length);
    EXPECT_EQ(sequence, static_cast<uint8_t>(254 + frames));

    reader.set_limit(size - 1);
    sequence = 254;
    EXPECT_EQ(reader.Next(stream, &sequence, &payload, &consumed), Result::kTooLarge);
  }
}

TEST(Frame, TooLargeIsKnownFromTheHeaders) {
  MessageReader reader(1000);
  uint8_t sequence = 0;
  std::string_view payload;
  size_t consumed = 0;
  Exact header(FromHex("e9030000"));
  EXPECT_EQ(reader.Next(header.view(), &sequence, &payload, &consumed), Result::kTooLarge);
  Exact just(FromHex("e8030000"));
  EXPECT_EQ(reader.Next(just.view(), &sequence, &payload, &consumed), Result::kNeedMore);
}

TEST(Frame, SequenceIdsAreChecked) {
  MessageReader reader(uint64_t{1} << 40);
  uint8_t sequence = 0;
  std::string_view payload;
  size_t consumed = 0;
  EXPECT_EQ(reader.Next(FromHex("0100000561"), &sequence, &payload, &consumed), Result::kBadSequence);
  EXPECT_EQ(sequence, 0);
  std::string stream;
  AppendFrames(std::string(kMaxFramePayload, 'x'), 0, &stream);
  ASSERT_EQ(stream.back(), 1);
  stream.back() = 2;
  EXPECT_EQ(reader.Next(stream, &sequence, &payload, &consumed), Result::kBadSequence);
}

}  // namespace
}  // namespace crossfade::protocol

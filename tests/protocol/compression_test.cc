// SPDX-License-Identifier: Apache-2.0
// The compressed protocol: what real clients and servers sent (compressed.csv, written by capture_compressed.py), round
// trips, sequence ids in every position, and peers that lie. Buffers are exactly as long as what is in them.
#include "protocol/compression.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "protocol/frame.h"
#include "tests/protocol/exact.h"
#include "tests/protocol/vectors.h"

namespace crossfade::protocol {
namespace {

using Peer = CompressedLink::Peer;
using Result = CompressedLink::Result;
constexpr uint64_t kLimit = 1 << 24;

// Everything that can be read from `stream`; the last result in `*end`, what is left of the stream in `*left`.
std::string ReadAll(CompressedLink* link, std::string_view stream, Packer* packer, Result* end, size_t* left = nullptr) {
  std::string out;
  for (;;) {
    CompressedLink::Piece piece;
    const Exact head(stream.substr(0, kCompressedHeader));
    link->Look(head.view(), &piece);
    const Exact bytes(stream.substr(0, piece.size));
    *end = link->Look(bytes.view(), &piece);
    if (left != nullptr) *left = stream.size();
    if (*end != Result::kPiece) return out;
    std::unique_ptr<char[]> plain(new char[piece.plain]);
    if (!link->Take(bytes.view(), piece, packer, plain.get())) {
      *end = Result::kCorrupt;
      return out;
    }
    out.append(plain.get(), piece.plain);
    stream.remove_prefix(piece.size);
  }
}

std::string WriteAll(CompressedLink* link, std::string_view plain, Packer* packer) {
  std::string out;
  while (!plain.empty()) {
    const Exact exact(plain.substr(0, 64 << 10));
    plain.remove_prefix(link->Append(exact.view(), packer, &out));
  }
  return out;
}

std::string Frame(std::string_view payload, uint8_t sequence = 0) {
  std::string out;
  AppendFrames(payload, sequence, &out);
  return out;
}

std::string Stored(std::string_view plain, uint8_t sequence) {
  std::string out(kCompressedHeader, '\0');
  for (int i = 0; i < 3; ++i) out[i] = static_cast<char>(plain.size() >> (8 * i));
  out[3] = static_cast<char>(sequence);
  return out += plain;
}

// The frames of `stream` with the sequence ids taken out, and those ids.
std::pair<std::string, std::string> Numbers(std::string stream) {
  std::string ids;
  FrameWalk walk;
  std::string blank = stream;
  walk.Walk(stream, false, [&](size_t at) { ids += stream[at], blank[at] = 0; });
  EXPECT_TRUE(walk.between_messages());
  return {blank, ids};
}

TEST(Compression, WhatRealPeersSentIsReadAndNumberedAnew) {
  std::ifstream file(CROSSFADE_SOURCE_DIR "/tests/protocol/compressed.csv");
  int rows = 0;
  Packer packer;
  for (std::string line; std::getline(file, line); ++rows) {
    const std::vector<std::string> fields = Split(line, ',');
    ASSERT_EQ(fields.size(), 5u);
    SCOPED_TRACE(fields[0] + " " + fields[1] + " " + fields[2]);
    const bool client = fields[2] == "client";
    const Compression method = fields[1] == "zlib" ? Compression::kZlib : Compression::kZstd;
    const std::string sent = FromHex(fields[3]), plain = FromHex(fields[4]);
    if (client) {
      CompressedLink link(method, 3, Peer::kClient, kLimit);
      Result end;
      size_t left = 0;
      const std::string read = ReadAll(&link, sent, &packer, &end, &left);
      EXPECT_EQ(end, Result::kNeedMore);
      EXPECT_EQ(left, 0u);
      EXPECT_EQ(read, plain);  // every command is one frame, its id 0
    } else {
      // A server's pieces begin anew at 1 with each reply: a command is written before each of those.
      CompressedLink link(method, 3, Peer::kServer, kLimit);
      std::string_view rest = sent;
      std::string read, ids;
      while (!rest.empty()) {
        WriteAll(&link, Frame("\3select 1"), &packer);
        size_t size = 0;
        for (uint8_t next = 1; size < rest.size() && static_cast<uint8_t>(rest[size + 3]) == next; ++next) {
          size += kCompressedHeader + (static_cast<uint8_t>(rest[size]) | static_cast<uint8_t>(rest[size + 1]) << 8);
        }
        Result end;
        const std::string reply = ReadAll(&link, rest.substr(0, size), &packer, &end);
        ASSERT_EQ(end, Result::kNeedMore);
        const auto [blank, numbers] = Numbers(reply);
        for (size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(static_cast<uint8_t>(numbers[i]), i + 1);
        read += blank;
        rest.remove_prefix(size);
      }
      EXPECT_EQ(read, Numbers(plain).first);
    }
  }
  EXPECT_EQ(rows, 6);
}

TEST(Compression, RoundTripsOfEverySizeAndMethod) {
  std::mt19937 random(7);
  Packer packer;
  for (const Compression method : {Compression::kZlib, Compression::kZstd}) {
    for (const int level : {1, 3, 19, 22}) {
      CompressedLink client(method, level, Peer::kServer, kLimit), server(method, level, Peer::kClient, kLimit);
      for (const size_t size : {size_t{0}, size_t{1}, size_t{45}, size_t{46}, size_t{5000}, size_t{70'000}, size_t{400'000}, size_t{kMaxFramePayload}, size_t{kMaxFramePayload} + 7}) {
        if (level > 3 && size > 400'000) continue;
        for (const bool noise : {false, true}) {
          std::string payload(size, 'x');
          if (noise) std::generate(payload.begin(), payload.end(), [&] { return static_cast<char>(random()); });
          const std::string command = Frame(payload);
          const std::string sent = WriteAll(&client, command, &packer);
          if (!noise && size > 100) EXPECT_LT(sent.size(), command.size() / 4);
          EXPECT_LE(sent.size(), command.size() + (command.size() / (64 << 10) + 1) * kCompressedHeader);
          Result end;
          ASSERT_EQ(ReadAll(&server, sent, &packer, &end), command) << size;
          std::string reply = Frame(payload, static_cast<uint8_t>(1 + size / kMaxFramePayload));
          ASSERT_EQ(ReadAll(&client, WriteAll(&server, reply, &packer), &packer, &end), reply) << size;
          ASSERT_EQ(end, Result::kNeedMore);
        }
      }
    }
  }
}

TEST(Compression, CommandsNeverShareAPieceAndEachBeginsAtZero) {
  Packer packer;
  CompressedLink link(Compression::kZlib, 3, Peer::kServer, kLimit);
  std::string commands = Frame(std::string(100'000, 'a')) + Frame("\x19") + Frame("\x0e");
  const std::string sent = WriteAll(&link, commands, &packer);
  std::string ids;
  for (size_t at = 0; at < sent.size();) {
    ids += static_cast<char>('0' + sent[at + 3]);
    at += kCompressedHeader + (static_cast<uint8_t>(sent[at]) | static_cast<uint8_t>(sent[at + 1]) << 8);
  }
  EXPECT_EQ(ids, "0100");
}

TEST(Compression, SequenceIdsAsTheServersTakeThem) {
  Packer packer;
  const std::string ping = Frame("\x0e"), query = Frame("\3select 1");
  struct Case { std::string stream; Result end; size_t commands; } cases[] = {
      {Stored(ping, 0) + Stored(ping, 0), Result::kNeedMore, 2},
      {Stored(ping, 0) + Stored(ping, 1), Result::kBadSequence, 1},
      {Stored(ping, 5), Result::kBadSequence, 0},
      {Stored("", 0) + Stored(ping, 0), Result::kNeedMore, 1},
      {Stored(ping + ping, 0), Result::kNeedMore, 2},
      {Stored(query.substr(0, 6), 0) + Stored(query.substr(6), 1), Result::kNeedMore, 1},
      {Stored(query.substr(0, 6), 0) + Stored(query.substr(6), 0), Result::kBadSequence, 0},
      {Stored(query.substr(0, 2), 0) + Stored(query.substr(2, 1), 1) + Stored(query.substr(3), 2) + Stored(ping, 0), Result::kNeedMore, 2},
      {Stored(ping + query.substr(0, 6), 0) + Stored(query.substr(6), 0), Result::kNeedMore, 2},
      {Stored(ping + query.substr(0, 6), 0) + Stored(query.substr(6), 1), Result::kBadSequence, 1},
      {Stored(Frame("\x0e", 9), 0), Result::kNeedMore, 1},  // the id inside is nobody's
  };
  for (const Case& each : cases) {
    CompressedLink link(Compression::kZlib, 3, Peer::kClient, kLimit);
    Result end;
    const std::string read = ReadAll(&link, each.stream, &packer, &end);
    EXPECT_EQ(end, each.end) << ToHex(each.stream);
    MessageReader reader(kLimit);
    size_t commands = 0, at = 0, consumed = 0;
    uint8_t sequence = 0;
    for (std::string_view payload; reader.Next(std::string_view(read).substr(at), &sequence, &payload, &consumed) == MessageReader::Result::kMessage; ++commands, sequence = 0) at += consumed;
    EXPECT_EQ(commands, each.commands) << ToHex(each.stream);
  }
}

TEST(Compression, AFileGoesOnWhereTheRequestEnded) {
  Packer packer;
  CompressedLink server(Compression::kZlib, 3, Peer::kClient, kLimit);
  Result end;
  ReadAll(&server, Stored(Frame("\3load"), 0), &packer, &end);
  server.set_exchange(true);
  WriteAll(&server, Frame("\xfbx.csv", 1), &packer);
  // 300 frames: the ids wrap, and 0 begins nothing.
  std::string stream;
  for (int i = 0; i < 300; ++i) stream += Stored(Frame("piece", 77), static_cast<uint8_t>(2 + i));
  const auto [blank, ids] = Numbers(ReadAll(&server, stream, &packer, &end));
  EXPECT_EQ(end, Result::kNeedMore);
  ASSERT_EQ(ids.size(), 300u);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(static_cast<uint8_t>(ids[static_cast<size_t>(i)]), static_cast<uint8_t>(2 + i));
}

TEST(Compression, LiesAreFoundAndTakeNoMemory) {
  Packer packer;
  std::string zeros(5000, '\0'), packed(compressBound(5000), '\0');
  uLongf size = packed.size();
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(zeros.data()), 5000), Z_OK);
  packed.resize(size);
  const auto piece = [&](std::string_view body, size_t claimed) {
    std::string out = Stored(body, 0);
    for (int i = 0; i < 3; ++i) out[static_cast<size_t>(4 + i)] = static_cast<char>(claimed >> (8 * i));
    return out;
  };
  for (const Compression method : {Compression::kZlib, Compression::kZstd}) {
    for (const size_t claimed : {size_t{4999}, size_t{5001}, size_t{1}, size_t{0xFFFFFF}}) {
      CompressedLink link(method, 3, Peer::kClient, kLimit);
      Result end;
      EXPECT_EQ(ReadAll(&link, piece(packed, claimed), &packer, &end), "");
      EXPECT_EQ(end, Result::kCorrupt) << claimed;
    }
    CompressedLink link(method, 3, Peer::kClient, kLimit);
    Result end;
    ReadAll(&link, piece("garbage!", 40), &packer, &end);
    EXPECT_EQ(end, Result::kCorrupt);
  }
  CompressedLink::Piece found;
  CompressedLink link(Compression::kZlib, 3, Peer::kClient, 1024);
  EXPECT_EQ(link.Look(piece(packed, 5000), &found), Result::kTooLarge);
  CompressedLink other(Compression::kZlib, 3, Peer::kClient, kLimit);
  EXPECT_EQ(other.Look(piece("xx", 0xFFFFFF), &found), Result::kCorrupt);  // before anything is unpacked
  EXPECT_EQ(other.Look(piece(packed, 5000).substr(0, 20), &found), Result::kNeedMore);
  EXPECT_EQ(found.size, packed.size() + kCompressedHeader);
}

}  // namespace
}  // namespace crossfade::protocol

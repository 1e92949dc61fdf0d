// SPDX-License-Identifier: Apache-2.0
// Where replies end. The streams in vectors.csv were captured from real servers (capture.py); what can't be captured
// small (rows of 16 MiB, lies, noise) is put together here. Every stream is fed in every split.
#include "protocol/reply.h"

#include <gtest/gtest.h>

#include "protocol/codec.h"
#include "protocol/frame.h"
#include "tests/protocol/exact.h"
#include "tests/protocol/vectors.h"

namespace crossfade::protocol {
namespace {

using Kind = ReplyTracker::Kind;
using State = ReplyTracker::State;

constexpr uint64_t kCaps = kClientProtocol41 | kClientLocalFiles;
const std::string kColumn = FromHex("03646566000000013100 0c3f000100000008810000000000");  // `select 1`, catalog 'def'
const std::string kEof = FromHex("fe00000200");
const std::string kOkEof = FromHex("fe000002000000");

std::string Frames(const std::vector<std::string>& payloads, uint8_t sequence = 1) {
  std::string out;
  for (const std::string& payload : payloads) sequence = AppendFrames(payload, sequence, &out);
  return out;
}

// Feeds `stream` and then foreign bytes; returns the final state. Every byte of the stream must be needed, none more taken.
void Check(ReplyTracker* tracker, Kind kind, uint64_t caps, std::string_view stream, size_t piece, State want = State::kDone) {
  tracker->Start(kind, caps);
  size_t at = 0;
  while (at < stream.size()) {
    ASSERT_EQ(tracker->state(), State::kMore) << "ended early, at " << at << " of " << stream.size();
    Exact part(stream.substr(at, piece));
    const size_t taken = tracker->Feed(part.view());
    at += taken;
    if (tracker->state() == State::kMore) {
      ASSERT_EQ(taken, part.view().size());
    }
  }
  ASSERT_EQ(tracker->state(), want);
}

void CheckSplits(Kind kind, uint64_t caps, const std::string& stream, State want = State::kDone) {
  ReplyTracker tracker;
  for (size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{5}, stream.size()}) Check(&tracker, kind, caps, stream, piece, want);
  const size_t step = stream.size() > 2000 ? 37 : 1;
  for (size_t cut = 1; cut < stream.size(); cut += step) {
    tracker.Start(kind, caps);
    Exact head(std::string_view(stream).substr(0, cut));
    ASSERT_EQ(tracker.Feed(head.view()), cut);
    ASSERT_EQ(tracker.state(), State::kMore) << "at " << cut;
    Exact tail(stream.substr(cut) + "\1\0\0\1\xff");
    ASSERT_EQ(tracker.Feed(tail.view()), stream.size() - cut);
    ASSERT_EQ(tracker.state(), want);
  }
}

Kind KindOf(const std::string& name) {
  return name == "prepare" ? Kind::kPrepare : name == "fieldlist" ? Kind::kFieldList : name == "single" ? Kind::kSingle
         : name == "fetch" ? Kind::kFetch : Kind::kGeneric;
}

void CheckExpectation(const ReplyTracker& tracker, const std::string& key, const std::string& value) {
  const auto number = [&] { return std::stoull(value, nullptr, key.rfind("status", 0) == 0 ? 16 : 10); };
  if (key == "error") {
    EXPECT_TRUE(tracker.is_error());
    ErrPacket err;
    ASSERT_TRUE(ParseErr(tracker.last_packet(), kClientProtocol41, &err));
    EXPECT_EQ(err.code, tracker.error_code());
    EXPECT_EQ(err.sql_state.size(), 5u);
    EXPECT_GT(err.message.size(), 5u);
    if (value != "*") {
      EXPECT_EQ(tracker.error_code(), number());
    }
    return;
  }
  EXPECT_FALSE(tracker.is_error());
  if (key == "affected" && value != "*") {
    EXPECT_EQ(tracker.affected_rows(), number());
  }
  if (key == "insert_id") {
    EXPECT_EQ(tracker.insert_id(), number());
  }
  if (key == "warnings") {
    EXPECT_EQ(tracker.warnings(), number());
  }
  if (key == "columns") {
    EXPECT_EQ(tracker.column_count(), number());
  }
  if (key == "params") {
    EXPECT_EQ(tracker.param_count(), number());
  }
  if (key == "status_has") {
    EXPECT_EQ(tracker.status() & number(), number());
  }
  if (key == "status_lacks") {
    EXPECT_EQ(tracker.status() & number(), 0u);
  }
}

TEST(Reply, CapturedStreamsEndWhereTheServerFellSilent) {
  size_t seen = 0;
  for (const Vector& vector : Vectors()) {
    if (vector.kind == "greeting" || vector.kind == "login" || vector.kind == "execute") continue;
    SCOPED_TRACE(vector.engine + " " + vector.name + " with " + vector.capabilities_text);
    ++seen;
    const Kind kind = KindOf(vector.kind);
    ReplyTracker tracker;
    if (vector.parts.size() == 2) {
      CheckSplits(kind, vector.capabilities, vector.parts[0], State::kLocalInfile);
      CheckSplits(kind, vector.capabilities & ~uint64_t{kClientLocalFiles}, vector.parts[0], State::kMalformed);
      tracker.Start(kind, vector.capabilities);
      tracker.Feed(vector.parts[0]);
      EXPECT_EQ(tracker.last_packet(), "\xfbsome.csv");
      tracker.FileSent(static_cast<uint8_t>(vector.parts[1][3]));
      ASSERT_EQ(tracker.Feed(vector.parts[1]), vector.parts[1].size());
      ASSERT_EQ(tracker.state(), State::kDone);
    } else {
      CheckSplits(kind, vector.capabilities, vector.parts[0]);
      Check(&tracker, kind, vector.capabilities, vector.parts[0], vector.parts[0].size());
    }
    if (HasFailure()) return;
    for (const auto& [key, value] : vector.expect) {
      if (key == "track") {
        std::string all;
        std::string_view left = tracker.session_state();
        for (SessionChange change; NextSessionChange(&left, &change);) {
          all += (change.type == SessionChange::Type::kSchema ? "schema" : std::string(change.name)) + ":" + std::string(change.value) + " ";
        }
        EXPECT_EQ(left, "");
        if (vector.capabilities & kClientSessionTrack) {
          EXPECT_NE(all.find(value + " "), std::string::npos) << all;
        } else {
          EXPECT_EQ(all, "");
        }
      } else {
        CheckExpectation(tracker, key, value);
      }
    }
  }
  EXPECT_GT(seen, 400u);
}

TEST(Reply, CapturedOksAreBuiltBackByteForByte) {
  size_t seen = 0;
  for (const Vector& vector : Vectors()) {
    if (vector.kind != "generic" || vector.parts[0].size() < 5 || vector.parts[0][4] != 0) continue;
    const FrameHeader header = ParseFrameHeader(vector.parts[0].data());
    Exact payload(std::string_view(vector.parts[0]).substr(kFrameHeader, header.length));
    OkPacket ok;
    ASSERT_TRUE(ParseOk(payload.view(), vector.capabilities, &ok)) << vector.name;
    EXPECT_EQ(ToHex(BuildOk(ok, vector.capabilities)), ToHex(payload.view())) << vector.name;
    for (size_t cut = 0; cut < 7; ++cut) {
      Exact part(payload.view().substr(0, cut));
      OkPacket none;
      EXPECT_FALSE(ParseOk(part.view(), vector.capabilities, &none)) << vector.name << " cut at " << cut;
    }
    ++seen;
  }
  EXPECT_GT(seen, 50u);
}

TEST(Reply, RowsThatStartLikeAnEof) {
  // A first frame of 0xFFFFFF bytes starting 0xFE is a row; its continuation may start with anything.
  for (bool deprecate : {false, true}) {
    std::string row = FromHex("fe0000000100000000");
    row.resize(9 + (1 << 24), '\xfe');
    ASSERT_GT(row.size(), size_t{kMaxFramePayload});
    std::string exact = row.substr(0, kMaxFramePayload);  // followed by an empty frame
    std::vector<std::string> packets = {"\1", kColumn};
    if (!deprecate) packets.push_back(kEof);
    packets.insert(packets.end(), {row, exact, "\1x", deprecate ? kOkEof : kEof});
    const std::string stream = Frames(packets);
    const uint64_t caps = kCaps | (deprecate ? uint64_t{kClientDeprecateEof} : 0);
    ReplyTracker tracker;
    for (size_t piece : {size_t{65536}, size_t{99991}, stream.size()}) {
      Check(&tracker, Kind::kGeneric, caps, stream, piece);
      EXPECT_EQ(tracker.last_sequence(), packets.size() + 2);
    }
  }
}

TEST(Reply, ClassicEofIsShorterThanNine) {
  // Nine bytes starting 0xFE are no EOF unless kClientDeprecateEof says so.
  const std::string odd = FromHex("fe0000020000000000");
  CheckSplits(Kind::kGeneric, kCaps, Frames({"\1", kColumn, kEof, odd, kEof}));
  CheckSplits(Kind::kGeneric, kCaps | kClientDeprecateEof, Frames({"\1", kColumn, "\1x", FromHex("fe00000200000000")}));
}

TEST(Reply, ProgressReportsAreNotTheEnd) {
  const std::string progress = FromHex("ffffff0102020000000d456e61626c696e67206b657973");
  const std::string ok = FromHex("00000002000000");
  CheckSplits(Kind::kGeneric, kCaps | kMariaDbProgress, Frames({progress, progress, ok}));
  CheckSplits(Kind::kGeneric, kCaps | kMariaDbProgress, Frames({progress, "\1", kColumn, kEof, "\1x", kEof}));
}

TEST(Reply, ErrorsEndAnyPhase) {
  const std::string error = BuildErr(1317, "70100", "Query execution was interrupted", kCaps);
  const std::vector<std::vector<std::string>> streams = {{error}, {"\1", error}, {"\1", kColumn, error}, {"\1", kColumn, kEof, error},
                                                         {"\1", kColumn, kEof, "\1x", "\1y", error}};
  for (const auto& stream : streams) {
    CheckSplits(Kind::kGeneric, kCaps, Frames(stream));
    ReplyTracker tracker;
    tracker.set_status(kStatusMoreResults | kStatusInTrans);
    Check(&tracker, Kind::kGeneric, kCaps, Frames(stream), 1000);
    EXPECT_TRUE(tracker.is_error());
    EXPECT_EQ(tracker.error_code(), 1317);
    EXPECT_EQ(tracker.status() & kStatusMoreResults, 0);
    EXPECT_EQ(tracker.last_sequence(), stream.size());
    tracker.Start(Kind::kGeneric, kCaps);
    EXPECT_FALSE(tracker.is_error());
  }
  CheckSplits(Kind::kPrepare, kCaps, Frames({error}));
  CheckSplits(Kind::kFetch, kCaps, Frames({error}));
  CheckSplits(Kind::kFieldList, kCaps, Frames({kColumn, error}));
}

TEST(Reply, LyingServersAreMalformedNotBelieved) {
  const std::vector<std::vector<std::string>> streams = {
      {""}, {"\xff"}, {"\xff\1"}, {std::string("\0", 1)}, {FromHex("0000000200")}, {FromHex("fe")}, {FromHex("fe0000")},
      {FromHex("fc")}, {FromHex("fc0000")}, {FromHex("fcff")}, {FromHex("feffffffffffffffff")}, {FromHex("0100")},
      {FromHex("00fb0002000000")}, {"\1", kColumn, "\1x"}, {"\1", ""}, {"\1", kColumn, kEof, ""}, {FromHex("fd000001")}};
  for (const auto& stream : streams) {
    SCOPED_TRACE(ToHex(stream[0]) + " " + std::to_string(stream.size()));
    CheckSplits(Kind::kGeneric, kCaps, Frames(stream), State::kMalformed);
  }
  for (const char* hex : {"00", "000100000002000100", "0001000000020001000000", "01", "fe00000200", "0b"}) {
    if (std::string(hex).size() == 18) continue;
    SCOPED_TRACE(hex);
    CheckSplits(Kind::kPrepare, kCaps, Frames({FromHex(hex)}), State::kMalformed);
  }
  std::string huge = FromHex("00000002000000");
  huge.resize(2 << 20);
  ReplyTracker tracker;
  Check(&tracker, Kind::kGeneric, kCaps, Frames({huge}), 4096, State::kMalformed);
}

TEST(Reply, KindsWithoutGrammar) {
  ReplyTracker tracker;
  tracker.Start(Kind::kNone, kCaps);
  EXPECT_EQ(tracker.state(), State::kDone);
  EXPECT_EQ(tracker.Feed("abc"), 0u);
  CheckSplits(Kind::kSingle, kCaps, Frames({"Uptime: 1"}));
  CheckSplits(Kind::kSingle, kCaps, Frames({""}));
  // A binary log stream: events start with 0; it ends only by EOF or an error.
  tracker.Start(Kind::kEndless, kCaps);
  const std::string events = Frames({std::string("\0event", 6), std::string("\0event", 6)});
  EXPECT_EQ(tracker.Feed(events), events.size());
  EXPECT_EQ(tracker.state(), State::kMore);
  CheckSplits(Kind::kEndless, kCaps, events + Frames({BuildErr(1236, "HY000", "no such log", kCaps)}, 3));
}

TEST(Reply, KindOfEveryCommand) {
  EXPECT_EQ(ReplyKind(Command::kQuery), Kind::kGeneric);
  EXPECT_EQ(ReplyKind(Command::kStmtExecute), Kind::kGeneric);
  EXPECT_EQ(ReplyKind(Command::kStmtPrepare), Kind::kPrepare);
  EXPECT_EQ(ReplyKind(Command::kStmtClose), Kind::kNone);
  EXPECT_EQ(ReplyKind(Command::kStmtSendLongData), Kind::kNone);
  EXPECT_EQ(ReplyKind(Command::kQuit), Kind::kNone);
  EXPECT_EQ(ReplyKind(Command::kStatistics), Kind::kSingle);
  EXPECT_EQ(ReplyKind(Command::kBinlogDumpGtid), Kind::kEndless);
  EXPECT_EQ(ReplyKind(static_cast<Command>(99)), Kind::kGeneric) << "answered by an error";
}

TEST(Reply, ErrorsAreBuiltAndParsedInBothStyles) {
  const std::string modern = BuildErr(1235, "42000", "no", kClientProtocol41);
  EXPECT_EQ(ToHex(modern), "ffd304" + ToHex("#42000no"));
  EXPECT_EQ(ToHex(BuildErr(1235, "42000", "no", 0)), "ffd304" + ToHex("no"));
  EXPECT_EQ(BuildErr(1, "", "", kClientProtocol41).size(), 9u) << "a missing SQL state is filled up";
  for (size_t cut = 0; cut < 3; ++cut) {
    Exact part(std::string_view(modern).substr(0, cut));
    ErrPacket err;
    EXPECT_FALSE(ParseErr(part.view(), kClientProtocol41, &err));
  }
  ErrPacket err;
  Exact short_state(FromHex("ffd304") + "#420"), early(FromHex("ff1004") + "Too many connections");
  EXPECT_FALSE(ParseErr(short_state.view(), kClientProtocol41, &err)) << "a cut SQL state";
  ASSERT_TRUE(ParseErr(early.view(), kClientProtocol41, &err));
  EXPECT_EQ(err.code, 1040);
  EXPECT_EQ(err.message, "Too many connections");
  EXPECT_EQ(err.sql_state, "");
}

TEST(Reply, EofsInBothStyles) {
  EXPECT_EQ(ToHex(BuildEof(2, 1, 0)), "fe01000200");
  EXPECT_EQ(ToHex(BuildEof(2, 1, kClientDeprecateEof)), "fe000002000100");
  for (uint64_t caps : {uint64_t{0}, uint64_t{kClientDeprecateEof}, kClientDeprecateEof | uint64_t{kClientSessionTrack}}) {
    OkPacket ok;
    ASSERT_TRUE(ParseOk(BuildEof(34, 7, caps), caps, &ok));
    EXPECT_EQ(ok.status, 34);
    EXPECT_EQ(ok.warnings, 7);
  }
}

TEST(Reply, OkTextWithAndWithoutSessionTracking) {
  OkPacket ok;
  ok.affected_rows = 300, ok.insert_id = 1ull << 40, ok.status = 2, ok.warnings = 1, ok.info = "Rows matched: 1";
  for (uint64_t caps : {uint64_t{0}, uint64_t{kClientSessionTrack}}) {
    Exact built(BuildOk(ok, caps));
    OkPacket back;
    ASSERT_TRUE(ParseOk(built.view(), caps, &back));
    EXPECT_EQ(back.affected_rows, 300u);
    EXPECT_EQ(back.insert_id, 1ull << 40);
    EXPECT_EQ(back.info, "Rows matched: 1");
    EXPECT_EQ(back.session_state, "");
  }
  Exact plain(FromHex("00000002000000") + "Records");
  ASSERT_TRUE(ParseOk(plain.view(), 0, &ok)) << "text to the end, as the manual has it";
  EXPECT_EQ(ok.info, "Records");
  EXPECT_FALSE(ParseOk(plain.view(), kClientSessionTrack, &ok));

  const std::string state = FromHex("0106056d7973716c");
  ok = {};
  ok.session_state = state;
  Exact built(BuildOk(ok, kClientSessionTrack));
  for (size_t cut = 0; cut < built.view().size(); ++cut) {
    Exact part(built.view().substr(0, cut));
    OkPacket back;
    const bool parsed = ParseOk(part.view(), kClientSessionTrack, &back);
    EXPECT_EQ(parsed, cut == 7 || cut == 8) << "whole up to the warnings, or with an empty text, at " << cut;
  }
  OkPacket back;
  ASSERT_TRUE(ParseOk(built.view(), kClientSessionTrack, &back));
  EXPECT_EQ(back.session_state, state);
  EXPECT_EQ(back.status & kStatusSessionStateChanged, kStatusSessionStateChanged);
  EXPECT_EQ(BuildOk(ok, 0).size(), 7u) << "a client that doesn't track hears nothing";
}

TEST(Reply, SessionChangesTruncated) {
  std::string_view left;
  SessionChange change;
  const std::string good = FromHex("000f0a6175746f636f6d6d6974034f4646" "0106056d7973716c" "020131" "7f0161");  // autocommit OFF, schema mysql, state change, unknown
  const size_t ends[] = {17, 25, 28, 31};
  for (size_t cut = 0; cut <= good.size(); ++cut) {
    Exact part(std::string_view(good).substr(0, cut));
    left = part.view();
    size_t count = 0, want = 0;
    while (NextSessionChange(&left, &change)) ++count;
    for (size_t end : ends) want += end <= cut;
    EXPECT_EQ(count, want) << cut;
  }
  EXPECT_EQ(change.type, SessionChange::Type::kUnknown);
}

}  // namespace
}  // namespace crossfade::protocol

// SPDX-License-Identifier: Apache-2.0
// What the protocol costs for each query and each megabyte: following replies (small, and 100,000 rows in pieces as
// they come from a socket), cutting commands out of a stream, and taking executions apart and together again.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/reply.h"
#include "protocol/statement.h"

namespace crossfade::protocol {
namespace {

constexpr uint64_t kCaps = kClientProtocol41 | kClientDeprecateEof | kClientSessionTrack;

std::string ColumnDefinition() {
  Writer writer;
  for (const char* text : {"def", "sbtest", "sbtest1", "sbtest1", "c", "c"}) writer.LenencString(text);
  writer.Lenenc(12);
  writer.U16(45), writer.U32(480), writer.U8(254), writer.U16(1), writer.U8(0), writer.U16(0);
  return writer.Take();
}

std::string ResultSet(size_t rows, size_t row_bytes) {
  std::string out;
  uint8_t sequence = AppendFrames("\1", 1, &out);
  sequence = AppendFrames(ColumnDefinition(), sequence, &out);
  Writer row;
  row.LenencString(std::string(row_bytes, 'x'));
  for (size_t i = 0; i < rows; ++i) sequence = AppendFrames(row.out(), sequence, &out);
  AppendFrames(BuildEof(kStatusAutocommit, 0, kCaps), sequence, &out);
  return out;
}

void Follow(benchmark::State& state, const std::string& stream, size_t piece) {
  ReplyTracker tracker;
  for (auto _ : state) {
    tracker.Start(ReplyTracker::Kind::kGeneric, kCaps);
    for (size_t at = 0; at < stream.size(); at += piece) {
      benchmark::DoNotOptimize(tracker.Feed(std::string_view(stream).substr(at, piece)));
    }
    if (tracker.state() != ReplyTracker::State::kDone) state.SkipWithError("the reply did not end");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * stream.size()));
}

void ReplyOk(benchmark::State& state) {
  OkPacket ok;
  ok.affected_rows = 1;
  ok.status = kStatusAutocommit;
  std::string stream;
  AppendFrames(BuildOk(ok, kCaps), 1, &stream);
  Follow(state, stream, stream.size());
}
BENCHMARK(ReplyOk);

void ReplyPointSelect(benchmark::State& state) {
  const std::string stream = ResultSet(1, 119);
  Follow(state, stream, stream.size());
}
BENCHMARK(ReplyPointSelect);

void ReplyRows(benchmark::State& state) {
  Follow(state, ResultSet(100000, static_cast<size_t>(state.range(0))), static_cast<size_t>(state.range(1)));
}
BENCHMARK(ReplyRows)->ArgsProduct({{8, 120, 2000}, {16 << 10, 256 << 10}});

void CommandOutOfStream(benchmark::State& state) {
  std::string stream;
  AppendFrames("\3SELECT c FROM sbtest1 WHERE id=50000", 0, &stream);
  MessageReader reader(64 << 20);
  for (auto _ : state) {
    uint8_t sequence = 0;
    std::string_view payload;
    size_t consumed = 0;
    benchmark::DoNotOptimize(reader.Next(stream, &sequence, &payload, &consumed));
    benchmark::DoNotOptimize(payload);
  }
}
BENCHMARK(CommandOutOfStream);

void ExecuteApartAndTogether(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  Execute execute;
  execute.statement_id = 1;
  execute.types.assign(count, {253, 0, {}});
  execute.values.assign(count, {false, false, "\12abcdefghij"});
  const std::string sent = BuildExecute(execute, kCaps).substr(1);
  for (auto _ : state) {
    const auto parsed = ParseExecute(sent, static_cast<uint32_t>(count), {}, {}, kCaps);
    if (!parsed.ok()) state.SkipWithError("not parsed");
    benchmark::DoNotOptimize(BuildExecute(*parsed, kCaps));
  }
}
BENCHMARK(ExecuteApartAndTogether)->Arg(1)->Arg(10)->Arg(100);

void LoginApartAndTogether(benchmark::State& state) {
  Login login;
  login.capabilities = kCaps | kClientLongPassword | kClientPluginAuth | kClientSecureConnection | kClientConnectAttrs;
  login.user = "application";
  login.auth_response = std::string(32, 'x');
  login.auth_plugin = "caching_sha2_password";
  for (const char* text : {"_os", "Linux", "_client_name", "libmysql", "_client_version", "9.7.4"}) {
    Writer writer;
    writer.LenencString(text);
    login.connect_attributes += writer.out();
  }
  const std::string sent = BuildLogin(login);
  for (auto _ : state) {
    const auto parsed = ParseLogin(sent);
    if (!parsed.ok()) state.SkipWithError("not parsed");
    benchmark::DoNotOptimize(BuildLogin(*parsed));
  }
}
BENCHMARK(LoginApartAndTogether);

}  // namespace
}  // namespace crossfade::protocol

// SPDX-License-Identifier: Apache-2.0
// Every command, byte for byte: each exchange goes to the server directly and through the proxy, with no migration and in
// a session on migrating tables, and the replies must be the same bytes. What may differ is masked by name only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "fmt/format.h"
#include "tests/integration/wire/commands.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::wire {
namespace {

using protocol::Capability;
using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Server;

constexpr uint64_t kBase = protocol::kClientLongPassword | protocol::kClientTransactions | protocol::kClientMultiStatements |
                           protocol::kClientMultiResults | protocol::kClientPsMultiResults | protocol::kClientLocalFiles;
struct Flavour { const char* name; uint64_t capabilities; };
const Flavour kFlavours[] = {
    {"classic", kBase},
    {"modern", kBase | protocol::kClientDeprecateEof | protocol::kClientSessionTrack | protocol::kMariaDbExtendedMetadata | protocol::kMariaDbStmtBulk},
    {"attributes", kBase | protocol::kClientDeprecateEof | protocol::kClientQueryAttributes | protocol::kClientOptionalResultsetMetadata},
};

constexpr char kMigration[] =
    "  - name: integer-keys\n"
    "    schema: zoo\n"
    "    phase: observe\n"
    "    keys:\n"
    "      - table: Caves\n"
    "        old: id\n"
    "        new: {column: newId, type: int unsigned}\n"
    "        references:\n"
    "          - {table: Bears, old: caveId, new: caveNewId}\n";

// The frames of a reply, one a line. Masked: statement ids (MariaDB's count over all connections), scrambles, and which
// index the optimizer found good (it has more to choose from): SERVER_QUERY_NO_GOOD_INDEX_USED, SERVER_QUERY_NO_INDEX_USED.
std::string Masked(std::string_view bytes, Exchange::Compare compare, uint32_t id, bool prepared) {
  std::string out;
  for (bool first = true; bytes.size() >= protocol::kFrameHeader; first = false) {
    const protocol::FrameHeader header = protocol::ParseFrameHeader(bytes.data());
    std::string payload(bytes.substr(protocol::kFrameHeader, header.length));
    bytes.remove_prefix(protocol::kFrameHeader + payload.size());
    if (first && prepared && !payload.empty() && payload[0] == 0) payload.replace(1, 4, "#id#");
    const std::string number = fmt::format("({})", id);
    if (const size_t at = payload.find(number); id != 0 && at != std::string::npos && payload[0] == '\xff') payload.replace(at, number.size(), "(#id#)");
    if (const size_t at = payload.find("_password"); payload[0] == '\xfe' && at != std::string::npos) payload.resize(at);
    if ((payload[0] == '\xfe' || payload[0] == '\0') && payload.size() > 4 && payload.size() < 100) payload[3] = static_cast<char>(payload[3] & ~0x30);
    if (compare == Exchange::Compare::kNoDigits) {
      payload.erase(std::remove_if(payload.begin(), payload.end(), [](unsigned char c) { return std::isdigit(c) || c == '.'; }), payload.end());
    }
    out += fmt::format("{} {}\n", header.sequence, payload);
    if (compare == Exchange::Compare::kHead && out.size() > 200) return out.substr(0, 200);
  }
  return out += bytes;
}

std::string Show(std::string_view bytes) {
  std::string out;
  for (const unsigned char c : bytes.substr(0, 1500)) out += c >= ' ' && c < 127 ? std::string(1, static_cast<char>(c)) : fmt::format("\\{:02x}", c);
  return out;
}

class WireTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto server = Server::Start(GetParam(), {.arguments = {"--max-allowed-packet=64M"}});
    if (absl::IsNotFound(server.status())) GTEST_SKIP() << server.status();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto direct = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok());
    direct_ = std::make_unique<Client>(*std::move(direct));
    for (const std::string& sql : kTables) ASSERT_TRUE(direct_->Query(sql).ok()) << sql;
  }

  // kRows, as the side under test keeps them.
  void Refill(int port) {
    auto client = Client::Connect({.port = port});
    ASSERT_TRUE(client.ok()) << client.status();
    for (const std::string& sql : kRows) {
      const servers::Reply reply = client->Query(sql);
      ASSERT_TRUE(reply.ok()) << sql << ": " << reply.message;
    }
  }
  bool Here(const Exchange& exchange) const { return GetParam() == Engine::kMariaDb ? exchange.mariadb : exchange.mysql; }

  std::string Run(int port, const Exchange& exchange, uint64_t capabilities, size_t cut = std::string::npos) {
    RawClient client(port, capabilities, "zoo");
    EXPECT_TRUE(client.connected()) << exchange.name;
    if (!client.connected()) return "";
    std::string out;
    uint32_t id = 0;
    if (!exchange.prepare.empty()) {
      const std::string reply = client.Exchange(Frame("\x16" + exchange.prepare));
      if (reply.size() > 9 && reply[4] == 0) id = protocol::Reader(std::string_view(reply).substr(5)).U32();
      out = Masked(reply, Exchange::Compare::kBytes, id, true);
    }
    const std::string bytes = exchange.bytes(client, id);
    return out + Masked(client.Exchange(bytes, cut), exchange.compare, id, exchange.prepare.empty() && !bytes.empty() && bytes[4] == '\x16');
  }
  // Writes change what follows, so each exchange begins with the same rows.
  std::map<std::string, std::string> RunAll(int port) {
    std::map<std::string, std::string> replies;
    for (const Flavour& flavour : kFlavours) {
      for (const Exchange& exchange : Exchanges()) {
        if (!Here(exchange)) continue;
        Refill(port);
        if (HasFatalFailure()) return replies;
        replies[fmt::format("{}: {}", flavour.name, exchange.name)] = Run(port, exchange, flavour.capabilities);
      }
    }
    return replies;
  }
  void ExpectSame(const std::map<std::string, std::string>& direct, const std::map<std::string, std::string>& proxied) {
    ASSERT_EQ(direct.size(), proxied.size());
    for (const auto& [name, reply] : direct) {
      const std::string& other = proxied.at(name);
      EXPECT_TRUE(other == reply) << name << "\n  direct  " << Show(reply) << "\n  proxied " << Show(other);
    }
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> direct_;
};

TEST_P(WireTest, EveryCommandIsAnsweredWithTheSameBytes) {
  const auto direct = RunAll(server_->port());
  ASSERT_GT(direct.size(), 300u);
  {
    auto plain = CrossfadeProcess::Start({.backend = server_->address(), .migrations = ""});
    ASSERT_TRUE(plain.ok()) << plain.status();
    ExpectSame(direct, RunAll((*plain)->port()));
  }
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = kMigration});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  const absl::Status walked = (*proxy)->WalkTo("integer-keys", "verify");
  ASSERT_TRUE(walked.ok()) << walked << (*proxy)->log();
  ExpectSame(direct, RunAll((*proxy)->port()));
}

// Several commands in one write, on migrating tables and others, cut in two at every offset.
TEST_P(WireTest, PipelinedCommandsCutAtEveryOffset) {
  const bool maria = GetParam() == Engine::kMariaDb;
  std::vector<Exchange> pipelines;
  for (Exchange& each : Exchanges()) {
    const bool wanted = each.name == (maria ? "prepared: a migrating join, executed as the last one" : "prepared: a migrating join, then executed") ||
                        each.name == "prepared: migrating rows, with a cursor" ||
                        each.name == "select 1; select 2; do 1; select 'three'";
    if (wanted) pipelines.push_back(std::move(each));
  }
  ASSERT_EQ(pipelines.size(), 3u);
  pipelines.push_back({"mixed", [](const RawClient& c, uint32_t) {
    return c.Query("select * from Bears where caveId = 'c1'") + Frame("\x0e") + c.Query("select nothing") + c.Query("select 5; select 6") + Frame("\x02zoo");
  }});
  Refill(server_->port());
  std::vector<std::string> direct;
  for (const Exchange& each : pipelines) direct.push_back(Run(server_->port(), each, kFlavours[1].capabilities));
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = kMigration});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  const absl::Status walked = (*proxy)->WalkTo("integer-keys", "verify");
  ASSERT_TRUE(walked.ok()) << walked;
  for (size_t i = 0; i < pipelines.size(); ++i) {
    RawClient probe((*proxy)->port(), kFlavours[1].capabilities, "zoo");
    const size_t size = pipelines[i].bytes(probe, 1).size() + 30;
    for (size_t cut = 0; cut <= size; ++cut) {
      const std::string reply = Run((*proxy)->port(), pipelines[i], kFlavours[1].capabilities, cut);
      ASSERT_TRUE(reply == direct[i]) << pipelines[i].name << " cut at " << cut << "\n  direct  " << Show(direct[i]) << "\n  proxied " << Show(reply);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, WireTest, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::wire

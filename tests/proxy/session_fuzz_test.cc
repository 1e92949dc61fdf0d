// SPDX-License-Identifier: Apache-2.0
// Whole sessions with bytes from both sides that are right, nearly right or noise, over real sockets, with a migration in
// force. Whatever comes, the proxy lives, other sessions go on, and nothing of the broken one is left. (libFuzzer cannot
// stand here: clang 14 does not assemble Asio's coroutines under AddressSanitizer; run this with the preset asan-ubsan.)
// CROSSFADE_SEED repeats a run, CROSSFADE_LONG makes it last a minute.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <random>

#include "fmt/format.h"
#include "spdlog/spdlog.h"
#include "tests/proxy/peers.h"
#include "tests/rewrite/golden_schema.h"

namespace crossfade::proxy {
namespace {

class Noise {
 public:
  explicit Noise(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Chance(unsigned percent) { return Below(100) < percent; }
  std::string Bytes(size_t most) {
    std::string out(Below(most + 1), '\0');
    for (char& c : out) c = static_cast<char>(random_());
    return out;
  }
  // Bits flipped, a piece cut out, doubled or put in, an integer at its bounds.
  std::string Mutate(std::string bytes) {
    for (uint64_t i = 1 + Below(3); i > 0; --i) {
      const size_t at = bytes.empty() ? 0 : Below(bytes.size()), length = std::min<size_t>(Below(9), bytes.size() - at);
      switch (Below(6)) {
        case 0: if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8))); break;
        case 1: bytes.erase(at, length); break;
        case 2: bytes.insert(at, bytes.substr(at, length)); break;
        case 3: bytes.insert(at, Bytes(8)); break;
        case 4: for (size_t k = 0; k < length; ++k) bytes[at + k] = '\xff'; break;
        default: if (!bytes.empty()) bytes[at] = "\x00\xfb\xfc\xfd\xfe\xff"[Below(6)]; break;
      }
    }
    return bytes;
  }
  template <size_t N>
  const char* OneOf(const char* const (&all)[N]) { return all[Below(N)]; }

 private:
  std::mt19937_64 random_;
};

constexpr uint64_t kCapabilities = kPeerCapabilities | protocol::kClientPluginAuthLenencData | protocol::kClientConnectWithDb |
                                   protocol::kClientPsMultiResults | protocol::kClientSessionTrack | protocol::kClientQueryAttributes |
                                   protocol::kClientConnectAttrs;

const char* const kTexts[] = {"SELECT * FROM deb.packages WHERE name = 'a'", "SELECT * FROM deb.dependencies WHERE package IN (?, ?)",
                              "INSERT INTO deb.dependencies (package, kind) VALUES (?, ?)", "UPDATE deb.dependencies SET package = ? WHERE id = ?",
                              "SELECT name, version FROM deb.packages p WHERE p.name IN ('a', 7)", "SELECT 1", "SET sql_mode = ANSI_QUOTES", "BEGIN", "ROLLBACK", "SELECT name FROM deb.packages -- \\", "LOAD DATA LOCAL INFILE 'x' INTO TABLE t"};

std::string Field(const std::string& value) { return static_cast<char>(value.size()) + value; }

std::string ColumnPayload() { return std::string("\x03" "def\0\0\0\x01" "a\0\x0c\x3f\0\0\0\0\0\xfd\0\0\0\0\0", 24); }

// What a server would answer, or something else.
std::string Answer(Noise& noise, const std::string& command) {
  std::string frames;
  uint8_t sequence = 1;
  const auto add = [&](const std::string& payload) { sequence = protocol::AppendFrames(payload, sequence, &frames); };
  const auto end = [&] { add(std::string("\xfe\0\0\x02\0\0\0", 7)); };
  const bool facts = command.find("@@sql_mode") != std::string::npos;
  const uint8_t byte = command.empty() ? 0 : static_cast<uint8_t>(command[0]);
  if (facts) {
    add("\x07");
    for (int i = 0; i < 7; ++i) add(ColumnPayload());
    add(Field("STRICT_TRANS_TABLES") + Field("utf8mb4") + Field("1") + Field("deb") + Field("utf8mb4") + Field("") + Field("16777216"));
    end();
  } else if (byte == 0x16) {
    const uint16_t params = static_cast<uint16_t>(std::count(command.begin(), command.end(), '?'));
    add(std::string("\0\x09\0\0\0\0\0", 7) + static_cast<char>(params) + std::string("\0\0\0\0", 4));
    for (int i = 0; i < params; ++i) add(ColumnPayload());
  } else if (noise.Chance(50)) {
    add(OkPayload(static_cast<uint16_t>(protocol::kStatusAutocommit | (noise.Chance(20) ? protocol::kStatusInTrans : 0) | (noise.Chance(5) ? 8 : 0))));
  } else if (noise.Chance(60)) {
    add("\x01");
    add(ColumnPayload());
    for (uint64_t i = noise.Below(4); i > 0; --i) add(Field(noise.Bytes(40)));
    end();
  } else {
    add(protocol::BuildErr(noise.Chance(50) ? 1213 : 1064, "HY000", "an error", kCapabilities));
  }
  if (noise.Chance(facts ? 3 : 12)) frames = noise.Mutate(frames);
  if (noise.Chance(3)) frames += noise.Bytes(30);
  return frames;
}

std::string Command(Noise& noise, uint32_t statements) {
  const std::string id = std::string(1, static_cast<char>(noise.Chance(90) ? 9 : noise.Below(256))) + std::string("\0\0\0", 3);
  const std::string text = noise.OneOf(kTexts);
  const std::string no_attributes("\x00\x01", 2);
  switch (noise.Below(14)) {
    case 0: case 1: case 2: return "\x03" + no_attributes + text;
    case 3: case 4: return "\x16" + text;
    case 5: case 6: {
      std::string payload = "\x17" + id + std::string("\x08\1\0\0\0\2\0\1", 8);  // attributes, two values, types follow
      payload += std::string("\xfd\0\0\x08\0\0", 6) + "\x01" + "a" + std::string(8, noise.Chance(50) ? '\0' : '\x7f');
      return payload;
    }
    case 7: return "\x18" + id + std::string("\0\0", 2) + noise.Bytes(50);
    case 8: return "\x19" + id;
    case 9: return "\x1a" + id;
    case 10: return "\x1c" + id + std::string("\1\0\0\0", 4);
    case 11: return std::string("\x1b\0\0", 3);
    case 12: return "\x11someone" + std::string("\0\0deb\0\x2d\0mysql_native_password\0\0", 31);
    default: return std::string(1, static_cast<char>(noise.Below(35))) + noise.Bytes(20) + static_cast<char>(statements);
  }
}

class SessionFuzz {
 public:
  explicit SessionFuzz(uint64_t seed)
      : seed_(seed), backend_([this](Peer& peer) { Backend(peer); }), proxy_(backend_.port(), [](config::Config* config) {
          config->migrations = rewrite::GoldenConfig().migrations;
          config->backends.push_back({"nowhere", "127.0.0.1:1", config::TlsMode::kDisabled, ""});
          config->control.backend = "nowhere";
          config->control.user = "nobody";
          config->limits.max_packet = 1 << 20;
          config->limits.handshake_timeout = std::chrono::milliseconds(500);
        }) {}

  void Run(std::chrono::milliseconds length) {
    ASSERT_TRUE(proxy_.status().ok()) << proxy_.status();
    const auto snapshot = rewrite::GoldenSnapshot({"cutover new", config::Phase::kCutover, true});
    for (const auto& thread : proxy_.server().threads()) thread->PublishSnapshot(snapshot, true);
    Peer bystander = ConnectTo(proxy_.port());
    ASSERT_TRUE(ClientLogin(bystander));
    const auto end = std::chrono::steady_clock::now() + length;
    std::vector<std::thread> clients;
    for (uint64_t self = 0; self < 4; ++self) {
      clients.emplace_back([this, self, end] {
        for (uint64_t round = 0; std::chrono::steady_clock::now() < end; ++round) Client((seed_ * 4 + self) * 1'000'003 + round);
      });
    }
    for (int i = 0; std::chrono::steady_clock::now() < end; ++i) {
      const std::string tag = fmt::format("tag {}", i);
      const bool sent = bystander.SendMessage("\x03" + tag, 0);
      const auto reply = bystander.ReceiveFrame();
      const bool right = sent && reply && reply->find(tag) != std::string::npos;
      EXPECT_TRUE(right) << tag;
      if (!right) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    for (std::thread& each : clients) each.join();
    // A session whose backend stopped within a reply ends with it, after the five seconds that peers wait.
    // The bystander's would end likewise, were it silent for so long.
    for (int i = 0; i < 2000 && proxy_.server().connections() > 1; ++i) {
      if (i % 50 == 0) { EXPECT_TRUE(bystander.SendMessage("\x03still here", 0) && bystander.ReceiveFrame()); }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(proxy_.server().connections(), 1u);
    uint64_t rewritten = 0, hidden = 0;
    for (const auto& thread : proxy_.server().threads()) {
      rewritten += thread->metrics()->rewritten.value();
      hidden += thread->metrics()->hidden_statements.value();
    }
    fmt::print("{} sessions, {} statements rewritten, {} hidden\n", sessions_.load(), rewritten, hidden);
    EXPECT_GT(rewritten, 0u);
    EXPECT_GT(hidden, 0u);
  }

 private:
  void Client(uint64_t seed) {
    Noise noise(seed);
    ++sessions_;
    Peer peer = ConnectTo(proxy_.port());
    protocol::Login login;
    login.capabilities = kCapabilities & ~(noise.Chance(30) ? uint64_t{protocol::kClientDeprecateEof} : 0);
    login.user = "noise";
    login.database = "deb";
    login.auth_response = noise.Bytes(20);
    login.auth_plugin = "mysql_native_password";
    std::string bytes;
    protocol::AppendFrames(protocol::BuildLogin(login), 1, &bytes);
    if (noise.Chance(10)) bytes = noise.Mutate(bytes);
    if (!peer.ReceiveFrame() || !peer.Send(bytes)) return;
    if (noise.Chance(80)) {
      if (peer.Quiet(50)) return;
      peer.ReceiveFrame();
    }
    bytes.clear();
    for (uint64_t i = noise.Below(12); i > 0; --i) {
      std::string command = Command(noise, static_cast<uint32_t>(i));
      if (noise.Chance(15)) command = noise.Mutate(command);
      std::string frames;
      protocol::AppendFrames(command, noise.Chance(98) ? 0 : 3, &frames);
      if (noise.Chance(5)) frames = noise.Mutate(frames);
      bytes += frames;
    }
    const size_t cut = noise.Below(bytes.size() + 1);
    peer.Send(std::string_view(bytes).substr(0, cut));
    if (noise.Chance(20)) return;  // in the middle of whatever that was
    peer.Send(std::string_view(bytes).substr(cut));
    if (noise.Chance(20)) peer.ShutdownWrite();
    const int patience = noise.Chance(30) ? 0 : 15;
    while (!peer.Quiet(patience) && !peer.Receive(1).empty()) {
    }
  }

  void Backend(Peer& peer) {
    const uint64_t number = backends_++;
    Noise noise(seed_ * 7 + number);
    std::string greeting;
    protocol::Greeting hello;
    hello.server_version = "9.7.4";
    hello.scramble = "abcdefghijklmnopqrst";
    hello.capabilities = kCapabilities;
    hello.status = protocol::kStatusAutocommit;
    hello.auth_plugin = "mysql_native_password";
    protocol::AppendFrames(protocol::BuildGreeting(hello), 0, &greeting);
    if (number != 0 && noise.Chance(5)) greeting = noise.Mutate(greeting);
    if (!peer.Send(greeting)) return;
    uint8_t sequence = 0;
    const auto login = peer.ReceiveFrame(&sequence);
    if (!login) return;
    const bool bystander = login->find("someone") != std::string::npos;
    if (!peer.SendMessage(OkPayload(), static_cast<uint8_t>(sequence + 1))) return;
    for (;;) {
      const auto command = peer.ReceiveFrame();
      if (!command || command->empty() || (*command)[0] == 1) return;
      const uint8_t byte = static_cast<uint8_t>((*command)[0]);
      if (bystander) {
        protocol::OkPacket ok;
        ok.status = protocol::kStatusAutocommit;
        const std::string text = command->substr(1);
        ok.info = text;
        if (!peer.SendMessage(protocol::BuildOk(ok, kPeerCapabilities), 1)) return;
        continue;
      }
      if (byte == 0x18 || byte == 0x19) continue;  // no reply
      if (!peer.Send(Answer(noise, *command)) || noise.Chance(2)) return;
    }
  }

  const uint64_t seed_;
  std::atomic<uint64_t> backends_{0}, sessions_{0};  // the first backend is the bystander's
  ScriptedBackend backend_;
  ProxyUnderTest proxy_;
};

TEST(SessionFuzzTest, BytesFromBothSides) {
  const char* given = std::getenv("CROSSFADE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : static_cast<uint64_t>(std::time(nullptr));
  fmt::print("CROSSFADE_SEED={}\n", seed);
  const auto before = spdlog::get_level();
  spdlog::set_level(spdlog::level::off);
  SessionFuzz(seed).Run(std::chrono::seconds(std::getenv("CROSSFADE_LONG") != nullptr ? 60 : 3));
  spdlog::set_level(before);
}

}  // namespace
}  // namespace crossfade::proxy

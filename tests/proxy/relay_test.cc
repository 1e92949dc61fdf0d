// SPDX-License-Identifier: Apache-2.0
// What a session does with peers that misbehave, byte by byte.
#include <gtest/gtest.h>

#include <future>

#include "tests/proxy/peers.h"

namespace crossfade::proxy {
namespace {

using protocol::ErrPacket;

ErrPacket Error(const std::optional<std::string>& payload) {
  ErrPacket err;
  if (!payload || payload->empty() || static_cast<uint8_t>((*payload)[0]) != 0xFF) return err;
  protocol::ParseErr(*payload, kPeerCapabilities, &err);
  return err;
}

// Echoes each query's text as an OK with that info; ends at COM_QUIT.
void EchoBackend(Peer& peer) {
  if (!BackendLogin(peer)) return;
  for (;;) {
    const auto command = peer.ReceiveFrame();
    if (!command || command->empty() || (*command)[0] == 1) return;
    protocol::OkPacket ok;
    ok.status = protocol::kStatusAutocommit;
    const std::string text = command->substr(1);
    ok.info = text;
    if (!peer.SendMessage(protocol::BuildOk(ok, kPeerCapabilities), 1)) return;
  }
}

std::string Info(const std::optional<std::string>& payload) {
  protocol::OkPacket ok;
  if (!payload || !protocol::ParseOk(*payload, kPeerCapabilities, &ok)) return "no OK";
  return std::string(ok.info);
}

TEST(Relay, CommandsAndRepliesPassAsTheyCame) {
  ScriptedBackend backend(EchoBackend);
  ProxyUnderTest proxy(backend.port());
  ASSERT_TRUE(proxy.status().ok()) << proxy.status();
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  for (int i = 0; i < 50; ++i) {
    const std::string text = "select " + std::to_string(i);
    ASSERT_TRUE(client.SendMessage(QueryPayload(text), 0));
    ASSERT_EQ(Info(client.ReceiveFrame()), text);
  }
}

TEST(Relay, PipelinedCommandsCutAtEveryOffsetAreAnsweredInOrder) {
  ScriptedBackend backend(EchoBackend);
  ProxyUnderTest proxy(backend.port());
  std::string bytes;
  for (const char* text : {"one", "two", "three"}) protocol::AppendFrames(QueryPayload(text), 0, &bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(client));
    ASSERT_TRUE(client.Send(bytes.substr(0, cut)));
    if (cut % 5 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ASSERT_TRUE(client.Send(bytes.substr(cut)));
    for (const char* text : {"one", "two", "three"}) ASSERT_EQ(Info(client.ReceiveFrame()), text) << "cut at " << cut;
  }
}

TEST(Relay, AMessageOfSeveralFramesPassesBothWays) {
  const std::string big(protocol::kMaxFramePayload + 1000, 'x');
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    const std::string first = peer.Receive(4 + protocol::kMaxFramePayload);
    const auto second = peer.ReceiveFrame();
    if (!second) return;
    const bool same = first.substr(4) + *second == QueryPayload(big);
    // One column, one row that is just as big.
    peer.SendMessage("\x01", 2);
    peer.SendMessage(std::string("\x03" "def\0\0\0\x01" "a\0\x0c\x3f\0\0\0\0\0\xfd\0\0\0\0\0", 24), 3);
    std::string row("\xfd", 1);
    row += std::string("\xff\xff\xff", 3);
    row += std::string(protocol::kMaxFramePayload, same ? 'y' : 'n');
    peer.SendMessage(row, 4);
    std::string end = OkPayload();
    end[0] = '\xfe';
    peer.SendMessage(end, 6);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload(big), 0));
  EXPECT_EQ(*client.ReceiveFrame(), "\x01");
  ASSERT_TRUE(client.ReceiveFrame().has_value());
  const auto first = client.ReceiveFrame();
  const auto second = client.ReceiveFrame();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->size(), protocol::kMaxFramePayload);
  EXPECT_EQ(second->size(), 4u);
  EXPECT_EQ((*first)[100], 'y');
  EXPECT_EQ(static_cast<uint8_t>((*client.ReceiveFrame())[0]), 0xFE);
}

TEST(Relay, ATooLargeCommandGetsTheServersError) {
  ScriptedBackend backend(EchoBackend);
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.max_packet = 1024; });
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload(std::string(2000, 'x')), 0));
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1153);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Relay, ABadSequenceGetsTheServersError) {
  ScriptedBackend backend(EchoBackend);
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("select 1"), 5));
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1156);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Relay, ABackendThatDiesInAReplyEndsOnlyThatSession) {
  ScriptedBackend backend([](Peer& peer) {
    if (!BackendLogin(peer)) return;
    const auto command = peer.ReceiveFrame();
    if (!command) return;
    if (command->find("die") == std::string::npos) {
      peer.SendMessage(OkPayload(), 1);
      peer.ReceiveFrame();
      return;
    }
    peer.Send(std::string("\x01\0\0\x01\x02\x10\0", 7));  // half a result set, and gone in the same breath
  });
  ProxyUnderTest proxy(backend.port());
  Peer other = ConnectTo(proxy.port()), client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(other));
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("die"), 0));
  EXPECT_EQ(client.Receive(7).size(), 7u);
  EXPECT_TRUE(client.AtEnd());
  ASSERT_TRUE(other.SendMessage(QueryPayload("live"), 0));
  EXPECT_EQ((*other.ReceiveFrame())[0], 0);
}

TEST(Relay, AMalformedReplyIsAnError) {
  ScriptedBackend backend([](Peer& peer) {
    if (!BackendLogin(peer)) return;
    peer.ReceiveFrame();
    peer.SendMessage(std::string("\x00\xfe\x01", 3), 1);  // an OK that is cut short
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("select 1"), 0));
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1105);
  EXPECT_TRUE(client.AtEnd());
}

std::string InfileRequest() { return std::string("\xfb") + "/etc/passwd"; }

TEST(Relay, AFileRequestNobodyAskedForIsNotPassedOn) {
  ScriptedBackend backend([](Peer& peer) {
    if (!BackendLogin(peer)) return;
    peer.ReceiveFrame();
    peer.SendMessage(InfileRequest(), 1);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("select payload from localities"), 0));
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1105);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Relay, AFileRequestInPiecesNeverGetsWhole) {
  ScriptedBackend backend([](Peer& peer) {
    if (!BackendLogin(peer)) return;
    peer.ReceiveFrame();
    std::string frames;
    protocol::AppendFrames(InfileRequest(), 1, &frames);
    for (char c : frames) {
      peer.Send(std::string(1, c));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("select 1"), 0));
  const std::string seen = client.Receive(4 + InfileRequest().size());
  EXPECT_LT(seen.size(), 4 + InfileRequest().size());
}

TEST(Relay, AFileThatWasAskedForPasses) {
  std::promise<std::string> whole;
  ScriptedBackend backend([&](Peer& peer) {
    std::string stored;
    if (!BackendLogin(peer)) return;
    peer.ReceiveFrame();
    peer.SendMessage(std::string("\xfb") + "x.csv", 1);
    for (;;) {
      uint8_t sequence = 0;
      const auto piece = peer.ReceiveFrame(&sequence);
      if (!piece) return;
      if (piece->empty()) {
        whole.set_value(stored);
        peer.SendMessage(OkPayload(), static_cast<uint8_t>(sequence + 1));
        break;
      }
      stored += *piece;
    }
    peer.ReceiveFrame();
    peer.SendMessage(OkPayload(), 1);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("LOAD DATA /* so */ LOCAL INFILE 'x.csv' INTO TABLE t"), 0));
  const auto request = client.ReceiveFrame();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(*request, std::string("\xfb") + "x.csv");
  ASSERT_TRUE(client.SendMessage(std::string(100'000, 'a'), 2));
  ASSERT_TRUE(client.SendMessage("b", 3));
  ASSERT_TRUE(client.SendMessage("", 4));
  EXPECT_EQ((*client.ReceiveFrame())[0], 0);
  EXPECT_EQ(whole.get_future().get(), std::string(100'000, 'a') + "b");
  ASSERT_TRUE(client.SendMessage(QueryPayload("select 1"), 0));
  EXPECT_EQ((*client.ReceiveFrame())[0], 0);
}

TEST(Relay, TheBackendsLastWordsReachAnIdleClient) {
  ScriptedBackend backend([](Peer& peer) {
    if (!BackendLogin(peer)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    peer.SendMessage(protocol::BuildErr(1053, "08S01", "Server shutdown in progress", kPeerCapabilities), 0);
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1053);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Relay, AClientThatLeavesTakesItsBackendAlong) {
  std::atomic<int> ended{0};
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    for (;;) {
      const auto command = peer.ReceiveFrame();
      if (!command) break;
      peer.SendMessage(OkPayload(protocol::kStatusInTrans), 1);
    }
    ++ended;
  });
  ProxyUnderTest proxy(backend.port());
  {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(client));
    ASSERT_TRUE(client.SendMessage(QueryPayload("begin"), 0));
    ASSERT_TRUE(client.ReceiveFrame().has_value());
  }
  Peer half = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(half));
  half.ShutdownWrite();
  for (int i = 0; i < 300 && ended < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(ended, 2);
}

TEST(Login, ABackendThatIsDownIsSaidSo) {
  uint16_t port = 0;
  { ScriptedBackend gone([](Peer&) {}); port = gone.port(); }
  ProxyUnderTest proxy(port);
  Peer client = ConnectTo(proxy.port());
  const ErrPacket err = Error(client.ReceiveFrame());
  EXPECT_EQ(err.code, 1105);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Login, TheServersRefusalIsPassedOn) {
  ScriptedBackend backend([](Peer& peer) {
    peer.SendMessage(protocol::BuildErr(1129, "HY000", "Host is blocked", kPeerCapabilities), 0);
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1129);
}

TEST(Login, ARefusalBearsAnyNumber) {
  for (const uint8_t number : {1, 2, 255}) {
    ScriptedBackend backend([&](Peer& peer) { peer.SendMessage(protocol::BuildErr(1130, "", "Host '192.0.2.7' is not allowed to connect", 0), number); });
    ProxyUnderTest proxy(backend.port());
    Peer client = ConnectTo(proxy.port());
    uint8_t sequence = 9;
    const auto reply = client.ReceiveFrame(&sequence);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(*reply, protocol::BuildErr(1130, "", "Host '192.0.2.7' is not allowed to connect", 0)) << int{number};
    EXPECT_EQ(sequence, 0) << "as directly";
    EXPECT_TRUE(client.AtEnd());
  }
}

TEST(Login, ASlowClientIsClosed) {
  ScriptedBackend backend([](Peer& peer) {
    peer.SendMessage(GreetingPayload(), 0);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.handshake_timeout = std::chrono::milliseconds(300); });
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(client.ReceiveFrame().has_value());
  client.Send("\x20");  // one byte, and no more
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1159);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Login, EveryTruncationOfALoginIsAnErrorOrAClose) {
  ScriptedBackend backend([](Peer& peer) { BackendLogin(peer); });
  ProxyUnderTest proxy(backend.port());
  const std::string login = LoginPayload();
  for (size_t size = 0; size < login.size() - 1; ++size) {
    if (size == 32) continue;  // reads as an SSLRequest without the flag: see below
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    ASSERT_TRUE(client.SendMessage(login.substr(0, size), 1));
    client.ShutdownWrite();
    const auto reply = client.ReceiveFrame();
    if (reply && !reply->empty() && (*reply)[0] == 0) continue;  // a shorter login may be whole by its flags
    EXPECT_TRUE(!reply || Error(reply).code != 0) << size;
  }
}

TEST(Login, ALoginOfSeveralMegabytesIsRefused) {
  ScriptedBackend backend([](Peer& peer) { BackendLogin(peer); });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(client.ReceiveFrame().has_value());
  client.Send(std::string("\0\0\x50\x01", 4) + std::string(100'000, 'x'));
  EXPECT_EQ(Error(client.ReceiveFrame()).code, 1043);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Login, NoMoreThanMaxConnections) {
  ScriptedBackend backend(EchoBackend);
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.max_connections = 2; });
  Peer one = ConnectTo(proxy.port()), two = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(one));
  ASSERT_TRUE(ClientLogin(two));
  Peer three = ConnectTo(proxy.port());
  EXPECT_EQ(Error(three.ReceiveFrame()).code, 1040);
  one.Close();
  for (int i = 0; i < 100 && proxy.server().connections() > 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  Peer four = ConnectTo(proxy.port());
  EXPECT_TRUE(ClientLogin(four));
}

TEST(Stop, LetsATransactionFinish) {
  ScriptedBackend backend([](Peer& peer) {
    if (!BackendLogin(peer)) return;
    for (;;) {
      const auto command = peer.ReceiveFrame();
      if (!command) return;
      const bool begin = command->find("begin") != std::string::npos;
      peer.SendMessage(OkPayload(begin ? protocol::kStatusInTrans : protocol::kStatusAutocommit), 1);
    }
  });
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.drain_timeout = std::chrono::seconds(5); });
  Peer busy = ConnectTo(proxy.port()), idle = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(busy));
  ASSERT_TRUE(ClientLogin(idle));
  ASSERT_TRUE(busy.SendMessage(QueryPayload("begin"), 0));
  ASSERT_TRUE(busy.ReceiveFrame().has_value());
  std::thread stop([&] { proxy.server().Stop(); });
  EXPECT_TRUE(idle.AtEnd());
  ASSERT_TRUE(busy.SendMessage(QueryPayload("commit"), 0));
  EXPECT_TRUE(busy.ReceiveFrame().has_value());
  EXPECT_TRUE(busy.AtEnd());
  stop.join();
}

}  // namespace
}  // namespace crossfade::proxy

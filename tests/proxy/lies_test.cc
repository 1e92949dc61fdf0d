// SPDX-License-Identifier: Apache-2.0
// Backends that lie in their replies: only that session ends, and nothing of one reply becomes the next one's. And what
// looks like a lie but is none: progress reports, a server's last words, acknowledgements within a stream of events.
#include <gtest/gtest.h>

#include "tests/proxy/peers.h"

namespace crossfade::proxy {
namespace {

std::string Frames(const std::vector<std::string>& payloads, uint8_t sequence = 1) {
  std::string out;
  for (const std::string& payload : payloads) sequence = protocol::AppendFrames(payload, sequence, &out);
  return out;
}

uint16_t ErrorCode(const std::optional<std::string>& payload) {
  protocol::ErrPacket err;
  return payload && protocol::ParseErr(*payload, kPeerCapabilities, &err) ? err.code : 0;
}

// A backend that answers "lie" with `lie` and all else with an OK.
ScriptedBackend::Script Liar(const std::string& lie) {
  return [lie](Peer& peer) {
    if (!BackendLogin(peer)) return;
    while (const auto command = peer.ReceiveFrame()) {
      peer.Send(command->find("lie") == std::string::npos ? Frames({OkPayload()}) : lie);
    }
  };
}

TEST(Lies, AWrongSequenceIdEndsTheSessionOnly) {
  ScriptedBackend backend(Liar(Frames({OkPayload()}, 3)));
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port()), other = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(ClientLogin(other));
  ASSERT_TRUE(client.SendMessage(QueryPayload("lie"), 0));
  uint8_t sequence = 0;
  EXPECT_EQ(ErrorCode(client.ReceiveFrame(&sequence)), 1105);
  EXPECT_EQ(sequence, 1);
  EXPECT_TRUE(client.AtEnd());
  ASSERT_TRUE(other.SendMessage(QueryPayload("x"), 0));
  EXPECT_EQ((*other.ReceiveFrame())[0], 0);
}

TEST(Lies, AReplyLongerThanAnnouncedIsNobodysNextReply) {
  ScriptedBackend backend(Liar(Frames({OkPayload()}) + Frames({OkPayload(protocol::kStatusInTrans)})));
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("lie"), 0));
  EXPECT_EQ(*client.ReceiveFrame(), OkPayload());
  EXPECT_TRUE(client.AtEnd());
}

TEST(Lies, AServersLastWordsBehindAReplyArePassedOn) {
  const std::string words = protocol::BuildErr(1053, "08S01", "Server shutdown in progress", kPeerCapabilities);
  ScriptedBackend backend(Liar(Frames({OkPayload()}) + Frames({words}, 0)));
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("lie"), 0));
  EXPECT_EQ(*client.ReceiveFrame(), OkPayload());
  EXPECT_EQ(*client.ReceiveFrame(), words);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Lies, ColumnsThatAreFewerThanAnnounced) {
  ScriptedBackend backend(Liar(Frames({"\x02", std::string("\x03" "def\0\0\0\x01" "a\0\x0c\x3f\0\0\0\0\0\xfd\0\0\0\0\0", 24), "\x01x"})));
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("lie"), 0));
  EXPECT_EQ(ErrorCode(client.ReceiveFrame()), 1105);
  EXPECT_TRUE(client.AtEnd());
}

TEST(Lies, ProgressReportsAreNoEnd) {
  // MariaDB's: error 0xFFFF, one string: stage, stages, progress, what is done.
  const std::string report("\xff\xff\xff\x01\x01\x02\x10\x27\x00\x0d" "copy to table", 23);
  const uint64_t mariadb = (kPeerCapabilities & ~protocol::kClientLongPassword) | protocol::kMariaDbProgress;
  for (const bool offered : {true, false}) {
    std::atomic<bool> agreed{false};
    ScriptedBackend backend([&](Peer& peer) {
      protocol::Greeting greeting = *protocol::ParseGreeting(GreetingPayload());
      greeting.capabilities = offered ? mariadb : mariadb & ~protocol::kMariaDbProgress;
      peer.SendMessage(protocol::BuildGreeting(greeting), 0);
      const auto login = peer.ReceiveFrame();
      if (!login) return;
      agreed = (protocol::ParseLogin(*login)->capabilities & protocol::kMariaDbProgress) != 0;
      peer.SendMessage(OkPayload(), 2);
      if (!peer.ReceiveFrame()) return;
      peer.Send(Frames({report, report}));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      peer.Send(Frames({report, OkPayload()}, 3));
      if (peer.ReceiveFrame()) peer.SendMessage(OkPayload(), 1);
      peer.ReceiveFrame();
    });
    ProxyUnderTest proxy(backend.port());
    Peer client = ConnectTo(proxy.port());
    const auto greeting = client.ReceiveFrame();
    ASSERT_TRUE(greeting);
    EXPECT_EQ((protocol::ParseGreeting(*greeting)->capabilities & protocol::kMariaDbProgress) != 0, offered);
    protocol::Login login = *protocol::ParseLogin(LoginPayload());
    login.capabilities = mariadb;
    client.SendMessage(protocol::BuildLogin(login), 1);
    ASSERT_TRUE(client.ReceiveFrame());
    EXPECT_EQ(agreed, offered);
    ASSERT_TRUE(client.SendMessage(QueryPayload("alter"), 0));
    for (int i = 0; i < 3; ++i) ASSERT_EQ(*client.ReceiveFrame(), report);
    EXPECT_EQ(*client.ReceiveFrame(), OkPayload());
    ASSERT_TRUE(client.SendMessage(QueryPayload("x"), 0));
    EXPECT_EQ(*client.ReceiveFrame(), OkPayload());
  }
}

// Semi-synchronous replication: the replica's acknowledgements pass while events go on, and sequence ids begin anew.
TEST(Events, AcknowledgementsPassWhileEventsGoOn) {
  const std::string event("\0\xef\1event", 8), acknowledgement("\xef" "12345678log", 12);
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    if (!peer.ReceiveFrame()) return;
    uint8_t sequence = 1;
    for (int i = 0; i < 20; ++i) {
      if (!peer.SendMessage(event, sequence)) return;
      const auto answer = peer.ReceiveFrame(&sequence);
      if (!answer || *answer != acknowledgement) return;
      ++sequence;
    }
    std::string end = OkPayload();
    end[0] = '\xfe';
    peer.SendMessage(end, sequence);
    if (peer.ReceiveFrame()) peer.SendMessage(OkPayload(), 1);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(std::string("\x12\4\0\0\0\0\0\7\0\0\0", 11), 0));
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(*client.ReceiveFrame(), event) << i;
    ASSERT_TRUE(client.SendMessage(acknowledgement, 0));
  }
  EXPECT_EQ(static_cast<uint8_t>((*client.ReceiveFrame())[0]), 0xFE);
  ASSERT_TRUE(client.SendMessage(QueryPayload("x"), 0));  // and the session goes on
  EXPECT_EQ(*client.ReceiveFrame(), OkPayload());
}

// A server that has nothing to send yet: the reader may leave, and the proxy may stop.
TEST(Events, BeforeTheFirstEventReadersLeaveAndTheProxyStops) {
  std::atomic<int> begun{0}, left{0};
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    if (!peer.ReceiveFrame()) return;
    ++begun;
    left += peer.AtEnd() ? 1 : 0;
  });
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.drain_timeout = std::chrono::seconds(20); });
  std::vector<Peer> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(ConnectTo(proxy.port()));
    ASSERT_TRUE(ClientLogin(clients.back()));
    const std::string dump[] = {std::string("\x12\4\0\0\0\0\0\7\0\0\0", 11), std::string("\x1e\0\0", 3), "\x13zoo"};
    ASSERT_TRUE(clients.back().SendMessage(dump[i], 0));
  }
  for (int i = 0; i < 300 && begun < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  clients[0].Close();
  for (int i = 0; i < 300 && left < 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(left, 1);
  const auto start = std::chrono::steady_clock::now();
  proxy.server().Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  EXPECT_TRUE(clients[1].AtEnd());
  EXPECT_TRUE(clients[2].AtEnd());
}

TEST(Events, AReaderThatLeavesIsNoticedWhileNothingHappens) {
  std::atomic<bool> left{false};
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    if (!peer.ReceiveFrame()) return;
    peer.SendMessage(std::string("\0event", 6), 1);
    left = peer.AtEnd();
  });
  ProxyUnderTest proxy(backend.port());
  {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(client));
    ASSERT_TRUE(client.SendMessage(std::string("\x12\4\0\0\0\0\0\7\0\0\0", 11), 0));
    ASSERT_TRUE(client.ReceiveFrame());
  }
  for (int i = 0; i < 300 && !left; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(left);
}

}  // namespace
}  // namespace crossfade::proxy

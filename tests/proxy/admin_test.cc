// SPDX-License-Identifier: Apache-2.0
// The admin port: what it answers, and that nonsense does not harm it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "proxy/admin.h"
#include "tests/proxy/peers.h"

namespace crossfade::proxy {
namespace {

class AdminTest : public testing::Test {
 protected:
  AdminTest() : backend_([](Peer& peer) { BackendLogin(peer); peer.ReceiveFrame(); }), proxy_(backend_.port()), admin_(io_, &proxy_.server()) {
    // A port that is free now.
    { ScriptedBackend free_port([](Peer&) {}); port_ = free_port.port(); }
    status_ = admin_.Listen("127.0.0.1:" + std::to_string(port_));
    thread_ = std::thread([this] { io_.run(); });
  }
  ~AdminTest() override {
    io_.stop();
    thread_.join();
  }
  std::string Ask(const std::string& request) {
    Peer peer = ConnectTo(port_);
    peer.Send(request);
    return peer.Receive(1 << 20);
  }
  std::string Get(const std::string& target) {
    return Ask("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }

  ScriptedBackend backend_;
  ProxyUnderTest proxy_;
  boost::asio::io_context io_{1};
  Admin admin_;
  uint16_t port_ = 0;
  absl::Status status_;
  std::thread thread_;
};

TEST_F(AdminTest, PagesAndNonsense) {
  ASSERT_TRUE(status_.ok()) << status_;
  Peer client = ConnectTo(proxy_.port());
  ASSERT_TRUE(ClientLogin(client));
  EXPECT_THAT(Get("/metrics"), testing::HasSubstr("crossfade_sessions 1"));
  EXPECT_THAT(Get("/metrics"), testing::HasSubstr("# TYPE crossfade_commands_total counter"));
  EXPECT_THAT(Get("/metrics"), testing::HasSubstr("crossfade_plan_cache_hits_total 0"));
  EXPECT_THAT(Get("/healthz"), testing::HasSubstr("200 OK"));
  EXPECT_THAT(Get("/status"), testing::HasSubstr("\"migrations\""));
  EXPECT_THAT(Get("/"), testing::HasSubstr("<title>Crossfade</title>"));
  EXPECT_THAT(Get("/../../etc/passwd"), testing::HasSubstr("404"));
  EXPECT_THAT(Ask("POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), testing::HasSubstr("405"));
  EXPECT_EQ(Ask("\x16\x03\x01 not http; DROP\r\n\r\n"), "");
  EXPECT_EQ(Ask("GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n"), "");
  EXPECT_THAT(Get("/healthz"), testing::HasSubstr("200 OK"));
}

// Requests with bytes changed, left out, doubled and cut: the page goes on.
TEST_F(AdminTest, AnyBytes) {
  ASSERT_TRUE(status_.ok()) << status_;
  const std::string good[] = {"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
                              "GET /status?a=b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"};
  std::minstd_rand random(17);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::getenv("CROSSFADE_LONG") != nullptr ? 60 : 2);
  int asked = 0;
  for (; std::chrono::steady_clock::now() < end; ++asked) {
    std::string bytes = good[random() % 3];
    for (unsigned changes = random() % 6; changes > 0 && !bytes.empty(); --changes) {
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes.erase(at, random() % 9); break;
        case 2: bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 40)); break;
        default: bytes.resize(at);
      }
    }
    Peer peer = ConnectTo(port_);
    peer.Send(bytes);
    peer.ShutdownWrite();
    if (asked % 3 == 0) peer.Receive(100);
  }
  EXPECT_GT(asked, 50);
  EXPECT_THAT(Get("/healthz"), testing::HasSubstr("200 OK"));
}

}  // namespace
}  // namespace crossfade::proxy

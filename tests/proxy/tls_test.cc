// SPDX-License-Identifier: Apache-2.0
// TLS on both sides with scripted peers: what certificates are worth, what is refused before a password can leave, and
// certificates and listeners that follow the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "proxy/admin.h"
#include "tests/proxy/certificates.h"

namespace crossfade::proxy {
namespace {

using protocol::ErrPacket;
using testing::HasSubstr;
using std::chrono::milliseconds;

struct Failure {
  uint16_t code = 0;
  std::string message;
};
Failure ErrorIn(const std::optional<std::string>& payload) {
  ErrPacket err;
  if (!payload || !protocol::ParseErr(*payload, kPeerCapabilities, &err)) return {};
  return {err.code, std::string(err.message)};
}

// OK to everything, in clear.
void PlainBackend(Peer& peer) {
  if (!BackendLogin(peer)) return;
  for (;;) {
    const auto command = peer.ReceiveFrame();
    if (!command || command->empty() || (*command)[0] == 1) return;
    peer.SendMessage(OkPayload(), 1);
  }
}

std::string TlsGreeting() {
  protocol::Greeting greeting = *protocol::ParseGreeting(GreetingPayload());
  greeting.capabilities |= protocol::kClientSsl;
  return protocol::BuildGreeting(greeting);
}

// Offers TLS with `own`; counts what it is told once it is on.
class TlsBackend {
 public:
  explicit TlsBackend(TestCa::Files own)
      : backend_([this, own](Peer& peer) {
          peer.SendMessage(TlsGreeting(), 0);
          const auto request = peer.ReceiveFrame();
          if (!request) return;
          if (request->size() != 32) {
            ++logins_in_clear;
            return;
          }
          TlsOn tls(peer, true, own);
          if (!tls.done()) return;
          if (const auto login = tls.ReceiveFrame()) {
            ++logins;
            tls.SendMessage(OkPayload(), 3);
            tls.ReceiveFrame();
          }
        }) {}
  uint16_t port() const { return backend_.port(); }
  std::atomic<int> logins{0}, logins_in_clear{0};

 private:
  ScriptedBackend backend_;
};

std::function<void(config::Config*)> Verify(const TestCa& ca, const std::string& host = "127.0.0.1") {
  return [&ca, host](config::Config* config) {
    config::Backend& backend = config->backends[0];
    backend.tls = config::TlsMode::kVerify;
    backend.ca = ca.path();
    backend.address.replace(0, backend.address.find(':'), host);
  };
}

TEST(BackendTls, OnlyAVerifiedServerIsToldAnything) {
  TestCa ca, other;
  struct Case {
    const char* what;
    TestCa::Files own;
    std::string host, reason;
  };
  const Case cases[] = {
      {"good, by address", ca.Issue("a"), "127.0.0.1", ""},
      {"good, by name", ca.Issue("b", {.names = "DNS:localhost"}), "localhost", ""},
      {"expired", ca.Issue("c", {.from = -7200, .until = -3600}), "127.0.0.1", "certificate verify failed"},
      {"not yet", ca.Issue("d", {.from = 3600, .until = 7200}), "127.0.0.1", "certificate verify failed"},
      {"another authority", other.Issue("e"), "127.0.0.1", "certificate verify failed"},
      {"another address", ca.Issue("f", {.names = "IP:127.0.0.2,DNS:localhost"}), "127.0.0.1", "certificate verify failed"},
      {"another name", ca.Issue("g", {.names = "DNS:db.example,IP:127.0.0.1"}), "localhost", "certificate verify failed"},
      {"a part of the name as wildcard", ca.Issue("h", {.names = "DNS:local*"}), "localhost", "certificate verify failed"},
  };
  for (const Case& c : cases) {
    TlsBackend backend(c.own);
    ProxyUnderTest proxy(backend.port(), Verify(ca, c.host));
    ASSERT_TRUE(proxy.status().ok()) << proxy.status();
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    ASSERT_TRUE(client.SendMessage(LoginPayload(), 1));
    const auto reply = client.ReceiveFrame();
    if (c.reason.empty()) {
      ASSERT_TRUE(reply && !reply->empty()) << c.what;
      EXPECT_EQ((*reply)[0], 0) << c.what;
      EXPECT_EQ(backend.logins, 1) << c.what;
    } else {
      EXPECT_THAT(ErrorIn(reply).message, HasSubstr(c.reason)) << c.what;
      EXPECT_TRUE(client.AtEnd());
      EXPECT_EQ(backend.logins, 0) << c.what;
    }
    EXPECT_EQ(backend.logins_in_clear, 0) << c.what;
  }
}

TEST(BackendTls, AServerThatOffersNoneIsToldNothing) {
  TestCa ca;
  for (const config::TlsMode mode : {config::TlsMode::kRequired, config::TlsMode::kVerify}) {
    std::atomic<int> bytes{0};
    ScriptedBackend backend([&](Peer& peer) {
      peer.SendMessage(GreetingPayload(), 0);
      bytes += static_cast<int>(peer.Receive(1).size());
    });
    ProxyUnderTest proxy(backend.port(), [&](config::Config* config) {
      config->backends[0].tls = mode;
      config->backends[0].ca = mode == config::TlsMode::kVerify ? ca.path() : "";
    });
    Peer client = ConnectTo(proxy.port());
    const auto refused = client.ReceiveFrame();
    ErrPacket err;
    ASSERT_TRUE(refused && protocol::ParseErr(*refused, 0, &err)) << "in place of a greeting";
    EXPECT_THAT(std::string(err.message), HasSubstr("offers no TLS"));
    EXPECT_TRUE(client.AtEnd());
    EXPECT_EQ(bytes, 0);
  }
}

TEST(BackendTls, AServerThatTakesTheRequestAndSpeaksOnInClearIsToldNothing) {
  TestCa ca;
  std::atomic<bool> login{false};
  ScriptedBackend backend([&](Peer& peer) {
    peer.SendMessage(TlsGreeting(), 0);
    if (!peer.ReceiveFrame()) return;
    peer.SendMessage(OkPayload(), 2);
    const std::string more = peer.Receive(4096);
    login = more.find("someone") != std::string::npos;
  });
  for (const config::TlsMode mode : {config::TlsMode::kPreferred, config::TlsMode::kRequired, config::TlsMode::kVerify}) {
    ProxyUnderTest proxy(backend.port(), [&](config::Config* config) {
      config->backends[0].tls = mode;
      config->backends[0].ca = mode == config::TlsMode::kVerify ? ca.path() : "";
    });
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    ASSERT_TRUE(client.SendMessage(LoginPayload(), 1));
    EXPECT_EQ(ErrorIn(client.ReceiveFrame()).code, 1105);
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_FALSE(login);
}

TEST(BackendTls, TheProxysOwnCertificateIsShownToAServerThatAsks) {
  TestCa ca;
  const TestCa::Files own = ca.Issue("server"), proxys = ca.Issue("proxy");
  std::atomic<long> serial{0};
  ScriptedBackend backend([&](Peer& peer) {
    peer.SendMessage(TlsGreeting(), 0);
    if (!peer.ReceiveFrame()) return;
    SSL_CTX* ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_chain_file(ctx, own.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(ctx, own.key.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_load_verify_locations(ctx, ca.path().c_str(), nullptr);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL* ssl = SSL_new(ctx);
    SSL_set_fd(ssl, peer.fd());
    if (SSL_accept(ssl) == 1) {
      X509* x509 = SSL_get1_peer_certificate(ssl);
      serial = ASN1_INTEGER_get(X509_get_serialNumber(x509));
      X509_free(x509);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
  });
  ProxyUnderTest proxy(backend.port(), [&](config::Config* config) {
    config->backends[0].tls = config::TlsMode::kRequired;
    config->backends[0].certificate = proxys.certificate;
    config->backends[0].key = proxys.key;
  });
  Peer client = ConnectTo(proxy.port());
  client.ReceiveFrame();
  client.SendMessage(LoginPayload(), 1);
  client.AtEnd();
  EXPECT_GT(serial, 100);
}

std::function<void(config::Config*)> Offer(const TestCa::Files& own, const std::function<void(config::Listener*)>& adjust = nullptr) {
  return [own, adjust](config::Config* config) {
    config->listeners[0].tls_certificate = own.certificate;
    config->listeners[0].tls_key = own.key;
    if (adjust) adjust(&config->listeners[0]);
  };
}

// The client's login over TLS; its reply.
std::optional<std::string> LoginOver(Peer& client, TlsOn** kept = nullptr, const TestCa::Files& own = {}, int version = 0) {
  if (!client.ReceiveFrame() || !client.SendMessage(SslRequestPayload(), 1)) return std::nullopt;
  auto tls = std::make_unique<TlsOn>(client, false, own, version);
  if (!tls->done()) return std::nullopt;
  tls->SendMessage(TlsLoginPayload(), 2);
  auto reply = tls->ReceiveFrame();
  if (kept != nullptr) *kept = tls.release();
  return reply;
}

uint64_t Refusals(ProxyUnderTest& proxy, Refusal reason) {
  uint64_t sum = 0;
  for (const auto& thread : proxy.server().threads()) sum += thread->metrics()->refusals[static_cast<size_t>(reason)].value();
  return sum;
}

TEST(ListenerTls, TwelveAndThirteenOnly) {
  TestCa ca;
  ScriptedBackend backend(PlainBackend);
  ProxyUnderTest proxy(backend.port(), Offer(ca.Issue("server")));
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
    Peer client = ConnectTo(proxy.port());
    TlsOn* tls = nullptr;
    const auto reply = LoginOver(client, &tls, {}, version);
    const bool modern = version >= TLS1_2_VERSION;
    EXPECT_EQ(reply.has_value(), modern) << version;
    if (modern) {
      EXPECT_EQ((*reply)[0], 0);
      EXPECT_EQ(tls->version(), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    }
    delete tls;
  }
  EXPECT_EQ(Refusals(proxy, Refusal::kTls), 2u);
}

TEST(ListenerTls, WhoDoesNotAskForItWhereItIsRequiredIsToldSo) {
  TestCa ca;
  std::atomic<int> logins{0};
  ScriptedBackend backend([&](Peer& peer) {
    peer.SendMessage(GreetingPayload(), 0);
    if (peer.ReceiveFrame()) {
      ++logins;
      peer.SendMessage(OkPayload(), 2);
      peer.ReceiveFrame();
    }
  });
  ProxyUnderTest proxy(backend.port(), Offer(ca.Issue("server"), [](config::Listener* listener) { listener->tls_required = true; }));
  // The head of the packet is enough: user and password need not have come.
  for (const size_t size : {LoginPayload().size() + 4, size_t{8}}) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    std::string frames;
    protocol::AppendFrames(LoginPayload(), 1, &frames);
    ASSERT_TRUE(client.Send(frames.substr(0, size)));
    uint8_t sequence = 0;
    const Failure failure = ErrorIn(client.ReceiveFrame(&sequence));
    EXPECT_EQ(failure.code, 3159);
    EXPECT_EQ(failure.message, "Connections using insecure transport are prohibited while --require_secure_transport=ON.");
    EXPECT_EQ(sequence, 2);
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(logins, 0);
  EXPECT_EQ(Refusals(proxy, Refusal::kTlsRequired), 2u);
  Peer client = ConnectTo(proxy.port());
  EXPECT_EQ((*LoginOver(client))[0], 0);
  EXPECT_EQ(logins, 1);
}

TEST(ListenerTls, ACommandInClearBehindTheRequestIsNeverRead) {
  TestCa ca;
  std::atomic<int> bytes{0};
  ScriptedBackend backend([&](Peer& peer) {
    peer.SendMessage(GreetingPayload(), 0);
    bytes += static_cast<int>(peer.Receive(1).size());
  });
  ProxyUnderTest proxy(backend.port(), Offer(ca.Issue("server")));
  for (const std::string& stuffed : {LoginPayload(), QueryPayload("drop table t")}) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    std::string frames;
    protocol::AppendFrames(SslRequestPayload(), 1, &frames);
    protocol::AppendFrames(stuffed, 2, &frames);
    ASSERT_TRUE(client.Send(frames));
    client.Receive(1024);  // an alert, and the end
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(bytes, 0);
}

TEST(ListenerTls, CertificatesOfClients) {
  TestCa ca, other;
  ScriptedBackend backend(PlainBackend);
  const TestCa::Files own = ca.Issue("server"), good = ca.Issue("client"), foreign = other.Issue("client"),
                      expired = ca.Issue("old", {.from = -7200, .until = -3600}), none;
  for (const bool required : {false, true}) {
    ProxyUnderTest proxy(backend.port(), Offer(own, [&](config::Listener* listener) {
      listener->tls_client_ca = ca.path();
      listener->client_certificate = required ? config::ClientCertificate::kRequired : config::ClientCertificate::kOptional;
    }));
    ASSERT_TRUE(proxy.status().ok()) << proxy.status();
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const auto in = [&](const TestCa::Files& shown) {
        Peer client = ConnectTo(proxy.port());
        const auto reply = LoginOver(client, nullptr, shown, version);
        return reply && !reply->empty() && (*reply)[0] == 0;
      };
      EXPECT_TRUE(in(good));
      EXPECT_FALSE(in(foreign));
      EXPECT_FALSE(in(expired));
      EXPECT_EQ(in(none), !required);
    }
  }
}

TEST(ListenerTls, AMadeCertificateVerifiesByItsOwnAuthority) {
  ScriptedBackend backend(PlainBackend);
  servers::TempFolder folder("made");
  const std::string made = folder.path() + "/tls";
  long serial = 0;
  for (int start = 0; start < 2; ++start) {
    ProxyUnderTest proxy(backend.port(), [&](config::Config* config) {
      config->listeners[0].tls_generate = true;
      config->listeners[0].tls_folder = made;
    });
    ASSERT_TRUE(proxy.status().ok()) << proxy.status();
    SSL_CTX* ctx = SSL_CTX_new(TLS_client_method());
    ASSERT_EQ(SSL_CTX_load_verify_locations(ctx, (made + "/ca.pem").c_str(), nullptr), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    ASSERT_TRUE(client.SendMessage(SslRequestPayload(), 1));
    SslPtr ssl = NewClientSsl(ctx, "127.0.0.1");
    SSL_set_fd(ssl.get(), client.fd());
    EXPECT_EQ(SSL_connect(ssl.get()), 1) << TlsError();
    X509* x509 = SSL_get1_peer_certificate(ssl.get());
    char* subject = X509_NAME_oneline(X509_get_subject_name(x509), nullptr, 0);
    const std::string name = subject;
    OPENSSL_free(subject);
    EXPECT_THAT(name, HasSubstr("Crossfade_Auto_Generated_Server_Certificate"));
    uint64_t number = 0;
    ASN1_INTEGER_get_uint64(&number, X509_get_serialNumber(x509));
    if (start == 1) {
      EXPECT_EQ(static_cast<long>(number), serial) << "the second start uses what the first made";
    }
    serial = static_cast<long>(number);
    X509_free(x509);
    SSL_CTX_free(ctx);
  }
  std::remove((made + "/ca.pem").c_str());
  ProxyUnderTest half(backend.port(), [&](config::Config* config) {
    config->listeners[0].tls_generate = true;
    config->listeners[0].tls_folder = made;
  });
  EXPECT_THAT(std::string(half.status().message()), HasSubstr("some can be read and some cannot"));

  ProxyUnderTest memory(backend.port(), [](config::Config* config) { config->listeners[0].tls_generate = true; });
  Peer client = ConnectTo(memory.port());
  EXPECT_EQ((*LoginOver(client))[0], 0);
}

TEST(Reload, ANewCertificateIsForNewSessionsAndOpenOnesGoOn) {
  TestCa ca;
  ScriptedBackend backend(PlainBackend);
  const TestCa::Files own = ca.Issue("server");
  ProxyUnderTest proxy(backend.port(), Offer(own));
  Peer before = ConnectTo(proxy.port());
  TlsOn* open = nullptr;
  ASSERT_EQ((*LoginOver(before, &open))[0], 0);
  ca.Issue("server");
  proxy.server().ReloadTls();
  Peer after = ConnectTo(proxy.port());
  TlsOn* fresh = nullptr;
  ASSERT_EQ((*LoginOver(after, &fresh))[0], 0);
  EXPECT_NE(fresh->serial(), open->serial());
  const long serial = fresh->serial();
  open->SendMessage(QueryPayload("select 1"), 0);
  EXPECT_EQ((*open->ReceiveFrame())[0], 0);
  // A certificate without its key: the old ones stay.
  std::ofstream(own.key) << "no key\n";
  proxy.server().ReloadTls();
  Peer later = ConnectTo(proxy.port());
  TlsOn* same = nullptr;
  ASSERT_EQ((*LoginOver(later, &same))[0], 0);
  EXPECT_EQ(same->serial(), serial);
  EXPECT_THAT(proxy.server().TlsFiles(), testing::ElementsAre(own.certificate, own.key));
  delete open;
  delete fresh;
  delete same;
}

TEST(Reload, ListenersAndBackendsFollowTheFileAndOpenSessionsGoOn) {
  ScriptedBackend one(PlainBackend), two([](Peer& peer) {
    peer.SendMessage(protocol::BuildErr(1129, "HY000", "the second one", kPeerCapabilities), 0);
  });
  ProxyUnderTest proxy(one.port());
  Peer open = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(open));
  const auto still_works = [&] {
    open.SendMessage(QueryPayload("select 1"), 0);
    const auto reply = open.ReceiveFrame();
    return reply && (*reply)[0] == 0;
  };
  auto config = std::make_shared<config::Config>(proxy.server().config());
  const uint16_t first = proxy.port(), second = static_cast<uint16_t>(servers::FreePort());
  // The test's listener is on port 0, which is one address as good as any other.
  config->backends.push_back({"c", "127.0.0.1:" + std::to_string(two.port()), config::TlsMode::kDisabled, ""});
  config->listeners.push_back({"127.0.0.1:" + std::to_string(second), "b", "", ""});
  config->listeners[0].backend = "c";
  proxy.server().Reload(config);
  Peer other = ConnectTo(first), added = ConnectTo(second);
  EXPECT_EQ(ErrorIn(other.ReceiveFrame()).code, 1129);
  EXPECT_TRUE(ClientLogin(added));
  EXPECT_TRUE(still_works());

  // What cannot be had leaves all as it is.
  auto bad = std::make_shared<config::Config>(*config);
  bad->listeners[0].backend = "b";
  bad->listeners.push_back({"192.0.2.1:1", "b", "", ""});
  proxy.server().Reload(bad);
  Peer unchanged = ConnectTo(first);
  EXPECT_EQ(ErrorIn(unchanged.ReceiveFrame()).code, 1129);

  auto fewer = std::make_shared<config::Config>(*config);
  fewer->listeners.erase(fewer->listeners.begin());
  proxy.server().Reload(fewer);
  for (int i = 0; i < 200 && servers::PortOpen(first); ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_FALSE(servers::PortOpen(first));
  EXPECT_TRUE(still_works());
  added.SendMessage(QueryPayload("select 1"), 0);
  EXPECT_EQ((*added.ReceiveFrame())[0], 0);
}

// A hostile or redirected server asks for the password in a form that gives it away.
TEST(Downgrade, NoPasswordInClearLeavesForAServerWithoutTls) {
  TestCa ca;
  for (const char* plugin : {"mysql_clear_password"}) {
    std::atomic<int> bytes{0};
    ScriptedBackend backend([&](Peer& peer) {
      peer.SendMessage(GreetingPayload(), 0);
      if (!peer.ReceiveFrame()) return;
      protocol::AuthSwitch request;
      request.plugin = plugin;
      peer.SendMessage(protocol::BuildAuthSwitch(request), 2);
      bytes += static_cast<int>(peer.Receive(1).size());
    });
    ProxyUnderTest proxy(backend.port(), Offer(ca.Issue("server")));
    Peer client = ConnectTo(proxy.port());
    EXPECT_EQ(ErrorIn(LoginOver(client)).code, 1105);
    client.Close();
    EXPECT_EQ(bytes, 0);
  }
}

}  // namespace
}  // namespace crossfade::proxy

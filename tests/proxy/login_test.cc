// SPDX-License-Identifier: Apache-2.0
// Logging in to real servers through the proxy: each plugin, TLS on either side, changed users, wrong passwords.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "proxy/server.h"
#include "tests/servers/client.h"
#include "tests/proxy/peers.h"
#include "tests/servers/server.h"

namespace crossfade::proxy {
namespace {

using servers::Client;
using servers::ConnectOptions;
using servers::Engine;
using servers::Reply;

// One server of each engine for all tests of this file.
servers::Server* RunningServer(Engine engine) {
  static std::map<Engine, std::unique_ptr<servers::Server>> running;
  std::unique_ptr<servers::Server>& server = running[engine];
  if (!server) {
    auto started = servers::Server::Start(engine);
    if (!started.ok()) return nullptr;
    server = *std::move(started);
    auto client = Client::Connect({.port = server->port()});
    if (!client.ok()) return nullptr;
    client->Query("CREATE DATABASE zoo");
    client->Query("CREATE USER keeper@'%' IDENTIFIED BY 'canary-password'");
    client->Query("GRANT ALL ON *.* TO keeper@'%'");
    client->Query("CREATE USER nobody@'%' IDENTIFIED BY ''");
    client->Query("GRANT SELECT ON zoo.* TO nobody@'%'");
  }
  return server.get();
}

struct TestCertificate {
  std::string certificate, key;
  TestCertificate() {
    const std::filesystem::path folder = std::filesystem::temp_directory_path();
    certificate = folder / ("crossfade-cert-" + std::to_string(::getpid()) + ".pem");
    key = folder / ("crossfade-key-" + std::to_string(::getpid()) + ".pem");
    EVP_PKEY* pair = EVP_RSA_gen(2048);
    X509* x509 = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pair);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_sign(x509, pair, EVP_sha256());
    FILE* file = std::fopen(certificate.c_str(), "w");
    PEM_write_X509(file, x509);
    std::fclose(file);
    file = std::fopen(key.c_str(), "w");
    PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(x509);
    EVP_PKEY_free(pair);
  }
  ~TestCertificate() {
    std::remove(certificate.c_str());
    std::remove(key.c_str());
  }
};

struct Combination {
  Engine engine;
  bool client_tls, backend_tls;
};

class LoginTest : public testing::TestWithParam<Combination> {
 protected:
  void SetUp() override {
    server_ = RunningServer(GetParam().engine);
    if (server_ == nullptr) GTEST_SKIP() << "no " << servers::EngineName(GetParam().engine) << " on this machine";
    if (GetParam().engine == Engine::kMariaDb && GetParam().backend_tls) GTEST_SKIP() << "this MariaDB has no certificate";
    auto config = std::make_shared<config::Config>();
    config->backends.push_back({"b", server_->address(), GetParam().backend_tls ? config::TlsMode::kRequired : config::TlsMode::kDisabled, ""});
    config->listeners.push_back({"127.0.0.1:0", "b", GetParam().client_tls ? certificate_.certificate : "",
                                 GetParam().client_tls ? certificate_.key : ""});
    config->limits.io_threads = 2;
    config->limits.drain_timeout = std::chrono::milliseconds(100);
    proxy_ = std::make_unique<Server>(config);
    const absl::Status status = proxy_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }

  // The error code of a connection attempt; 0: it worked and could run a query over TLS or not, as wanted.
  unsigned Try(const char* user, const char* password) {
    MYSQL* connection = mysql_init(nullptr);
    my_bool enforce = GetParam().client_tls ? 1 : 0;
    mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &enforce);
    unsigned timeout = 10;
    mysql_options(connection, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_options(connection, MYSQL_OPT_READ_TIMEOUT, &timeout);
    unsigned error = 0;
    if (mysql_real_connect(connection, "127.0.0.1", user, password, "zoo", proxy_->port(0), nullptr, 0) == nullptr) {
      error = mysql_errno(connection);
    } else {
      const bool tls = mysql_get_ssl_cipher(connection) != nullptr;
      EXPECT_EQ(tls, GetParam().client_tls);
      if (mysql_query(connection, "SHOW STATUS LIKE 'Ssl_cipher'") != 0) {
        error = mysql_errno(connection);
      } else {
        MYSQL_RES* result = mysql_store_result(connection);
        MYSQL_ROW row = mysql_fetch_row(result);
        EXPECT_EQ(row != nullptr && row[1] != nullptr && row[1][0] != '\0', GetParam().backend_tls);
        mysql_free_result(result);
      }
    }
    mysql_close(connection);
    return error;
  }

  TestCertificate certificate_;
  servers::Server* server_ = nullptr;
  std::unique_ptr<Server> proxy_;
};

TEST_P(LoginTest, FullFastWrongAndEmptyPasswords) {
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  // A new password is not in the server's cache: the full exchange, then the fast one.
  direct->Query("ALTER USER keeper@'%' IDENTIFIED BY 'canary-password'");
  EXPECT_EQ(Try("keeper", "wrong"), 1045u);
  EXPECT_EQ(Try("keeper", "canary-password"), 0u) << "full";
  EXPECT_EQ(Try("keeper", "canary-password"), 0u) << "fast";
  EXPECT_EQ(Try("keeper", "wrong"), 1045u);
  EXPECT_EQ(Try("nobody", ""), 0u);
  EXPECT_EQ(Try("nobody", "x"), 1045u);
  EXPECT_EQ(Try("root", ""), 0u);
  EXPECT_EQ(Try("unknown", "x"), 1045u);
}

TEST_P(LoginTest, ChangeUser) {
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  direct->Query("ALTER USER keeper@'%' IDENTIFIED BY 'canary-password'");
  MYSQL* connection = mysql_init(nullptr);
  my_bool enforce = GetParam().client_tls ? 1 : 0;
  mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &enforce);
  ASSERT_NE(mysql_real_connect(connection, "127.0.0.1", "root", "", "zoo", proxy_->port(0), nullptr, 0), nullptr) << mysql_error(connection);
  EXPECT_EQ(mysql_change_user(connection, "keeper", "canary-password", "mysql"), 0) << mysql_error(connection);
  EXPECT_EQ(mysql_query(connection, "SELECT CURRENT_USER(), DATABASE()"), 0);
  MYSQL_RES* result = mysql_store_result(connection);
  ASSERT_NE(result, nullptr);
  MYSQL_ROW row = mysql_fetch_row(result);
  EXPECT_STREQ(row[0], "keeper@%");
  EXPECT_STREQ(row[1], "mysql");
  mysql_free_result(result);
  EXPECT_NE(mysql_change_user(connection, "keeper", "wrong", "mysql"), 0);
  EXPECT_EQ(mysql_errno(connection), 1045u);
  // After that MariaDB goes on, as whom it was; MySQL closes the connection.
  EXPECT_EQ(mysql_query(connection, "DO 1") == 0, GetParam().engine == Engine::kMariaDb) << mysql_error(connection);
  mysql_close(connection);
}

// A client whose own choice is sha256_password sends the password at once when it is behind TLS.
TEST_P(LoginTest, Sha256AsTheClientsFirstChoice) {
  if (GetParam().engine == Engine::kMariaDb) GTEST_SKIP() << "MySQL's";
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  direct->Query("CREATE USER IF NOT EXISTS older@'%' IDENTIFIED WITH sha256_password BY 'canary-password'");
  direct->Query("ALTER USER keeper@'%' IDENTIFIED BY 'canary-password'");
  direct->Query("GRANT SELECT ON zoo.* TO older@'%'");
  for (const auto& [user, password, error] : {std::tuple{"older", "canary-password", 0u}, {"older", "wrong", 1045u}, {"older", "", 1045u},
                                              {"keeper", "canary-password", 0u}, {"keeper", "wrong", 1045u}}) {
    MYSQL* connection = mysql_init(nullptr);
    my_bool enforce = GetParam().client_tls ? 1 : 0;
    mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_options(connection, MYSQL_DEFAULT_AUTH, "sha256_password");
    mysql_real_connect(connection, "127.0.0.1", user, password, "zoo", proxy_->port(0), nullptr, 0);
    EXPECT_EQ(mysql_errno(connection), error) << user << " " << mysql_error(connection);
    if (error == 0) {
      EXPECT_EQ(mysql_change_user(connection, "older", "canary-password", "zoo"), 0) << mysql_error(connection);
      EXPECT_EQ(mysql_change_user(connection, "nobody", "", "zoo"), 0) << mysql_error(connection);
    }
    mysql_close(connection);
  }
}

TEST_P(LoginTest, BigRepliesAndCommandsPrepareAndMultiResults) {
  auto client = Client::Connect({.port = proxy_->port(0), .flags = CLIENT_MULTI_STATEMENTS});
  ASSERT_TRUE(client.ok()) << client.status();
  auto direct = Client::Connect({.port = server_->port(), .flags = CLIENT_MULTI_STATEMENTS});
  ASSERT_TRUE(direct.ok());
  ASSERT_TRUE(direct->Query("SET GLOBAL max_allowed_packet = 128 * 1024 * 1024").ok());
  client = Client::Connect({.port = proxy_->port(0), .flags = CLIENT_MULTI_STATEMENTS});
  ASSERT_TRUE(client.ok());
  const Reply big = client->Query("SELECT REPEAT('x', 40 * 1024 * 1024) AS x, 1 AS y");
  ASSERT_TRUE(big.ok()) << big.message;
  EXPECT_EQ(big.rows[0][0]->size(), 40u * 1024 * 1024);
  for (size_t size : {0xFFFFFFu - 17, 0xFFFFFFu - 16, 0xFFFFFFu, 20'000'000u}) {
    const Reply sent = client->Query("SELECT LENGTH('" + std::string(size, 'y') + "')");
    ASSERT_TRUE(sent.ok()) << sent.message << " at " << size;
    EXPECT_EQ(*sent.rows[0][0], std::to_string(size));
  }
  const Reply prepared = client->Execute("SELECT ?, ?", {int64_t{42}, std::string("text")});
  ASSERT_TRUE(prepared.ok()) << prepared.message;
  EXPECT_EQ(*prepared.rows[0][0], "42");
  EXPECT_EQ(*prepared.rows[0][1], "text");
  ASSERT_EQ(mysql_query(client->raw(), "SELECT 1; SELECT 2; SET @a = 1; SELECT 3"), 0);
  int results = 0;
  do {
    if (MYSQL_RES* result = mysql_store_result(client->raw())) mysql_free_result(result);
    ++results;
  } while (mysql_next_result(client->raw()) == 0);
  EXPECT_EQ(results, 4);
  EXPECT_EQ(client->Query("SELECT nothing FROM nowhere.at_all").error, direct->Query("SELECT nothing FROM nowhere.at_all").error);
  EXPECT_EQ(*client->Query("SELECT 'still here'").rows[0][0], "still here");
}

INSTANTIATE_TEST_SUITE_P(Servers, LoginTest,
                         testing::Values(Combination{Engine::kMySql, false, false}, Combination{Engine::kMySql, true, false},
                                         Combination{Engine::kMySql, false, true}, Combination{Engine::kMySql, true, true},
                                         Combination{Engine::kMariaDb, false, false}, Combination{Engine::kMariaDb, true, false}),
                         [](const auto& info) {
                           return servers::EngineName(info.param.engine) + (info.param.client_tls ? "_tls" : "_clear") +
                                  (info.param.backend_tls ? "_tls" : "_clear");
                         });

// A client need not wait for anything behind its TLS request: the handshake may come in the same segment.
TEST(ClientTls, AHandshakeRightBehindTheRequest) {
  ScriptedBackend backend([](Peer& peer) { BackendLogin(peer); });
  TestCertificate certificate;
  ProxyUnderTest proxy(backend.port(), [&](config::Config* config) {
    config->listeners[0].tls_certificate = certificate.certificate;
    config->listeners[0].tls_key = certificate.key;
  });
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  for (const bool stuffed : {false, true}) {
    Peer peer = ConnectTo(proxy.port());
    ASSERT_TRUE(peer.ReceiveFrame().has_value());
    SSL* ssl = SSL_new(context);
    BIO* from_proxy = BIO_new(BIO_s_mem());
    BIO* to_proxy = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, from_proxy, to_proxy);
    SSL_set_connect_state(ssl);
    EXPECT_LT(SSL_do_handshake(ssl), 0);
    const auto made = [&] {
      char* data = nullptr;
      const long size = BIO_get_mem_data(to_proxy, &data);
      std::string bytes(data, static_cast<size_t>(size));
      (void)BIO_reset(to_proxy);
      return bytes;
    };
    protocol::Login login;
    login.capabilities = kPeerCapabilities;
    login.max_packet = 1 << 24;
    login.charset = 45;
    std::string bytes;
    protocol::AppendFrames(protocol::BuildSslRequest(login), 1, &bytes);
    if (stuffed) protocol::AppendFrames(LoginPayload(), 2, &bytes);  // in clear: never taken for a login
    ASSERT_TRUE(peer.Send(bytes + made()));
    if (!stuffed) {
      while (SSL_is_init_finished(ssl) == 0) {
        const std::string byte = peer.Receive(1);
        ASSERT_EQ(byte.size(), 1u);
        BIO_write(from_proxy, byte.data(), 1);
        SSL_do_handshake(ssl);
        ASSERT_TRUE(peer.Send(made()));
      }
      std::string frame;
      protocol::AppendFrames(LoginPayload(), 2, &frame);
      ASSERT_GT(SSL_write(ssl, frame.data(), static_cast<int>(frame.size())), 0);
      ASSERT_TRUE(peer.Send(made()));
      char reply[64];
      int n = 0;
      while ((n = SSL_read(ssl, reply, sizeof reply)) <= 0) {
        const std::string byte = peer.Receive(1);
        ASSERT_EQ(byte.size(), 1u);
        BIO_write(from_proxy, byte.data(), 1);
      }
      EXPECT_GT(n, 4);
      EXPECT_EQ(reply[4], 0) << "an OK";
    } else {
      std::string answer;
      for (std::string byte = peer.Receive(1); !byte.empty(); byte = peer.Receive(1)) answer += byte;
      EXPECT_LE(answer.size(), 16u) << "no more than a TLS alert: " << answer;
    }
    SSL_free(ssl);
  }
  SSL_CTX_free(context);
}

TEST(BackendTls, ACertificateThatDoesNotFitIsRefusedBeforeTheLogin) {
  servers::Server* server = RunningServer(Engine::kMySql);
  if (server == nullptr) GTEST_SKIP() << "no mysql on this machine";
  TestCertificate other;
  auto config = std::make_shared<config::Config>();
  config->backends.push_back({"b", server->address(), config::TlsMode::kVerify, other.certificate});
  config->listeners.push_back({"127.0.0.1:0", "b", "", ""});
  config->limits.io_threads = 1;
  Server proxy(config);
  ASSERT_TRUE(proxy.Start().ok());
  MYSQL* connection = mysql_init(nullptr);
  EXPECT_EQ(mysql_real_connect(connection, "127.0.0.1", "root", "", nullptr, proxy.port(0), nullptr, 0), nullptr);
  EXPECT_THAT(std::string(mysql_error(connection)), testing::HasSubstr("certificate verify failed"));
  mysql_close(connection);
}

}  // namespace
}  // namespace crossfade::proxy

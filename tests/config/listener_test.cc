// SPDX-License-Identifier: Apache-2.0
// Networks, and what a listener and a backend may say about TLS and the PROXY protocol.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"

namespace crossfade::config {
namespace {

using ::testing::HasSubstr;

AddressBytes V4(const char* text) {
  AddressBytes bytes{};
  bytes[10] = bytes[11] = 0xFF;
  inet_pton(AF_INET, text, bytes.data() + 12);
  return bytes;
}
AddressBytes V6(const char* text) {
  AddressBytes bytes{};
  inet_pton(AF_INET6, text, bytes.data());
  return bytes;
}

TEST(Network, Contains) {
  EXPECT_TRUE(Contains(*ParseNetwork("10.0.0.0/8"), V4("10.255.0.1")));
  EXPECT_FALSE(Contains(*ParseNetwork("10.0.0.0/8"), V4("11.0.0.1")));
  EXPECT_TRUE(Contains(*ParseNetwork("10.0.0.0/8"), V6("::ffff:10.1.1.1")));
  EXPECT_TRUE(Contains(*ParseNetwork("192.0.2.128/25"), V4("192.0.2.200")));
  EXPECT_FALSE(Contains(*ParseNetwork("192.0.2.128/25"), V4("192.0.2.127")));
  EXPECT_TRUE(Contains(*ParseNetwork("192.0.2.7"), V4("192.0.2.7")));
  EXPECT_FALSE(Contains(*ParseNetwork("192.0.2.7"), V4("192.0.2.6")));
  EXPECT_TRUE(Contains(*ParseNetwork("0.0.0.0/0"), V4("8.8.8.8")));
  EXPECT_FALSE(Contains(*ParseNetwork("0.0.0.0/0"), V6("2001:db8::1")));
  EXPECT_TRUE(Contains(*ParseNetwork("::/0"), V6("2001:db8::1")));
  EXPECT_TRUE(Contains(*ParseNetwork("2001:db8::/33"), V6("2001:db8:7fff::1")));
  EXPECT_FALSE(Contains(*ParseNetwork("2001:db8::/33"), V6("2001:db8:8000::1")));
  EXPECT_FALSE(Contains(*ParseNetwork("unix"), V4("10.0.0.1")));
}

TEST(Network, WhatIsNone) {
  for (const char* text : {"", "*", "10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", "10.0.0.0/", "10.0.0.0/a", "10.0.0.0/8 ", "::/129", "host", "10.0.0.0/-1", "2001:db8::1/32"}) {
    EXPECT_FALSE(ParseNetwork(text)) << text;
  }
}

absl::StatusOr<Config> With(const std::string& listener, const std::string& backend = "address: \"h:1\"") {
  return Parse("listen:\n  - {address: \"127.0.0.1:1\", backend: b, " + listener + "}\nbackends: {b: {" + backend +
                   "}}\ncontrol: {backend: b, user: u}\n", "/etc/cf/c.yaml");
}

TEST(Listener, ProxyProtocolAndTls) {
  auto config = With("proxy_protocol: [\"10.0.0.0/8\", \"::1\"], tls: {certificate: c.pem, key: k.pem, required: true, client_ca: ca.pem, client_certificate: optional}",
                     "address: \"h:1\", proxy_protocol: v2, certificate: p.pem, key: q.pem");
  ASSERT_TRUE(config.ok()) << config.status();
  const Listener& listener = config->listeners[0];
  ASSERT_EQ(listener.proxy_protocol.size(), 2u);
  EXPECT_TRUE(Contains(listener.proxy_protocol[1], V6("::1")));
  EXPECT_TRUE(listener.tls_required);
  EXPECT_EQ(listener.tls_client_ca, "/etc/cf/ca.pem");
  EXPECT_EQ(listener.client_certificate, ClientCertificate::kOptional);
  EXPECT_EQ(config->backends[0].proxy_protocol, ProxyProtocol::kV2);
  EXPECT_EQ(config->backends[0].certificate, "/etc/cf/p.pem");
  EXPECT_EQ(config->backends[0].key, "/etc/cf/q.pem");

  config = With("tls: {generate: true, folder: made}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->listeners[0].offers_tls());
  EXPECT_FALSE(config->listeners[0].tls_required);
  EXPECT_EQ(config->listeners[0].tls_folder, "/etc/cf/made");
  config = With("tls: {generate: true, client_ca: ca.pem, client_certificate: required}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->listeners[0].tls_required) << "no certificate without TLS";
}

TEST(Listener, ErrorsNameTheKey) {
  struct Case {
    const char *listener, *backend, *reason;
  };
  const Case cases[] = {
      {"proxy_protocol: [\"10.0.0.1/8\"]", "address: \"h:1\"", "c.yaml:2: listen[0].proxy_protocol: '10.0.0.1/8' is no network"},
      {"proxy_protocol: [unix]", "address: \"h:1\"", "'unix' is for listeners on a unix socket"},
      {"proxy_protocol: 10.0.0.0/8", "address: \"h:1\"", "a list is needed"},
      {"tls: {generate: true, key: k}", "address: \"h:1\"", "listen[0].tls.key: is of no use"},
      {"tls: {generate: maybe}", "address: \"h:1\"", "neither true nor false"},
      {"tls: {certificate: c, key: k, folder: f}", "address: \"h:1\"", "'generate: true' only"},
      {"tls: {generate: true, client_ca: c}", "address: \"h:1\"", "listen[0].tls.client_ca: is used with"},
      {"tls: {generate: true, client_certificate: required}", "address: \"h:1\"", "needs 'client_ca:'"},
      {"tls: {generate: true, client_ca: c, client_certificate: sometimes}", "address: \"h:1\"", "'sometimes' is neither"},
      {"tls: {generate: true, requried: true}", "address: \"h:1\"", "unknown key 'requried'"},
      {"tls: {generate: true}", "address: \"h:1\", proxy_protocol: v3", "backends.b.proxy_protocol: 'v3' is neither v1 nor v2"},
      {"tls: {generate: true}", "address: \"h:1\", certificate: c", "stand together"},
      {"tls: {generate: true}", "address: \"h:1\", tls: disabled, certificate: c, key: k", "of no use with 'tls: disabled'"},
  };
  for (const Case& c : cases) {
    const auto config = With(c.listener, c.backend);
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(c.reason)) << c.listener;
  }
}

}  // namespace
}  // namespace crossfade::config

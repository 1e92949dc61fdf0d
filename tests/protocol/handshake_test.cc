// SPDX-License-Identifier: Apache-2.0
// The connection phase: greetings and logins as real servers and clients send them (vectors.csv), every form that a
// login can have, every message cut at every byte, and lengths up to 2^64-1.
#include "protocol/handshake.h"

#include <gtest/gtest.h>

#include "protocol/codec.h"
#include "tests/protocol/vectors.h"

namespace crossfade::protocol {
namespace {

TEST(Handshake, CapturedGreetingsAreBuiltBackByteForByte) {
  size_t seen = 0;
  for (const Vector& vector : Vectors()) {
    if (vector.kind != "greeting") continue;
    SCOPED_TRACE(vector.engine);
    ++seen;
    Exact bytes(vector.parts[0]);
    const auto greeting = ParseGreeting(bytes.view());
    ASSERT_TRUE(greeting.ok()) << greeting.status();
    EXPECT_EQ(ToHex(BuildGreeting(*greeting)), ToHex(bytes.view()));
    EXPECT_EQ(greeting->scramble.size(), 20u);
    EXPECT_TRUE(greeting->capabilities & kClientProtocol41);
    const bool mariadb = vector.engine == "mariadb";
    EXPECT_EQ((greeting->capabilities >> 32) != 0, mariadb) << "only MariaDB has an upper half";
    EXPECT_EQ((greeting->capabilities & kMariaDbCacheMetadata) != 0, mariadb);
    EXPECT_EQ((greeting->capabilities & kClientLongPassword) == 0, mariadb);
    EXPECT_EQ(greeting->auth_plugin, mariadb ? "mysql_native_password" : "caching_sha2_password");
    EXPECT_NE(greeting->server_version.find(mariadb ? "MariaDB" : "9."), std::string::npos);
    for (size_t cut = 0; cut < bytes.view().size(); ++cut) {
      Exact part(bytes.view().substr(0, cut));
      EXPECT_FALSE(ParseGreeting(part.view()).ok()) << "cut at " << cut;
    }
  }
  EXPECT_EQ(seen, 2u);
}

TEST(Handshake, CapturedLoginsAreBuiltBackByteForByte) {
  size_t seen = 0;
  for (const Vector& vector : Vectors()) {
    if (vector.kind != "login") continue;
    SCOPED_TRACE(vector.engine + " " + vector.name);
    ++seen;
    Exact bytes(vector.parts[0]);
    const auto login = ParseLogin(bytes.view());
    ASSERT_TRUE(login.ok()) << login.status();
    if (bytes.view().size() == 32) {
      EXPECT_TRUE(login->capabilities & kClientSsl);
      EXPECT_EQ(login->user, "");
      EXPECT_EQ(ToHex(BuildSslRequest(*login)), ToHex(bytes.view()));
      continue;
    }
    std::string expected = ToHex(bytes.view());
    if (vector.name == "node_mariadb") {  // its attributes' length comes in a longer form than needed
      const size_t length = expected.find("00fc", 64);
      ASSERT_NE(length, std::string::npos);
      expected.erase(length + 2, 2).erase(length + 4, 2);
    }
    EXPECT_EQ(ToHex(BuildLogin(*login)), expected);
    EXPECT_EQ(login->user, "app");
    EXPECT_TRUE(login->database.empty() || login->database == "zoo");
    EXPECT_EQ(login->rest, "");
    for (size_t cut = 0; cut < bytes.view().size(); ++cut) {
      Exact part(bytes.view().substr(0, cut));
      EXPECT_FALSE(ParseLogin(part.view()).ok()) << "cut at " << cut;
    }
  }
  EXPECT_GT(seen, 20u);
}

Login FullLogin(uint64_t capabilities) {
  Login login;
  login.capabilities = capabilities | kClientProtocol41;
  login.max_packet = 1 << 24;
  login.charset = 255;
  login.user = "app";
  login.auth_response = "secret";
  if (capabilities & kClientConnectWithDb) login.database = "zoo";
  if (capabilities & kClientPluginAuth) login.auth_plugin = "caching_sha2_password";
  if (capabilities & kClientConnectAttrs) login.connect_attributes = FromHex("035f6f73" "054c696e7578");
  if (capabilities & kClientZstdCompression) login.zstd_level = 7;
  return login;
}

TEST(Handshake, EveryFormOfLoginRoundTripsAndFailsWhenCut) {
  const uint64_t flags[] = {kClientLongPassword, kClientConnectWithDb, kClientSecureConnection, kClientPluginAuth,
                            kClientPluginAuthLenencData, kClientConnectAttrs, kClientZstdCompression};
  for (unsigned set = 0; set < 1u << std::size(flags); ++set) {
    uint64_t caps = 0;
    for (size_t i = 0; i < std::size(flags); ++i) caps |= set >> i & 1 ? flags[i] : 0;
    if (!(caps & kClientLongPassword)) caps |= kMariaDbProgress | kMariaDbCacheMetadata;
    const Login login = FullLogin(caps);
    Exact bytes(BuildLogin(login));
    const auto back = ParseLogin(bytes.view());
    ASSERT_TRUE(back.ok()) << set;
    EXPECT_EQ(back->capabilities, login.capabilities);
    EXPECT_EQ(back->max_packet, login.max_packet);
    EXPECT_EQ(back->charset, login.charset);
    EXPECT_EQ(back->user, login.user);
    EXPECT_EQ(back->auth_response, login.auth_response);
    EXPECT_EQ(back->database, login.database);
    EXPECT_EQ(back->auth_plugin, login.auth_plugin);
    EXPECT_EQ(back->connect_attributes, login.connect_attributes);
    EXPECT_EQ(back->zstd_level, login.zstd_level);
    EXPECT_EQ(ToHex(BuildLogin(*back)), ToHex(bytes.view()));
    for (size_t cut = 0; cut < bytes.view().size(); ++cut) {
      Exact part(bytes.view().substr(0, cut));
      EXPECT_FALSE(ParseLogin(part.view()).ok()) << set << " cut at " << cut;
    }
  }
}

TEST(Handshake, WhatFollowsALoginIsKept) {
  const std::string bytes = BuildLogin(FullLogin(kClientLongPassword | kClientPluginAuth)) + "more";
  const auto login = ParseLogin(bytes);
  ASSERT_TRUE(login.ok());
  EXPECT_EQ(login->rest, "more");
  EXPECT_EQ(BuildLogin(*login), bytes);
}

TEST(Handshake, LongAuthenticationData) {
  Login login = FullLogin(kClientLongPassword | kClientSecureConnection | kClientPluginAuth | kClientPluginAuthLenencData);
  login.auth_response.assign(70000, 'x');
  const auto back = ParseLogin(BuildLogin(login));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->auth_response, login.auth_response);
  login.capabilities &= ~uint64_t{kClientPluginAuthLenencData};
  const auto cut = ParseLogin(BuildLogin(login));
  ASSERT_TRUE(cut.ok()) << "still well-formed";
  EXPECT_EQ(cut->auth_response.size(), 255u);
  EXPECT_EQ(cut->auth_plugin, login.auth_plugin);
}

TEST(Handshake, HugeLengthsAreErrors) {
  Login login = FullLogin(kClientLongPassword | kClientPluginAuth | kClientPluginAuthLenencData);
  login.auth_response = "";
  std::string head = BuildLogin(login);
  const std::string plugin = login.auth_plugin + '\0';
  head.resize(head.size() - plugin.size() - 1);
  for (const char* length : {"feffffffffffffffff", "feffffffff00000001", "fdffffff", "fcffff", "fb", "ff", "fc0000"}) {
    Exact bytes(head + FromHex(length) + plugin);
    EXPECT_FALSE(ParseLogin(bytes.view()).ok()) << "authentication data, " << length;
  }
  // The attributes' length as a whole, a key's, and a value's.
  login = FullLogin(kClientLongPassword | kClientSecureConnection);
  login.capabilities |= kClientConnectAttrs;
  std::string plain = BuildLogin(login);
  plain.pop_back();  // the attributes' length, 0
  for (const char* attributes : {"feffffffffffffffff", "feffffffffffffffff035f6f73054c696e7578", "fc0100",
                                 "09feffffffffffffffff", "0d035f6f73feffffffffffffffff", "0403616263", "05036162630 5", "0361"}) {
    Exact bytes(plain + FromHex(attributes));
    EXPECT_FALSE(ParseLogin(bytes.view()).ok()) << "attributes " << attributes;
  }
  Exact none(plain + FromHex("00"));
  EXPECT_TRUE(ParseLogin(none.view()).ok());
  Exact empty_pair(plain + FromHex("020000"));
  EXPECT_TRUE(ParseLogin(empty_pair.view()).ok());
}

TEST(Handshake, SslRequestOnlyWithItsFlag) {
  Login login = FullLogin(kMariaDbStmtBulk | kClientSecureConnection);
  std::string request = BuildSslRequest(login);
  ASSERT_EQ(request.size(), 32u);
  const auto back = ParseLogin(request);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->capabilities, login.capabilities | kClientSsl);
  EXPECT_EQ(back->user, "");
  request[1] = static_cast<char>(request[1] & ~(kClientSsl >> 8));
  EXPECT_FALSE(ParseLogin(request).ok()) << "a login that was cut";
}

TEST(Handshake, ProtocolsBefore41AreErrors) {
  Login login = FullLogin(kClientLongPassword);
  login.capabilities &= ~uint64_t{kClientProtocol41};
  EXPECT_FALSE(ParseLogin(BuildLogin(login)).ok());
  Greeting greeting;
  std::string bytes = BuildGreeting(greeting);
  EXPECT_TRUE(ParseGreeting(bytes).ok());
  bytes[0] = 9;
  EXPECT_FALSE(ParseGreeting(bytes).ok());
  EXPECT_FALSE(ParseGreeting("\xff\x10\x04Too many connections").ok());
}

TEST(Handshake, GreetingsOfOtherShapes) {
  Greeting greeting;
  greeting.server_version = "5.7.0";
  greeting.scramble = "12345678abcdefghijkl";
  for (uint64_t caps : {uint64_t{kClientLongPassword}, kClientLongPassword | uint64_t{kClientPluginAuth}, uint64_t{kMariaDbProgress}}) {
    greeting.capabilities = caps;
    greeting.auth_plugin = caps & kClientPluginAuth ? "p" : "";
    Exact bytes(BuildGreeting(greeting));
    const auto back = ParseGreeting(bytes.view());
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->capabilities, caps);
    EXPECT_EQ(back->scramble, greeting.scramble);
    EXPECT_EQ(back->auth_plugin, greeting.auth_plugin);
  }
  // A plugin with longer data than MySQL's own, and one with a stated length below 8.
  greeting.capabilities = kClientLongPassword | kClientPluginAuth;
  greeting.scramble = std::string(60, 's');
  Exact longer(BuildGreeting(greeting));
  auto back = ParseGreeting(longer.view());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->scramble, greeting.scramble);
  for (size_t size : {254u, 255u}) {
    greeting.scramble.assign(size, 's');
    back = ParseGreeting(BuildGreeting(greeting));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->scramble, greeting.scramble) << "the longest that its length byte can tell";
  }
  greeting.scramble.resize(60);
  std::string shorter = BuildGreeting(greeting);
  shorter[1 + 6 + 4 + 8 + 1 + 2 + 1 + 2 + 2] = 1;
  back = ParseGreeting(shorter);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->scramble.size(), 21u) << "13 bytes at least";
}

TEST(Handshake, AuthSwitchKeepsItsDataAsSent) {
  Exact bytes(FromHex("fe") + std::string("caching_sha2_password\0", 22) + std::string("abcdefghijklmnopqrst\0", 21));
  const auto request = ParseAuthSwitch(bytes.view());
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->plugin, "caching_sha2_password");
  EXPECT_EQ(request->data.size(), 21u) << "the closing 0 included";
  EXPECT_EQ(BuildAuthSwitch(*request), bytes.view());
  for (size_t cut = 0; cut < 23; ++cut) {
    Exact part(bytes.view().substr(0, cut));
    EXPECT_FALSE(ParseAuthSwitch(part.view()).ok()) << cut;
  }
  EXPECT_FALSE(ParseAuthSwitch(std::string("\1abc\0", 5)).ok());
}

TEST(Handshake, ChangeUserRoundTripsAndFailsWhenCut) {
  for (uint64_t caps : {uint64_t{0}, uint64_t{kClientSecureConnection}, kClientSecureConnection | uint64_t{kClientPluginAuth},
                        kClientSecureConnection | kClientPluginAuth | uint64_t{kClientConnectAttrs}}) {
    for (bool has_charset : {false, true}) {
      ChangeUser request;
      request.user = "app", request.auth_response = "secret", request.database = "zoo";
      request.has_charset = has_charset;
      if (has_charset) {
        request.charset = 300;
        if (caps & kClientPluginAuth) request.auth_plugin = "caching_sha2_password";
        if (caps & kClientConnectAttrs) request.connect_attributes = FromHex("035f6f73054c696e7578");
      }
      const std::string built = BuildChangeUser(request, caps);
      EXPECT_EQ(built[0], 17);
      Exact bytes(std::string_view(built).substr(1));
      const auto back = ParseChangeUser(bytes.view(), caps);
      ASSERT_TRUE(back.ok());
      EXPECT_EQ(back->user, "app");
      EXPECT_EQ(back->auth_response, "secret");
      EXPECT_EQ(back->database, "zoo");
      EXPECT_EQ(back->has_charset, has_charset);
      EXPECT_EQ(BuildChangeUser(*back, caps), built);
      const size_t short_form = caps & kClientSecureConnection ? 4 + 7 + 4 : 4 + 7 + 4;
      for (size_t cut = 0; cut < bytes.view().size(); ++cut) {
        Exact part(bytes.view().substr(0, cut));
        EXPECT_EQ(ParseChangeUser(part.view(), caps).ok(), cut == short_form) << cut << ": whole only where old clients end";
      }
    }
  }
  Exact huge(std::string("app\0\0\0\x2d\0p\0", 10) + FromHex("feffffffffffffffff"));
  EXPECT_FALSE(ParseChangeUser(huge.view(), kClientSecureConnection | kClientPluginAuth | kClientConnectAttrs).ok());
}

TEST(Handshake, AuthenticationSteps) {
  EXPECT_EQ(ClassifyAuth(""), AuthStep::kInvalid);
  EXPECT_EQ(ClassifyAuth(std::string("\0\0\0\2\0\0\0", 7)), AuthStep::kOk);
  EXPECT_EQ(ClassifyAuth("\xff\x15\x04"), AuthStep::kError);
  EXPECT_EQ(ClassifyAuth("\xfe"), AuthStep::kSwitch);
  EXPECT_EQ(ClassifyAuth("\x01\x03"), AuthStep::kFastAuthOk);
  EXPECT_EQ(ClassifyAuth("\x01\x04"), AuthStep::kFullAuth);
  EXPECT_EQ(ClassifyAuth("\x01\x05"), AuthStep::kMoreData);
  EXPECT_EQ(ClassifyAuth("\x01-----BEGIN PUBLIC KEY-----"), AuthStep::kMoreData);
  EXPECT_EQ(ClassifyAuth(BuildMoreData("key")), AuthStep::kMoreData);
  EXPECT_EQ(ClassifyAuth("\x02next"), AuthStep::kNextFactor);
  EXPECT_EQ(ClassifyAuth("\x03"), AuthStep::kInvalid);
}

}  // namespace
}  // namespace crossfade::protocol

// SPDX-License-Identifier: Apache-2.0
// The RSA half of caching_sha2_password: our own two sides agree, other keys, cut and noisy input are errors.
#include <gtest/gtest.h>

#include "protocol/handshake.h"
#include "tests/protocol/exact.h"

namespace crossfade::protocol {
namespace {

const std::string kScramble = "abcdefghijklmnopqrst";

const RsaKey& TheKey() {
  static const RsaKey* key = new RsaKey(*RsaKey::Generate());
  return *key;
}

TEST(Rsa, WhatIsEncryptedIsDecrypted) {
  const RsaKey& key = TheKey();
  EXPECT_EQ(key.public_key_pem().rfind("-----BEGIN PUBLIC KEY-----\n", 0), 0u);
  for (size_t size : {1u, 7u, 20u, 21u, 100u, 214u}) {
    std::string password(size - 1, 'p');
    password += '\0';
    Exact pem(key.public_key_pem());
    const auto encrypted = EncryptPassword(password, kScramble, pem.view());
    ASSERT_TRUE(encrypted.ok()) << encrypted.status();
    EXPECT_EQ(encrypted->size(), 256u);
    Exact sent(*encrypted);
    const auto back = key.DecryptPassword(sent.view(), kScramble + '\0');
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, password) << "the scramble's closing 0 does not count";
    const auto other = key.DecryptPassword(sent.view(), "zyxwvutsrqponmlkjihg");
    ASSERT_TRUE(other.ok());
    EXPECT_NE(*other, password);
  }
}

TEST(Rsa, BadInputIsAnError) {
  const RsaKey& key = TheKey();
  EXPECT_FALSE(EncryptPassword(std::string(215, 'x'), kScramble, key.public_key_pem()).ok()) << "more than OAEP can hold";
  EXPECT_FALSE(EncryptPassword("x", "", key.public_key_pem()).ok());
  EXPECT_FALSE(EncryptPassword("x", kScramble, "").ok());
  EXPECT_FALSE(EncryptPassword("x", kScramble, "no key").ok());
  const size_t end = key.public_key_pem().find("-----END");
  for (size_t cut = 0; cut < end; cut += 7) {
    Exact part(std::string_view(key.public_key_pem()).substr(0, cut));
    EXPECT_FALSE(EncryptPassword("x", kScramble, part.view()).ok()) << cut;
  }
  EXPECT_FALSE(key.DecryptPassword("", kScramble).ok());
  EXPECT_FALSE(key.DecryptPassword("short", kScramble).ok());
  EXPECT_FALSE(key.DecryptPassword(std::string(256, '\xff'), kScramble).ok());
  EXPECT_FALSE(key.DecryptPassword(std::string(256, 'x'), "").ok());
  const auto other = RsaKey::Generate();
  ASSERT_TRUE(other.ok());
  EXPECT_FALSE(key.DecryptPassword(*EncryptPassword("x", kScramble, other->public_key_pem()), kScramble).ok());
}

TEST(Rsa, KeysMove) {
  auto first = RsaKey::Generate();
  ASSERT_TRUE(first.ok());
  const std::string pem = first->public_key_pem();
  RsaKey second(std::move(*first));
  EXPECT_EQ(second.public_key_pem(), pem);
  RsaKey third = *RsaKey::Generate();
  third = std::move(second);
  EXPECT_EQ(third.public_key_pem(), pem);
}

// As a server may send it: with other line ends, or a 0 after it.
TEST(Rsa, AcceptsServerKeysInBothPemForms) {
  const RsaKey& key = TheKey();
  std::string crlf;
  for (char c : key.public_key_pem()) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_TRUE(EncryptPassword("x", kScramble, crlf).ok());
  EXPECT_TRUE(EncryptPassword("x", kScramble, key.public_key_pem() + '\0').ok());
}

}  // namespace
}  // namespace crossfade::protocol

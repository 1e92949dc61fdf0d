// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol's header: both versions, cut at every byte, and everything that is none.
#include "protocol/proxy_header.h"

#include <gtest/gtest.h>

#include "tests/protocol/exact.h"

namespace crossfade::protocol {
namespace {

using Result = ProxyHeaderResult;
using namespace std::string_literals;

constexpr char kSignature[] = "\r\n\r\n\0\r\nQUIT\n";

std::string V2(uint8_t command, uint8_t family, const std::string& body) {
  std::string out(kSignature, 12);
  out.push_back(static_cast<char>(command));
  out.push_back(static_cast<char>(family));
  out.push_back(static_cast<char>(body.size() >> 8));
  out.push_back(static_cast<char>(body.size()));
  return out + body;
}

const std::string kTcp4 = "\xC0\x00\x02\x07\x0A\x01\x02\x03\x12\x34\x0C\xEA"s;  // 192.0.2.7:4660 -> 10.1.2.3:3306

std::string Tlv(uint8_t type, const std::string& value) {
  return std::string{static_cast<char>(type), static_cast<char>(value.size() >> 8), static_cast<char>(value.size())} + value;
}

std::string WithCrc(uint32_t flip) {
  std::string header = V2(0x21, 0x11, kTcp4 + Tlv(0x04, "noop") + Tlv(0x03, "\0\0\0\0"s) + Tlv(0x02, "db.example"));
  const uint32_t crc = Crc32c(header) ^ flip;
  const size_t at = header.find("\x03\0\4"s) + 3;
  for (int i = 0; i < 4; ++i) header[at + i] = static_cast<char>(crc >> (24 - 8 * i));
  return header;
}

Result Parse(const std::string& bytes, ProxyHeader* header = nullptr, size_t* consumed = nullptr) {
  ProxyHeader own;
  size_t size = 0;
  return ParseProxyHeader(bytes, header != nullptr ? header : &own, consumed != nullptr ? consumed : &size);
}

TEST(ProxyHeader, Crc32cOfTheStandardsVector) { EXPECT_EQ(Crc32c("123456789"), 0xE3069283u); }

TEST(ProxyHeader, WholeOnesAndWhatFollowsThem) {
  struct Case {
    std::string bytes, source, destination;
    bool local;
  };
  const Case cases[] = {
      {"PROXY TCP4 192.0.2.7 10.1.2.3 4660 3306\r\n", "192.0.2.7:4660", "10.1.2.3:3306", false},
      {"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "[2001:db8::1]:65535", "[::1]:0", false},
      {"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.1.2.3 1 2\r\n", "192.0.2.7:1", "10.1.2.3:2", false},
      {"PROXY UNKNOWN\r\n", "unix socket", "unix socket", true},
      {"PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535\r\n", "unix socket", "unix socket", true},
      {V2(0x21, 0x11, kTcp4), "192.0.2.7:4660", "10.1.2.3:3306", false},
      {V2(0x21, 0x21, std::string(15, '\0') + "\1"s + std::string(15, '\0') + "\2\0\1\0\2"s), "[::1]:1", "[::2]:2", false},
      {V2(0x21, 0x31, std::string(216, 'p')), "unix socket", "unix socket", false},
      {V2(0x20, 0x00, ""), "unix socket", "unix socket", true},
      {V2(0x20, 0x11, kTcp4), "unix socket", "unix socket", true},
      {V2(0x21, 0x00, "anything"), "unix socket", "unix socket", true},
      {V2(0x21, 0x11, kTcp4 + Tlv(0xEA, std::string(500, 'a')) + Tlv(0x20, "")), "192.0.2.7:4660", "10.1.2.3:3306", false},
      {WithCrc(0), "192.0.2.7:4660", "10.1.2.3:3306", false},
  };
  for (const Case& c : cases) {
    ProxyHeader header;
    size_t consumed = 0;
    ASSERT_EQ(Parse(c.bytes + "more\r\n", &header, &consumed), Result::kDone) << c.bytes;
    EXPECT_EQ(consumed, c.bytes.size());
    EXPECT_EQ(ToText(header.source), c.source);
    EXPECT_EQ(ToText(header.destination), c.destination);
    EXPECT_EQ(header.local, c.local) << c.bytes;
    for (size_t cut = 0; cut < c.bytes.size(); ++cut) {
      const Exact exact(std::string_view(c.bytes).substr(0, cut));
      ASSERT_EQ(ParseProxyHeader(exact.view(), &header, &consumed), Result::kNeedMore) << cut << " of " << c.bytes;
    }
  }
}

TEST(ProxyHeader, WhatIsNoneIsSaidAtTheFirstByteThatTells) {
  for (const std::string& bytes : {"\x20"s, "PROXx"s, "PROXY\r"s, "\r\n\r\r"s, "GET / HTTP/1.1"s, "\x16\x03\x01"s, "proxy "s}) {
    EXPECT_EQ(Parse(bytes), Result::kNotOne) << bytes;
  }
}

TEST(ProxyHeader, Malformed) {
  for (const std::string& bytes : {
           "PROXY TCP4 192.0.2.7 10.1.2.3 4660 3306\n"s, "PROXY TCP4 192.0.2.7 10.1.2.3 4660\r\n"s,
           "PROXY TCP4 192.0.2.7 10.1.2.3 4660 3306 \r\n"s, "PROXY TCP4  192.0.2.7 10.1.2.3 4660 3306\r\n"s,
           "PROXY TCP4 192.0.2.7 10.1.2.3 04660 3306\r\n"s, "PROXY TCP4 192.0.2.7 10.1.2.3 66000 3306\r\n"s,
           "PROXY TCP4 192.0.2.7 10.1.2.3 -1 3306\r\n"s, "PROXY TCP4 ::1 ::1 1 2\r\n"s, "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"s,
           "PROXY TCP4 192.0.2.7\0 10.1.2.3 1 2\r\n"s, "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"s, "PROXY \r\n"s, "PROXY \n"s,
           "PROXY UNKNOWN "s + std::string(200, 'x'), "PROXY TCP4 192.0.2.7 10.1.2.3 1 "s + std::string(90, '1')}) {
    EXPECT_EQ(Parse(bytes), Result::kMalformed) << bytes;
  }
  EXPECT_EQ(Parse(V2(0x11, 0x11, kTcp4)), Result::kMalformed) << "version";
  EXPECT_EQ(Parse(V2(0x22, 0x11, kTcp4)), Result::kMalformed) << "command";
  EXPECT_EQ(Parse(V2(0x21, 0x12, kTcp4)), Result::kMalformed) << "a datagram";
  EXPECT_EQ(Parse(V2(0x21, 0x11, kTcp4.substr(1))), Result::kMalformed) << "short addresses";
  EXPECT_EQ(Parse(V2(0x21, 0x11, kTcp4 + "\x01"s)), Result::kMalformed) << "an extension cut short";
  EXPECT_EQ(Parse(V2(0x21, 0x11, kTcp4 + "\x01\x00\x05 1234"s.substr(0, 6))), Result::kMalformed) << "and one that overruns";
  EXPECT_EQ(Parse(V2(0x21, 0x11, kTcp4 + Tlv(0x03, "abc"))), Result::kMalformed) << "a checksum of three bytes";
  for (int bit = 0; bit < 32; ++bit) EXPECT_EQ(Parse(WithCrc(1u << bit)), Result::kBadChecksum);
  EXPECT_EQ(Parse(V2(0x21, 0x11, kTcp4 + Tlv(0x04, std::string(kProxyHeaderLimit, 'x')))), Result::kTooLarge);
  EXPECT_EQ(Parse(V2(0x21, 0x11, std::string(0xFFFF, 'x')).substr(0, 16)), Result::kTooLarge) << "seen from its head alone";
}

TEST(ProxyHeader, BuildAndReadAgain) {
  ProxyHeader headers[3];
  size_t consumed = 0;
  ASSERT_EQ(Parse(V2(0x21, 0x11, kTcp4), &headers[0], &consumed), Result::kDone);
  ASSERT_EQ(Parse("PROXY TCP6 2001:db8::1 ::1 65535 1\r\n", &headers[1], &consumed), Result::kDone);
  headers[2].source = headers[0].source;  // mixed kinds
  headers[2].destination = headers[1].destination;
  for (const ProxyHeader& header : headers) {
    for (const std::string& bytes : {BuildProxyHeaderV1(header), BuildProxyHeaderV2(header)}) {
      ProxyHeader read;
      ASSERT_EQ(Parse(bytes, &read, &consumed), Result::kDone) << bytes;
      EXPECT_EQ(consumed, bytes.size());
      EXPECT_EQ(read.source, header.source);
      EXPECT_EQ(read.destination, header.destination);
      EXPECT_FALSE(read.local);
    }
  }
  EXPECT_EQ(BuildProxyHeaderV1(headers[0]), "PROXY TCP4 192.0.2.7 10.1.2.3 4660 3306\r\n");
  EXPECT_EQ(BuildProxyHeaderV2(headers[0]), V2(0x21, 0x11, kTcp4));
  EXPECT_EQ(BuildProxyHeaderV1({}), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(BuildProxyHeaderV2({}), V2(0x20, 0x00, ""));
}

}  // namespace
}  // namespace crossfade::protocol

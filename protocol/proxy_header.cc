// SPDX-License-Identifier: Apache-2.0
// See proxy_header.h.
//   v1: "PROXY" SP ("TCP4" | "TCP6") SP source SP destination SP port SP port CRLF | "PROXY UNKNOWN" anything CRLF,
//       107 bytes at most
//   v2: signature(12) version-and-command(1) family-and-protocol(1) length(2, big endian) addresses TLV*
//       TLV: type(1) length(2, big endian) value
#include "protocol/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "fmt/format.h"

namespace crossfade::protocol {
namespace {

constexpr std::string_view kV1 = "PROXY ";
constexpr std::string_view kV2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV1Limit = 107;
constexpr size_t kV2Head = 16;
constexpr uint8_t kTypeCrc32c = 0x03;

uint8_t Byte(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
uint16_t BigEndian(std::string_view bytes, size_t at) { return static_cast<uint16_t>(Byte(bytes, at) << 8 | Byte(bytes, at + 1)); }

void AppendBigEndian(uint16_t value, std::string* out) {
  out->push_back(static_cast<char>(value >> 8));
  out->push_back(static_cast<char>(value));
}

SocketAddress V4(std::string_view four, uint16_t port) {
  SocketAddress address;
  address.bytes[10] = address.bytes[11] = 0xFF;
  std::memcpy(address.bytes.data() + 12, four.data(), 4);
  address.port = port;
  address.known = true;
  return address;
}

SocketAddress V6(std::string_view sixteen, uint16_t port) {
  SocketAddress address;
  std::memcpy(address.bytes.data(), sixteen.data(), 16);
  address.port = port;
  address.known = true;
  return address;
}

// The word up to the next space, which is taken too; `last`: all that is left.
std::string_view Word(std::string_view* line, bool last) {
  const size_t end = last ? line->size() : std::min(line->find(' '), line->size());
  const std::string_view word = line->substr(0, end);
  line->remove_prefix(std::min(end + 1, line->size()));
  return word;
}

bool ReadPort(std::string_view text, uint16_t* port) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), *port);
  return error == std::errc() && stop == text.data() + text.size();
}

bool ReadHost(std::string_view text, bool v4, SocketAddress* address) {
  const std::string host(text);
  if (host.find('\0') != std::string::npos) return false;  // inet_pton would stop there
  char bytes[16];
  if (::inet_pton(v4 ? AF_INET : AF_INET6, host.c_str(), bytes) != 1) return false;
  *address = v4 ? V4({bytes, 4}, 0) : V6({bytes, 16}, 0);
  return true;
}

ProxyHeaderResult ParseV1(std::string_view bytes, ProxyHeader* header, size_t* consumed) {
  const size_t end = bytes.substr(0, kV1Limit).find('\n');
  if (end == std::string_view::npos) return bytes.size() >= kV1Limit ? ProxyHeaderResult::kMalformed : ProxyHeaderResult::kNeedMore;
  std::string_view line = bytes.substr(kV1.size(), end - kV1.size());
  if (line.empty() || line.back() != '\r') return ProxyHeaderResult::kMalformed;
  line.remove_suffix(1);
  *consumed = end + 1;
  const std::string_view family = Word(&line, false);
  if (family == "UNKNOWN") {
    header->local = true;
    return ProxyHeaderResult::kDone;
  }
  if (family != "TCP4" && family != "TCP6") return ProxyHeaderResult::kMalformed;
  const bool v4 = family == "TCP4";
  bool ok = ReadHost(Word(&line, false), v4, &header->source);
  ok = ReadHost(Word(&line, false), v4, &header->destination) && ok;
  ok = ReadPort(Word(&line, false), &header->source.port) && ok;
  ok = ReadPort(Word(&line, true), &header->destination.port) && ok;
  return ok ? ProxyHeaderResult::kDone : ProxyHeaderResult::kMalformed;
}

// `extensions`: where they begin in the whole header.
ProxyHeaderResult CheckExtensions(std::string_view whole, size_t extensions) {
  bool checked = false;
  for (size_t at = extensions; at < whole.size();) {
    if (whole.size() - at < 3) return ProxyHeaderResult::kMalformed;
    const uint8_t type = Byte(whole, at);
    const size_t length = BigEndian(whole, at + 1);
    at += 3;
    if (whole.size() - at < length) return ProxyHeaderResult::kMalformed;
    if (type == kTypeCrc32c) {
      if (length != 4 || checked) return ProxyHeaderResult::kMalformed;
      checked = true;
      std::string zeroed(whole);
      std::memset(zeroed.data() + at, 0, 4);
      const uint32_t sent = static_cast<uint32_t>(BigEndian(whole, at)) << 16 | BigEndian(whole, at + 2);
      if (Crc32c(zeroed) != sent) return ProxyHeaderResult::kBadChecksum;
    }
    at += length;
  }
  return ProxyHeaderResult::kDone;
}

ProxyHeaderResult ParseV2(std::string_view bytes, ProxyHeader* header, size_t* consumed) {
  if (bytes.size() < kV2Head) return ProxyHeaderResult::kNeedMore;
  const uint8_t version = Byte(bytes, 12) >> 4, command = Byte(bytes, 12) & 15;
  if (version != 2 || command > 1) return ProxyHeaderResult::kMalformed;
  const size_t total = kV2Head + BigEndian(bytes, 14);
  if (total > kProxyHeaderLimit) return ProxyHeaderResult::kTooLarge;
  if (bytes.size() < total) return ProxyHeaderResult::kNeedMore;
  const std::string_view whole = bytes.substr(0, total);
  *consumed = total;
  size_t addresses = 0;
  switch (Byte(bytes, 13)) {
    case 0x00: break;                    // not told
    case 0x11: addresses = 12; break;    // TCP over IPv4
    case 0x21: addresses = 36; break;    // TCP over IPv6
    case 0x31: addresses = 216; break;   // a unix socket
    default: return ProxyHeaderResult::kMalformed;
  }
  if (total < kV2Head + addresses) return ProxyHeaderResult::kMalformed;
  const std::string_view body = whole.substr(kV2Head);
  header->local = command == 0 || addresses == 0;
  if (!header->local && addresses == 12) {
    header->source = V4(body, BigEndian(body, 8));
    header->destination = V4(body.substr(4), BigEndian(body, 10));
  } else if (!header->local && addresses == 36) {
    header->source = V6(body, BigEndian(body, 32));
    header->destination = V6(body.substr(16), BigEndian(body, 34));
  }
  // Of a family that is not told, the length may hold anything: only what follows known addresses is a list.
  return addresses == 0 ? ProxyHeaderResult::kDone : CheckExtensions(whole, kV2Head + addresses);
}

bool Tells(const ProxyHeader& header) { return !header.local && header.source.known && header.destination.known; }

}  // namespace

bool SocketAddress::is_v4() const {
  constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  return std::memcmp(bytes.data(), kMapped, sizeof kMapped) == 0;
}

std::string HostText(const SocketAddress& address) {
  if (!address.known) return "unix socket";
  char text[INET6_ADDRSTRLEN];
  const bool v4 = address.is_v4();
  ::inet_ntop(v4 ? AF_INET : AF_INET6, address.bytes.data() + (v4 ? 12 : 0), text, sizeof text);
  return text;
}

std::string ToText(const SocketAddress& address) {
  if (!address.known) return HostText(address);
  return address.is_v4() ? fmt::format("{}:{}", HostText(address), address.port) : fmt::format("[{}]:{}", HostText(address), address.port);
}

const char* Describe(ProxyHeaderResult result) {
  switch (result) {
    case ProxyHeaderResult::kNeedMore: return "cut short";
    case ProxyHeaderResult::kDone: return "whole";
    case ProxyHeaderResult::kNotOne: return "missing";
    case ProxyHeaderResult::kMalformed: return "malformed";
    case ProxyHeaderResult::kTooLarge: return "too large";
    case ProxyHeaderResult::kBadChecksum: return "with a wrong checksum";
  }
  return "";
}

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (0x82F63B78 & (0u - (crc & 1)));
  }
  return ~crc;
}

ProxyHeaderResult ParseProxyHeader(std::string_view bytes, ProxyHeader* header, size_t* consumed) {
  *header = {};
  *consumed = 0;
  ProxyHeaderResult result = ProxyHeaderResult::kNotOne;
  if (bytes.substr(0, kV1.size()) == kV1.substr(0, bytes.size())) {
    result = bytes.size() < kV1.size() ? ProxyHeaderResult::kNeedMore : ParseV1(bytes, header, consumed);
  } else if (bytes.substr(0, kV2.size()) == kV2.substr(0, bytes.size())) {
    result = bytes.size() < kV2.size() ? ProxyHeaderResult::kNeedMore : ParseV2(bytes, header, consumed);
  }
  if (result != ProxyHeaderResult::kDone) {
    *header = {};
    *consumed = 0;
  }
  return result;
}

std::string BuildProxyHeaderV1(const ProxyHeader& header) {
  if (!Tells(header)) return "PROXY UNKNOWN\r\n";
  const bool v4 = header.source.is_v4() && header.destination.is_v4();
  const auto host = [v4](const SocketAddress& address) {
    // Of one kind both: an IPv4 address beside an IPv6 one is written as ::ffff:a.b.c.d.
    const std::string text = HostText(address);
    return !v4 && address.is_v4() ? "::ffff:" + text : text;
  };
  return fmt::format("PROXY {} {} {} {} {}\r\n", v4 ? "TCP4" : "TCP6", host(header.source), host(header.destination),
                     header.source.port, header.destination.port);
}

std::string BuildProxyHeaderV2(const ProxyHeader& header) {
  std::string out(kV2);
  if (!Tells(header)) return out.append(std::string_view("\x20\0\0\0", 4));
  const bool v4 = header.source.is_v4() && header.destination.is_v4();
  out.push_back('\x21');
  out.push_back(v4 ? '\x11' : '\x21');
  AppendBigEndian(v4 ? 12 : 36, &out);
  for (const SocketAddress* address : {&header.source, &header.destination}) {
    out.append(reinterpret_cast<const char*>(address->bytes.data()) + (v4 ? 12 : 0), v4 ? 4 : 16);
  }
  AppendBigEndian(header.source.port, &out);
  AppendBigEndian(header.destination.port, &out);
  return out;
}

}  // namespace crossfade::protocol

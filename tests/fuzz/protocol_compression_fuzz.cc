// SPDX-License-Identifier: Apache-2.0
// The compressed protocol under any bytes: a peer's pieces, whatever they claim, are read or refused; and any bytes,
// packed as frames and cut at any place, come out as they went in. Input: method and peer, a seed of the cuts, the stream.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/compression.h"
#include "protocol/frame.h"

namespace crossfade::protocol {
namespace {

std::string ReadAll(CompressedLink* link, std::string_view stream, Packer* packer) {
  std::string out;
  for (;;) {
    CompressedLink::Piece piece;
    const std::vector<char> bytes(stream.begin(), stream.end());
    if (link->Look({bytes.data(), bytes.size()}, &piece) != CompressedLink::Result::kPiece) return out;
    if (piece.size > stream.size() || piece.plain > kMaxFramePayload) std::abort();
    std::vector<char> plain(piece.plain);
    if (!link->Take({bytes.data(), bytes.size()}, piece, packer, plain.data())) return out;
    out.append(plain.data(), plain.size());
    stream.remove_prefix(piece.size);
  }
}

}  // namespace
}  // namespace crossfade::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossfade::protocol;  // NOLINT
  if (size < 2) return 0;
  static Packer packer;
  const Compression method = data[0] & 1 ? Compression::kZlib : Compression::kZstd;
  const auto peer = data[0] & 2 ? CompressedLink::Peer::kClient : CompressedLink::Peer::kServer;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  CompressedLink hostile(method, 1, peer, 1 << 20);
  hostile.set_exchange((data[0] & 4) != 0);
  ReadAll(&hostile, stream, &packer);

  // The stream as the payloads of commands, as they would be sent to a server, and read there.
  std::string commands;
  uint32_t seed = data[1];
  for (std::string_view left = stream; !left.empty();) {
    seed = seed * 1664525 + 1013904223;
    const size_t n = std::min<size_t>(left.size(), seed >> 22);
    AppendFrames(left.substr(0, n), 0, &commands);
    left.remove_prefix(n);
  }
  CompressedLink client(method, 1, CompressedLink::Peer::kServer, 1 << 20), server(method, 1, CompressedLink::Peer::kClient, 1 << 20);
  std::string sent;
  for (std::string_view left = commands; !left.empty();) {
    seed = seed * 1664525 + 1013904223;
    std::string_view part = left.substr(0, std::min<size_t>(left.size(), (seed >> 20) + 1));
    left.remove_prefix(part.size());
    while (!part.empty()) part.remove_prefix(client.Append(part, &packer, &sent));
  }
  if (ReadAll(&server, sent, &packer) != commands) std::abort();
  return 0;
}

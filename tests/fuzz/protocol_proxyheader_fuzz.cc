// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol's header from any bytes, both versions: what is one is one whatever follows it and however it comes
// in pieces, stays within its limit, and says the same once it is built anew.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/proxy_header.h"

namespace crossfade::protocol {
namespace {

void Require(bool held) {
  if (!held) std::abort();
}

bool Same(const ProxyHeader& a, const ProxyHeader& b) { return a.local == b.local && a.source == b.source && a.destination == b.destination; }

void Rebuilt(const ProxyHeader& header, const std::string& bytes) {
  ProxyHeader again;
  size_t consumed = 0;
  Require(ParseProxyHeader(bytes + "\x4a", &again, &consumed) == ProxyHeaderResult::kDone);
  Require(consumed == bytes.size());
  if (header.source.known && header.destination.known && !header.local) Require(Same(header, again));
  else Require(again.local || !again.source.known);
}

}  // namespace
}  // namespace crossfade::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossfade::protocol;  // NOLINT
  // A block of its own: the sanitizer then sees the very end.
  const std::vector<char> block(data, data + size);
  const std::string_view bytes(block.data(), block.size());
  ProxyHeader header;
  size_t consumed = 0;
  const ProxyHeaderResult whole = ParseProxyHeader(bytes, &header, &consumed);
  (void)Describe(whole);
  Require(whole != ProxyHeaderResult::kNeedMore || size < kProxyHeaderLimit);

  // Byte by byte the verdict is the same; once it is there it does not change.
  ProxyHeaderResult result = ProxyHeaderResult::kNeedMore;
  ProxyHeader piecewise;
  size_t end = 0;
  const size_t step = size > 512 ? size / 64 : 1;
  for (size_t cut = 0; result == ProxyHeaderResult::kNeedMore && end == 0; cut += step) {
    const std::vector<char> part(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(std::min(cut, size)));
    result = ParseProxyHeader(std::string_view(part.data(), part.size()), &piecewise, &end);
    if (cut >= size) break;
  }
  if (whole != ProxyHeaderResult::kDone) {
    Require(result != ProxyHeaderResult::kDone);
    return 0;
  }
  Require(result == ProxyHeaderResult::kDone && end == consumed && Same(header, piecewise));
  Require(consumed > 0 && consumed <= size && consumed <= kProxyHeaderLimit);
  (void)ToText(header.source);
  (void)HostText(header.destination);
  Rebuilt(header, BuildProxyHeaderV1(header));
  Rebuilt(header, BuildProxyHeaderV2(header));
  return 0;
}

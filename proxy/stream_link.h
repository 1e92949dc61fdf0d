// SPDX-License-Identifier: Apache-2.0
// What a Stream has more where the compressed protocol is spoken: the bytes as they come, its sequence ids and lengths.
#pragma once

#include <string>

#include "proxy/stream.h"

namespace crossfade::proxy {

struct Stream::Link {
  Link(protocol::CompressedLink codec, protocol::Packer* packer, ChunkPool* pool) : codec(codec), packer(packer), raw(pool) {}
  protocol::CompressedLink codec;
  protocol::Packer* packer;  // of the io thread
  Buffer raw;
  std::string out;  // one piece; its memory is kept while more follow
};

}  // namespace crossfade::proxy

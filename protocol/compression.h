// SPDX-License-Identifier: Apache-2.0
// The compressed protocol (page_protocol_basic_compression): the stream of frames, cut into pieces, each behind
//   int<3> length of the piece as sent, int<1> sequence id, int<3> length before compression (0: sent as it is)
// Packer holds the libraries' contexts, one for all connections of a thread; CompressedLink is one connection's state.
// The sequence ids of the frames inside are not kept by servers (they jump to the outer ones at every flush) nor looked
// at by anyone, so a CompressedLink numbers what it reads anew, as an uncompressed connection would have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/constants.h"

namespace crossfade::protocol {

enum class Compression : uint8_t { kNone, kZlib, kZstd };
inline constexpr size_t kCompressedHeader = 7;
inline constexpr int kLowestZstdLevel = 1, kHighestZstdLevel = 22, kDefaultZstdLevel = 3;

class Packer {
 public:
  Packer() = default;
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  ~Packer();

  // Appends `plain`, compressed. False, and `out` as it was: it would not have got smaller. `level`: of zstd.
  bool Pack(Compression method, int level, std::string_view plain, std::string* out);
  // True: `packed` was whole, and came to exactly `size` bytes, now at `out`.
  bool Unpack(Compression method, std::string_view packed, char* out, size_t size);

 private:
  struct Zlib;
  struct Zstd;
  Zlib* zlib_ = nullptr;
  Zstd* zstd_ = nullptr;
};

// Follows frames through pieces of any size.
class FrameWalk {
 public:
  bool between_messages() const { return header_size_ == 0 && left_ == 0 && !continued_; }
  // Walks on; stops behind the end of a message if `to_message_end`. Returns the bytes walked. Calls
  // on_sequence(position of a header's sequence id within `bytes`) where it passes one.
  template <class OnSequence>
  size_t Walk(std::string_view bytes, bool to_message_end, OnSequence&& on_sequence) {
    size_t at = 0;
    while (at < bytes.size()) {
      if (header_size_ < kFrameHeader) {
        if (header_size_ == kFrameHeader - 1) {
          on_sequence(at);
        } else {
          length_ |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at])) << (8 * header_size_);
        }
        ++at;
        if (++header_size_ < kFrameHeader) continue;
        left_ = length_;
      }
      const size_t n = left_ < bytes.size() - at ? left_ : bytes.size() - at;
      at += n;
      left_ -= static_cast<uint32_t>(n);
      if (left_ > 0) break;
      continued_ = length_ == kMaxFramePayload;
      header_size_ = 0;
      length_ = 0;
      if (to_message_end && !continued_) break;
    }
    return at;
  }

 private:
  uint32_t length_ = 0, left_ = 0;
  uint8_t header_size_ = 0;
  bool continued_ = false;
};

class CompressedLink {
 public:
  enum class Peer : uint8_t { kClient, kServer };
  enum class Result : uint8_t { kNeedMore, kPiece, kBadSequence, kTooLarge, kCorrupt };
  struct Piece {
    size_t size = 0;   // with its header; kNeedMore: how many bytes are needed, as far as is known
    size_t plain = 0;  // bytes that Take() makes of it, below 16 MiB
  };

  // `limit`: bytes before compression of one piece; more is kTooLarge (server error 1153).
  CompressedLink(Compression method, int level, Peer peer, uint64_t limit)
      : method_(method), level_(level), peer_(peer), limit_(limit) {}

  // What stands at the head of `bytes`. Nothing is unpacked, and nothing changes but on kPiece, to be followed by Take.
  // A claim that no compression could keep is kCorrupt before anyone makes room for it.
  Result Look(std::string_view bytes, Piece* piece);
  // Unpacks the piece into `out` (piece.plain bytes) and numbers its frames. False: corrupt.
  bool Take(std::string_view bytes, const Piece& piece, Packer* packer, char* out);

  // Appends some of `plain`, a run of whole or partial frames, as one piece; returns how much it was (not 0).
  size_t Append(std::string_view plain, Packer* packer, std::string* out);

  // A command in more than one step (a client's file, authentication): sequence ids go on in both directions.
  void set_exchange(bool on) { exchange_ = on; }
  Compression method() const { return method_; }

 private:
  Compression method_;
  int level_;
  Peer peer_;
  bool exchange_ = false;
  uint64_t limit_;
  uint8_t read_ = 0, write_ = 0;  // the next outer sequence ids
  uint8_t inner_ = 0;             // of the next frame read
  FrameWalk reading_, writing_;
};

}  // namespace crossfade::protocol

// SPDX-License-Identifier: Apache-2.0
// See compression.h. Outer sequence ids as both servers have them (tested): a command's first piece is 0; where one
// piece ended a command and began the next, the next piece is 0 again; a reply goes on behind the last piece read.
#include "protocol/compression.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>

namespace crossfade::protocol {
namespace {

constexpr size_t kWorthPacking = 50;      // bytes; less is sent as it is, as the servers do
constexpr size_t kPieceSize = 64 << 10;   // of our own pieces: what is packed without giving way to other sessions
constexpr size_t kKeptContext = 4 << 20;  // a zstd context that has grown beyond (high levels) is given back
constexpr int kZlibLevel = 6;             // the servers' default
constexpr uint64_t kMostZlib = 1032;      // deflate's best: 258 bytes for 2 bits

}  // namespace

struct Packer::Zlib {
  z_stream deflate{}, inflate{};
  bool deflates = false, inflates = false;
};

struct Packer::Zstd {
  ZSTD_CCtx* pack = nullptr;
  ZSTD_DCtx* unpack = nullptr;
};

Packer::~Packer() {
  if (zlib_ != nullptr) {
    if (zlib_->deflates) deflateEnd(&zlib_->deflate);
    if (zlib_->inflates) inflateEnd(&zlib_->inflate);
    delete zlib_;
  }
  if (zstd_ != nullptr) {
    ZSTD_freeCCtx(zstd_->pack);
    ZSTD_freeDCtx(zstd_->unpack);
    delete zstd_;
  }
}

bool Packer::Pack(Compression method, int level, std::string_view plain, std::string* out) {
  if (plain.size() < kWorthPacking) return false;
  const size_t before = out->size();
  out->resize(before + plain.size());  // whatever does not fit is not smaller
  size_t size = 0;
  if (method == Compression::kZlib) {
    if (zlib_ == nullptr) zlib_ = new Zlib;
    z_stream& z = zlib_->deflate;
    if (!zlib_->deflates) zlib_->deflates = deflateInit(&z, kZlibLevel) == Z_OK;
    if (zlib_->deflates && deflateReset(&z) == Z_OK) {
      z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
      z.avail_in = static_cast<uInt>(plain.size());
      z.next_out = reinterpret_cast<Bytef*>(out->data() + before);
      z.avail_out = static_cast<uInt>(plain.size());
      if (::deflate(&z, Z_FINISH) == Z_STREAM_END) size = plain.size() - z.avail_out;
    }
  } else {
    if (zstd_ == nullptr) zstd_ = new Zstd;
    if (zstd_->pack == nullptr) zstd_->pack = ZSTD_createCCtx();
    if (zstd_->pack != nullptr) {
      size = ZSTD_compressCCtx(zstd_->pack, out->data() + before, plain.size(), plain.data(), plain.size(), level);
      if (ZSTD_isError(size)) size = 0;
      if (ZSTD_sizeof_CCtx(zstd_->pack) > kKeptContext) {
        ZSTD_freeCCtx(zstd_->pack);
        zstd_->pack = nullptr;
      }
    }
  }
  const bool smaller = size > 0 && size < plain.size();
  out->resize(before + (smaller ? size : 0));
  return smaller;
}

bool Packer::Unpack(Compression method, std::string_view packed, char* out, size_t size) {
  if (method == Compression::kZlib) {
    if (zlib_ == nullptr) zlib_ = new Zlib;
    z_stream& z = zlib_->inflate;
    if (!zlib_->inflates) zlib_->inflates = inflateInit(&z) == Z_OK;
    if (!zlib_->inflates || inflateReset(&z) != Z_OK) return false;
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    z.avail_in = static_cast<uInt>(packed.size());
    z.next_out = reinterpret_cast<Bytef*>(out);
    z.avail_out = static_cast<uInt>(size);
    return ::inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0 && z.avail_out == 0;
  }
  if (zstd_ == nullptr) zstd_ = new Zstd;
  if (zstd_->unpack == nullptr) zstd_->unpack = ZSTD_createDCtx();
  return zstd_->unpack != nullptr && ZSTD_decompressDCtx(zstd_->unpack, out, size, packed.data(), packed.size()) == size;
}

CompressedLink::Result CompressedLink::Look(std::string_view bytes, Piece* piece) {
  *piece = {kCompressedHeader, 0};
  if (bytes.size() < kCompressedHeader) return Result::kNeedMore;
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  const size_t length = p[0] | p[1] << 8 | p[2] << 16;
  const uint8_t sequence = p[3];
  const size_t plain = p[4] | p[5] << 8 | p[6] << 16;
  const bool commands = peer_ == Peer::kClient && !exchange_;
  if (sequence != (commands && reading_.between_messages() ? 0 : read_)) return Result::kBadSequence;
  if (std::max(plain, length) > limit_ + kFrameHeader) return Result::kTooLarge;
  if (method_ == Compression::kZlib && plain > length * kMostZlib) return Result::kCorrupt;
  piece->size = kCompressedHeader + length;
  piece->plain = plain == 0 ? length : plain;
  return bytes.size() < piece->size ? Result::kNeedMore : Result::kPiece;
}

bool CompressedLink::Take(std::string_view bytes, const Piece& piece, Packer* packer, char* out) {
  const bool stored = static_cast<unsigned char>(bytes[4]) + static_cast<unsigned char>(bytes[5]) + static_cast<unsigned char>(bytes[6]) == 0;
  const std::string_view sent = bytes.substr(kCompressedHeader, piece.size - kCompressedHeader);
  if (stored) {
    std::copy(sent.begin(), sent.end(), out);
  } else if (!packer->Unpack(method_, sent, out, piece.plain)) {
    return false;
  }
  read_ = write_ = static_cast<uint8_t>(bytes[3] + 1);
  const bool commands = peer_ == Peer::kClient && !exchange_;
  for (size_t at = 0; at < piece.plain;) {
    if (commands && reading_.between_messages()) {
      inner_ = 0;
      if (at > 0) read_ = 0;
    }
    char* rest = out + at;
    at += reading_.Walk({rest, piece.plain - at}, commands, [&](size_t position) { rest[position] = static_cast<char>(inner_++); });
  }
  return true;
}

size_t CompressedLink::Append(std::string_view plain, Packer* packer, std::string* out) {
  const bool commands = peer_ == Peer::kServer && !exchange_;
  if (commands && writing_.between_messages()) write_ = 0;
  plain = plain.substr(0, kPieceSize);
  // Commands never share a piece: the server would lose the second one.
  const size_t size = writing_.Walk(plain, commands, [&](size_t position) { inner_ = static_cast<uint8_t>(plain[position] + 1); });
  plain = plain.substr(0, size);
  const size_t header = out->size();
  out->append(kCompressedHeader, '\0');
  const bool packed = packer->Pack(method_, level_, plain, out);
  if (!packed) out->append(plain);
  const size_t length = out->size() - header - kCompressedHeader, before = packed ? size : 0;
  char* p = out->data() + header;
  for (int i = 0; i < 3; ++i) {
    p[i] = static_cast<char>(length >> (8 * i));
    p[4 + i] = static_cast<char>(before >> (8 * i));
  }
  p[3] = static_cast<char>(write_++);
  read_ = write_;
  return size;
}

}  // namespace crossfade::protocol

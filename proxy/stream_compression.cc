// SPDX-License-Identifier: Apache-2.0
// The layer of a Stream between the transport and in(): pieces of the compressed protocol. One piece is unpacked at a
// time, when somebody asks for more, and only once all of it is there: what a peer claims takes no memory.
#include <boost/asio/post.hpp>

#include "proxy/stream_link.h"

namespace crossfade::proxy {
namespace asio = boost::asio;
using protocol::CompressedLink;

void Stream::StartCompression(protocol::Compression method, int level, CompressedLink::Peer peer, uint64_t limit,
                              protocol::Packer* packer) {
  link_ = std::make_unique<Link>(CompressedLink(method, level, peer, limit), packer, in_.pool());
  plain_ = false;
  if (in_.empty()) return;
  const std::string_view early = in_.data();
  link_->raw.Reserve(early.size());
  size_t room = 0;
  early.copy(link_->raw.Prepare(&room), early.size());
  link_->raw.Commit(early.size());
  in_.Consume(early.size());
}

void Stream::SetExchange(bool on) {
  if (link_ != nullptr) link_->codec.set_exchange(on);
}

awaitable<Stream::ReadResult> Stream::ReadPieces() {
  Buffer& raw = link_->raw;
  for (;;) {
    CompressedLink::Piece piece;
    const CompressedLink::Result result = link_->codec.Look(raw.data(), &piece);
    if (result == CompressedLink::Result::kPiece) {
      in_.Reserve(in_.size() + piece.plain);
      size_t room = 0;
      char* memory = in_.Prepare(&room);
      const bool whole = link_->codec.Take(raw.data(), piece, link_->packer, memory);
      in_.Commit(whole ? piece.plain : 0);
      raw.Consume(piece.size);
      if (!whole) wire_fault_ = CompressedLink::Result::kCorrupt;
      if (!whole) co_return ReadResult(make_error_code(boost::system::errc::bad_message), 0);
      if (piece.plain > 0) co_return ReadResult(ErrorCode(), piece.plain);
      continue;
    }
    if (result != CompressedLink::Result::kNeedMore) {
      wire_fault_ = result;
      co_return ReadResult(make_error_code(boost::system::errc::bad_message), 0);
    }
    ReadResult read;
    if (raw.empty() && ssl_ == nullptr) {
      read = co_await ReadPlain(&raw);
    } else {
      raw.Reserve(piece.size);
      read = co_await ReadNow(&raw);
    }
    if (std::get<0>(read)) co_return read;
  }
}

awaitable<ErrorCode> Stream::WritePieces(std::string_view bytes) {
  std::string& out = link_->out;
  ErrorCode ec;
  while (!bytes.empty() && !ec) {
    out.clear();
    bytes.remove_prefix(link_->codec.Append(bytes, link_->packer, &out));
    ec = co_await WriteTransport(out);
    if (!bytes.empty()) co_await asio::post(socket_.get_executor(), kAwait);  // packing takes its time
  }
  std::string().swap(out);
  co_return ec;
}

}  // namespace crossfade::proxy

// SPDX-License-Identifier: Apache-2.0
// LOAD DATA LOCAL: the server asks for a file of the client's in the middle of a reply, and the client sends it.
#include <algorithm>

#include "proxy/session.h"
#include "proxy/sql_words.h"

namespace crossfade::proxy {
using protocol::Command;

// The server asks for a file of the client's. Only a client that asked for it itself, by LOAD ... LOCAL, and that
// offers files at all, is told; any other request is a theft.
awaitable<bool> Session::RelayLocalInfile(size_t request_size, bool forwarded) {
  const std::string_view bytes = client_.in().data().substr(0, command_size_);
  const auto command = static_cast<Command>(last_command_);
  const bool asked = (capabilities_ & protocol::kClientLocalFiles) != 0 &&
                     ((command == Command::kQuery && HasLoadLocal(bytes)) ||
                      (command == Command::kStmtExecute && PreparedLoadLocal(bytes.substr(protocol::kFrameHeader))));
  if (!asked) {
    // With the start of the request sent already, an error would only complete it.
    if (!forwarded) (void)co_await SendError(AfterCommand(), 1105, "HY000", "crossfade: the backend asked for a local file that was not offered");
    co_return Fail("the backend asked for a local file without LOAD DATA LOCAL");
  }
  client_.SetExchange(true);
  backend_.SetExchange(true);
  ErrorCode ec = co_await client_.Write(backend_.in().data().substr(0, request_size));
  if (ec) co_return Fail("the client left before its file was sent");
  backend_.in().Consume(request_size);
  Buffer& in = client_.in();
  in.Consume(command_size_);
  command_size_ = 0;
  // Frames up to and with the empty one that ends the file.
  uint64_t left = 0;
  uint8_t sequence = 0;
  for (bool last = false; !last;) {
    const std::string_view bytes = in.data();
    size_t position = 0;
    while (!last && position < bytes.size()) {
      if (left > 0) {
        const uint64_t step = std::min<uint64_t>(left, bytes.size() - position);
        position += static_cast<size_t>(step);
        left -= step;
      } else if (bytes.size() - position >= protocol::kFrameHeader) {
        const protocol::FrameHeader header = protocol::ParseFrameHeader(bytes.data() + position);
        left = header.length;
        sequence = header.sequence;
        position += protocol::kFrameHeader;
        last = left == 0;
      } else {
        break;
      }
    }
    if (position > 0) {
      ec = co_await backend_.Write(bytes.substr(0, position));
      if (ec) co_return Fail("the backend closed while a file was sent");
      in.Consume(position);
    }
    if (!last) {
      Stream::ReadResult read = co_await client_.ReadMore();
      if (std::get<0>(read)) co_return Fail("the client left while its file was sent");
    }
  }
  client_.SetExchange(false);
  backend_.SetExchange(false);
  tracker_.FileSent(static_cast<uint8_t>(sequence + 1));
  co_return true;
}

}  // namespace crossfade::proxy

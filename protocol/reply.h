// SPDX-License-Identifier: Apache-2.0
// Where a reply ends, found by looking at packet heads as the bytes stream past; rows are never decoded.
// One ReplyTracker follows the reply to one command. Grammar (page_protocol_command_phase):
//   reply     := OK | ERR | LOCAL_INFILE | resultset, and again while SERVER_MORE_RESULTS_EXISTS
//   resultset := column_count [metadata_follows] column_def* [EOF] row* (EOF | OK | ERR)
//   prepare   := PREPARE_OK param_def* [EOF] column_def* [EOF]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/constants.h"

namespace crossfade::protocol {

struct OkPacket {
  uint64_t affected_rows = 0, insert_id = 0;
  uint16_t status = 0, warnings = 0;
  std::string_view info, session_state;  // into the payload
};
// `payload` starts with 0x00 or 0xFE. False: malformed.
bool ParseOk(std::string_view payload, uint64_t capabilities, OkPacket* ok);

struct ErrPacket {
  uint16_t code = 0;
  std::string_view sql_state, message;
};
bool ParseErr(std::string_view payload, uint64_t capabilities, ErrPacket* err);
std::string BuildErr(uint16_t code, std::string_view sql_state, std::string_view message, uint64_t capabilities);
std::string BuildOk(const OkPacket& ok, uint64_t capabilities);

class ReplyTracker {
 public:
  enum class Kind : uint8_t {
    kGeneric,      // COM_QUERY, COM_STMT_EXECUTE, and whatever answers OK, ERR or result sets
    kPrepare,      // COM_STMT_PREPARE
    kFieldList,    // column definitions until EOF
    kSingle,       // one packet of any kind (COM_STATISTICS)
    kFetch,        // COM_STMT_FETCH: rows until EOF
    kNone,         // no reply at all (COM_QUIT, COM_STMT_CLOSE, COM_STMT_SEND_LONG_DATA)
    kEndless,      // COM_BINLOG_DUMP: until the connection closes
  };
  enum class State : uint8_t { kMore, kDone, kLocalInfile /* the client's file must be sent now */, kMalformed };

  // `capabilities`: those both sides agreed on.
  void Start(Kind kind, uint64_t capabilities);

  // Goes on with the next bytes of the backend's stream, in pieces of any size. Returns how many of them belong to
  // this reply: all of them while kMore. After kLocalInfile, call FileSent() once the file's frames have gone out.
  size_t Feed(std::string_view bytes);
  State state() const { return state_; }
  void FileSent();

  // After kDone (of the last result):
  bool is_error() const { return is_error_; }
  uint16_t error_code() const { return error_code_; }
  uint16_t status() const { return status_; }         // server status flags; kept from before when a reply has none
  void set_status(uint16_t status) { status_ = status; }
  uint64_t affected_rows() const { return affected_rows_; }
  uint8_t last_sequence() const { return sequence_; } // of the last frame seen
  // kPrepare, after its OK:
  uint32_t statement_id() const { return statement_id_; }
  uint16_t param_count() const { return param_count_; }
  uint16_t column_count() const { return column_count_; }

 private:
  enum class Phase : uint8_t { kHead, kColumns, kColumnsEof, kRows, kParams, kParamsEof, kPrepColumns, kPrepColumnsEof };
  void Packet();  // a packet's head is in head_, its length known
  void EndOfResult(uint16_t status);

  Kind kind_ = Kind::kNone;
  State state_ = State::kDone;
  Phase phase_ = Phase::kHead;
  uint64_t capabilities_ = 0;
  uint64_t left_ = 0;          // bytes of the frame at hand still to pass
  uint8_t header_[4];
  uint8_t header_size_ = 0;
  bool continued_ = false;     // the frame at hand continues a packet
  std::string head_;           // OK, EOF, ERR: whole; else the first bytes
  uint64_t columns_left_ = 0;
  bool is_error_ = false;
  uint16_t error_code_ = 0, status_ = 0;
  uint64_t affected_rows_ = 0;
  uint8_t sequence_ = 0;
  uint32_t statement_id_ = 0;
  uint16_t param_count_ = 0, column_count_ = 0;
};

// The kind of reply that a command gets.
ReplyTracker::Kind ReplyKind(Command command);

}  // namespace crossfade::protocol

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
// 0xFE with status and warnings: as an OK where kClientDeprecateEof was agreed on.
std::string BuildEof(uint16_t status, uint16_t warnings, uint64_t capabilities);

// One entry of an OK packet's session_state (page_protocol_basic_ok_packet, sect_protocol_basic_ok_packet_sessinfo).
struct SessionChange {
  enum class Type : uint8_t { kSystemVariable, kSchema, kStateChange, kGtids, kTransactionCharacteristics, kTransactionState, kUnknown };
  Type type = Type::kUnknown;
  std::string_view name;   // kSystemVariable only
  std::string_view value;  // into the packet
};
// Takes the next entry off the head of `*session_state`. False: none left, or malformed (then it isn't empty).
bool NextSessionChange(std::string_view* session_state, SessionChange* change);

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

  // `capabilities`: those both sides agreed on. `first_sequence`: the id after that of the command's last frame.
  void Start(Kind kind, uint64_t capabilities, uint8_t first_sequence = 1);

  // Goes on with the next bytes of the backend's stream, in pieces of any size. Returns how many of them belong to
  // this reply: all of them while kMore. After kLocalInfile, call FileSent() once the file's frames have gone out.
  // kMalformed: a frame out of sequence (but in kEndless, where the other side's acknowledgements begin anew), what
  // cannot be a column definition where one was announced, an OK above 1 MiB, a request for a file from a session
  // without kClientLocalFiles.
  // MariaDB's progress reports pass as parts of the reply.
  size_t Feed(std::string_view bytes);
  State state() const { return state_; }
  void FileSent(uint8_t next_sequence);  // the id after that of the file's last frame

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

  uint64_t insert_id() const { return insert_id_; }
  uint16_t warnings() const { return warnings_; }
  // The payload of the last OK, EOF, ERR or LOCAL_INFILE packet (of an ERR its first 1024 bytes): ParseOk, ParseErr.
  std::string_view last_packet() const { return head_; }
  // The session_state entries of all OKs of this reply, one after another: NextSessionChange.
  std::string_view session_state() const { return session_state_; }

 private:
  enum class Phase : uint8_t { kHead, kColumns, kColumnsEof, kRows, kParams, kParamsEof, kPrepColumns, kPrepColumnsEof };
  bool Has(Capability capability) const { return (capabilities_ & capability) != 0; }
  size_t SkipRows(std::string_view bytes, size_t at);  // whole rows from `at` on; returns where they end
  size_t WholePackets(std::string_view bytes, size_t at);  // the same of any packets of one frame
  void BeginFrame();                // header_ is whole
  size_t HeadWanted(uint8_t first) const;  // how much of a packet that starts so must be seen
  void Packet();                    // a packet has passed, its head is in head_
  void HeadPacket(uint8_t first);
  void PrepareOk();
  void Definitions(uint16_t count, Phase phase, Phase eof);  // kPrepare: `count` of them, or their EOF, come next
  void AfterParams();
  void AfterColumns();  // of a result set
  void Definition();    // of a column or parameter
  void Ok(uint16_t known_status = 0);
  void Error();
  void EndOfResult();

  Kind kind_ = Kind::kNone;
  State state_ = State::kDone;
  Phase phase_ = Phase::kHead;
  uint64_t capabilities_ = 0;
  uint32_t left_ = 0;          // bytes of the frame at hand still to pass
  uint32_t frame_length_ = 0;  // of the frame at hand
  uint32_t first_length_ = 0;  // of the packet's first frame
  char header_[kFrameHeader] = {};
  uint8_t header_size_ = 0;    // of the frame header at hand; 4: within a payload
  bool continued_ = false;     // the frame at hand continues a packet
  size_t head_wanted_ = 0;
  std::string head_;           // OK, EOF: whole; else the first bytes
  uint64_t columns_left_ = 0;
  bool metadata_ = true;       // kPrepare: the definitions are sent
  bool is_error_ = false;
  uint16_t error_code_ = 0, status_ = 0, warnings_ = 0;
  uint64_t affected_rows_ = 0, insert_id_ = 0;
  uint8_t sequence_ = 0;
  uint32_t statement_id_ = 0;
  uint16_t param_count_ = 0, column_count_ = 0;
  std::string session_state_;
};

// The kind of reply that a command gets.
ReplyTracker::Kind ReplyKind(Command command);

}  // namespace crossfade::protocol

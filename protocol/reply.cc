// SPDX-License-Identifier: Apache-2.0
// The ReplyTracker. A packet is judged once it has passed whole: BeginFrame() and HeadWanted() say how much of it
// to keep (a row: one byte), Packet() moves the phase on. Whole rows at hand are skipped by SkipRows(), a step each.
//   0xFF starts an ERR everywhere; 0xFE an EOF (or OK) only in a first frame shorter than 9 bytes, with
//   kClientDeprecateEof shorter than 0xFFFFFF: a row may start so too, with a string of 16 MiB and more.
#include "protocol/reply.h"

#include <algorithm>

#include "protocol/codec.h"
#include "protocol/frame.h"

namespace crossfade::protocol {
namespace {

constexpr size_t kMaxOk = 1 << 20;
constexpr size_t kErrorKept = 1024;
constexpr size_t kFileNameKept = 4096;
constexpr size_t kKeptCapacity = 16 << 10;
constexpr uint32_t kLeastDefinition = 19;  // bytes: six empty strings, the length of what is fixed, 12 of that
constexpr uint16_t kProgressReport = 0xFFFF;

bool IsEnd(uint8_t first, uint32_t length, bool deprecate_eof) {
  return first == 0xFE && length < (deprecate_eof ? kMaxFramePayload : 9);
}

}  // namespace

void ReplyTracker::Start(Kind kind, uint64_t capabilities, uint8_t first_sequence) {
  kind_ = kind;
  sequence_ = static_cast<uint8_t>(first_sequence - 1);
  capabilities_ = capabilities;
  state_ = kind == Kind::kNone ? State::kDone : State::kMore;
  phase_ = kind == Kind::kFieldList || kind == Kind::kFetch || kind == Kind::kEndless ? Phase::kRows : Phase::kHead;
  left_ = frame_length_ = first_length_ = 0;
  header_size_ = 0;
  continued_ = false;
  head_wanted_ = 0;
  if (head_.capacity() > kKeptCapacity) std::string().swap(head_);
  if (session_state_.capacity() > kKeptCapacity) std::string().swap(session_state_);
  head_.clear();
  session_state_.clear();
  columns_left_ = 0;
  is_error_ = false;
  error_code_ = warnings_ = 0;
  affected_rows_ = insert_id_ = 0;
  statement_id_ = 0;
  param_count_ = column_count_ = 0;
}

void ReplyTracker::FileSent(uint8_t next_sequence) {
  if (state_ == State::kLocalInfile) state_ = State::kMore;
  sequence_ = static_cast<uint8_t>(next_sequence - 1);
}

size_t ReplyTracker::Feed(std::string_view bytes) {
  size_t at = 0;
  while (state_ == State::kMore && at < bytes.size()) {
    if (header_size_ < kFrameHeader) {
      if (header_size_ == 0 && !continued_) {
        at = WholePackets(bytes, at);
        if (state_ != State::kMore || at == bytes.size()) break;
      }
      header_[header_size_++] = bytes[at++];
      if (header_size_ < kFrameHeader) continue;
      BeginFrame();
      if (state_ != State::kMore) break;
    }
    if (!continued_ && left_ > 0 && at < bytes.size() && head_.size() < head_wanted_) {
      if (head_.empty()) head_wanted_ = HeadWanted(static_cast<uint8_t>(bytes[at]));
      const size_t n = std::min({head_wanted_ - head_.size(), size_t{left_}, bytes.size() - at});
      head_.append(bytes.data() + at, n);
      at += n;
      left_ -= static_cast<uint32_t>(n);
    }
    const size_t n = std::min<size_t>(left_, bytes.size() - at);
    at += n;
    left_ -= static_cast<uint32_t>(n);
    if (left_ > 0) break;
    header_size_ = 0;
    continued_ = frame_length_ == kMaxFramePayload;
    if (!continued_) Packet();
  }
  return at;
}

size_t ReplyTracker::SkipRows(std::string_view bytes, size_t at) {
  while (bytes.size() - at > kFrameHeader) {
    const FrameHeader header = ParseFrameHeader(bytes.data() + at);
    const size_t end = at + kFrameHeader + header.length;
    if (end > bytes.size() || static_cast<uint8_t>(bytes[at + kFrameHeader]) >= 0xFE || header.length == 0 ||
        header.length == kMaxFramePayload ||
        (header.sequence != static_cast<uint8_t>(sequence_ + 1) && kind_ != Kind::kEndless)) {
      break;
    }
    sequence_ = header.sequence;
    at = end;
  }
  return at;
}

// Stops ahead of what is odd in any way, which then passes piece by piece.
size_t ReplyTracker::WholePackets(std::string_view bytes, size_t at) {
  while (state_ == State::kMore) {
    if (phase_ == Phase::kRows) at = SkipRows(bytes, at);
    if (bytes.size() - at <= kFrameHeader) break;
    const FrameHeader header = ParseFrameHeader(bytes.data() + at);
    if (header.length == 0 || header.length == kMaxFramePayload || header.length > bytes.size() - at - kFrameHeader ||
        (header.sequence != static_cast<uint8_t>(sequence_ + 1) && kind_ != Kind::kEndless)) {
      break;
    }
    const auto first = static_cast<uint8_t>(bytes[at + kFrameHeader]);
    sequence_ = header.sequence;
    frame_length_ = first_length_ = header.length;
    head_wanted_ = HeadWanted(first);
    head_.assign(bytes.data() + at + kFrameHeader, head_wanted_);
    at += kFrameHeader + header.length;
    Packet();
  }
  return at;
}

void ReplyTracker::BeginFrame() {
  const FrameHeader header = ParseFrameHeader(header_);
  left_ = frame_length_ = header.length;
  if (header.sequence != static_cast<uint8_t>(sequence_ + 1) && kind_ != Kind::kEndless) {
    state_ = State::kMalformed;
    return;
  }
  sequence_ = header.sequence;
  if (continued_) return;
  first_length_ = header.length;
  head_.clear();
  head_wanted_ = std::min<size_t>(1, header.length);
}

size_t ReplyTracker::HeadWanted(uint8_t first) const {
  const size_t length = first_length_;
  if (first == 0xFF) return std::min(length, kErrorKept);
  if (IsEnd(first, first_length_, Has(kClientDeprecateEof))) return std::min(length, kMaxOk + 1);
  if (phase_ != Phase::kHead || kind_ == Kind::kSingle) return 1;
  if (first == 0x00) return std::min(length, kind_ == Kind::kPrepare ? size_t{13} : kMaxOk + 1);
  return std::min(length, first == 0xFB ? kFileNameKept : size_t{10});
}

void ReplyTracker::Packet() {
  if (head_.empty()) {  // only a COM_STATISTICS text may be empty
    state_ = kind_ == Kind::kSingle ? State::kDone : State::kMalformed;
    return;
  }
  const auto first = static_cast<uint8_t>(head_[0]);
  if (first == 0xFF) return Error();
  const bool end = IsEnd(first, first_length_, Has(kClientDeprecateEof));
  switch (phase_) {
    case Phase::kHead: return HeadPacket(first);
    case Phase::kColumns:
    case Phase::kParams:
    case Phase::kPrepColumns:
      if (end || first_length_ < kLeastDefinition) break;
      return Definition();
    case Phase::kRows:
      if (end) {
        // MySQL: with OUT parameters only the EOF before the rows says that more follows (its bug 26495).
        const bool more = kind_ == Kind::kGeneric && !Has(kClientDeprecateEof) && (status_ & kStatusPsOutParams) && (status_ & kStatusMoreResults);
        Ok(more ? kStatusMoreResults : 0);
      }
      return;
    case Phase::kColumnsEof: {
      OkPacket eof;
      if (!end || !ParseOk(head_, capabilities_, &eof)) break;
      if (eof.status & kStatusCursorExists) return Ok();  // the cursor's rows come with COM_STMT_FETCH
      status_ = eof.status;
      phase_ = Phase::kRows;
      return;
    }
    case Phase::kParamsEof:
      if (!end) break;
      AfterParams();
      return;
    case Phase::kPrepColumnsEof:
      if (!end) break;
      state_ = State::kDone;
      return;
  }
  state_ = State::kMalformed;
}

void ReplyTracker::Definition() {
  if (--columns_left_ > 0) return;
  if (phase_ == Phase::kColumns) return AfterColumns();
  Definitions(0, phase_, phase_ == Phase::kParams ? Phase::kParamsEof : Phase::kPrepColumnsEof);
}

void ReplyTracker::HeadPacket(uint8_t first) {
  if (kind_ == Kind::kSingle) {
    state_ = State::kDone;
    return;
  }
  if (kind_ == Kind::kPrepare) return PrepareOk();
  if (first == 0x00 || IsEnd(first, first_length_, Has(kClientDeprecateEof))) return Ok();
  if (first == 0xFB) {
    state_ = Has(kClientLocalFiles) ? State::kLocalInfile : State::kMalformed;
    return;
  }
  Reader reader(head_);
  columns_left_ = reader.Lenenc();
  bool metadata = true;
  if (reader.ok() && (capabilities_ & (kClientOptionalResultsetMetadata | kMariaDbCacheMetadata))) metadata = reader.U8() != 0;
  if (!reader.ok() || reader.remaining() > 0 || first_length_ > head_.size() || columns_left_ == 0 || columns_left_ > 0xFFFF) {
    state_ = State::kMalformed;
    return;
  }
  column_count_ = static_cast<uint16_t>(columns_left_);
  phase_ = Phase::kColumns;
  if (!metadata) AfterColumns();
}

void ReplyTracker::AfterColumns() {
  phase_ = Has(kClientDeprecateEof) ? Phase::kRows : Phase::kColumnsEof;
}

void ReplyTracker::PrepareOk() {
  Reader reader(head_);
  const uint8_t first = reader.U8();
  statement_id_ = reader.U32();
  column_count_ = reader.U16();
  param_count_ = reader.U16();
  reader.U8();
  if (!reader.ok() || first != 0x00) {
    state_ = State::kMalformed;
    return;
  }
  metadata_ = true;
  if (reader.remaining() > 0) {
    warnings_ = reader.U16();
    if (Has(kClientOptionalResultsetMetadata) && reader.remaining() > 0) metadata_ = reader.U8() != 0;
    if (!reader.ok()) {
      state_ = State::kMalformed;
      return;
    }
  }
  if (param_count_ == 0) return AfterParams();
  Definitions(metadata_ ? param_count_ : 0, Phase::kParams, Phase::kParamsEof);
}

void ReplyTracker::Definitions(uint16_t count, Phase phase, Phase eof) {
  columns_left_ = count;
  if (count > 0) {
    phase_ = phase;
  } else if (!Has(kClientDeprecateEof)) {
    phase_ = eof;  // MySQL sends it even where it leaves the definitions out
  } else if (phase == Phase::kParams) {
    AfterParams();
  } else {
    state_ = State::kDone;
  }
}

void ReplyTracker::AfterParams() {
  if (column_count_ == 0) {
    state_ = State::kDone;
    return;
  }
  Definitions(metadata_ ? column_count_ : 0, Phase::kPrepColumns, Phase::kPrepColumnsEof);
}

void ReplyTracker::Ok(uint16_t known_status) {
  OkPacket ok;
  if (head_.size() > kMaxOk || !ParseOk(head_, capabilities_, &ok)) {
    state_ = State::kMalformed;
    return;
  }
  status_ = ok.status | known_status;
  warnings_ = ok.warnings;
  affected_rows_ = ok.affected_rows;
  insert_id_ = ok.insert_id;
  session_state_ += ok.session_state;
  if (session_state_.size() > kMaxOk) state_ = State::kMalformed;
  else EndOfResult();
}

void ReplyTracker::EndOfResult() {
  if (kind_ == Kind::kGeneric && (status_ & kStatusMoreResults)) {
    phase_ = Phase::kHead;
  } else {
    state_ = State::kDone;
  }
}

void ReplyTracker::Error() {
  ErrPacket err;
  if (!ParseErr(head_, capabilities_, &err)) {
    state_ = State::kMalformed;
    return;
  }
  if (err.code == kProgressReport) return;
  is_error_ = true;
  error_code_ = err.code;
  status_ &= static_cast<uint16_t>(~(kStatusMoreResults | kStatusCursorExists | kStatusLastRowSent));
  state_ = State::kDone;
}

ReplyTracker::Kind ReplyKind(Command command) {
  using Kind = ReplyTracker::Kind;
  switch (command) {
    case Command::kQuit:
    case Command::kStmtSendLongData:
    case Command::kStmtClose:
      return Kind::kNone;
    case Command::kStatistics:
      return Kind::kSingle;
    case Command::kFieldList:
      return Kind::kFieldList;
    case Command::kStmtPrepare:
      return Kind::kPrepare;
    case Command::kStmtFetch:
      return Kind::kFetch;
    case Command::kBinlogDump:
    case Command::kBinlogDumpGtid:
    case Command::kTableDump:
    case Command::kClone:
    case Command::kGroupReplication:
      return Kind::kEndless;
    default:
      return Kind::kGeneric;
  }
}

}  // namespace crossfade::protocol

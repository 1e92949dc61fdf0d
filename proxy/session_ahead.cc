// SPDX-License-Identifier: Apache-2.0
// The references of an INSERT of many rows, looked up by queries before it: see rewrite/ahead.h. Whatever comes in between, the text
// is the one with its lookups.
#include <algorithm>

#include "protocol/codec.h"
#include "proxy/comparisons.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "rewrite/ahead.h"
#include "rewrite/names.h"

namespace crossfade::proxy {

namespace {

constexpr uint64_t kMostOfKey = 4096;  // bytes of an answer's row
// A key in the queries costs both servers about what a lookup in the text does, as long as these are not too many.
constexpr size_t kTooMany = 1000;
constexpr uint64_t kMostText = 15 << 20;  // bytes
constexpr uint16_t kByNoIndex = 0x0010 | 0x0020;  // SERVER_QUERY_NO_GOOD_INDEX_USED, SERVER_QUERY_NO_INDEX_USED

enum Type : uint8_t { kTiny = 1, kShort = 2, kLong = 3, kLongLong = 8, kInt24 = 9, kVarchar = 15, kVarString = 253, kString = 254 };

rewrite::AheadParameter ParameterOf(const protocol::ParamType& type, const protocol::ParamValue& value) {
  if (value.long_data) return {};
  if (value.is_null) return {rewrite::AheadParameter::kNull, {}};
  switch (type.type) {
    case kTiny: case kShort: case kLong: case kInt24: case kLongLong: {
      uint64_t number = 0;
      for (size_t i = value.bytes.size(); i-- > 0;) number = number << 8 | static_cast<uint8_t>(value.bytes[i]);
      const bool negative = (type.flags & 0x80) == 0 && !value.bytes.empty() && (value.bytes.back() & 0x80) != 0;
      if (negative) return {};
      return {rewrite::AheadParameter::kInteger, std::to_string(number)};
    }
    case kVarchar: case kVarString: case kString: {
      protocol::Reader reader(value.bytes);
      const std::string_view text = reader.LenencString();
      if (!reader.ok()) return {};
      return {rewrite::AheadParameter::kString, std::string(text)};
    }
    default: return {};
  }
}

}  // namespace

// kRelay: the statement goes on, with `*values` if there are any. `execute`: of a prepared one; nullptr: a text.
awaitable<Session::Action> Session::LookAhead(const rewrite::Plan& plan, const rewrite::SessionFacts& facts, std::string_view sql, const protocol::Execute* execute, std::vector<std::string>* values) {
  const uint32_t least = limits().insert_lookups;
  if (least == 0 || plan.ahead.size() < least || rewrite::AsksForTheLast(sql)) co_return kRelay;
  const bool own = (status_ & protocol::kStatusInTrans) == 0 && (status_ & protocol::kStatusAutocommit) != 0;
  if (own && isolation_unsure_) {  // the query would use up what SET TRANSACTION has said for the statement
    uses_up_level_ = MayChange(sql) == 0;
    co_return kRelay;
  }
  std::vector<rewrite::AheadParameter> parameters;
  for (size_t i = 0; execute != nullptr && i < execute->values.size() && i < execute->types.size(); ++i) parameters.push_back(ParameterOf(execute->types[i], execute->values[i]));
  absl::StatusOr<rewrite::Ahead> ahead = thread_->planner()->LookAhead(plan, facts, pinned_->snapshot->catalog.dialect, sql, parameters);
  if (!ahead.ok() || ahead->lookups() < least || (2 * ahead->keys() > ahead->lookups() && ahead->lookups() < kTooMany)) co_return kRelay;
  for (const rewrite::Ahead::Question& question : ahead->Questions(/*locking=*/!own)) {
    ImageStep step;
    const bool alive = co_await RunImageStep(question.sql, 1024 + question.keys * kMostOfKey, &step);
    if (!alive) co_return kEnd;
    if (step.failed()) {
      const std::string nothing;
      if (OfTheMoment(step.tracker.error_code())) co_return co_await ImageReply(step, own, nothing);
      co_return kRelay;
    }
    if (!own) status_ = static_cast<uint16_t>(step.tracker.status() & ~kByNoIndex);  // with autocommit off, that began a transaction
    SideResult found;
    if (step.whole) ParseSide(step.reply, capabilities_, &found);
    // The session may have told its server to make no ranges of so many constants: then the statement would go through every row.
    if (!found.ok || (step.tracker.status() & kByNoIndex) != 0) co_return kRelay;
    for (const std::vector<std::string>& row : found.rows) {
      if (row.size() < 2) co_return kRelay;
      ahead->Answer(question.parent, row[0], row[1] == "\xFB" ? std::nullopt : std::optional<std::string_view>(row[1]));
    }
  }
  *values = ahead->Values();
  if (std::all_of(values->begin(), values->end(), [](const std::string& value) { return value.empty(); })) values->clear();
  co_return kRelay;
}

// The text of such an execution, which is prepared for it alone: what the client gave stays a parameter. kRelay: `*id` is the backend's number of it; 0: not so, go on.
awaitable<Session::Action> Session::PrepareAhead(const PreparedStatement& statement, const rewrite::Plan& plan, const rewrite::SessionFacts& facts, rewrite::Form form, const std::vector<std::string>& values,
                                                 uint32_t* id) {
  *id = 0;
  std::string text;
  const absl::Status rendered = thread_->planner()->RenderTo(plan, facts, pinned_->snapshot->catalog.dialect, statement.text, {}, form, &text, &values);
  if (!rendered.ok() || text.size() >= std::min<uint64_t>(max_allowed_packet_, kMostText)) co_return kRelay;
  const bool alive = co_await HiddenPrepare(text, id, /*told=*/false);  // max_prepared_stmt_count may be reached
  co_return alive ? kRelay : kEnd;
}

}  // namespace crossfade::proxy

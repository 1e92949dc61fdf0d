// SPDX-License-Identifier: Apache-2.0
// What a text of this session means: sql_mode, character set, foreign_key_checks, default schema. Asked of the backend
// by one hidden SELECT, only when a statement that names a migrating table comes after something that could have
// changed them; so a session that touches none never sees one.
#include <algorithm>
#include <cstdlib>

#include "fmt/format.h"
#include "protocol/codec.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"
#include "rewrite/names.h"

namespace crossfade::proxy {
using protocol::ReplyTracker;

// Sends a command of the proxy's own and reads its whole reply, unseen by the client. `*whole`, where it is asked for: it has no
// more than `most` bytes, else *reply is its beginning; where not, a larger one ends the session.
awaitable<bool> Session::HiddenCommand(std::string_view payload, ReplyTracker* tracker, std::string* reply, uint64_t most, bool* whole) {
  thread_->metrics()->hidden_statements.Add();
  uint8_t sequence = 0;
  const bool sent = co_await WriteMessage(&backend_, &sequence, payload);
  if (!sent) co_return false;
  co_return co_await HiddenReply(sequence, tracker, reply, most, whole);
}

// The same with what stands in outgoing_: a command and what may go before it.
awaitable<bool> Session::HiddenFrames(uint8_t sequence, ReplyTracker* tracker, std::string* reply, uint64_t most, bool* whole) {
  thread_->metrics()->hidden_statements.Add();
  const ErrorCode ec = co_await backend_.Write(outgoing_);
  outgoing_.clear();
  if (ec) co_return Fail("the backend closed during a hidden statement");
  co_return co_await HiddenReply(sequence, tracker, reply, most, whole);
}

awaitable<bool> Session::HiddenReply(uint8_t sequence, ReplyTracker* tracker, std::string* reply, uint64_t most, bool* whole) {
  tracker->Start(ReplyTracker::Kind::kGeneric, capabilities_, sequence);
  tracker->set_status(status_);
  while (tracker->state() == ReplyTracker::State::kMore) {
    if (backend_.in().empty()) {
      Stream::ReadResult read = co_await backend_.ReadMore();
      if (std::get<0>(read)) co_return Fail("the backend closed during a hidden statement");
    }
    const std::string_view bytes = backend_.in().data();
    const size_t size = tracker->Feed(bytes);
    const bool fits = reply->size() + size <= most;
    if (!fits && whole == nullptr) co_return Fail("an unreasonable reply to a hidden statement");
    if (!fits) *whole = false;
    if (fits && (whole == nullptr || *whole)) reply->append(bytes.substr(0, size));
    backend_.in().Consume(size);
  }
  if (tracker->state() != ReplyTracker::State::kDone || !backend_.in().empty()) co_return Fail("malformed reply to a hidden statement");
  co_return true;
}

// An error carries no status flags, and after these the server may have rolled the whole transaction back or not. It is
// asked by an option set to what it is: of all commands this one leaves the diagnostics and ROW_COUNT() as they are.
awaitable<bool> Session::LearnTransactionState() {
  const char payload[] = {static_cast<char>(protocol::Command::kSetOption), multi_statements_ ? '\0' : '\1', '\0'};
  ReplyTracker tracker;
  std::string reply;
  const bool alive = co_await HiddenCommand(std::string_view(payload, sizeof payload), &tracker, &reply);
  if (alive && !tracker.is_error()) status_ = tracker.status();
  co_return alive;
}

// Runs `sql` on the backend unseen by the client. `*ok`: it gave a result; `first_row`: its first row (NULL is empty).
awaitable<bool> Session::HiddenQuery(std::string_view sql, std::vector<std::string>* first_row, bool* ok) {
  *ok = false;
  std::string payload(1, '\x03');
  // With query attributes agreed, every COM_QUERY says how many there are: none, in one set.
  if ((capabilities_ & protocol::kClientQueryAttributes) != 0) payload += std::string_view("\x00\x01", 2);
  payload += sql;
  ReplyTracker tracker;
  std::string reply;
  const bool alive = co_await HiddenCommand(payload, &tracker, &reply);
  if (!alive) co_return false;
  if (tracker.is_error()) co_return true;

  // Column count, definitions, EOF of the old style, then the row.
  std::vector<std::string_view> packets;
  for (size_t at = 0; at + protocol::kFrameHeader <= reply.size();) {
    const uint32_t length = protocol::ParseFrameHeader(reply.data() + at).length;
    packets.push_back(std::string_view(reply).substr(at + protocol::kFrameHeader, length));
    at += protocol::kFrameHeader + length;
  }
  if (packets.empty() || packets[0].empty()) co_return true;
  // The count, and beside it, where that was agreed, whether definitions follow (MySQL: before it, MariaDB: after it).
  size_t columns = static_cast<uint8_t>(packets[0][0]);
  bool defined = true;
  if (packets[0].size() == 2) {
    const size_t other = static_cast<uint8_t>(packets[0][1]);
    defined = std::min(columns, other) != 0;
    columns = std::max(columns, other);
  }
  const size_t row = 1 + (defined ? columns : 0) + ((capabilities_ & protocol::kClientDeprecateEof) != 0 ? 0 : 1);
  if (row >= packets.size()) co_return true;
  protocol::Reader reader(packets[row]);
  first_row->clear();
  for (size_t i = 0; i < columns; ++i) {
    if (reader.remaining() > 0 && static_cast<uint8_t>(packets[row][reader.position()]) == 0xFB) {
      reader.U8();
      first_row->emplace_back();
    } else {
      first_row->emplace_back(reader.LenencString());
    }
  }
  *ok = reader.ok();
  co_return true;
}

Session::Isolation Session::ParseIsolation(std::string_view name) {
  if (name == "READ-UNCOMMITTED") return Isolation::kReadUncommitted;
  if (name == "READ-COMMITTED") return Isolation::kReadCommitted;
  if (name == "REPEATABLE-READ") return Isolation::kRepeatableRead;
  return name == "SERIALIZABLE" ? Isolation::kSerializable : Isolation::kUnknown;
}

awaitable<bool> Session::LearnFacts() {
  if (facts_known_) co_return true;
  if (facts_ == nullptr) facts_ = std::make_unique<rewrite::SessionFacts>();
  std::vector<std::string> row;
  bool ok = false;
  // As bytes, whatever character_set_results is; with a limit of its own, whatever sql_select_limit is.
  const bool maria = pinned_->snapshot->catalog.dialect.flavor == rewrite::Flavor::kMariaDb;
  const std::string sql = fmt::format("SELECT CAST(@@sql_mode AS BINARY), CAST(@@character_set_client AS BINARY),"
                                      " CAST(@@foreign_key_checks + 0 AS BINARY), CAST(DATABASE() AS BINARY), CAST(@@character_set_connection AS BINARY),"
                                      " CAST({} AS BINARY), CAST(@@max_allowed_packet AS BINARY) LIMIT 1", maria ? "@@default_regex_flags" : "''");
  const bool alive = co_await HiddenQuery(sql, &row, &ok);
  if (!alive) co_return false;
  if (!ok || row.size() != 7) co_return true;
  facts_->sql_mode = rewrite::ParseSqlMode(row[0]);
  if (row[4].starts_with("ucs2") || row[4].starts_with("utf16") || row[4].starts_with("utf32") || !row[5].empty()) facts_->sql_mode |= rewrite::kOddValues;
  facts_->charset = row[1];
  converts_ = row[1] != row[4] && row[1] != "binary" && row[4] != "binary";
  facts_->foreign_key_checks = row[2] == "1";
  facts_->schema = row[3];
  max_allowed_packet_ = std::strtoull(row[6].c_str(), nullptr, 10);
  in_information_ = rewrite::NameEq(row[3], "information_schema");
  facts_known_ = true;
  // Nobody has looked at what was said meanwhile.
  isolation_ = Isolation::kUnknown;
  isolation_unsure_ = true;
  co_return true;
}

// The backend would not say (an expired password, say): where a migration needs care, nothing is done on a guess.
awaitable<Session::Action> Session::NoFacts(std::string why) {
  bool careful = !pinned_->known;
  for (const rewrite::MigrationState& state : pinned_->snapshot->migrations) {
    careful = careful || (state.phase >= config::Phase::kDualWrite && !state.Finished());
  }
  if (!careful) co_return kRelay;
  co_return co_await Refuse(std::move(why));
}

// Asking the session for its settings would change what ROW_COUNT() and the like say.
bool Session::FactsWouldTell(std::string_view text) const {
  if (facts_known_) return false;
  if (rewrite::AsksForTheLast(text)) return true;
  if (sql_prepared_.empty() || !ContainsWord(text, "execute")) return false;
  const std::string folded = rewrite::FoldName(text);
  return std::any_of(sql_prepared_.begin(), sql_prepared_.end(), [&](const auto& each) {
    return each.second->known && rewrite::AsksForTheLast(each.second->text) && folded.find(each.first) != std::string::npos;
  });
}

}  // namespace crossfade::proxy

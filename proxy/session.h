// SPDX-License-Identifier: Apache-2.0
// One client and its own backend connection, from accept to close. A coroutine on one io thread:
//
//   connect -> greeting -> [TLS] -> login, authentication passed through -> commands, one at a time -> close
//
//   session.cc           life and death, the command loop, relaying
//   session_arrival.cc   who the client is: PROXY headers, limits on users and addresses
//   session_replication.cc  streams of events, both sides at once; session_infile.cc  files of the client (LOAD DATA LOCAL)
//   session_auth.cc      connection phase and COM_CHANGE_USER
//   session_time.cc      time limits
//   session_query.cc     text statements that may touch a migrating table
//   session_prepared.cc  prepared statements that do
//   session_bulk.cc      MariaDB's bulk execution of them
//   session_range.cc     INSERT … SELECT whose rows are numbered from a range of new keys
//   session_image.cc     an UPDATE in steps, whose new side is made of the rows as they are stored (strategy B)
//   session_guard.cc     what becomes of a row whose parent is not there when it is looked up
//   session_ahead.cc     the references of an INSERT of many rows, looked up by one query before it
//   session_marks.cc     … where its statement cannot be run again, in a transaction at READ COMMITTED
//   session_hidden.cc    replies that are changed: what a migration added to the schema is left out
//   session_dynamic.cc   PREPARE and EXECUTE as SQL
//   session_compare.cc   reads run on both sides and compared
//   session_gate.cc      statements on tables that foreign keys tie to held ones wait with them
//   session_building.cc  while a table is altered online, a transaction takes its lock for writing first
//   session_fence.cc     its connection is registered before the first write to a migrating table
//   session_facts.cc     what the session's text means: sql_mode, character set, schema
// Everything a client sends that names no migrating table goes on as the bytes it came in.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/proxy_header.h"
#include "protocol/reply.h"
#include "protocol/statement.h"
#include "proxy/io_thread.h"
#include "proxy/server.h"
#include "proxy/sql_words.h"
#include "proxy/stream.h"

namespace crossfade::proxy {

struct GuardedStatement;
struct PreparedStatement;
struct RangedStatement;
struct SqlPrepared;
struct SideResult;
}
namespace crossfade::protocol {
class ReplyEditor;
}
namespace crossfade::rewrite {
struct DynamicSql;
}
namespace crossfade::proxy {

bool ComparesReads(const rewrite::Snapshot& snapshot);

class Session {
 public:
  Session(IoThread* thread, uint64_t id, Socket client, const ListenerContext* listener, const protocol::SocketAddress& peer);
  ~Session();
  static awaitable<void> Run(std::unique_ptr<Session> self);

  uint64_t id() const { return id_; }
  // From IoThread::Tick: time limits; a session that has been idle for a tick gets its backend watched.
  void Tick(std::chrono::steady_clock::time_point now);
  void KillDone(bool killed);     // of a query that ran too long
  void BackendClosed();           // its socket has reached its end
  void Registered() { registered_ = true; }  // its backend connection is, in the control schema
  void Drain();                   // end now if idle and not in a transaction, else after that
  void Abort(const char* reason);

 private:
  using Action = int;
  static constexpr Action kEnd = 0, kRelay = 1, kAnswered = 2;  // the session ends; send outgoing_; done with this command
  static constexpr Action kAgain = 3;                           // plan it once more: another snapshot is pinned
  // Errors after which a transaction may be over: a changed record under snapshot isolation (MariaDB), a lock wait that
  // timed out (innodb_rollback_on_timeout), a deadlock.
  // Errors of the moment, which the client's own statement would have met as well: a lock wait, a deadlock, a statement that was ended.
  static bool OfTheMoment(uint16_t code) { return code == 1020 || code == 1205 || code == 1213 || code == 1317 || code == 3024 || code == 1969 || code == 3572; }
  static bool MayEndTransaction(uint16_t error) { return error == 1020 || error == 1205 || error == 1213; }
  static constexpr char kNearFrame[] = "the statement is so near to a multiple of 16 MiB that its rewritten form needs another packet; send it in smaller parts";
  static constexpr char kTooLong[] = "the statement is so long that its rewritten form is over the server's max_allowed_packet; send it in smaller parts";
  static constexpr char kAsksForTheLast[] = "the statement asks what became of the one before it, right behind a change of the session's settings, which have to be read in between; ask for it in a statement of its own";
  static constexpr char kNoLease[] = "the lease on the control schema has run out, so statements on migrating tables are held back; try again";

  // What a time limit has begun: pending operations are cancelled, and whoever waits on them sees it.
  enum class Ending : uint8_t { kNone, kConnect, kLogin, kIdle, kStatement };

  // session.cc
  awaitable<void> Serve();
  awaitable<bool> NextCommand(std::string_view* payload, size_t* size);
  awaitable<Action> Special(std::string_view payload);
  awaitable<bool> RelayReply(ErrorCode ec, size_t fed, std::string_view bytes);
  awaitable<bool> RelayLocalInfile(size_t request_size, bool forwarded);
  awaitable<bool> ReadMessage(Stream* stream, uint8_t* sequence, std::string* payload, uint64_t limit);
  awaitable<bool> WriteMessage(Stream* stream, uint8_t* sequence, std::string_view payload);
  awaitable<bool> SendError(uint8_t sequence, uint16_t code, const char* state, std::string message);
  awaitable<bool> TooLarge();    // the server's errors, then the end
  awaitable<bool> OutOfOrder(uint8_t sequence);
  awaitable<bool> Surplus();
  awaitable<bool> ClientLeft(ErrorCode ec);
  bool IsPlain(protocol::Command command, std::string_view payload, const rewrite::Snapshot* snapshot);
  void CommandDone();
  void Finish();
  bool Fail(std::string reason);  // false, to be returned; the first reason is logged
  bool Refused(Refusal refusal, std::string reason);  // the same in the connection phase, counted by the first reason
  const config::Limits& limits() const;
  uint8_t AfterCommand() const { return static_cast<uint8_t>(command_frames_); }  // the reply's first sequence id

  // session_arrival.cc
  awaitable<bool> Arrive();
  awaitable<bool> ReadProxyHeader();
  awaitable<bool> SendProxyHeader();
  bool AdmitUser();  // false: the user has as many as may be
  bool HoldMemory(size_t bytes);  // for a large command; false: too much for all of them together
  void GiveMemory();
  void GiveBack();   // of all that Admission counts

  // session_time.cc
  using Clock = std::chrono::steady_clock;
  void WatchBackend();
  void PhaseTooLong(Clock::time_point now);
  void SitsTooLong(Clock::time_point now);
  void RunsTooLong(Clock::time_point now, bool again);
  void End(Ending ending, Clock::time_point now);
  awaitable<void> LastWords();
  awaitable<bool> KillSettled();

  // session_replication.cc
  awaitable<Action> Replicate();
  awaitable<bool> RelayEvents(size_t fed);
  awaitable<bool> RelayAcknowledgements();

  // session_auth.cc
  awaitable<bool> Login();
  awaitable<bool> ConnectBackend();
  awaitable<bool> ReadBackend(uint8_t* sequence, std::string* payload);
  awaitable<bool> ReadHead(bool tls_asked, uint8_t sequence);
  bool MayStartTls() const;  // the client, with its next packet
  awaitable<bool> ReadLogin(protocol::Login* login, uint8_t* sequence);
  awaitable<bool> Authenticate(uint8_t client_sequence, uint8_t backend_sequence);
  awaitable<bool> FullAuth(std::string_view request_key, uint8_t* client_sequence, uint8_t* backend_sequence);
  awaitable<bool> ChangeUser(std::string_view payload);
  bool LeaksPassword(std::string_view plugin) const;
  void HoldPassword(std::string_view plugin, std::string* response);
  void DropPassword();
  void ResetState();

  // session_facts.cc
  enum class Isolation : uint8_t { kUnknown, kReadUncommitted, kReadCommitted, kRepeatableRead, kSerializable };
  static Isolation ParseIsolation(std::string_view name);
  void NoteChange(uint8_t change) {
    if (change == 0) return;
    isolation_unsure_ = true;
    isolation_ = Isolation::kUnknown;
    if ((change & kFactsChange) != 0) facts_known_ = false;
  }
  awaitable<bool> LearnFacts();   // false: the session ends. True may leave facts_known_ false: see NoFacts
  awaitable<Action> NoFacts(std::string why = "the session's sql_mode, character set and schema could not be read from the backend; connect again");
  bool FactsWouldTell(std::string_view text) const;
  awaitable<bool> LearnTransactionState();
  awaitable<bool> HiddenCommand(std::string_view payload, protocol::ReplyTracker* tracker, std::string* reply, uint64_t most = 1 << 20, bool* whole = nullptr);
  awaitable<bool> HiddenFrames(uint8_t sequence, protocol::ReplyTracker* tracker, std::string* reply, uint64_t most, bool* whole);
  awaitable<bool> HiddenReply(uint8_t sequence, protocol::ReplyTracker* tracker, std::string* reply, uint64_t most, bool* whole);
  awaitable<bool> HiddenQuery(std::string_view sql, std::vector<std::string>* first_row, bool* ok);

  // session_compare.cc
  void WatchText(std::string_view text);
  awaitable<bool> RunSide(const std::string& sql, SideResult* result);
  rewrite::MigrationSet ToCompare(const rewrite::Plan& plan) const;
  awaitable<bool> CompareExecution(const PreparedStatement& statement, const protocol::Execute& execute, const rewrite::Plan& plan);
  awaitable<bool> CompareSides(std::string_view sql, const rewrite::Plan& plan, rewrite::MigrationSet asked);

  // session_gate.cc
  awaitable<bool> WaitAtGate(protocol::Command command, std::string_view payload);
  bool NamesRelative(const rewrite::TouchSet& relatives, protocol::Command command, std::string_view payload);

  // session_building.cc
  bool MayMeetAlter() const { return pinned_->building.any() && (status_ & (protocol::kStatusInTrans | protocol::kStatusAutocommit)) != protocol::kStatusAutocommit; }
  awaitable<Action> TakeTables(rewrite::MigrationSet migrations, std::string_view sql);
  awaitable<Action> TakeTablesOfRelatives(protocol::Command command, std::string_view payload);

  // session_fence.cc
  awaitable<Action> Register();
  bool FenceReaches() const;
  void EndRegistration();

  // session_query.cc
  awaitable<Action> PlanQuery(std::string_view payload);
  awaitable<Action> Admit(std::string_view sql, const std::vector<rewrite::ValueShape>* shapes, rewrite::SessionFacts* facts,
                          std::shared_ptr<const rewrite::Plan>* plan, PreparedStatement* statement = nullptr);
  awaitable<bool> WaitForSnapshot(std::chrono::milliseconds limit);
  bool IsFenced(const rewrite::Plan& plan) const;
  awaitable<Action> PassFence(bool writes);
  bool StillMayGoOn(const rewrite::Plan& plan) const;
  awaitable<bool> TakeKeys(const std::vector<rewrite::KeySlot>& slots, std::vector<uint64_t>* keys, uint64_t rows = 0);
  awaitable<Action> NoKeys(const std::vector<rewrite::KeySlot>& slots);
  awaitable<Action> Refuse(std::string reason);
  rewrite::MigrationSet Cohort();  // by the pinned snapshot
  void KeepAttributes(std::string_view attributes);
  void Count(const std::shared_ptr<const rewrite::Plan>& plan, const rewrite::SessionFacts& facts, std::string_view sql,
             const std::vector<rewrite::ValueShape>* shapes);
  void Pin();
  void Begin();
  void Unpin();
  size_t TextOffset(std::string_view payload) const;  // where a COM_QUERY's text begins; npos: malformed

  // session_range.cc
  awaitable<Action> BeginRange(RangedStatement ranged);
  awaitable<Action> SendRanged();
  awaitable<Action> RangeReply();
  awaitable<size_t> HeadError(protocol::ErrPacket* error);
  awaitable<Action> CheckedReply();
  awaitable<bool> CheckedLoad(bool* answered);
  void EndRange(uint64_t used);
  void RangeDone();

  // session_image.cc
  struct ImageStep {
    protocol::ReplyTracker tracker;
    std::string reply;
    bool whole = true;
    bool failed() const { return tracker.is_error(); }
  };
  // What a statement in steps left to be told, beyond its reply.
  struct LastImage {
    bool told = false;  // it failed, or warned
    bool said = false;  // the server's diagnostics are those of its error, but for the message
    bool counted = false;  // … at least ROW_COUNT() is
    bool kept = false;  // a statement that names no table is under way: MariaDB keeps the diagnostics, if it has none of its own
    std::string shown;  // the reply to SHOW WARNINGS; empty: not known
    bool passed = false;  // another statement has gone to the server since: ROW_COUNT() is that one's
    std::optional<int64_t> count;  // what ROW_COUNT() was; none: not known
    std::string then;   // it was none in steps: what is to be run behind it, once no more is asked of it
  };
  awaitable<Action> RunImage(const std::shared_ptr<const rewrite::Plan>& plan, std::string_view sql);
  awaitable<Action> ExecuteImage(PreparedStatement* statement, const protocol::Execute& execute, const rewrite::SessionFacts& facts, const std::vector<uint32_t>& bytes);
  awaitable<bool> RunImageStep(std::string_view sql, uint64_t most, ImageStep* step);
  awaitable<bool> ShowWarnings(std::string* reply, const char* limit = "");
  awaitable<bool> EndImage(bool own, bool savepoint, bool keep);
  awaitable<Action> ImageReply(const ImageStep& step, bool own, std::string_view committed);
  awaitable<Action> TellImage(const ImageStep& step, bool own, const std::string& committed, const std::string& no_way_back, std::unique_ptr<LastImage>* last);
  awaitable<Action> AfterImage(std::string_view payload);

  // session_guard.cc
  GuardedStatement* Guard(const std::shared_ptr<const rewrite::Plan>& plan);
  awaitable<Action> GuardedReply();
  awaitable<Action> BuildGuarded(rewrite::Form form, uint32_t* prepared);
  awaitable<Action> SendGuardedAgain(rewrite::Form form);
  awaitable<Action> AskUnguarded(bool* stored);
  void CloseHidden(uint32_t id);
  enum class Gaps : uint8_t { kUnsure, kOpen, kLocked };
  awaitable<bool> LockGaps(std::string_view sql, bool several, Gaps* gaps);
  void Lower();

  // session_ahead.cc
  awaitable<Action> LookAhead(const rewrite::Plan& plan, const rewrite::SessionFacts& facts, std::string_view sql, const protocol::Execute* execute, std::vector<std::string>* values);
  awaitable<Action> PrepareAhead(const PreparedStatement& statement, const rewrite::Plan& plan, const rewrite::SessionFacts& facts, rewrite::Form form, const std::vector<std::string>& values, uint32_t* id);

  // session_marks.cc
  awaitable<bool> ChooseForm(const rewrite::Plan& plan, std::string_view sql, bool guards, rewrite::Form* form);
  bool MayMark(const rewrite::Plan& plan, std::string_view sql) const;
  void Marked();
  awaitable<bool> AskForMarks(const std::vector<const rewrite::Plan::Mark*>& marks, bool* found, uint16_t* error);
  awaitable<Action> Mend(std::string_view payload);
  std::string_view TextOf(std::string_view payload);

  // session_prepared.cc
  awaitable<Action> Prepare(std::string_view payload);
  awaitable<Action> Execute(std::string_view payload);
  awaitable<Action> OtherStatementCommand(std::string_view payload);
  PreparedStatement* FindPrepared(std::string_view payload);
  bool PreparedTouches(std::string_view payload);
  bool PreparedLoadLocal(std::string_view payload) const;
  void RememberPrepared(std::string_view payload);
  bool MayPrepare() const;
  void CountPrepared();
  bool NamesRefused(std::string_view payload) const;
  awaitable<Action> NoSuchStatement(std::string_view payload);
  void CursorState();
  awaitable<bool> HiddenPrepare(std::string_view text, uint32_t* id, bool told = true);
  awaitable<bool> HiddenReset(uint32_t id);
  awaitable<Action> Variant(PreparedStatement* statement, const std::shared_ptr<const rewrite::Plan>& plan, const rewrite::SessionFacts& facts,
                            rewrite::Form form, uint32_t* id);
  void KeepTypes(const std::vector<protocol::ParamType>& types, PreparedStatement* statement);
  bool Build(PreparedStatement* statement, uint32_t id, const protocol::Execute& client, const rewrite::Plan* plan,
             const std::vector<uint64_t>& keys);

  // session_hidden.cc
  awaitable<bool> DefinitionsOf(std::string_view command, std::vector<std::string>* definitions);
  awaitable<bool> EditReplies(const std::shared_ptr<const rewrite::Plan>& plan, std::string_view sql, std::string_view own, bool binary);
  awaitable<bool> EditExecution(const std::shared_ptr<const rewrite::Plan>& plan, PreparedStatement* statement, const protocol::Execute& client);
  awaitable<Action> FieldList(std::string_view payload);
  void MayEnterInformation(std::string_view schema);
  awaitable<bool> RelayEdited();

  // session_dynamic.cc
  std::string QueryCommand(std::string_view sql) const;
  awaitable<bool> HiddenStatement(std::string_view sql, bool* done, uint16_t* status = nullptr);
  awaitable<bool> HiddenUntil(const char* sql, uint16_t flag, bool set, bool* done);
  awaitable<bool> DropVariants(SqlPrepared* prepared);
  awaitable<Action> DynamicStatement(std::string_view payload, size_t offset, std::string* resolved);
  void KeepPreparing();
  awaitable<bool> ForgetPrepared();
  awaitable<bool> ShapesOf(const rewrite::DynamicSql& dynamic, std::vector<rewrite::ValueShape>* shapes);
  awaitable<Action> ExecuteSql(std::string_view payload, size_t offset, const rewrite::DynamicSql& dynamic, SqlPrepared* prepared);
  awaitable<Action> SqlVariant(const rewrite::Plan& plan, const rewrite::SessionFacts& facts, rewrite::Form form, SqlPrepared* prepared, std::string* name);
  awaitable<Action> ExecuteVariant(std::string_view head, const rewrite::DynamicSql& dynamic, const std::shared_ptr<const rewrite::Plan>& plan,
                                   const rewrite::SessionFacts& facts, SqlPrepared* prepared);

  // session_bulk.cc
  awaitable<Action> BulkExecute(std::string_view payload, PreparedStatement* statement);
  awaitable<Action> RefuseBulk(uint16_t code, const char* message);

  IoThread* const thread_;
  const uint64_t id_;
  const ListenerContext* const listener_;
  const protocol::SocketAddress peer_;  // whose socket it is
  protocol::ProxyHeader identity_;      // whose connection it is; the destination is set where a header told it
  Stream client_, backend_;
  protocol::MessageReader reader_;
  protocol::ReplyTracker tracker_;
  uint64_t capabilities_ = 0;
  uint32_t commands_ = 0, ticked_commands_ = 0;
  uint32_t command_frames_ = 1;
  size_t command_size_ = 0;  // of the command at the head of the client's buffer
  uint16_t status_ = 0;
  bool authenticated_ = false, idle_ = false, watched_ = false, closing_ = false;
  bool backend_closed_ = false;  // as far as has been seen while idle
  bool replicating_ = false;  // a stream of events without an end
  bool facts_known_ = false;
  bool converts_ = false;                          // from character_set_client to another character_set_connection; known with facts_
  bool isolation_unsure_ = true;                   // this transaction's, or the next one's, may not be the session's
  bool uses_up_level_ = false;                     // what SET TRANSACTION may have said for one is used up by this command, if it succeeds
  Isolation isolation_ = Isolation::kUnknown;      // the session's
  enum class Raised : uint8_t { kNo, kTransaction, kSession } raised_ = Raised::kNo;  // … for this command; see LockGaps
  Isolation lower_to_ = Isolation::kUnknown;
  bool comparable_ = false;        // see session_compare.cc
  bool registered_ = false;        // see backfill/fence.h
  bool in_information_ = false;    // INFORMATION_SCHEMA may be the default schema
  bool multi_statements_ = false;  // the option's state on the backend
  uint8_t last_command_ = 0;
  uint16_t ticket_ = 0;  // decides the cohort, 0 to 9,999
  rewrite::MigrationSet taken_;   // in this transaction: see session_building.cc
  rewrite::MigrationSet cohort_;  // under the snapshot of cohort_of_
  static constexpr uint64_t kNoGeneration = ~uint64_t{0};
  uint64_t cohort_of_ = kNoGeneration;
  SnapshotStore::Entry* pinned_ = nullptr;
  Clock::time_point deadline_{}, login_deadline_{};  // of the connection phase; zero: none
  Clock::time_point began_{};        // the command under way; zero: nobody asks how long it takes
  Clock::time_point since_{};        // as far as Tick has seen, the session has been as it is since then
  bool ticked_idle_ = false;
  bool half_command_ = false;        // waits for the rest of a command
  bool greeted_ = false;             // the client has a greeting: errors carry an SQLSTATE from now on
  bool mariadb_ = false;
  Ending ending_ = Ending::kNone;
  enum class Kill : uint8_t { kNone, kOrdered, kDone } kill_ = Kill::kNone;
  uint32_t backend_thread_ = 0;
  Refusal refusal_ = Refusal::kOther;
  bool address_counted_ = false, user_counted_ = false;
  std::string counted_user_;
  size_t held_memory_ = 0;
  std::unordered_set<uint32_t> statements_;  // the client's prepared statements
  bool prepare_refused_ = false;              // the last PREPARE never reached the backend
  std::string outgoing_;  // what is sent in place of the client's bytes
  std::string user_, scramble_, held_password_;
  std::string attributes_;  // of the connection, as sent; kept only where a cohort is told by them
  std::string fault_;
  std::unique_ptr<rewrite::SessionFacts> facts_;
  std::unique_ptr<protocol::ReplyEditor> editor_;  // the reply to this command is changed
  std::unique_ptr<LastImage> last_image_;          // the command before this one was run in steps
  uint64_t max_allowed_packet_ = 0;                 // of the backend's session, in bytes; known with facts_
  bool GrowsTooLong(uint64_t bytes, uint64_t was) const { return bytes > max_allowed_packet_ && was <= max_allowed_packet_; }
  std::string no_way_back_;                         // of this command's plan
  std::unique_ptr<RangedStatement> ranged_;         // this command runs with a range of new keys
  std::unique_ptr<GuardedStatement> guarded_;       // this command, if it has a plan
  std::shared_ptr<const rewrite::Plan> marking_;    // this command runs the marked text of it
  std::vector<std::shared_ptr<const rewrite::Plan>> marked_;  // … those before it did, whose rows nobody has looked at
  // By the client's id; kept only where migrations are declared.
  std::map<uint32_t, std::unique_ptr<PreparedStatement>> prepared_;
  std::map<std::string, std::unique_ptr<SqlPrepared>> sql_prepared_;  // by PREPARE, under these names (lower case)
  std::unique_ptr<SqlPrepared> preparing_;  // this command's
  std::string preparing_name_;
  uint32_t sql_variants_ = 0;
  uint32_t last_prepared_ = 0;
  std::set<uint32_t> load_local_;  // prepared statements that ask for a file of the client's (MariaDB)
  PreparedStatement* running_ = nullptr;  // this command executes or fetches from a variant of it
};

}  // namespace crossfade::proxy

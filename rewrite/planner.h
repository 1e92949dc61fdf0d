// SPDX-License-Identifier: Apache-2.0
// SQL text + snapshot + session facts -> plan. Pure and single-threaded: each io thread owns a Planner.
//
//   MightTouch(snapshot, sql)          no lexing; false: send the original bytes
//   planner.Plan(snapshot, facts, sql) cached by shape (the statement without its literals' values)
//   Render(plan, sql, keys)            the text to send, with the new keys filled in
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "rewrite/hidden.h"
#include "rewrite/snapshot.h"

namespace crossfade::rewrite {

// sql_mode bits that change how a text reads or what a rewrite means.
enum SqlMode : uint32_t {
  kAnsiQuotes = 1 << 0,
  kNoBackslashEscapes = 1 << 1,
  kPipesAsConcat = 1 << 2,
  kIgnoreSpace = 1 << 3,
  kHighNotPrecedence = 1 << 4,
  kSimultaneousAssignment = 1 << 5,  // MariaDB
  kOracle = 1 << 6,                  // MariaDB
  kStrict = 1 << 7,                  // STRICT_TRANS_TABLES or STRICT_ALL_TABLES
  // An expression may give another value than in the backfill's session: PAD_CHAR_TO_FULL_LENGTH, NO_UNSIGNED_SUBTRACTION,
  // ALLOW_INVALID_DATES, REAL_AS_FLOAT, MariaDB's EMPTY_STRING_IS_NULL and TIME_ROUND_FRACTIONAL, MySQL's
  // TIME_TRUNCATE_FRACTIONAL; also what is no sql_mode: default_regex_flags, character_set_connection UCS-2, UTF-16, UTF-32.
  kOddValues = 1 << 8,
  kPadChar = 1 << 9,  // PAD_CHAR_TO_FULL_LENGTH, which is one of them
};
uint32_t ParseSqlMode(std::string_view modes);  // of "A,B,C" as @@sql_mode shows it; unknown words are ignored

// What the session's text means where it was sent. Learnt by the proxy (see proxy/session_facts.h).
struct SessionFacts {
  std::string schema;               // default schema; empty: none
  uint32_t sql_mode = kStrict;
  std::string charset = "utf8mb4";  // character_set_client
  bool foreign_key_checks = true;
  MigrationSet new_cohort;  // bit i: this session reads the new side of snapshot.migrations[i]
};

// The kind of value a parameter or literal is: decides which key it can be.
// kNumeric: a string that reads as an integer ('17'), told apart only where some old key is an integer and its successor is
// not: there it is the old key, as the server would compare it.
// kFraction: … as another number ('7.0', '1e1'), which beside an integer is one, and beside a string that text.
// kWide: a string with bytes beyond ASCII, told apart in the same places; a string to most plans. See Plan::by_letters.
enum class ValueShape : uint8_t { kUnknown, kNull, kInteger, kString, kOther, kNumeric, kFraction, kWide };
// Of a string; `numbers`: Snapshot::integers_go. Without it all are kString.
ValueShape ShapeOfText(std::string_view text, bool numbers);
bool ReadsAsInteger(std::string_view text);  // digits, with a sign and blanks round them
bool ReadsAsNumber(std::string_view text);   // '2.0' and '1e3' too, which an integer column takes as 2 and 1000

enum class Strategy : uint8_t {
  kUntouched,     // the original bytes
  kOneStatement,  // A: one edited statement
  kRowImage,      // B: the rows are locked and noted, the client's statement is run on them, and their new side made of what it stored
  kRefuse,        // C: error 1235 with `reason`
};
std::string_view StrategyName(Strategy strategy);  // "untouched", "A", "B", "C"

// A fresh new key that the text needs, one for each row of an INSERT. An INSERT … SELECT, whose rows nobody has counted, needs
// the first and the last of a range.
struct KeySlot {
  uint32_t migration = 0;  // index into Snapshot::migrations
  uint32_t key = 0;        // index into Migration::keys
  enum Use : uint8_t { kOne, kFirst, kLast } use = kOne;
  bool exact = false;      // kFirst: as many of the range are used as the statement says it affected
  bool variable = false;   // kFirst: stands in the user variable kRowVariable, less 1
};
inline constexpr char kRowVariable[] = "crossfade_row";
// The server's answer where a range is too short. Nothing was written then: a longer range is taken.
bool IsPastRange(uint16_t code, std::string_view message);
// … to a statement whose plan says `no_way_back`, if it refuses a row for that.
bool IsPastAllNumbers(uint16_t code, std::string_view message);
// … of the guarded text of a plan, where a parent was not found.
bool IsMissingParent(uint16_t code, std::string_view message);

// Where the value of a '?' in the rewritten text comes from.
struct ParamSource {
  enum Kind : uint8_t { kClient, kNewKey } kind = kClient;
  uint32_t index = 0;  // the client's parameter, or the index into Plan::key_slots
};

struct RowImage;  // see row_image.h

struct Plan {
  Strategy strategy = Strategy::kUntouched;
  bool writes = false;            // writes a migrating table: refused by a proxy whose lease ran out
  MigrationSet touched;           // bit i: names a table of migrations[i]; a held one makes the statement wait
  std::string reason;             // kRefuse: "<migration>: <why>; <what to do instead>". Else why, for explain
  std::vector<KeySlot> key_slots; // new keys to be had before Render
  uint32_t client_params = 0;     // '?' in the client's text
  std::vector<ParamSource> params;      // one for each '?' of the rewritten text
  std::vector<uint32_t> shape_params;   // the client's parameters whose shape the plan depends on
  bool by_letters = false;              // … and whether a string is of ASCII alone
  // An INSERT, REPLACE or UPDATE of several tables that looks a parameter up: MariaDB does that (the UPDATE: may do it) once for all rows of a bulk execution.
  bool looks_up_params = false;
  // As if the migrations that only observe were writing both: what `observe` reports. Same as strategy elsewhere.
  Strategy would_be = Strategy::kUntouched;
  std::string would_be_reason;
  // Bit i: what migrations[i] takes away in the end is used: an old column by its name, a key of the old shape.
  MigrationSet old_uses;
  std::string old_use;            // the first of them, in words
  std::string digest;             // the statement with literals as '?', one space between tokens

  // The edits, in tokens of the client's text so that a cached plan fits any text of the same shape:
  // replace tokens [begin, end) by `text`, in which "\x01<n>\x02" stands for token n of the source verbatim
  // "\x03<n>\x02" for key slot n, and "\x05<n>\x02" for the rows of target n of `image`. What stands between \x06 and \x07 is
  // of the guarded text alone, between \x04 and \x07 of the marked one. Between
  // "\x08<n>\x02" and "\x08\x02" stands the lookup `ahead[n]`.
  struct Edit { uint32_t begin = 0, end = 0; std::string text; };
  std::vector<Edit> edits;        // ascending, not overlapping; begin == end inserts behind the token before begin
  std::vector<ReplyEdit> replies;  // the server's replies are to be changed so
  std::shared_ptr<const RowImage> image;  // kRowImage
  bool prepared = false;          // PlanPrepared: key slots are '?'
  bool several = false;           // statements in one text
  // Where the server answers with IsPastAllNumbers, this is the reason: a new column was given what its old one does not give back.
  std::string no_way_back;
  // A row whose parent is not there when it is looked up may find it there when the foreign key is checked, which then would be
  // stored with its old side alone. In the guarded text such a lookup is an error (IsMissingParent); what the server makes of the row, the other
  // text tells. kMayPass: which may be nothing, with IGNORE, ON DUPLICATE KEY UPDATE, or in an UPDATE that leaves the reference as it is.
  enum Guard : uint8_t { kUnguarded, kFails, kMayPass } guard = kUnguarded;
  // … there is such a lookup that fails in neither text. Where the server may lock no gap it is for who runs the plan to see to that.
  bool exposed = false;
  bool Exposed() const { return exposed || guard != kUnguarded; }  // … of the text that is not guarded
  // In the marked text such a lookup gives a value that is no key. `find`: a condition that holds where a row is stored with one that the transaction
  // sees (an index has it); `mend`: gives these rows what their lookup finds by then. Empty: no lookup can be marked.
  struct Mark { std::string find, mend; };
  std::vector<Mark> marks;
  bool unmarked = false;  // there is a lookup that is not
  bool Ranged() const;            // key_slots has a range
  // Lookups of an INSERT of many rows by a literal or parameter that is one token: see ahead.h. `old_key`, `new_key`, `table` (with its alias, and the index to use): as they are named in a query;
  // `counted`: an expression that is never NULL, and not in that index; `fails`: one that does, with IsMissingParent;
  // `integers`: the old keys are; `number`, `bytes`: the new ones.
  struct Ahead { uint32_t token = 0, parent = 0; bool nullable = false; };
  struct AheadParent { std::string table, old_key, new_key, counted, fails; bool integers = false, number = false, bytes = false; };
  std::vector<Ahead> ahead;
  std::vector<AheadParent> ahead_parents;
};

// Which of a plan's texts: see Plan::guard and Plan::marks.
enum class Form : uint8_t { kPlain, kGuarded, kMarked };

// False only if no statement in `sql` can name a migrating table, in any sql_mode and character set that
// the servers allow for a client. Scans words, knows no quoting: a superset, about 1 ns a byte.
// True also for PREPARE and EXECUTE IMMEDIATE, whose text may stand elsewhere.
bool MightTouch(const Snapshot& snapshot, std::string_view sql);

class Ahead;
// A parameter's value, as far as it can be looked up ahead: the digits of an integer, or a string.
struct AheadParameter {
  enum Kind : uint8_t { kOther, kNull, kInteger, kString } kind = kOther;
  std::string text;
};

class Planner {
 public:
  // `cache_entries`: plans kept; the least recently used goes first. `parse_depth`: see config::Limits.
  explicit Planner(uint32_t cache_entries = 10'000, uint32_t parse_depth = 200);
  ~Planner();

  // The plan of a text (COM_QUERY). Never fails: what cannot be planned is kRefuse, or kUntouched where no
  // migration is in a phase that writes or reads the new side.
  // `force_phase`-like questions (explain) are asked by giving a snapshot in that phase.
  std::shared_ptr<const Plan> PlanQuery(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql);

  // The plan of a text with '?' (COM_STMT_PREPARE). `shapes`: of the client's parameters as far as known
  // (may be shorter than their number: kUnknown, taken as the old key's shape).
  // New keys become '?' too (ParamSource::kNewKey).
  std::shared_ptr<const Plan> PlanPrepared(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql,
                                           const std::vector<ValueShape>& shapes);

  // As Render below, appended to `*out`. A text that was the last to be planned here is not lexed again.
  absl::Status RenderTo(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql,
                        const std::vector<uint64_t>& keys, Form form, std::string* out, const std::vector<std::string>* ahead = nullptr);
  // What there is to be looked up before the text is sent, for `ahead` of RenderTo. Internal if the text does not fit the plan.
  absl::StatusOr<Ahead> LookAhead(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql, const std::vector<AheadParameter>& parameters);

  // Of the plan cache; from any thread.
  uint64_t hits() const;
  uint64_t misses() const;
  uint64_t entries() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The text to send. `keys`: one for each of plan.key_slots (ignored for a prepared plan, whose slots are '?').
// Needs the same sql and facts the plan was asked with; Internal if they do not fit the plan. `form`: the guarded text is for those
// who look for its error alone, the marked one for those who mend the rows behind it.
absl::StatusOr<std::string> Render(const Plan& plan, const SessionFacts& facts, const Dialect& dialect,
                                   std::string_view sql, const std::vector<uint64_t>& keys, Form form = Form::kPlain);

// Only the cohort bits of migrations in cutover follow the ticket (0 to 9,999: < percent * 100 is new);
// in retire and contract every session is new, before cutover none is.
MigrationSet CohortOf(const Snapshot& snapshot, uint32_t ticket);

}  // namespace crossfade::rewrite

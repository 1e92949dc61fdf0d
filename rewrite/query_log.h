// SPDX-License-Identifier: Apache-2.0
// The statements of a recorded workload: a general query log, a slow query log, or a file of SQL, of MySQL or MariaDB. Bytes
// are fed in pieces of any size; which of the three it is, the first lines say.
//
// MySQL manual, The General Query Log and The Slow Query Log; MariaDB Knowledge Base, the same.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace crossfade::rewrite {

struct LoggedStatement {
  std::string_view text;     // valid during the call
  uint64_t connection = 0;   // 0: of a file of SQL
  std::string_view schema;   // a change of the connection's default schema that comes before it; empty: none
  bool begins = false;       // a new connection: what was known of its session is over
};

class QueryLog {
 public:
  using Sink = std::function<void(const LoggedStatement&)>;
  enum class Format : uint8_t { kUnknown, kGeneral, kSlow, kSql };

  // `limit`: bytes of one statement; a longer one is left out, and counted.
  explicit QueryLog(Sink sink, size_t limit = size_t{64} << 20) : sink_(std::move(sink)), limit_(limit) {}

  void Feed(std::string_view bytes);
  void End();  // what stands at the end without its line break or semicolon
  Format format() const { return format_; }
  uint64_t too_long() const { return too_long_; }

 private:
  void Line(std::string_view line);
  void GeneralLine(std::string_view line);
  void SlowLine(std::string_view line);
  void SqlLine(std::string_view line);
  void Append(std::string_view line);
  void Flush();
  void Emit(std::string_view text, std::string_view schema, bool begins);

  Sink sink_;
  size_t limit_;
  Format format_ = Format::kUnknown;
  std::string rest_;       // a line that is not whole yet
  std::string statement_;  // so far
  std::string schema_;     // slow log: said in the head of the statement
  std::string delimiter_ = ";";
  char quote_ = 0;         // SQL: within it; '*': a comment
  bool within_ = false;    // a statement is under way
  bool dropped_ = false;   // … and is too long
  uint64_t connection_ = 0, too_long_ = 0;
};

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// See query_log.h.
#include "rewrite/query_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

struct GeneralHead {
  uint64_t connection = 0;
  std::string_view command, argument;
};

// "2026-11-22T04:27:43.100388Z\t   12 Query\tSELECT 1" (MySQL), "261122  4:27:43\t     5 Query\tSELECT 1" and, within the same
// second, "\t\t     5 Query\tSELECT 1" (MariaDB).
std::optional<GeneralHead> ParseGeneralHead(std::string_view line) {
  static constexpr std::array<std::string_view, 26> kCommands = {
      "Query", "Execute", "Prepare", "Connect", "Init DB", "Quit", "Close stmt", "Change user", "Reset stmt", "Fetch", "Field List", "Statistics", "Ping", "Kill",
      "Binlog Dump", "Binlog Dump GTID", "Long Data", "Set option", "Reset Connection", "Register Slave", "Register Replica", "Bulk_execute", "Shutdown", "Refresh", "Debug", "Error"};
  size_t at = 0;
  if (line.starts_with("\t\t")) {
    at = 2;
  } else {
    if (line.empty() || !IsDigit(line[0])) return std::nullopt;
    at = line.find('\t');
    if (at == std::string_view::npos || at > 40) return std::nullopt;
    for (char c : line.substr(0, at))
      if (!IsDigit(c) && std::string_view(" :-T.Z+").find(c) == std::string_view::npos) return std::nullopt;
    ++at;
  }
  while (at < line.size() && line[at] == ' ') ++at;
  GeneralHead head;
  const auto number = std::from_chars(line.data() + at, line.data() + line.size(), head.connection);
  if (number.ec != std::errc()) return std::nullopt;
  at = static_cast<size_t>(number.ptr - line.data());
  if (at >= line.size() || line[at] != ' ') return std::nullopt;
  const size_t tab = line.find('\t', ++at);
  head.command = Trimmed(line.substr(at, tab == std::string_view::npos ? std::string_view::npos : tab - at));
  if (std::find(kCommands.begin(), kCommands.end(), head.command) == kCommands.end()) return std::nullopt;
  if (tab != std::string_view::npos) head.argument = line.substr(tab + 1);
  return head;
}

// Written where a server begins the file anew.
bool IsServerStart(std::string_view line) { return line.find(", Version: ") != std::string_view::npos && line.ends_with("started with:"); }

// "Time                 Id Command    Argument" (MySQL), with tabs (MariaDB).
bool IsTitle(std::string_view line) { return line.starts_with("Tcp port: ") || ((line.starts_with("Time  ") || line.starts_with("Time\t")) && line.ends_with("Argument")); }

bool IsSlowHead(std::string_view line) {
  static constexpr std::array<std::string_view, 12> kHeads = {"# Time: ", "# User@Host: ", "# Query_time: ", "# Thread_id: ", "# Rows_", "# Bytes_", "# Full_", "# Tmp_",
                                                              "# Filesort: ", "# explain: ", "# Stored_routine: ", "# administrator command: "};
  if (!line.starts_with("# ")) return false;
  return std::any_of(kHeads.begin(), kHeads.end(), [&](std::string_view head) { return line.starts_with(head); });
}

// The word behind `label`: "Id:    12" gives "12".
std::string_view Behind(std::string_view line, std::string_view label) {
  const size_t at = line.find(label);
  if (at == std::string_view::npos) return "";
  std::string_view rest = Trimmed(line.substr(at + label.size()));
  return rest.substr(0, rest.find(' '));
}

}  // namespace

void QueryLog::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      if (rest_.size() <= limit_) rest_ += bytes;
      return;
    }
    if (rest_.empty()) {
      Line(bytes.substr(0, end));
    } else {
      rest_ += bytes.substr(0, end);
      Line(rest_);
      rest_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void QueryLog::End() {
  if (!rest_.empty()) Line(rest_);
  rest_.clear();
  Flush();
}

void QueryLog::Line(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (format_ == Format::kUnknown) {
    if (IsServerStart(line) || IsTitle(line) || Trimmed(line).empty()) return;
    if (ParseGeneralHead(line)) format_ = Format::kGeneral;
    else if (IsSlowHead(line)) format_ = Format::kSlow;
    else format_ = Format::kSql;
  }
  switch (format_) {
    case Format::kGeneral: return GeneralLine(line);
    case Format::kSlow: return SlowLine(line);
    default: return SqlLine(line);
  }
}

void QueryLog::Append(std::string_view line) {
  if (statement_.size() + line.size() > limit_) dropped_ = true;
  if (dropped_) return;
  if (!statement_.empty()) statement_ += '\n';
  statement_ += line;
}

void QueryLog::Flush() {
  if (within_) {
    std::string_view text = Trimmed(statement_);
    while (format_ == Format::kSlow && !text.empty() && (text.back() == ';' || text.back() == '\n')) text.remove_suffix(1);
    if (dropped_) ++too_long_;
    else if (!text.empty()) Emit(text, schema_, false);
  }
  within_ = dropped_ = false;
  statement_.clear();
  schema_.clear();
}

void QueryLog::Emit(std::string_view text, std::string_view schema, bool begins) { sink_({text, connection_, schema, begins}); }

void QueryLog::GeneralLine(std::string_view line) {
  const auto head = ParseGeneralHead(line);
  if (!head) {
    if (IsServerStart(line)) Flush();
    else if (within_) Append(line);
    return;
  }
  Flush();
  connection_ = head->connection;
  // A prepared statement is logged once more with its values at each execution.
  if (head->command == "Query" || head->command == "Execute") {
    within_ = true;
    return Append(head->argument);
  }
  if (head->command == "Init DB") return Emit("", head->argument, false);
  if (head->command == "Connect" || head->command == "Change user") {  // "root@localhost on zoo using TCP/IP"
    std::string_view schema = Behind(head->argument, " on ");
    if (schema == "using") schema = "";
    Emit("", schema, true);
  }
}

void QueryLog::SlowLine(std::string_view line) {
  if (IsSlowHead(line) || IsServerStart(line)) {
    if (within_) Flush();
    if (const std::string_view id = Behind(line, line.starts_with("# Thread_id: ") ? "# Thread_id: " : " Id: "); !id.empty()) {
      uint64_t number = 0;
      if (std::from_chars(id.data(), id.data() + id.size(), number).ec == std::errc()) connection_ = number;
    }
    if (const std::string_view schema = Behind(line, "Schema: "); !schema.empty() && schema != "QC_hit:" && schema != "Last_errno:") schema_ = schema;
    return;
  }
  if (IsTitle(line)) return;
  if (!within_) {
    if (line.starts_with("SET timestamp=")) return;
    if (line.starts_with("use ") && line.ends_with(";")) {
      std::string_view name = Trimmed(line.substr(4, line.size() - 5));
      if (name.size() > 1 && name.front() == '`' && name.back() == '`') name = name.substr(1, name.size() - 2);
      schema_ = name;
      return;
    }
    within_ = true;
  }
  Append(line);
}

// Statements end at the delimiter, outside of quotes and comments.
void QueryLog::SqlLine(std::string_view line) {
  if (!within_) {
    const std::string_view words = Trimmed(line);
    if (words.size() > 10 && NameEq(words.substr(0, 10), "delimiter ")) {
      delimiter_ = Trimmed(words.substr(10));
      return;
    }
  }
  size_t begin = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote_ == '*') {
      if (c == '*' && i + 1 < line.size() && line[i + 1] == '/') {
        quote_ = 0;
        ++i;
      }
    } else if (quote_ != 0) {
      if (c == '\\' && quote_ != '`') ++i;
      else if (c == quote_) quote_ = 0;
    } else if (c == '\'' || c == '"' || c == '`') {
      quote_ = c;
    } else if (c == '#' || (c == '-' && line.substr(i, 2) == "--" && (i + 2 == line.size() || line[i + 2] == ' ' || line[i + 2] == '\t'))) {
      if (!within_ && Trimmed(line.substr(begin, i - begin)).empty()) begin = line.size();  // a statement begins with its first word
      break;
    } else if (c == '/' && line.substr(i, 2) == "/*") {
      quote_ = '*';
      ++i;
    } else if (c == delimiter_[0] && line.substr(i, delimiter_.size()) == delimiter_) {
      within_ = true;
      Append(line.substr(begin, i - begin));
      Flush();
      i += delimiter_.size() - 1;
      begin = i + 1;
    }
  }
  const std::string_view rest = line.substr(begin);
  if (within_ || !Trimmed(rest).empty()) {
    within_ = true;
    Append(rest);
  }
}

}  // namespace crossfade::rewrite

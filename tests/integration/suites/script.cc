// SPDX-License-Identifier: Apache-2.0
// See script.h. The rules are mysqltest's: a line that starts with # or -- is a comment or a directive, all else runs up to
// the delimiter, and its first word decides whether it is mysqltest's own.
#include "tests/integration/suites/script.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace crossfade::suites {
namespace {

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string Lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

const std::set<std::string>& OwnCommands() {
  static const std::set<std::string> commands = {
      "append_file", "assert", "cat_file", "change_user", "character_set", "chmod", "connect", "connection", "copy_file",
      "copy_files_wildcard", "dec", "delimiter", "die", "diff_files", "dirty_close", "disable_abort_on_error", "disable_async_client",
      "disable_connect_log", "disable_info", "disable_metadata", "disable_parsing", "disable_ps_protocol", "disable_query_log",
      "disable_reconnect", "disable_result_log", "disable_rpl_parse", "disable_session_track_info", "disable_testcase",
      "disable_warnings", "disconnect", "echo", "enable_abort_on_error", "enable_async_client", "enable_connect_log", "enable_info",
      "enable_metadata", "enable_parsing", "enable_ps_protocol", "enable_query_log", "enable_reconnect", "enable_result_log",
      "enable_rpl_parse", "enable_session_track_info", "enable_testcase", "enable_warnings", "end", "end_timer", "error", "eval",
      "evalp", "exec", "exec_in_background", "execw", "exit", "expr", "file_exists", "force-cpdir", "force-rmdir",
      "horizontal_results", "if", "inc", "let", "list_files", "list_files_append_file", "list_files_write_file", "lowercase_result",
      "mkdir", "move_file", "optimizer_trace", "output", "partially_sorted_result", "perl", "ping", "query", "query_attributes",
      "query_get_value", "query_horizontal", "query_vertical", "real_sleep", "reap", "remove_file", "remove_files_wildcard",
      "replace_column", "replace_numeric_round", "replace_regex", "replace_result", "require", "reset_connection", "result",
      "result_format", "rmdir", "rpl_probe", "save_master_pos", "send", "send_eval", "send_quit", "send_shutdown", "shutdown_server",
      "skip", "skip_if_hypergraph", "sleep", "sorted_result", "source", "start_timer", "sync_slave_with_master", "sync_with_master",
      "system", "vertical_results", "wait_for_slave_to_stop", "while", "write_file", "write_line", "disable_prepare_warnings",
      "enable_prepare_warnings", "disable_column_names", "enable_column_names", "disable_non_blocking_api",
      "enable_non_blocking_api", "disable_view_protocol", "enable_view_protocol", "disable_cursor_protocol", "enable_cursor_protocol",
      "disable_service_connection", "enable_service_connection", "disable_ps2_protocol", "enable_ps2_protocol", "start_timer",
      "sub", "reset_vgdb", "dump", "replace", "mariadb_backup", "stop_server", "disable_cursor_protocol"};
  return commands;
}

class Script {
 public:
  explicit Script(std::string_view text) : text_(text) {}

  std::vector<Scripted> Read() {
    while (SkipBlank()) {
      const char c = text_[at_];
      if (c == '#') {
        Line();
      } else if (text_.substr(at_, 2) == "--") {
        at_ += 2;
        // "-- " before a word is a directive too.
        Directive(Trimmed(Line()), true);
      } else if (c == '}' || c == '{') {
        ++at_;
      } else if (text_.substr(at_, delimiter_.size()) == delimiter_) {
        at_ += delimiter_.size();
      } else if (const std::string word = WordAt(); word == "if" || word == "while") {
        Condition(word.size());
      } else {
        const std::string_view command = Command();
        if (!Directive(command, false)) Add(command);
      }
    }
    return std::move(out_);
  }

 private:
  bool SkipBlank() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
    return at_ < text_.size();
  }
  std::string_view Line() {
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::string_view line = text_.substr(at_, end - at_);
    at_ = std::min(end + 1, text_.size());
    return line;
  }
  std::string WordAt() const {
    size_t end = at_;
    while (end < text_.size() && (IsWord(text_[end]) || text_[end] == '-')) ++end;
    return Lowered(text_.substr(at_, end - at_));
  }
  // Up to the delimiter outside of quotes.
  std::string_view Command() {
    const size_t begin = at_;
    char quote = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (quote != 0) {
        if (c == '\\' && quote != '`') ++at_;
        else if (c == quote) quote = 0;
      } else if (text_.substr(at_, delimiter_.size()) == delimiter_) {
        break;
      } else if (c == '\'' || c == '"' || c == '`') {
        quote = c;
      } else if ((c == '#' || text_.substr(at_, 3) == "-- ") && LineStart()) {
        at_ = std::min(text_.find('\n', at_), text_.size() - 1);
      }
    }
    const size_t end = std::min(at_, text_.size());
    at_ = std::min(at_ + delimiter_.size(), text_.size());
    return Trimmed(text_.substr(begin, end - begin));
  }
  bool LineStart() const {
    size_t i = at_;
    while (i > 0 && (text_[i - 1] == ' ' || text_[i - 1] == '\t')) --i;
    return i == 0 || text_[i - 1] == '\n';
  }
  void Condition(size_t word) {
    const size_t open = text_.find('(', at_ + word);
    if (open == std::string_view::npos || !Trimmed(text_.substr(at_ + word, open - at_ - word)).empty()) {
      Command();
      return;
    }
    int depth = 0;
    char quote = 0;
    for (at_ = open; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '\'' || c == '"' || c == '`') {
        quote = c;
      } else if (c == '(') {
        ++depth;
      } else if (c == ')' && --depth == 0) {
        break;
      }
    }
    at_ = std::min(at_ + 1, text_.size());
  }
  // The lines of a file that stands in the script.
  void SkipFile(std::string_view arguments) {
    std::string end = "EOF";
    const size_t last = arguments.find_last_of(" \t");
    const std::string_view word = last == std::string_view::npos ? arguments : arguments.substr(last + 1);
    if (!word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return std::isupper(static_cast<unsigned char>(c)) != 0 || c == '_'; })) end = word;
    if (at_ < text_.size() && at_ > 0 && text_[at_ - 1] != '\n') Line();
    while (at_ < text_.size() && Trimmed(Line()) != end) {
    }
  }
  // False: it is a statement.
  bool Directive(std::string_view command, bool dashes) {
    size_t end = 0;
    while (end < command.size() && (IsWord(command[end]) || command[end] == '-')) ++end;
    const std::string word = Lowered(command.substr(0, end));
    const std::string_view rest = Trimmed(command.substr(end));
    if (word == "replace" && !dashes) return false;
    if (!dashes && !OwnCommands().contains(word)) return false;
    if (word == "delimiter") {
      if (!rest.empty()) delimiter_ = rest.substr(0, rest.find_first_of(" \t\n"));
    } else if (word == "error") {
      may_fail_ = rest.empty() || rest != "0";
    } else if (word == "disable_abort_on_error") {
      all_may_fail_ = true;
    } else if (word == "enable_abort_on_error") {
      all_may_fail_ = false;
    } else if (word == "disable_parsing") {
      SkipParsing();
    } else if (word == "let") {
      Let(rest);
    } else if (word == "character_set") {
      out_.push_back({"SET NAMES " + std::string(rest.substr(0, rest.find_first_of(" ;\t\n")))});
    } else if (word == "eval" || word == "evalp" || word == "send_eval" || word == "query" || word == "send" ||
               word == "query_vertical" || word == "query_horizontal" || word == "reap_eval") {
      if (!rest.empty()) Add(rest, word != "send" && word != "query");
    } else if (word == "write_file" || word == "append_file") {
      SkipFile(rest);
    } else if (word == "perl") {
      SkipFile(rest);
    }
    return true;
  }
  void SkipParsing() {
    while (at_ < text_.size() && Lowered(Line()).find("enable_parsing") == std::string::npos) {
    }
  }
  void Let(std::string_view rest) {
    const size_t equals = rest.find('=');
    if (equals == std::string_view::npos || rest.empty() || rest[0] != '$') return;
    const std::string name(Trimmed(rest.substr(1, equals - 1)));
    std::string value(Trimmed(rest.substr(equals + 1)));
    if (!value.empty() && value[0] == '`') value = "1";  // a query's answer: mostly a number
    if (!Replace(&value)) value.clear();
    if (value.empty()) variables_.erase(name);
    else variables_[name] = value;
  }
  // False: a variable that is not known.
  bool Replace(std::string* text) const {
    for (size_t at = text->find('$'); at != std::string::npos; at = text->find('$', at + 1)) {
      if (at > 0 && (*text)[at - 1] == '\\') continue;
      size_t end = at + 1;
      while (end < text->size() && IsWord((*text)[end])) ++end;
      if (end == at + 1) continue;
      const auto it = variables_.find(text->substr(at + 1, end - at - 1));
      if (it == variables_.end()) return false;
      text->replace(at, end - at, it->second);
      at += it->second.size();
      if (at == 0) break;
      --at;
    }
    return true;
  }
  void Add(std::string_view command, bool replace = false) {
    std::string text(command);
    const bool known = !replace || Replace(&text);
    if (known && !text.empty()) out_.push_back({std::move(text), may_fail_ || all_may_fail_});
    may_fail_ = false;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string delimiter_ = ";";
  bool may_fail_ = false, all_may_fail_ = false;
  std::map<std::string, std::string> variables_;
  std::vector<Scripted> out_;
};

}  // namespace

std::vector<Scripted> ReadScript(std::string_view script) { return Script(script).Read(); }

}  // namespace crossfade::suites

// SPDX-License-Identifier: Apache-2.0
// Reading of one YAML mapping; see section.h.
#include "config/section.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace crossfade::config {

void Diagnostics::Fail(int line, std::string_view reason) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(fmt::format("{}:{}: {}", file_, line, reason));
}

int LineOf(const YAML::Node& node) {
  const int line = node.IsDefined() ? node.Mark().line : 0;
  return line < 0 ? 1 : line + 1;
}

Section::Section(const YAML::Node& node, std::string what, Diagnostics* diagnostics)
    : what_(std::move(what)), diagnostics_(diagnostics), line_(LineOf(node)) {
  if (!node.IsMap()) {
    diagnostics_->Fail(line_, fmt::format("{}: a mapping (key: value) is needed here", what_));
    return;
  }
  for (const auto& pair : node) {
    const int line = LineOf(pair.first);
    if (!pair.first.IsScalar()) {
      diagnostics_->Fail(line, fmt::format("{}: a key must be a plain word", what_));
      return;
    }
    const std::string key = pair.first.Scalar();
    if (const Entry* earlier = Find(key)) {
      diagnostics_->Fail(line, fmt::format("{}: '{}' stands here twice (first in line {})", what_, key,
                                           earlier->line));
      return;
    }
    entries_.push_back({key, pair.second, line, false});
  }
}

Section::Entry* Section::Find(std::string_view key) {
  for (Entry& entry : entries_) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

bool Section::Has(std::string_view key) {
  Entry* entry = Find(key);
  if (entry != nullptr) entry->asked = true;
  return entry != nullptr;
}

int Section::Line(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return entry.line;
  }
  return line_;
}

void Section::Fail(std::string_view key, std::string_view reason) {
  diagnostics_->Fail(Line(key), fmt::format("{}.{}: {}", what_, key, reason));
}

YAML::Node Section::Value(std::string_view key) {
  return Has(key) ? Find(key)->value : YAML::Node();
}

std::string Section::String(std::string_view key) {
  if (!Has(key)) return {};
  const YAML::Node& value = Find(key)->value;
  if (!value.IsScalar() || value.Scalar().empty()) {
    Fail(key, "a value is needed here");
    return {};
  }
  if (value.Scalar().find('\0') != std::string::npos) {
    Fail(key, "a NUL byte may not stand here");
    return {};
  }
  return value.Scalar();
}

std::string Section::Required(std::string_view key) {
  if (!Has(key)) diagnostics_->Fail(line_, fmt::format("{}: '{}' is missing", what_, key));
  return String(key);
}

bool Section::Bool(std::string_view key) {
  const std::string text = String(key);
  if (text.empty() || text == "false") return false;
  if (text != "true") Fail(key, fmt::format("'{}' is neither true nor false", text));
  return text == "true";
}

double Section::Number(std::string_view key, double low, double high, double fallback) {
  const std::string text = String(key);
  if (text.empty()) return fallback;
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || !std::isfinite(number)) {
    Fail(key, fmt::format("'{}' is not a number", text));
    return fallback;
  }
  if (number < low || number > high) {
    Fail(key, fmt::format("{} is out of range: {} to {}", text, low, high));
    return fallback;
  }
  return number;
}

YAML::Node Section::Mapping(std::string_view key) {
  if (!Has(key)) {
    diagnostics_->Fail(line_, fmt::format("{}: '{}' is missing", what_, key));
    return YAML::Node(YAML::NodeType::Map);
  }
  return Find(key)->value;
}

std::vector<YAML::Node> Section::List(std::string_view key) {
  std::vector<YAML::Node> items;
  if (!Has(key)) return items;
  const YAML::Node& value = Find(key)->value;
  if (!value.IsSequence()) {
    Fail(key, "a list is needed here");
    return items;
  }
  for (const auto& item : value) items.push_back(item);
  return items;
}

std::vector<std::string> Section::Strings(std::string_view key) {
  std::vector<std::string> strings;
  for (const YAML::Node& item : List(key)) {
    if (!item.IsScalar() || item.Scalar().empty()) {
      diagnostics_->Fail(LineOf(item), fmt::format("{}.{}: a list of words is needed here", what_, key));
      return {};
    }
    strings.push_back(item.Scalar());
  }
  return strings;
}

std::vector<std::string> Section::Keys() const {
  std::vector<std::string> keys;
  for (const Entry& entry : entries_) keys.push_back(entry.key);
  return keys;
}

void Section::Done() {
  for (const Entry& entry : entries_) {
    if (entry.asked) continue;
    diagnostics_->Fail(entry.line, fmt::format("{}: unknown key '{}'", what_, entry.key));
    return;
  }
}

}  // namespace crossfade::config

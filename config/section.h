// SPDX-License-Identifier: Apache-2.0
// One mapping of the YAML file, read key by key. The first error sticks in Diagnostics and every later read gives
// an empty value, so a caller reads all fields and asks ok() once. Done() refuses the keys that nobody asked for.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace crossfade::config {

class Diagnostics {
 public:
  explicit Diagnostics(std::string file) : file_(std::move(file)) {}
  void Fail(int line, std::string_view reason);  // `line` counts from 1
  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  absl::Status status_;
};

int LineOf(const YAML::Node& node);

class Section {
 public:
  // `what` names the mapping in errors: "listen[0]". Not a mapping, or a key twice: error.
  Section(const YAML::Node& node, std::string what, Diagnostics* diagnostics);

  bool Has(std::string_view key);              // counts as asked for
  int Line(std::string_view key) const;        // the section's own line where the key is absent
  int line() const { return line_; }
  const std::string& what() const { return what_; }
  Diagnostics* diagnostics() const { return diagnostics_; }

  // Absent: empty. Present but empty or no scalar: error.
  std::string String(std::string_view key);
  std::string Required(std::string_view key);  // absent: error
  bool Bool(std::string_view key);             // absent: false
  double Number(std::string_view key, double low, double high, double fallback);
  YAML::Node Mapping(std::string_view key);    // absent: error
  std::vector<YAML::Node> List(std::string_view key);  // absent: empty; no list: error
  std::vector<std::string> Strings(std::string_view key);  // of a list of scalars
  std::vector<std::string> Keys() const;       // in the file's order
  YAML::Node Value(std::string_view key);      // absent: a null node

  void Fail(std::string_view key, std::string_view reason);  // at the key's line, "what.key: reason"
  void Done();

 private:
  struct Entry {
    std::string key;
    YAML::Node value;
    int line = 0;
    bool asked = false;
  };
  Entry* Find(std::string_view key);

  std::string what_;
  Diagnostics* diagnostics_;
  int line_ = 1;
  std::vector<Entry> entries_;
};

}  // namespace crossfade::config

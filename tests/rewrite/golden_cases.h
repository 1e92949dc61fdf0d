// SPDX-License-Identifier: Apache-2.0
// The files of tests/golden taken apart: see golden_test.cc for their form.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "fmt/format.h"
#include "tests/rewrite/golden_schema.h"

namespace crossfade::rewrite {

struct GoldenOptions {
  Dialect dialect{Flavor::kMySql, 90700};
  SessionFacts facts;
  int lower_case_table_names = 0;
  bool prepared = false;
  std::vector<ValueShape> shapes;
  std::map<std::string, config::Phase> phases;
};

struct GoldenCase {
  std::string name, options, sql, expected;
  bool bytes = false;  // \xNN in the file is one byte, \\ a backslash
};

inline std::string ReadBytes(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x') {
      out += static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16));
      i += 3;
    } else {
      out += text[i];
      if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\\') ++i;
    }
  }
  return out;
}

inline std::string WriteBytes(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n' || (c >= ' ' && c <= '~')) out += c;
    else out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

inline std::string Trim(std::string text) {
  while (!text.empty() && isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  size_t begin = 0;
  while (begin < text.size() && isspace(static_cast<unsigned char>(text[begin]))) ++begin;
  return text.substr(begin);
}

inline GoldenOptions ParseOptions(const std::string& text) {
  GoldenOptions options;
  options.facts.schema = "deb";
  std::istringstream in(text);
  for (std::string item; std::getline(in, item, ';');) {
    item = Trim(item);
    if (item.empty()) continue;
    const std::string name = Trim(item.substr(0, item.find('='))), value = Trim(item.substr(item.find('=') + 1));
    const auto shape = [](char c) {
      return c == 's' ? ValueShape::kString : c == 'i' ? ValueShape::kInteger : c == 'n' ? ValueShape::kNull : c == 'w' ? ValueShape::kWide : c == 'o' ? ValueShape::kOther : c == 'f' ? ValueShape::kFraction : ValueShape::kUnknown;
    };
    if (name == "dialect") options.dialect = value == "mariadb" ? Dialect{Flavor::kMariaDb, 101119} : value == "mysql57" ? Dialect{Flavor::kMySql, 50744} : options.dialect;
    else if (name == "schema") options.facts.schema = value;
    else if (name == "sql_mode") options.facts.sql_mode = ParseSqlMode(value);
    else if (name == "fk") options.facts.foreign_key_checks = value != "0";
    else if (name == "charset") options.facts.charset = value;
    else if (name == "lower_case_table_names") options.lower_case_table_names = std::atoi(value.c_str());
    else if (name == "prepared") {
      options.prepared = true;
      for (char c : value) options.shapes.push_back(shape(c));
    } else if (name == "bytes") {
    } else if (const auto phase = config::ParsePhase(value)) {
      options.phases[name] = *phase;
    } else {
      ADD_FAILURE() << "unknown option " << item;
    }
  }
  return options;
}

inline std::vector<GoldenCase> ReadCases(const std::string& path, std::string* head) {
  std::ifstream in(path);
  std::vector<GoldenCase> cases;
  bool expecting = false;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("=== ", 0) == 0) {
      cases.push_back({line.substr(4), "", "", ""});
      expecting = false;
    } else if (cases.empty()) {
      *head += line + "\n";
    } else if (line.rfind("--- ", 0) == 0 || expecting) {
      expecting = true;
      if (!line.empty() || line.rfind("---", 0) == 0) cases.back().expected += line + "\n";
    } else if (line.rfind("@ ", 0) == 0) {
      cases.back().options += line.substr(2) + ";";
    } else {
      cases.back().sql += (cases.back().sql.empty() ? "" : "\n") + line;
    }
  }
  for (GoldenCase& test : cases) {
    test.sql = Trim(test.sql);
    test.bytes = test.options.find("bytes=1") != std::string::npos;
    if (test.bytes) test.sql = ReadBytes(test.sql);
  }
  return cases;
}

}  // namespace crossfade::rewrite

// SPDX-License-Identifier: Apache-2.0
// Executions as texts: each value as the literal of its own type, or no text at all.
#include "proxy/execution_text.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>

#include "protocol/codec.h"

namespace crossfade::proxy {
namespace {

constexpr rewrite::Dialect kMaria{rewrite::Flavor::kMariaDb, 101119};

struct Values {
  protocol::Execute execute;
  std::vector<std::unique_ptr<std::string>> bytes;

  Values& Add(uint8_t type, std::string raw, uint8_t flags = 0) {
    bytes.push_back(std::make_unique<std::string>(std::move(raw)));
    protocol::ParamType param;
    param.type = type;
    param.flags = flags;
    protocol::ParamValue value;
    value.bytes = *bytes.back();
    execute.types.push_back(param);
    execute.values.push_back(value);
    return *this;
  }
  template <typename T>
  Values& Raw(uint8_t type, T value, uint8_t flags = 0) {
    std::string raw(sizeof(T), '\0');
    std::memcpy(raw.data(), &value, sizeof(T));
    return Add(type, raw, flags);
  }
  Values& Text(std::string_view text, uint8_t type = 253) {
    protocol::Writer writer;
    writer.LenencString(text);
    return Add(type, writer.Take());
  }
  Values& Null() {
    Add(253, "");
    execute.values.back().is_null = true;
    return *this;
  }
};

std::string Of(std::string_view sql, const Values& values, const rewrite::SessionFacts& facts = {}) {
  return ExecutionText(sql, facts, kMaria, values.execute).value_or("none");
}

TEST(ExecutionText, Numbers) {
  EXPECT_EQ(Of("SELECT ?", Values().Raw<int8_t>(1, -128)), "SELECT  -128 ");
  EXPECT_EQ(Of("SELECT ?", Values().Raw<uint8_t>(1, 255, 0x80)), "SELECT  255 ");
  EXPECT_EQ(Of("SELECT ?", Values().Raw<int16_t>(2, -2)), "SELECT  -2 ");
  EXPECT_EQ(Of("SELECT ?", Values().Raw<uint32_t>(3, 4'294'967'295u, 0x80)), "SELECT  4294967295 ");
  EXPECT_EQ(Of("SELECT ?", Values().Raw<int64_t>(8, std::numeric_limits<int64_t>::min())), "SELECT  -9223372036854775808 ");
  EXPECT_EQ(Of("SELECT ?", Values().Raw<uint64_t>(8, ~uint64_t{0}, 0x80)), "SELECT  18446744073709551615 ");
  EXPECT_EQ(Of("SELECT -?-?", Values().Raw<int64_t>(8, -1).Raw<int64_t>(8, -2)), "SELECT - -1 - -2 ");
  for (const double value : {0.1, -1e300, 5e-324, 1.0, 123456789.123456789}) {
    const std::string text = Of("?", Values().Raw<double>(5, value));
    EXPECT_EQ(std::strtod(text.c_str(), nullptr), value) << text;
    EXPECT_NE(text.find('e'), std::string::npos) << text << " would be a DECIMAL";
  }
  EXPECT_EQ(Of("?", Values().Raw<double>(5, std::numeric_limits<double>::infinity())), "none");
  EXPECT_EQ(Of("?", Values().Raw<float>(4, 0.5f)), "none");
}

TEST(ExecutionText, StringsAreQuotedAsTheSessionReadsThem) {
  EXPECT_EQ(Of("SELECT ?, '?', `?` /* ? */", Values().Text("a'b\\c")), "SELECT  'a''b\\\\c' , '?', `?` /* ? */");
  rewrite::SessionFacts facts;
  facts.sql_mode |= rewrite::kNoBackslashEscapes;
  EXPECT_EQ(Of("SELECT ?", Values().Text("a'b\\c"), facts), "SELECT  'a''b\\c' ");
  facts.charset = "gbk";
  EXPECT_EQ(Of("SELECT ?", Values().Text("\xBF\x5C"), facts), "none");
  EXPECT_EQ(Of("SELECT ?", Values().Text("plain"), facts), "SELECT  'plain' ");
  EXPECT_EQ(Of("SELECT ?", Values().Text("")), "SELECT  '' ");
  EXPECT_EQ(Of("SELECT ?", Values().Text("binary", 252)), "none");
  EXPECT_EQ(Of("SELECT ?", Values().Text("1.5", 246)), "none");
  EXPECT_EQ(Of("SELECT ?", Values().Text(std::string(70'000, 'x'))), "none");
  EXPECT_EQ(Of("SELECT ?", Values().Null()), "SELECT  NULL ");
}

TEST(ExecutionText, BytesAreWrittenAsSuchOnMySql) {
  Values values;
  values.Text("\xE8\xFF'").Text("\xE8\xFF");
  const rewrite::Dialect mysql{rewrite::Flavor::kMySql, 80400};
  EXPECT_EQ(ExecutionText("SELECT ?, ?", {}, mysql, values.execute, {0}).value_or("none"), "SELECT  _binary'\xE8\xFF''' ,  '\xE8\xFF' ");
  EXPECT_EQ(ExecutionText("SELECT ?, ?", {}, kMaria, values.execute, {0}).value_or("none"), "SELECT  '\xE8\xFF''' ,  '\xE8\xFF' ");
}

// … nor where the server converts it.
TEST(ExecutionText, WhatIsConvertedIsNotWrittenOnMySql) {
  Values high, low;
  high.Text("n\xC3\xB6te");
  low.Text("note");
  const rewrite::Dialect mysql{rewrite::Flavor::kMySql, 80400};
  EXPECT_EQ(ExecutionText("SELECT ?", {}, mysql, high.execute, {0}, true), std::nullopt);
  EXPECT_EQ(ExecutionText("SELECT ?", {}, mysql, high.execute, {}, true), std::nullopt);
  EXPECT_EQ(ExecutionText("SELECT ?", {}, mysql, low.execute, {0}, true).value_or("none"), "SELECT  'note' ");
  EXPECT_EQ(ExecutionText("SELECT ?", {}, kMaria, high.execute, {}, true).value_or("none"), "SELECT  'n\xC3\xB6te' ");
}

TEST(ExecutionText, Moments) {
  EXPECT_EQ(Of("?", Values().Add(10, {"\x04\xE8\x07\x02\x1D", 5})), " DATE'2024-02-29' ");
  EXPECT_EQ(Of("?", Values().Add(12, {"\x04\xE8\x07\x02\x1D", 5})), " TIMESTAMP'2024-02-29 00:00:00' ");
  EXPECT_EQ(Of("?", Values().Add(12, {"\x07\xE8\x07\x02\x1D\x17\x3B\x3A", 8})), " TIMESTAMP'2024-02-29 23:59:58' ");
  EXPECT_EQ(Of("?", Values().Add(7, {"\x0B\xE8\x07\x02\x1D\x17\x3B\x3A\x40\xE2\x01\x00", 12})), " TIMESTAMP'2024-02-29 23:59:58.123456' ");
  EXPECT_EQ(Of("?", Values().Add(12, {"\x00", 1})), "none");
  EXPECT_EQ(Of("?", Values().Add(11, {"\x00", 1})), "none");
}

TEST(ExecutionText, TheNumberOfValuesHasToFit) {
  EXPECT_EQ(Of("SELECT ?, ?", Values().Raw<int8_t>(1, 1)), "none");
  EXPECT_EQ(Of("SELECT ?", Values().Raw<int8_t>(1, 1).Raw<int8_t>(1, 2)), "none");
  Values pieces;
  pieces.Text("x").execute.values[0].long_data = true;
  EXPECT_EQ(Of("SELECT ?", pieces), "none");
  Values attribute;
  attribute.Raw<int8_t>(1, 1).Raw<int8_t>(1, 2);
  attribute.execute.attribute_count = 1;
  EXPECT_EQ(Of("SELECT ?", attribute), "SELECT  1 ");
}

}  // namespace
}  // namespace crossfade::proxy

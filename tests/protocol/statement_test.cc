// SPDX-License-Identifier: Apache-2.0
// COM_STMT_EXECUTE and COM_QUERY: every type's shape, NULLs, long data, attributes, remembered types; captured
// executions; every message cut at every byte.
#include "protocol/statement.h"

#include <gtest/gtest.h>

#include "protocol/codec.h"
#include "protocol/constants.h"
#include "tests/protocol/vectors.h"

namespace crossfade::protocol {
namespace {

constexpr uint64_t kPlain = kClientProtocol41;
constexpr uint64_t kNamed = kClientProtocol41 | kClientQueryAttributes;

const struct { uint8_t type; const char* hex; TypeShape shape; } kValues[] = {
    {1, "7f", TypeShape::kInteger}, {2, "e407", TypeShape::kInteger}, {3, "01020304", TypeShape::kInteger},
    {8, "0102030405060708", TypeShape::kInteger}, {4, "0000803f", TypeShape::kOther}, {5, "000000000000f03f", TypeShape::kOther},
    {10, "00", TypeShape::kOther}, {10, "04e4070101", TypeShape::kOther}, {12, "07e4070101010203", TypeShape::kOther},
    {7, "0be407010101020301000000", TypeShape::kOther}, {11, "00", TypeShape::kOther}, {11, "080000000000010203", TypeShape::kOther},
    {11, "0c000000000001020301000000", TypeShape::kOther}, {0, "0131", TypeShape::kOther}, {246, "03312e35", TypeShape::kOther},
    {15, "0161", TypeShape::kString}, {253, "00", TypeShape::kString}, {254, "026162", TypeShape::kString},
    {249, "0161", TypeShape::kString}, {250, "0161", TypeShape::kString}, {251, "0161", TypeShape::kString},
    {252, "0161", TypeShape::kString}, {245, "027b7d", TypeShape::kOther}, {242, "0400000000", TypeShape::kOther},
    {247, "0161", TypeShape::kOther}, {248, "0161", TypeShape::kOther}};

std::string ExecuteOf(const std::vector<ParamType>& types, const std::vector<ParamValue>& values, uint64_t caps, uint32_t attributes = 0) {
  Execute execute;
  execute.statement_id = 0x01020304;
  execute.types = types;
  execute.values = values;
  execute.attribute_count = attributes;
  return BuildExecute(execute, caps).substr(1);
}

TEST(Statement, EveryTypeRoundTripsAndFailsWhenCut) {
  for (uint64_t caps : {kPlain, kNamed}) {
    for (const auto& value : kValues) {
      const std::string bytes = FromHex(value.hex);
      const std::string built = ExecuteOf({{value.type, 0x80}, {3, 0}}, {{false, false, bytes}, {false, false, std::string_view("\5\0\0\0", 4)}}, caps);
      Exact whole(built);
      const auto parsed = ParseExecute(whole.view(), 2, {}, {}, caps);
      ASSERT_TRUE(parsed.ok()) << int{value.type} << parsed.status();
      EXPECT_EQ(parsed->statement_id, 0x01020304u);
      EXPECT_TRUE(parsed->new_types);
      ASSERT_EQ(parsed->values.size(), 2u);
      EXPECT_EQ(parsed->types[0].type, value.type);
      EXPECT_EQ(parsed->types[0].flags, 0x80);
      EXPECT_EQ(ToHex(parsed->values[0].bytes), value.hex);
      EXPECT_EQ(ToHex(parsed->values[1].bytes), "05000000");
      EXPECT_EQ(ShapeOf(parsed->types[0], parsed->values[0]), value.shape) << int{value.type};
      EXPECT_EQ(BuildExecute(*parsed, caps).substr(1), built);
      for (size_t cut = 0; cut < built.size(); ++cut) {
        Exact part(std::string_view(built).substr(0, cut));
        EXPECT_FALSE(ParseExecute(part.view(), 2, {}, {}, caps).ok()) << int{value.type} << " cut at " << cut;
      }
      EXPECT_FALSE(ParseExecute(built + "x", 2, {}, {}, caps).ok()) << "bytes left over";
    }
  }
}

TEST(Statement, UnknownTypesAndShapesAreErrors) {
  const auto fails = [](uint8_t type, uint8_t flags, const char* hex) {
    const std::string bytes = FromHex(hex);
    Exact built(ExecuteOf({{type, flags}}, {{false, false, bytes}}, kPlain));
    return !ParseExecute(built.view(), 1, {}, {}, kPlain).ok();
  };
  for (unsigned type : {9u, 13u, 14u, 16u, 17u, 18u, 19u, 20u, 99u, 243u, 244u, 255u}) {
    EXPECT_TRUE(fails(static_cast<uint8_t>(type), 0, "0100000000000000")) << type;
  }
  EXPECT_TRUE(fails(3, 1, "05000000")) << "flags that no server knows";
  EXPECT_TRUE(fails(6, 0, "")) << "a NULL without its bit";
  for (const char* hex : {"05e407010101", "08e407010101020300", "0ce40701010102030000000000", "fc0400e4070101", "01e4"}) EXPECT_TRUE(fails(12, 0, hex)) << hex;
  for (const char* hex : {"040000000", "0700000000010203", "0b0000000000010203010000"}) EXPECT_TRUE(fails(11, 0, hex)) << hex;
  for (const char* hex : {"feffffffffffffffff61", "fe0100000001000000 61", "fc010061", "fd01000061", "fb", "ff"}) EXPECT_TRUE(fails(253, 0, hex)) << hex;
  EXPECT_FALSE(fails(253, 0, "0161"));
}

TEST(Statement, NullsAndLongDataHaveNoBytes) {
  std::vector<ParamType> types(17, {3, 0});
  types[3] = {6, 0};
  types[9] = {252, 0};
  std::vector<ParamValue> values(17, {false, false, std::string_view("\1\0\0\0", 4)});
  values[3] = {true, false, {}};
  values[16] = {true, false, {}};
  values[9] = {false, true, {}};
  std::vector<bool> long_data(17, false);
  long_data[9] = true;
  const std::string built = ExecuteOf(types, values, kPlain);
  EXPECT_EQ(ToHex(built.substr(9, 4)), "08000101");
  EXPECT_EQ(built.size(), 9u + 3 + 1 + 34 + 14 * 4);
  const auto parsed = ParseExecute(built, 17, {}, long_data, kPlain);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->values[3].is_null);
  EXPECT_TRUE(parsed->values[16].is_null);
  EXPECT_TRUE(parsed->values[9].long_data);
  EXPECT_EQ(parsed->values[9].bytes, "");
  EXPECT_EQ(ShapeOf(parsed->types[3], parsed->values[3]), TypeShape::kNull);
  EXPECT_EQ(ShapeOf(parsed->types[9], parsed->values[9]), TypeShape::kString);
  EXPECT_EQ(BuildExecute(*parsed, kPlain).substr(1), built);
  EXPECT_FALSE(ParseExecute(built, 17, {}, {}, kPlain).ok()) << "without long data the bytes are short";
}

TEST(Statement, RememberedTypes) {
  const std::string bytes = FromHex("01000000 00 01000000 00 00 05000000 0161");
  const std::vector<ParamType> known = {{3, 0}, {253, 0}};
  const auto parsed = ParseExecute(bytes, 2, known, {}, kPlain);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_FALSE(parsed->new_types);
  EXPECT_EQ(parsed->values[1].bytes, "\1a");
  EXPECT_EQ(ToHex(BuildExecute(*parsed, kPlain)), "17" "0100000000" "01000000" "00" "01" "0300fd00" "05000000" "0161") << "types are always sent";
  EXPECT_FALSE(ParseExecute(bytes, 2, {}, {}, kPlain).ok()) << "never sent";
  EXPECT_FALSE(ParseExecute(bytes, 2, {{3, 0}}, {}, kPlain).ok());
}

TEST(Statement, QueryAttributesComeAfterTheParameters) {
  std::vector<ParamType> types = {{3, 0, ""}, {253, 0, "trace"}};
  std::vector<ParamValue> values = {{false, false, std::string_view("\5\0\0\0", 4)}, {false, false, "\2id"}};
  const std::string built = ExecuteOf(types, values, kNamed, 1);
  auto parsed = ParseExecute(built, 1, {}, {}, kNamed);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->attribute_count, 1u);
  EXPECT_EQ(parsed->types[1].name, "trace");
  EXPECT_EQ(BuildExecute(*parsed, kNamed).substr(1), built);
  for (size_t cut = 0; cut < built.size(); ++cut) {
    Exact part(std::string_view(built).substr(0, cut));
    EXPECT_FALSE(ParseExecute(part.view(), 1, {}, {}, kNamed).ok()) << cut;
  }
  const std::string without = BuildExecute(*parsed, kPlain);
  const auto plain = ParseExecute(without.substr(1), 1, {}, {}, kPlain);
  ASSERT_TRUE(plain.ok()) << "attributes can't be sent without the capability";
  EXPECT_EQ(plain->values.size(), 1u);
  EXPECT_FALSE(ParseExecute(built, 3, {}, {}, kNamed).ok()) << "fewer values than parameters";
  // Without new types an attribute would have none.
  Exact untyped(FromHex("01000000 08 01000000 02 00 00 05000000 0161"));
  EXPECT_FALSE(ParseExecute(untyped.view(), 1, {{3, 0}}, {}, kNamed).ok());
  // No parameters at all: the count is there only with the flag.
  parsed = ParseExecute(FromHex("01000000 08 01000000 00"), 0, {}, {}, kNamed);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(ToHex(BuildExecute(*parsed, kNamed)), "17010000000801000000" "00");
  EXPECT_EQ(ToHex(BuildExecute(*parsed, kPlain)), "17010000000001000000");
  EXPECT_TRUE(ParseExecute(FromHex("01000000 00 01000000"), 0, {}, {}, kNamed).ok());
  for (const char* count : {"feffffffffffffffff", "fe0000000001000000", "fd000001", "fb"}) {
    Exact bytes(FromHex(std::string("010000000801000000") + count));
    EXPECT_FALSE(ParseExecute(bytes.view(), 0, {}, {}, kNamed).ok()) << count;
  }
}

TEST(Statement, CapturedExecutionsRoundTrip) {
  size_t seen = 0;
  for (const Vector& vector : Vectors()) {
    if (vector.kind != "execute") continue;
    SCOPED_TRACE(vector.engine + " " + vector.name + " " + vector.capabilities_text);
    ++seen;
    const auto params = static_cast<uint32_t>(std::stoul(vector.expect[0].second));
    Exact bytes(vector.parts[0]);
    const auto parsed = ParseExecute(bytes.view(), params, {}, {}, vector.capabilities);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->statement_id, std::stoul(vector.expect[1].second));
    EXPECT_EQ(parsed->values.size(), params);
    EXPECT_EQ(parsed->flags & 1, vector.name == "execute_cursor");
    EXPECT_EQ(ToHex(BuildExecute(*parsed, vector.capabilities).substr(1)), ToHex(bytes.view()));
  }
  EXPECT_GT(seen, 40u);
}

TEST(Statement, ParametersInAnotherOrderWithOurOwn) {
  const std::string sent = ExecuteOf({{253, 0}, {3, 0}}, {{false, false, "\1a"}, {false, false, std::string_view("\5\0\0\0", 4)}}, kPlain);
  const auto parsed = ParseExecute(sent, 2, {}, {}, kPlain);
  ASSERT_TRUE(parsed.ok());
  Execute changed = *parsed;
  changed.statement_id = 9;
  std::swap(changed.types[0], changed.types[1]);
  std::swap(changed.values[0], changed.values[1]);
  std::string storage;
  changed.types.emplace_back();
  changed.values.emplace_back();
  SetUnsigned(1ull << 63, &changed.types.back(), &changed.values.back(), &storage);
  const std::string built = BuildExecute(changed, kPlain);
  EXPECT_EQ(ToHex(built), "17" "0900000000" "01000000" "00" "01" "0300fd000880" "05000000" "0161" "0000000000000080");
  EXPECT_EQ(ShapeOf(changed.types.back(), changed.values.back()), TypeShape::kInteger);
}

TEST(Statement, BulkExecutionRowByRow) {
  // A number and a text: a row of both, NULL and DEFAULT, IGNORE and an empty text.
  const std::string head = "07000000" "8000" "0300" "fd00";
  const std::string rows = "00" "05000000" "00" "026869" "01" "02" "03" "00" "00";
  const std::string sent = FromHex(head + rows);
  Exact bytes(sent);
  BulkReader reader(bytes.view(), 2, {});
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader.statement_id(), 7u);
  EXPECT_TRUE(reader.new_types());
  std::string built = BuildBulkHead(reader.statement_id(), reader.flags(), reader.types());
  std::vector<BulkValue> row;
  std::string seen;
  while (reader.Next(&row)) {
    ASSERT_EQ(row.size(), 2u);
    for (const BulkValue& value : row) {
      seen += std::to_string(value.indicator) + ":" + ToHex(value.bytes) + " ";
      AppendBulkValue(value, &built);
    }
  }
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(seen, "0:05000000 0:026869 1: 2: 3: 0:00 ");
  EXPECT_EQ(ToHex(built), "fa" + head + rows);
  // Cut anywhere but between rows it is malformed.
  for (size_t cut = 0; cut < sent.size(); ++cut) {
    Exact part(std::string_view(sent).substr(0, cut));
    BulkReader short_reader(part.view(), 2, {});
    while (short_reader.Next(&row)) {
    }
    EXPECT_EQ(short_reader.ok(), cut == 10 || cut == 19 || cut == 21) << cut;
  }
  // Types from before, none, of a kind that there is not, with flags that there are not; an indicator that is none.
  EXPECT_TRUE(BulkReader(FromHex("07000000" "0000"), 1, {{3, 0}}).ok());
  EXPECT_FALSE(BulkReader(FromHex("07000000" "0000"), 1, {}).ok());
  EXPECT_FALSE(BulkReader(FromHex("07000000" "8000" "9900"), 1, {}).ok());
  EXPECT_FALSE(BulkReader(FromHex("07000000" "8000" "0301"), 1, {}).ok());
  Exact odd(FromHex("07000000" "8000" "0300" "04"));
  BulkReader odd_reader(odd.view(), 1, {});
  EXPECT_FALSE(odd_reader.Next(&row));
  EXPECT_FALSE(odd_reader.ok());
  // Nothing is held for what is only claimed.
  Exact long_text(FromHex("07000000" "8000" "fd00" "00" "feffffffffffffff7f"));
  BulkReader long_reader(long_text.view(), 1, {});
  EXPECT_FALSE(long_reader.Next(&row));
}

TEST(Statement, QueryTextBehindItsAttributes) {
  auto query = ParseQuery("select 1", kPlain);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->sql, "select 1");
  EXPECT_EQ(query->attributes, "");
  Exact none(FromHex("0001") + "select 1");
  query = ParseQuery(none.view(), kNamed);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->sql, "select 1");
  EXPECT_EQ(ToHex(query->attributes), "0001");
  const std::string head = FromHex("0201" "02" "01" "fd00056e616d6531" "0300026e32" "0176");
  Exact two(head + "select 1");
  query = ParseQuery(two.view(), kNamed);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->sql, "select 1");
  EXPECT_EQ(query->attributes, head);
  for (size_t cut = 0; cut < head.size(); ++cut) {
    Exact part(std::string_view(head).substr(0, cut));
    EXPECT_FALSE(ParseQuery(part.view(), kNamed).ok()) << cut;
  }
  for (const char* hex : {"0002", "0000", "feffffffffffffffff01", "01010000", "00fc0100"}) {
    Exact bytes(FromHex(hex));
    EXPECT_FALSE(ParseQuery(bytes.view(), kNamed).ok()) << hex;
  }
}

TEST(Statement, LongDataCommand) {
  Exact bytes(FromHex("01000000 0200") + "data");
  const auto parsed = ParseLongData(bytes.view());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->statement_id, 1u);
  EXPECT_EQ(parsed->param, 2);
  EXPECT_EQ(parsed->data, "data");
  for (size_t cut = 0; cut < 6; ++cut) EXPECT_FALSE(ParseLongData(bytes.view().substr(0, cut)).ok());
}

}  // namespace
}  // namespace crossfade::protocol

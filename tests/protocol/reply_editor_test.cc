// SPDX-License-Identifier: Apache-2.0
// Result sets changed on their way, byte by byte: rows left out, cells changed, definitions replaced.
#include "protocol/reply_editor.h"

#include <gtest/gtest.h>

#include "protocol/codec.h"
#include "protocol/frame.h"

namespace crossfade::protocol {
namespace {

std::string Definition(std::string_view name, uint8_t type) {
  Writer writer;
  for (std::string_view part : {"def", "s", "t", "t", "", ""}) writer.LenencString(part == "" ? name : part);
  writer.U8(12);
  writer.U16(45);
  writer.U32(10);
  writer.U8(type);
  writer.U16(0);
  writer.U8(0);
  writer.U16(0);
  return writer.Take();
}
std::string Row(std::initializer_list<std::string_view> cells) {
  Writer writer;
  for (std::string_view cell : cells) writer.LenencString(cell);
  return writer.Take();
}
std::string Frames(const std::vector<std::string>& payloads) {
  std::string out;
  uint8_t sequence = 1;
  for (const std::string& payload : payloads) sequence = AppendFrames(payload, sequence, &out);
  return out;
}
const std::string kEof("\xfe\0\0\2\0", 5), kMore("\xfe\0\0\x0a\0", 5);

TEST(ReplyEditor, RowsAreLeftOutAndChangedInTheirResultWhereverTheBytesAreCut) {
  const std::string bytes = Frames({"\x01", Definition("a", 253), kEof, Row({"x"}), Row({"y"}), kMore,
                                    "\x02", Definition("a", 253), Definition("b", 253), kEof, Row({"x", "1"}), Row({"y", "2"}), "\xfb" + Row({"3"}), kEof});
  const std::string expected = Frames({"\x01", Definition("a", 253), kEof, Row({"x"}), Row({"y"}), kMore,
                                       "\x02", Definition("a", 253), Definition("b", 253), kEof, Row({"y", "two"}), "\xfb" + Row({"3"}), kEof});
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    ReplyEditor editor(kClientProtocol41, false, 1, [](uint32_t result, const std::vector<std::string>& names, std::vector<ReplyEditor::Cell>* cells, bool* changed) {
      if (result != 1) return true;
      EXPECT_EQ(names.size(), 2u);
      if ((*cells)[0] == "x") return false;
      if ((*cells)[1] == "2") {
        (*cells)[1] = "two";
        *changed = true;
      }
      return true;
    });
    std::string out;
    EXPECT_TRUE(editor.Feed(std::string_view(bytes).substr(0, cut), &out));
    EXPECT_TRUE(editor.Feed(std::string_view(bytes).substr(cut), &out));
    ASSERT_EQ(out, expected) << cut;
  }
}

TEST(ReplyEditor, BinaryValuesTakeTheSizeThatTheClientWasTold) {
  // A LONGLONG where the client's own text has a LONG; NULL, a negative one.
  const std::string row("\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\1z", 12), null("\0\4\1y", 4);
  ReplyEditor editor(kClientProtocol41 | kClientDeprecateEof, true, 1, [](uint32_t, const std::vector<std::string>&, std::vector<ReplyEditor::Cell>*, bool*) { return true; });
  editor.ReplaceDefinitions({Definition("n", 3), Definition("s", 253)});
  const std::string end("\xfe\0\0\2\0\0\0", 7);
  std::string out;
  EXPECT_TRUE(editor.Feed(Frames({"\x02", Definition("n", 8), Definition("x", 253), row, null, end}), &out));
  EXPECT_EQ(out, Frames({"\x02", Definition("n", 3), Definition("s", 253), std::string("\0\0\xfe\xff\xff\xff\1z", 8), null, end}));
}

TEST(ReplyEditor, FieldListsAndErrorsAndWhatIsMalformed) {
  ReplyEditor list(kClientProtocol41, 1, [](std::string_view column) { return column != "b"; });
  std::string out;
  EXPECT_TRUE(list.Feed(Frames({Definition("a", 3), Definition("b", 3), Definition("c", 3), kEof}), &out));
  EXPECT_EQ(out, Frames({Definition("a", 3), Definition("c", 3), kEof}));
  const auto all = [](uint32_t, const std::vector<std::string>&, std::vector<ReplyEditor::Cell>*, bool*) { return true; };
  ReplyEditor error(kClientProtocol41, false, 1, all);
  out.clear();
  const std::string err = "\xff\x10\x04#42000no";
  EXPECT_TRUE(error.Feed(Frames({err}), &out));
  EXPECT_EQ(out, Frames({err}));
  ReplyEditor short_row(kClientProtocol41, false, 1, all);
  EXPECT_FALSE(short_row.Feed(Frames({"\x02", Definition("a", 3), Definition("b", 3), kEof, Row({"1"}), kEof}), &out));
}

TEST(ReplyEditor, DefinitionsOfAPreparedStatementAndOfAQuery) {
  const std::string ok("\0\1\0\0\0\2\0\1\0\0\0\0", 12);
  const std::vector<std::string> expected = {Definition("a", 3), Definition("b", 3)};
  EXPECT_EQ(ColumnDefinitionsOf(Frames({ok, Definition("?", 3), kEof, expected[0], expected[1], kEof}), kClientProtocol41, true), expected);
  EXPECT_EQ(ColumnDefinitionsOf(Frames({"\x02", expected[0], expected[1], kEof, Row({"1", "2"}), kEof}), kClientProtocol41, false), expected);
  EXPECT_TRUE(ColumnDefinitionsOf(Frames({"\xff\x10\x04#42000no"}), kClientProtocol41, true).empty());
  EXPECT_TRUE(ColumnDefinitionsOf(Frames({std::string("\0\0\0\2\0\0\0", 7)}), kClientProtocol41, false).empty());
}

}  // namespace
}  // namespace crossfade::protocol

// SPDX-License-Identifier: Apache-2.0
// Integers and strings: both directions, the borders of each length form, and every truncation.
#include "protocol/codec.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "tests/protocol/exact.h"

namespace crossfade::protocol {
namespace {

TEST(Codec, FixedIntegersAreLittleEndian) {
  Exact bytes(FromHex("01 0203 040506 0708090a 0b0c0d0e0f101112"));
  Reader reader(bytes.view());
  EXPECT_EQ(reader.U8(), 0x01u);
  EXPECT_EQ(reader.U16(), 0x0302u);
  EXPECT_EQ(reader.U24(), 0x060504u);
  EXPECT_EQ(reader.U32(), 0x0a090807u);
  EXPECT_EQ(reader.U64(), 0x1211100f0e0d0c0bull);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);

  Writer writer;
  writer.U8(0x01), writer.U16(0x0302), writer.U24(0x060504), writer.U32(0x0a090807), writer.U64(0x1211100f0e0d0c0b);
  EXPECT_EQ(writer.Take(), bytes.view());
}

TEST(Codec, LenencRoundTripsAtEveryBorder) {
  const struct { uint64_t value; const char* hex; } cases[] = {
      {0, "00"}, {1, "01"}, {250, "fa"}, {251, "fcfb00"}, {252, "fcfc00"}, {255, "fcff00"}, {256, "fc0001"},
      {65535, "fcffff"}, {65536, "fd000001"}, {0xFFFFFF, "fdffffff"}, {0x1000000, "fe0000000100000000"},
      {0xFFFFFFFF, "feffffffff00000000"}, {1ull << 32, "fe0000000001000000"},
      {std::numeric_limits<uint64_t>::max(), "feffffffffffffffff"}};
  for (const auto& c : cases) {
    Writer writer;
    writer.Lenenc(c.value);
    EXPECT_EQ(ToHex(writer.out()), c.hex);
    for (size_t cut = 0; cut < writer.out().size(); ++cut) {
      Exact part(std::string_view(writer.out()).substr(0, cut));
      Reader reader(part.view());
      EXPECT_EQ(reader.Lenenc(), 0u);
      EXPECT_FALSE(reader.ok()) << c.hex << " cut at " << cut;
    }
    Exact whole(writer.out());
    Reader reader(whole.view());
    EXPECT_EQ(reader.Lenenc(), c.value);
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(reader.remaining(), 0u);
  }
}

TEST(Codec, LongerFormsThanNeededAreErrors) {
  for (const char* hex : {"fc0000", "fcfa00", "fd000000", "fdffff00", "fe0000000000000000", "fefa00000000000000",
                          "feffffff0000000000", "fb", "ff", "fb0000000000000000", "ff0000000000000000"}) {
    Exact bytes(FromHex(hex));
    Reader reader(bytes.view());
    EXPECT_EQ(reader.Lenenc(), 0u);
    EXPECT_FALSE(reader.ok()) << hex;
  }
}

TEST(Codec, LooseLengthsMayBeLongerButNotOverrun) {
  Exact longer(FromHex("fc0300616263 fd00000078"));
  Reader reader(longer.view());
  EXPECT_EQ(reader.LooseLenencString(), "abc");
  EXPECT_EQ(reader.LooseLenencString(), "");
  EXPECT_EQ(reader.Rest(), "x");
  EXPECT_TRUE(reader.ok());
  for (const char* hex : {"feffffffffffffffff61", "fc020061", "fb", "ff", "fc02"}) {
    Exact bytes(FromHex(hex));
    Reader bad(bytes.view());
    EXPECT_EQ(bad.LooseLenencString(), "");
    EXPECT_FALSE(bad.ok()) << hex;
  }
}

TEST(Codec, OverrunningLengthsAreErrors) {
  // One too many, and lengths that wrap when added to a position.
  for (const char* hex : {"0361 62", "01", "feffffffffffffffff6162", "fef7ffffffffffffff6162", "fe0000000001000000616263"}) {
    Exact bytes(FromHex(hex));
    Reader reader(bytes.view());
    EXPECT_EQ(reader.LenencString(), "");
    EXPECT_FALSE(reader.ok()) << hex;
  }
  Exact bytes("abc");
  Reader reader(bytes.view());
  EXPECT_EQ(reader.Bytes(std::numeric_limits<size_t>::max()), "");
  EXPECT_FALSE(reader.ok());
}

TEST(Codec, Strings) {
  Exact bytes(FromHex("03616263 6465 6600 00 6768"));
  Reader reader(bytes.view());
  EXPECT_EQ(reader.LenencString(), "abc");
  EXPECT_EQ(reader.Bytes(2), "de");
  EXPECT_EQ(reader.NulString(), "f");
  EXPECT_EQ(reader.NulString(), "");
  EXPECT_EQ(reader.position(), 9u);
  EXPECT_EQ(reader.Rest(), "gh");
  EXPECT_EQ(reader.Rest(), "");
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.NulString(), "");
  EXPECT_FALSE(reader.ok()) << "no NUL in nothing";

  Writer writer;
  writer.LenencString("abc"), writer.Bytes("de"), writer.NulString("f"), writer.NulString(""), writer.Bytes("gh");
  EXPECT_EQ(writer.out(), bytes.view());
}

TEST(Codec, LongStringsTakeTheLongerForms) {
  for (size_t size : {250u, 251u, 65535u, 65536u, 0xFFFFFFu, 0x1000000u}) {
    const std::string text(size, 'x');
    Writer writer;
    writer.LenencString(text);
    Exact bytes(writer.out());
    Reader reader(bytes.view());
    EXPECT_TRUE(reader.LenencString() == text);
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(reader.remaining(), 0u);
  }
}

TEST(Codec, TheErrorSticks) {
  Exact bytes(FromHex("05616263"));
  Reader reader(bytes.view());
  EXPECT_EQ(reader.LenencString(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_EQ(reader.U8(), 0u);
  EXPECT_EQ(reader.Rest(), "");
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace crossfade::protocol

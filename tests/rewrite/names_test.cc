// SPDX-License-Identifier: Apache-2.0
// Identifiers in another case are the same name, as both servers have it (utf8mb3_general_ci).
#include "rewrite/names.h"

#include <gtest/gtest.h>

namespace crossfade::rewrite {
namespace {

TEST(Names, LettersFoldAndAccentsStay) {
  EXPECT_TRUE(NameEq("caf\xC3\xA9", "CAF\xC3\x89"));                    // é, É
  EXPECT_FALSE(NameEq("cafe", "caf\xC3\xA9"));
  EXPECT_TRUE(NameEq("\xD0\x9A\xD0\xBB\xD1\x8E\xD1\x87", "\xD0\xBA\xD0\x9B\xD0\xAE\xD0\xA7"));  // Cyrillic
  EXPECT_TRUE(NameEq("\xCE\xA3", "\xCF\x83"));                          // Σ, σ
  EXPECT_TRUE(NameEq("\xE2\x84\xAA" "ind", "kind"));                    // the Kelvin sign
  EXPECT_TRUE(NameEq("k\xC4\xB0nd", "KIND"));                            // a dot above
  EXPECT_TRUE(NameEq("\xE2\x84\xA6", "\xCF\x89"));                      // the Ohm sign, ω
  EXPECT_EQ(FoldName("A\xE4" "B\xC3"), "a\xE4" "b\xC3");                  // no UTF-8: as it is
  EXPECT_EQ(FoldName("\xE6\xBC\xA2\xF0\x9F\x98\x80"), "\xE6\xBC\xA2\xF0\x9F\x98\x80");
}

}  // namespace
}  // namespace crossfade::rewrite

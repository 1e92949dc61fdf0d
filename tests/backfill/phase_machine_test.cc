// SPDX-License-Identifier: Apache-2.0
#include "backfill/phase_machine.h"

#include <gtest/gtest.h>

#include "backfill/ddl.h"
#include "backfill/store.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

TEST(PhaseMachine, ForwardIsOneStepAtATime) {
  for (int phase = 0; phase < static_cast<int>(Phase::kDone); ++phase) {
    EXPECT_EQ(NextPhase(static_cast<Phase>(phase), Phase::kDone), static_cast<Phase>(phase + 1));
    EXPECT_EQ(NextPhase(static_cast<Phase>(phase), static_cast<Phase>(phase)), static_cast<Phase>(phase));
  }
}

TEST(PhaseMachine, BackGoesAtOnceWhereBothSidesAreWrittenAndByStepsBelow) {
  EXPECT_EQ(NextPhase(Phase::kCutover, Phase::kBackfill), Phase::kBackfill);
  EXPECT_EQ(NextPhase(Phase::kCutover, Phase::kObserve), Phase::kDualWrite);
  EXPECT_EQ(NextPhase(Phase::kVerify, Phase::kExpand), Phase::kDualWrite);
  EXPECT_EQ(NextPhase(Phase::kDualWrite, Phase::kObserve), Phase::kExpand);
  EXPECT_EQ(NextPhase(Phase::kExpand, Phase::kObserve), Phase::kObserve);
}

TEST(PhaseMachine, FromRetireOnThereIsNoWayBack) {
  for (const Phase phase : {Phase::kRetire, Phase::kContract, Phase::kDone}) {
    for (int desired = 0; desired < static_cast<int>(phase); ++desired) {
      EXPECT_EQ(NextPhase(phase, static_cast<Phase>(desired)), phase);
      EXPECT_FALSE(IsStep(phase, static_cast<Phase>(desired)));
    }
  }
}

TEST(Integers, LargestOfEachType) {
  EXPECT_EQ(LargestInteger("int unsigned"), 4294967295u);
  EXPECT_EQ(LargestInteger("INT(10)"), 2147483647u);
  EXPECT_EQ(LargestInteger("tinyint"), 127u);
  EXPECT_EQ(LargestInteger("mediumint unsigned"), 16777215u);
  EXPECT_EQ(LargestInteger("bigint"), 9223372036854775807u);
  EXPECT_EQ(LargestInteger("bigint unsigned"), 18446744073709551615u);
  EXPECT_EQ(LargestInteger("varchar(10)"), 0u);
}

TEST(Names, OldNamesKeepToTheLimit) {
  EXPECT_EQ(OldName("id"), "id_crossfade_old");
  EXPECT_EQ(OldName(std::string(64, 'x')).size(), 64u);
  EXPECT_TRUE(SameName("NewId", "newid"));
  EXPECT_FALSE(SameName("a", "ab"));
}

}  // namespace
}  // namespace crossfade::backfill

// SPDX-License-Identifier: Apache-2.0
// What is left out of SHOW CREATE TABLE and of rows, in each way that names are quoted.
#include "rewrite/hidden.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crossfade::rewrite {
namespace {

HiddenTable Bears() {
  HiddenTable table;
  table.schema = "zoo";
  table.name = "Bears";
  table.columns = {{"caveNewId", "caveId", 3}};
  return table;
}

TEST(Hidden, ColumnsIndexesAndForeignKeysLeaveNoCommaBehind) {
  const HiddenTable table = Bears();
  for (const char quote : {'`', '"'}) {
    std::string text =
        "CREATE TABLE `Bears` (\n  `id` int NOT NULL,\n  `caveId` char(36) NOT NULL COMMENT 'a `caveNewId` INVISIBLE, (',\n  `caveNewId` int unsigned DEFAULT NULL /*!80023 INVISIBLE */,\n"
        "  PRIMARY KEY (`id`),\n  KEY `c` (`caveId`),\n  KEY `c_crossfade` (`caveNewId`),\n  CONSTRAINT `f` FOREIGN KEY (`caveId`) REFERENCES `Caves` (`id`),\n"
        "  CONSTRAINT `f_crossfade` FOREIGN KEY (`caveNewId`) REFERENCES `Caves` (`newId`)\n) ENGINE=InnoDB COMMENT='x'\n/*!50100 PARTITION BY HASH (`id`)\nPARTITIONS 2 */";
    std::string expected =
        "CREATE TABLE `Bears` (\n  `id` int NOT NULL,\n  `caveId` char(36) NOT NULL COMMENT 'a `caveNewId` INVISIBLE, (',\n"
        "  PRIMARY KEY (`id`),\n  KEY `c` (`caveId`),\n  CONSTRAINT `f` FOREIGN KEY (`caveId`) REFERENCES `Caves` (`id`)\n"
        ") ENGINE=InnoDB COMMENT='x'\n/*!50100 PARTITION BY HASH (`id`)\nPARTITIONS 2 */";
    if (quote == '"') {
      std::replace(text.begin(), text.end(), '`', '"');
      std::replace(expected.begin(), expected.end(), '`', '"');
    }
    EXPECT_EQ(EditCreateTable(table, text), expected);
  }
  EXPECT_EQ(EditCreateTable(table, "CREATE TABLE Bears (\n  id int NOT NULL,\n  caveNewId int INVISIBLE DEFAULT NULL\n) ENGINE=InnoDB"),
            "CREATE TABLE Bears (\n  id int NOT NULL\n) ENGINE=InnoDB");
  // Not the migration's: it is visible.
  EXPECT_EQ(EditCreateTable(table, "CREATE TABLE Bears (\n  caveNewId int\n)"), "CREATE TABLE Bears (\n  caveNewId int\n)");
}

TEST(Hidden, FromTheSwapOnTheNewSideHasTheOldNames) {
  HiddenTable table = Bears();
  table.swapped = true;
  table.names = {{"f_crossfade", "f"}, {"c_crossfade", "c"}, {"c", ""}};
  table.referred = {{"newid", "id"}};
  EXPECT_EQ(EditCreateTable(table, "CREATE TABLE `Bears` (\n  `caveNewId` int NOT NULL INVISIBLE DEFAULT 0,\n  PRIMARY KEY (`caveNewId`,`b`(10)),\n  KEY `c` (`caveId`),\n  KEY `c_crossfade` (`caveNewId`,`name`),\n"
                                   "  CONSTRAINT `f_crossfade` FOREIGN KEY (`caveNewId`) REFERENCES `Caves` (`newId`) ON UPDATE CASCADE\n) ENGINE=InnoDB"),
            "CREATE TABLE `Bears` (\n  PRIMARY KEY (`caveId`,`b`(10)),\n  KEY `c` (`caveId`,`name`),\n  CONSTRAINT `f` FOREIGN KEY (`caveId`) REFERENCES `Caves` (`id`) ON UPDATE CASCADE\n) ENGINE=InnoDB");
  ReplyEdit edit;
  edit.kind = ReplyEdit::kIndexes;
  edit.table = std::make_shared<const HiddenTable>(table);
  const std::vector<std::string> names = {"Table", "Key_name", "Column_name"};
  std::vector<ReplyCell> row = {"Bears", "c_crossfade", "caveNewId"};
  bool changed = false;
  EXPECT_TRUE(EditRow(edit, names, &row, &changed));
  EXPECT_TRUE(changed);
  EXPECT_THAT(row, testing::ElementsAre("Bears", "c", "caveId"));
  row = {"Bears", "c", "caveId"};
  EXPECT_FALSE(EditRow(edit, names, &row, &changed));
}

}  // namespace
}  // namespace crossfade::rewrite

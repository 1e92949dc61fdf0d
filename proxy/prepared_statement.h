// SPDX-License-Identifier: Apache-2.0
// A client's prepared statement: its text, and the statements the backend holds for it. The backend prepares the
// client's own text at PREPARE, so that ids, parameters and columns are those of direct use; rewritten variants are
// prepared unseen when an execution first needs them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "protocol/statement.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {

struct PreparedVariant {
  std::shared_ptr<const rewrite::Plan> plan;
  std::string text;
  rewrite::Form form = rewrite::Form::kPlain;
  uint32_t backend_id = 0;
};

// The plan of the last execution, and what it depends on beside the statement and its facts.
struct PlanMemo {
  std::shared_ptr<const rewrite::Plan> plan;
  uint64_t generation = 0;  // of the snapshot
  rewrite::MigrationSet cohort;
  bool foreign_key_checks = false;
  std::vector<rewrite::ValueShape> shapes;

  bool Fits(uint64_t of, const rewrite::SessionFacts& facts, const std::vector<rewrite::ValueShape>& given) const {
    return plan != nullptr && generation == of && cohort == facts.new_cohort && foreign_key_checks == facts.foreign_key_checks && shapes == given;
  }
};

struct PreparedStatement {
  std::string text;
  rewrite::SessionFacts facts;  // as they were at PREPARE
  bool facts_known = false;
  uint32_t id = 0;              // the client's, and the backend's of the client's own text
  uint16_t params = 0;
  uint64_t generation = 0;      // of the snapshot that `touches` was asked of
  bool touches = false;
  uint32_t active_id = 0;       // the backend's id of what was executed last
  bool types_elsewhere = false; // some types were sent to a variant, not to `id`
  std::vector<PreparedVariant> variants;
  PlanMemo memo;
  std::vector<protocol::ParamType> types;  // of the last execution that sent them
  std::vector<std::string> type_names;     // what their names point into
  std::vector<std::pair<uint16_t, std::string>> long_data;  // parameter, piece; kept until it is known what runs
  std::vector<uint16_t> long_data_sent;    // parameters whose pieces the backend has already, for `id`

  uint32_t FindVariant(const std::shared_ptr<const rewrite::Plan>& plan, rewrite::Form form) const {  // the backend's id; 0: none yet
    for (const PreparedVariant& variant : variants) {
      if (variant.plan == plan && variant.form == form) return variant.backend_id;
    }
    return 0;
  }
};

// One that was prepared by SQL.
struct SqlPrepared {
  bool known = false;           // false: the text was not seen
  std::string text;
  rewrite::SessionFacts facts;  // as they were at PREPARE
  struct Variant { std::string text, name; };
  std::vector<Variant> variants;
};

// The kind of value that an execution gives. `numbers`: strings that read as integers are told apart (Snapshot::integers_go).
rewrite::ValueShape ShapeOfParam(const protocol::ParamType& type, const protocol::ParamValue& value, bool numbers);

}  // namespace crossfade::proxy

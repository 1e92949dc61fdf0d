// SPDX-License-Identifier: Apache-2.0
// COM_STMT_BULK_EXECUTE (MariaDB) of a prepared statement on migrating tables: many rows of values, one reply. All rows
// go to one variant of the statement, each with its values in the variant's order and with new keys of its own; rows
// that one variant does not fit are refused, all together, since the reply to them is one.
#include <algorithm>

#include "fmt/format.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"

namespace crossfade::proxy {
using protocol::BulkReader;
using protocol::BulkValue;
using rewrite::ValueShape;

namespace {

constexpr size_t kMostShapes = 64;  // kinds of rows in one bulk

bool SameText(const rewrite::Plan& a, const rewrite::Plan& b) {
  const auto same_edit = [](const auto& x, const auto& y) { return x.begin == y.begin && x.end == y.end && x.text == y.text; };
  const auto same_param = [](const auto& x, const auto& y) { return x.kind == y.kind && x.index == y.index; };
  const auto same_slot = [](const auto& x, const auto& y) { return x.migration == y.migration && x.key == y.key && x.use == y.use; };
  return a.strategy == b.strategy && a.touched == b.touched && a.writes == b.writes && std::ranges::equal(a.edits, b.edits, same_edit) &&
         std::ranges::equal(a.params, b.params, same_param) && std::ranges::equal(a.key_slots, b.key_slots, same_slot);
}

ValueShape ShapeOf(const protocol::ParamType& type, const BulkValue& value, bool numbers) {
  protocol::ParamValue plain;
  plain.is_null = value.indicator == BulkValue::kNull;
  plain.bytes = value.bytes;
  // DEFAULT and IGNORE have none; no plan may depend on it.
  return value.indicator > BulkValue::kNull ? ValueShape::kUnknown : ShapeOfParam(type, plain, numbers);
}

// The parameters that a row may not leave to DEFAULT or IGNORE: what becomes of the row depends on them, or their value
// is said more than once.
std::vector<bool> MustBeGiven(const rewrite::Plan& plan, size_t params) {
  std::vector<uint32_t> count(params, 0);
  for (const rewrite::ParamSource& source : plan.params) {
    if (source.kind == rewrite::ParamSource::kClient && source.index < params) ++count[source.index];
  }
  std::vector<bool> out(params, false);
  for (size_t i = 0; i < params; ++i) out[i] = plan.strategy == rewrite::Strategy::kOneStatement && count[i] != 1;
  for (const uint32_t param : plan.shape_params) {
    if (param < params) out[param] = true;
  }
  return out;
}

}  // namespace

awaitable<Session::Action> Session::RefuseBulk(uint16_t code, const char* message) {
  const bool sent = co_await SendError(AfterCommand(), code, "HY000", message);
  co_return sent ? kAnswered : kEnd;
}

awaitable<Session::Action> Session::BulkExecute(std::string_view payload, PreparedStatement* statement) {
  if (payload.size() < 7 || !PreparedTouches(payload) || !mariadb_ || (capabilities_ & protocol::kMariaDbStmtBulk) == 0) co_return kRelay;
  const bool learnt = co_await LearnFacts();
  if (!learnt) co_return kEnd;
  if (!facts_known_) co_return co_await NoFacts();
  if (!statement->facts_known) {
    statement->facts = *facts_;
    statement->facts_known = true;
  }
  const BulkReader head(payload.substr(1), statement->params, statement->types);
  // What the server says to flags that were not agreed on (a result for each row), and to statements without parameters.
  if ((head.flags() & ~protocol::kBulkSendTypes) != 0 || statement->params == 0) {
    co_return co_await RefuseBulk(1295, "This command is not supported in the prepared statement protocol yet");
  }
  const bool pieces = !statement->long_data.empty() || !statement->long_data_sent.empty();  // not with bulk, says the server
  if (!statement->long_data_sent.empty()) {
    const bool reset = co_await HiddenReset(statement->id);
    if (!reset) co_return kEnd;
  }
  statement->long_data.clear();
  statement->long_data_sent.clear();

  // The rows' kinds, as far as the plans seen depend on them.
  std::vector<BulkValue> row;
  std::shared_ptr<const rewrite::Plan> plan;
  rewrite::SessionFacts facts = statement->facts;
  facts.foreign_key_checks = facts_->foreign_key_checks;
  std::vector<bool> depends(statement->params, false), given(statement->params, false);
  std::vector<std::vector<ValueShape>> kinds;
  BulkReader reader = head;
  size_t rows = 0;
  for (; !pieces && reader.Next(&row); ++rows) {
    std::vector<ValueShape> shapes(row.size());
    for (size_t i = 0; i < row.size(); ++i) shapes[i] = ShapeOf(head.types()[i], row[i], pinned_->snapshot->integers_go);
    const bool known = std::ranges::any_of(kinds, [&](const std::vector<ValueShape>& kind) {
      for (size_t i = 0; i < kind.size(); ++i) {
        if (depends[i] && kind[i] != shapes[i]) return false;
      }
      return true;
    });
    if (!known) {
      if (kinds.size() == kMostShapes) co_return co_await Refuse("the rows of this bulk execution are of too many kinds; execute them in smaller parts");
      std::shared_ptr<const rewrite::Plan> own;
      if (plan == nullptr) {
        const Action action = co_await Admit(statement->text, &shapes, &facts, &own);
        if (action != kRelay) co_return action;
        plan = own;
      } else {
        own = thread_->planner()->PlanPrepared(*pinned_->snapshot, facts, statement->text, shapes);
        if (own->strategy == rewrite::Strategy::kRefuse) {
          thread_->digests()->Count(*pinned_->snapshot, own, user_);
          co_return co_await Refuse(own->reason);
        }
        if (!SameText(*plan, *own)) {
          co_return co_await Refuse("the rows of this bulk execution have values of different kinds, which need different statements; "
                                    "execute rows of one kind at a time");
        }
      }
      for (const uint32_t param : own->shape_params) {
        if (param < depends.size()) depends[param] = true;
      }
      const std::vector<bool> more = MustBeGiven(*own, row.size());
      for (size_t i = 0; i < more.size(); ++i) given[i] = given[i] || more[i];
      kinds.push_back(std::move(shapes));
    }
    for (size_t i = 0; i < row.size(); ++i) {
      if (given[i] && row[i].indicator > BulkValue::kNull) {
        co_return co_await Refuse(fmt::format("parameter {} of a bulk execution is left to a default; give its value", i + 1));
      }
    }
  }
  if (!reader.ok() || rows == 0) co_return co_await RefuseBulk(1210, "Incorrect arguments to mysqld_stmt_bulk_execute");
  if (plan->looks_up_params && rows > 1) {
    co_return co_await Refuse("a bulk execution whose values are looked up one by one, which the server may do only once for all rows; "
                              "execute it row by row");
  }
  NoteChange(MayChange(statement->text));
  if (head.new_types()) KeepTypes(head.types(), statement);
  const bool rewritten = plan->strategy == rewrite::Strategy::kOneStatement;
  if (!rewritten && (head.new_types() || !statement->types_elsewhere)) {
    statement->active_id = statement->id;
    co_return kRelay;
  }

  uint32_t id = statement->id;
  bool marks = false;
  std::vector<uint64_t> keys;
  if (plan->strategy == rewrite::Strategy::kRowImage) co_return co_await Refuse("bulk execution of an UPDATE that takes several steps; execute it once for each row");
  if (rewritten && plan->Ranged()) co_return co_await Refuse("bulk execution of an INSERT … SELECT whose rows get new keys; execute it once for each row");
  if (rewritten) {
    std::vector<rewrite::KeySlot> slots;
    for (size_t i = 0; i < rows && !plan->key_slots.empty(); ++i) slots.insert(slots.end(), plan->key_slots.begin(), plan->key_slots.end());
    const bool enough = co_await TakeKeys(slots, &keys);
    if (closing_) co_return kEnd;
    if (!enough) co_return co_await NoKeys(plan->key_slots);
    rewrite::Form form = rewrite::Form::kPlain;
    if (plan->Exposed()) {
      const bool alive = co_await ChooseForm(*plan, statement->text, /*guards=*/false, &form);
      if (!alive) co_return kEnd;
    }
    const Action prepared = co_await Variant(statement, plan, facts, form, &id);
    if (prepared != kRelay) co_return prepared;
    marks = form == rewrite::Form::kMarked;
    if (!StillMayGoOn(*plan)) co_return co_await Refuse(kNoLease);  // it waited for keys
    thread_->metrics()->rewritten.Add();
    statement->types_elsewhere = true;
    running_ = statement;
  }
  statement->active_id = id;

  std::vector<rewrite::ParamSource> sources = plan->params;
  if (!rewritten) {
    sources.clear();
    for (uint32_t i = 0; i < statement->params; ++i) sources.push_back({rewrite::ParamSource::kClient, i});
  }
  protocol::ParamType number;
  protocol::ParamValue unused;
  std::string storage;
  protocol::SetUnsigned(0, &number, &unused, &storage);
  std::vector<protocol::ParamType> types;
  for (const rewrite::ParamSource& source : sources) {
    types.push_back(source.kind == rewrite::ParamSource::kNewKey ? number : head.types()[source.index]);
  }
  std::string command = protocol::BuildBulkHead(id, head.flags(), types);
  command.reserve(payload.size() + keys.size() * 9 + 64);
  reader = head;
  for (size_t at = 0; reader.Next(&row); at += plan->key_slots.size()) {
    for (const rewrite::ParamSource& source : sources) {
      if (source.kind == rewrite::ParamSource::kNewKey) {
        protocol::SetUnsigned(keys[at + source.index], &number, &unused, &storage);
        protocol::AppendBulkValue({BulkValue::kNone, storage}, &command);
      } else {
        protocol::AppendBulkValue(row[source.index], &command);
      }
    }
  }
  const uint8_t sequence = protocol::AppendFrames(command, 0, &outgoing_);
  if (sequence == AfterCommand()) {
    if (rewritten) no_way_back_ = plan->no_way_back;
    if (marks) marking_ = plan;
    co_return kRelay;
  }
  outgoing_.clear();
  co_return co_await Refuse(kNearFrame);
}

}  // namespace crossfade::proxy

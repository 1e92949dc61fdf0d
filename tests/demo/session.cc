// SPDX-License-Identifier: Apache-2.0
// Connection of the application; see session.h.
#include "tests/demo/session.h"

#include <chrono>

#include "fmt/format.h"

namespace crossfade::demo {

using servers::Reply;

std::string Inline(const std::string& sql, const Parameters& parameters) {
  std::string out;
  size_t next = 0;
  for (const char c : sql) {
    if (c != '?' || next >= parameters.size()) {
      out += c;
      continue;
    }
    const servers::Parameter& value = parameters[next++];
    if (const auto* number = std::get_if<int64_t>(&value)) {
      out += std::to_string(*number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      out += '\'';
      for (const char t : *text) {
        if (t == '\'' || t == '\\') out += '\\';
        out += t;
      }
      out += '\'';
    } else {
      out += "NULL";
    }
  }
  return out;
}

absl::Status Session::Connect(const Endpoint& endpoint) {
  Close();
  // A killed proxy may leave a connection that nobody greets: it is given up well before Reconnect is, and tried again.
  auto client = servers::Client::Connect(
      {.port = endpoint.port, .user = endpoint.user, .password = endpoint.password, .database = endpoint.schema, .timeout_s = 15});
  if (!client.ok()) return client.status();
  client_.emplace(*std::move(client));
  return absl::OkStatus();
}

void Session::Close() {
  statements_.clear();
  client_.reset();
}

Reply Session::Run(const std::string& sql, const Parameters& parameters, bool prepared) {
  const auto begin = std::chrono::steady_clock::now();
  Reply reply;
  if (prepared) {
    std::unique_ptr<servers::Statement>& statement = statements_[sql];
    if (statement == nullptr) reply = client_->Prepare(sql, &statement);
    if (statement != nullptr) reply = statement->Execute(parameters);
  } else {
    reply = client_->Query(Inline(sql, parameters));
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  if (!reply.lost()) stats_->Request(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  return reply;
}

}  // namespace crossfade::demo

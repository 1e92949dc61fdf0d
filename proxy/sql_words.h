// SPDX-License-Identifier: Apache-2.0
// Word tests on a text that is not parsed. Each errs to the safe side: true where it is not sure.
#pragma once

#include <cstdint>
#include <string_view>

namespace crossfade::proxy {

// What these statements could change.
enum Change : uint8_t {
  kFactsChange = 1,      // sql_mode, the character set, foreign_key_checks or the default schema
  kIsolationChange = 2,  // the isolation level, of the next transaction alone too
};
uint8_t MayChange(std::string_view sql);
inline bool MayChangeFacts(std::string_view sql) { return (MayChange(sql) & kFactsChange) != 0; }

// Do the words LOAD and LOCAL stand in this text?
bool HasLoadLocal(std::string_view sql);

// ASCII case-insensitive search; `word` is in lower case.
bool ContainsWord(std::string_view text, std::string_view word);

// Is its first word PREPARE? That one's own text asks for nothing yet.
bool IsPrepare(std::string_view sql);

// Does a statement ask what the one before it left to be told: ROW_COUNT() and the like, SHOW WARNINGS, GET DIAGNOSTICS?
bool AsksOfDiagnostics(std::string_view text);

}  // namespace crossfade::proxy

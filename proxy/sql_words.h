// SPDX-License-Identifier: Apache-2.0
// Word tests on a text that is not parsed. Each errs to the safe side: true where it is not sure.
#pragma once

#include <string_view>

namespace crossfade::proxy {

// Could these statements change sql_mode, the character set, foreign_key_checks or the default schema?
bool MayChangeFacts(std::string_view sql);

// Do the words LOAD and LOCAL stand in this text?
bool HasLoadLocal(std::string_view sql);

// ASCII case-insensitive search; `word` is in lower case.
bool ContainsWord(std::string_view text, std::string_view word);

}  // namespace crossfade::proxy

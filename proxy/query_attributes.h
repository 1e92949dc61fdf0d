// SPDX-License-Identifier: Apache-2.0
// Where the text begins in a COM_QUERY that carries query attributes (CLIENT_QUERY_ATTRIBUTES). page_protocol_com_query.
#pragma once

#include <cstddef>
#include <string_view>

namespace crossfade::proxy {

// `payload` with its command byte. npos: malformed.
size_t QueryTextOffset(std::string_view payload);

}  // namespace crossfade::proxy

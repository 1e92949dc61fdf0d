// SPDX-License-Identifier: Apache-2.0
// How long a character is, by the servers' own rules for each character set a client may send
// (strings/ctype-*.c of both servers). What matters: trailing bytes that look like ' " ` or \ (gbk, sjis,
// cp932, big5, gb18030), and which bytes from 0x80 on may stand in a name that is not quoted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace crossfade::rewrite {

enum class CharsetFamily : uint8_t {
  kUtf8Mb3, kUtf8Mb4,
  kLatin1,
  kSingleByte,  // other character sets of one byte: which bytes are letters is not known here
  kGbk, kSjis, kBig5, kGb18030, kGb2312, kEucKr, kEucJp,
  kUnknown,
};

CharsetFamily FamilyOf(std::string_view charset);

// A character set of the servers, also one that no client may send (ucs2, utf16, utf32): _utf16'...'.
bool IsCharset(std::string_view name);

// A trailing byte may be a quote or a backslash.
constexpr bool TrailingBytesBite(CharsetFamily family) {
  return family == CharsetFamily::kGbk || family == CharsetFamily::kSjis ||
         family == CharsetFamily::kBig5 || family == CharsetFamily::kGb18030;
}

// Bytes of the multi-byte character at `p`, 2 to 4; 0 if none starts there (the servers then take one byte).
size_t MultiByteLength(CharsetFamily family, const unsigned char* p, const unsigned char* end);

// Bytes (>= 1) of a character from 0x80 on that may stand in an unquoted name; 0: not surely one.
size_t NameCharLength(CharsetFamily family, const unsigned char* p, const unsigned char* end);

}  // namespace crossfade::rewrite

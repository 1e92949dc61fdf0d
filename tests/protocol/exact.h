// SPDX-License-Identifier: Apache-2.0
// What the protocol tests share: a copy of some bytes in a heap block of exactly their size, so that a sanitizer
// sees a read one past the end, and hex text to bytes and back.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace crossfade::protocol {

class Exact {
 public:
  explicit Exact(std::string_view bytes) : data_(static_cast<char*>(std::malloc(bytes.size()))), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(data_, bytes.data(), size_);
  }
  Exact(const Exact&) = delete;
  Exact& operator=(const Exact&) = delete;
  ~Exact() { std::free(data_); }
  std::string_view view() const { return {data_, size_}; }

 private:
  char* data_;
  size_t size_;
};

// Whatever is no hex digit is skipped.
inline std::string FromHex(std::string_view text) {
  std::string out;
  int high = -1;
  for (char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<char>(high << 4 | digit));
      high = -1;
    }
  }
  return out;
}

inline std::string ToHex(std::string_view bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", c);
    out += two;
  }
  return out;
}

}  // namespace crossfade::protocol

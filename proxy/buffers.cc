// SPDX-License-Identifier: Apache-2.0
// See buffers.h. Three sizes: small and large chunks are pooled, anything bigger (one huge message) is malloc's.
#include "proxy/buffers.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace crossfade::proxy {
namespace {
constexpr size_t kStream = ChunkPool::kLarge / 2;    // larger ones leave the caches, which costs a tenth of the CPU of a large result
constexpr size_t kKeepSmall = 256, kKeepStream = 8;  // free chunks kept by a thread: 4 MiB + 1 MiB
}

ChunkPool::~ChunkPool() {
  for (char* chunk : small_) std::free(chunk);
  for (char* chunk : large_) std::free(chunk);
}

char* ChunkPool::Take(size_t size) {
  auto* free_chunks = size == kSmall ? &small_ : size == kStream ? &large_ : nullptr;
  if (free_chunks != nullptr && !free_chunks->empty()) {
    char* chunk = free_chunks->back();
    free_chunks->pop_back();
    return chunk;
  }
  auto* chunk = static_cast<char*>(std::malloc(size));
  if (chunk == nullptr) throw std::bad_alloc();  // ends this session only
  return chunk;
}

void ChunkPool::Give(char* chunk, size_t size) {
  if (size == kSmall && small_.size() < kKeepSmall) {
    small_.push_back(chunk);
  } else if (size == kStream && large_.size() < kKeepStream) {
    large_.push_back(chunk);
  } else {
    std::free(chunk);
  }
}

void Buffer::Release() {
  if (memory_ != nullptr) pool_->Give(memory_, capacity_);
  memory_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

void Buffer::Consume(size_t n) {
  begin_ += n;
  if (begin_ == end_) Release();
}

void Buffer::Grow(size_t capacity) {
  char* grown = pool_->Take(capacity);
  const size_t held = size();
  if (held > 0) std::memcpy(grown, memory_ + begin_, held);
  if (memory_ != nullptr) pool_->Give(memory_, capacity_);
  memory_ = grown;
  capacity_ = capacity;
  begin_ = 0;
  end_ = held;
}

void Buffer::Reserve(size_t total) {
  if (total > capacity_) {
    Grow(total <= ChunkPool::kSmall ? ChunkPool::kSmall : frugal_ || total > kStream ? total : kStream);
  } else if (begin_ + total > capacity_) {
    std::memmove(memory_, memory_ + begin_, size());
    end_ -= begin_;
    begin_ = 0;
  }
}

char* Buffer::Prepare(size_t* room) {
  if (memory_ == nullptr) {
    Grow(filled_ && !frugal_ ? kStream : ChunkPool::kSmall);
  } else if (end_ == capacity_) {
    if (begin_ > capacity_ / 2) {
      Reserve(capacity_ - begin_ + 1);
    } else {
      Grow(frugal_ ? capacity_ + 1024 : capacity_ < kStream ? kStream : capacity_ * 2);
    }
  }
  *room = capacity_ - end_;
  return memory_ + end_;
}

void Buffer::Commit(size_t n) {
  filled_ = n == capacity_ - end_;
  end_ += n;
  if (begin_ == end_) Release();
}

}  // namespace crossfade::proxy

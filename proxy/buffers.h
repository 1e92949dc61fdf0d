// SPDX-License-Identifier: Apache-2.0
// Receive buffers that cost nothing while a connection is idle: their memory comes from a pool of the io thread
// when bytes arrive and goes back when the last one is consumed. Not thread-safe: each io thread has its own pool.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace crossfade::proxy {

class ChunkPool {
 public:
  static constexpr size_t kSmall = 16 * 1024;   // a command or a short reply
  static constexpr size_t kLarge = 256 * 1024;  // a stream of rows
  ChunkPool() = default;
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();
  char* Take(size_t size);             // kSmall or kLarge
  void Give(char* chunk, size_t size);

 private:
  std::vector<char*> small_, large_;
};

class Buffer {
 public:
  explicit Buffer(ChunkPool* pool) : pool_(pool) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { Release(); }

  std::string_view data() const { return {memory_ + begin_, end_ - begin_}; }
  ChunkPool* pool() const { return pool_; }
  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  void Consume(size_t n);  // the memory goes back when nothing is left

  // Room for new bytes behind data(); never empty. More is offered while the peer keeps filling it.
  char* Prepare(size_t* room);
  void Commit(size_t n);
  // Makes sure that data() can grow to `total` bytes without another allocation.
  void Reserve(size_t total);
  // Of a client that has not logged in: memory as asked for by Reserve, and never more ahead than one small chunk.
  void set_frugal(bool frugal) { frugal_ = frugal; }
  size_t capacity() const { return capacity_; }

 private:
  void Release();
  void Grow(size_t capacity);

  ChunkPool* pool_;
  char* memory_ = nullptr;
  size_t capacity_ = 0, begin_ = 0, end_ = 0;
  bool frugal_ = false;
  bool filled_ = false;  // the last read filled all the room: a stream
};

}  // namespace crossfade::proxy

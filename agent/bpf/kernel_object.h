// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the kernel says of a map or a program that is already there, and the memory of an mmapable array.
// Thread rule: plain; MappedArray's memory is shared with the programs, so its values are read and written atomically.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace pintle::bpf {

struct MapShape {
  uint32_t type = 0, key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  bool operator==(const MapShape&) const = default;
};
struct MapInfo {
  uint32_t id = 0;
  MapShape shape;
};
struct ProgramInfo {
  uint32_t id = 0;
  std::string tag;  // 16 hex digits
  std::string name;
  uint32_t uid = 0;  // who loaded it
  std::vector<uint32_t> map_ids;
};

[[nodiscard]] Result<UniqueFd> open_pin(const std::string& path);
[[nodiscard]] Status pin_fd(int fd, const std::string& path);
[[nodiscard]] Status pin_anew(int fd, const std::string& path);  // in place of what has the name
[[nodiscard]] Result<MapInfo> map_info(int fd);
[[nodiscard]] Result<ProgramInfo> program_info(int fd);

class MappedMemory {
 public:
  MappedMemory() = default;
  [[nodiscard]] static Result<MappedMemory> map(int map_fd, size_t bytes);
  [[nodiscard]] static Result<MappedMemory> map_readonly(int map_fd, size_t bytes, size_t offset);
  ~MappedMemory() { reset(); }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;
  MappedMemory(MappedMemory&& other) noexcept { swap(other); }
  MappedMemory& operator=(MappedMemory&& other) noexcept {
    if (this != &other) {
      reset();
      swap(other);
    }
    return *this;
  }
  [[nodiscard]] void* data() const { return data_; }

 private:
  [[nodiscard]] static Result<MappedMemory> map(int map_fd, size_t bytes, int protection, size_t offset);
  void reset();
  void swap(MappedMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// A BPF_F_MMAPABLE array of T.
template <typename T>
class MappedArray {
 public:
  MappedArray() = default;
  [[nodiscard]] static Result<MappedArray> map(int map_fd, uint32_t entries) {
    PINTLE_ASSIGN_OR_RETURN(auto memory, MappedMemory::map(map_fd, sizeof(T) * entries));
    return MappedArray(std::move(memory), entries);
  }
  [[nodiscard]] uint32_t size() const { return entries_; }
  [[nodiscard]] T& operator[](uint32_t index) const { return static_cast<T*>(memory_.data())[index]; }

 private:
  MappedArray(MappedMemory memory, uint32_t entries) : memory_(std::move(memory)), entries_(entries) {}
  MappedMemory memory_;
  uint32_t entries_ = 0;
};

[[nodiscard]] inline uint64_t load_counter(const uint64_t& counter) { return __atomic_load_n(&counter, __ATOMIC_RELAXED); }
[[nodiscard]] inline uint64_t load_counter(const unsigned long long& counter) { return __atomic_load_n(&counter, __ATOMIC_RELAXED); }

}  // namespace pintle::bpf

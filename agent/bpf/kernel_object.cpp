// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/kernel_object.h"

#include <cerrno>

#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/pin.h"

namespace pintle::bpf {

Result<UniqueFd> open_pin(const std::string& path) {
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) return fail_errno(errno, fmt::format("open pin '{}'", path));
  return fd;
}

Status pin_fd(int fd, const std::string& path) {
  if (bpf_obj_pin(fd, path.c_str()) != 0) return fail_errno(errno, fmt::format("pin '{}'", path));
  return {};
}

Status pin_anew(int fd, const std::string& path) {
  auto pinned = pin_fd(fd, path);
  if (pinned || pinned.error().sys_errno != EEXIST) return pinned;
  PINTLE_TRY(unpin(path));
  return pin_fd(fd, path);
}

Result<MapInfo> map_info(int fd) {
  bpf_map_info raw{};
  uint32_t size = sizeof raw;
  if (bpf_map_get_info_by_fd(fd, &raw, &size) != 0) return fail_errno(errno, "read map");
  return MapInfo{raw.id, {raw.type, raw.key_size, raw.value_size, raw.max_entries, raw.map_flags}};
}

Result<ProgramInfo> program_info(int fd) {
  std::array<uint32_t, 16> maps{};
  bpf_prog_info raw{};
  raw.map_ids = reinterpret_cast<uintptr_t>(maps.data());
  raw.nr_map_ids = maps.size();
  uint32_t size = sizeof raw;
  if (bpf_prog_get_info_by_fd(fd, &raw, &size) != 0) return fail_errno(errno, "read program");
  ProgramInfo info{raw.id, {}, raw.name, raw.created_by_uid, {}};
  for (const unsigned char byte : raw.tag) info.tag += fmt::format("{:02x}", byte);
  info.map_ids.assign(maps.begin(), maps.begin() + std::min<size_t>(raw.nr_map_ids, maps.size()));
  return info;
}

Result<MappedMemory> MappedMemory::map(int map_fd, size_t bytes) { return map(map_fd, bytes, PROT_READ | PROT_WRITE, 0); }

Result<MappedMemory> MappedMemory::map_readonly(int map_fd, size_t bytes, size_t offset) { return map(map_fd, bytes, PROT_READ, offset); }

Result<MappedMemory> MappedMemory::map(int map_fd, size_t bytes, int protection, size_t offset) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t rounded = (bytes + page - 1) / page * page;
  void* data = ::mmap(nullptr, rounded, protection, MAP_SHARED, map_fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return fail_errno(errno, "map it into memory");
  MappedMemory memory;
  memory.data_ = data;
  memory.bytes_ = rounded;
  return memory;
}

void MappedMemory::reset() {
  if (data_ != nullptr) (void)::munmap(data_, bytes_);  // ignoring: fails only for ranges that were never mapped
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace pintle::bpf

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/object_info.h"

#include <cerrno>
#include <charconv>
#include <ctime>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

namespace pintle::bpf {
namespace {

// Every descriptor answers BPF_OBJ_GET_INFO_BY_FD, and a map's answer read as a program's would be nonsense.
struct FdInfo {
  bool right_kind = true;
  uint64_t memlock = 0;  // the one number that BPF_OBJ_GET_INFO_BY_FD leaves out; 0: unknown
};

FdInfo read_fdinfo(int fd, std::string_view wanted_key) {
  FdInfo out;
  const auto text = read_file(fmt::format("/proc/thread-self/fdinfo/{}", fd));
  if (!text) return out;
  out.right_kind = text->find(wanted_key) != std::string::npos;
  constexpr std::string_view kKey = "memlock:";
  const auto at = text->find(kKey);
  if (at == std::string::npos) return out;
  const char* end = text->data() + text->size();
  const char* begin = text->data() + at + kKey.size();
  while (begin < end && (*begin == ' ' || *begin == '\t')) ++begin;
  (void)std::from_chars(begin, end, out.memlock);  // ignoring: 0 says unknown
  return out;
}

}  // namespace

Result<ProgramDetails> program_details(int fd) {
  const auto file = read_fdinfo(fd, "prog_type:");
  if (!file.right_kind) return fail(Code::kInvalid, "the descriptor is not a program");
  bpf_prog_info raw{};
  uint32_t size = sizeof raw;
  if (bpf_prog_get_info_by_fd(fd, &raw, &size) != 0) return fail_errno(errno, "read program");
  ProgramDetails out;
  out.id = raw.id;
  out.type = raw.type;
  out.name = raw.name;
  for (const unsigned char byte : raw.tag) out.tag += fmt::format("{:02x}", byte);
  out.uid = raw.created_by_uid;
  out.loaded = std::chrono::nanoseconds(raw.load_time);
  out.xlated_bytes = raw.xlated_prog_len;
  out.jited_bytes = raw.jited_prog_len;
  out.verified_insns = raw.verified_insns;
  out.run_count = raw.run_cnt;
  out.run_ns = raw.run_time_ns;
  out.memlock_bytes = file.memlock;
  if (raw.nr_map_ids > 0) {
    out.map_ids.resize(raw.nr_map_ids);
    bpf_prog_info maps{};
    maps.map_ids = reinterpret_cast<uintptr_t>(out.map_ids.data());
    maps.nr_map_ids = raw.nr_map_ids;
    size = sizeof maps;
    if (bpf_prog_get_info_by_fd(fd, &maps, &size) != 0) return fail_errno(errno, "read the program's maps");
    out.map_ids.resize(std::min<size_t>(maps.nr_map_ids, out.map_ids.size()));
  }
  return out;
}

Result<MapDetails> map_details(int fd) {
  const auto file = read_fdinfo(fd, "map_type:");
  if (!file.right_kind) return fail(Code::kInvalid, "the descriptor is not a map");
  bpf_map_info raw{};
  uint32_t size = sizeof raw;
  if (bpf_map_get_info_by_fd(fd, &raw, &size) != 0) return fail_errno(errno, "read map");
  return MapDetails{raw.id, raw.type, raw.name, raw.key_size, raw.value_size, raw.max_entries, raw.map_flags, file.memlock};
}

Result<Instructions> program_instructions(int fd) {
  bpf_prog_info sizes{};
  uint32_t size = sizeof sizes;
  if (bpf_prog_get_info_by_fd(fd, &sizes, &size) != 0) return fail_errno(errno, "read program");
  Instructions out;
  out.xlated.resize(sizes.xlated_prog_len);
  out.jited.resize(sizes.jited_prog_len);
  out.jited_lengths.resize(sizes.nr_jited_func_lens);
  bpf_prog_info raw{};
  raw.xlated_prog_insns = reinterpret_cast<uintptr_t>(out.xlated.data());
  raw.xlated_prog_len = sizes.xlated_prog_len;
  raw.jited_prog_insns = reinterpret_cast<uintptr_t>(out.jited.data());
  raw.jited_prog_len = sizes.jited_prog_len;
  raw.jited_func_lens = reinterpret_cast<uintptr_t>(out.jited_lengths.data());
  raw.nr_jited_func_lens = sizes.nr_jited_func_lens;
  size = sizeof raw;
  if (bpf_prog_get_info_by_fd(fd, &raw, &size) != 0) return fail_errno(errno, "read the program's instructions");
  // The kernel puts the pointer back to zero where it shows nothing (bpf_dump_raw_ok), and zero lengths to those without CAP_BPF.
  if (raw.xlated_prog_insns == 0 || raw.xlated_prog_len == 0) out.xlated.clear();
  if (raw.jited_prog_insns == 0 || raw.jited_prog_len == 0) out.jited.clear();
  if (raw.jited_func_lens == 0) out.jited_lengths.clear();
  return out;
}

uint64_t count_keys(int map_fd, uint32_t key_bytes, uint32_t limit) {
  std::string key(key_bytes, '\0'), next(key_bytes, '\0');
  uint64_t count = 0;
  for (const char* at = nullptr; count < limit && bpf_map_get_next_key(map_fd, at, next.data()) == 0; ++count) {
    key.swap(next);
    at = key.data();
  }
  return count;
}

std::string program_type_name(uint32_t type) {
  const char* name = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(type));
  return name != nullptr ? name : fmt::format("type {}", type);
}

std::string map_type_name(uint32_t type) {
  const char* name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
  return name != nullptr ? name : fmt::format("type {}", type);
}

Duration boot_to_wall(const Clock& clock) {
  timespec boot{};
  (void)::clock_gettime(CLOCK_BOOTTIME, &boot);  // ignoring: cannot fail for this clock
  return clock.now().time_since_epoch() - std::chrono::seconds(boot.tv_sec) - std::chrono::nanoseconds(boot.tv_nsec);
}

}  // namespace pintle::bpf

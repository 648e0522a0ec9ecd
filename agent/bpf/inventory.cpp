// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/inventory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/disassembly.h"
#include "bpf/kernel_object.h"
#include "bpf/link.h"
#include "bpf/pin.h"
#include "bpf/program_set.h"

namespace pintle::bpf {
namespace {

struct OwnedProgram {
  UniqueFd fd;
  ProgramDetails details;
  std::string hook;  // its pin's name
  uint64_t links = 0;
};
struct OwnedMap {
  UniqueFd fd;
  MapDetails details;
};

UniqueFd duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

bool counts_keys(uint32_t type) {
  return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LPM_TRIE ||
         type == BPF_MAP_TYPE_CGROUP_STORAGE;
}

// An array always has all of its entries, which says nothing.
std::optional<uint64_t> entries_of(const OwnedMap& map) {
  const auto& details = map.details;
  if (!counts_keys(details.type)) return std::nullopt;
  return count_keys(map.fd.get(), details.key_bytes, details.max_entries == 0 ? UINT32_MAX : details.max_entries);
}

// Of a pod's program, by its name in the object.
std::string hook_of(const std::string& program) {
  for (const auto hook : model::kAllHooks)
    if (program == program_name_of(hook)) return std::string(to_string(hook));
  return {};
}

bool run_statistics() {
  const auto text = read_file("/proc/sys/kernel/bpf_stats_enabled");
  return text && text->starts_with("1");
}

}  // namespace

struct PinInventory::Found {
  std::string set;  // in force, and the ids of its programs
  std::set<uint32_t> of_set;
  std::map<uint32_t, OwnedProgram> programs;  // by id
  std::map<uint32_t, OwnedMap> maps;
  uint64_t links = 0;

  void add_program(UniqueFd fd, const std::string& hook = {}) {
    if (!fd.valid()) return;
    auto details = program_details(fd.get());
    if (!details) return;
    const uint32_t id = details->id;
    const auto [at, first] = programs.try_emplace(id, OwnedProgram{std::move(fd), std::move(*details), hook});
    if (!first && !hook.empty()) at->second.hook += "," + hook;  // one that serves two
  }
  void add_map(UniqueFd fd) {
    if (!fd.valid()) return;
    auto details = map_details(fd.get());
    if (!details) return;
    const uint32_t id = details->id;
    maps.try_emplace(id, OwnedMap{std::move(fd), std::move(*details)});
  }
  // `hook`: of a pod's link: names a program whose own pin is missing.
  void add_link(const std::string& pin, const std::string& hook = {}) {
    const auto link = BpfLink::open(pin);
    if (!link) return;
    const auto info = link->info();
    if (!info) return;
    ++links;
    // A program that no pin holds: the kernel gives it by number to CAP_SYS_ADMIN only.
    if (!programs.contains(info->program_id)) add_program(UniqueFd(bpf_prog_get_fd_by_id(info->program_id)), hook);
    if (const auto found = programs.find(info->program_id); found != programs.end()) ++found->second.links;
  }
};

Result<PinInventory::Found> PinInventory::look() const {
  const auto& layout = sources_.layout;
  Found found;
  // Without its folder, which somebody else may have removed, there are still those that maps and links lead to.
  auto listed = list_pins(layout.set());
  if (!listed && !list_pins(layout.root + "/map")) return std::unexpected(std::move(listed).error());
  auto program_pins = std::move(listed).value_or(std::vector<std::string>());
  std::ranges::sort(program_pins);
  for (const auto& name : program_pins) {
    UniqueFd fd(bpf_obj_get(layout.program(name).c_str()));
    if (name == "set") {
      found.add_map(std::move(fd));
      continue;
    }
    if (const auto info = program_info(fd.get())) found.of_set.insert(info->id);
    found.add_program(std::move(fd), hook_of(name));
  }
  if (const auto record = read_set_record(layout.set())) found.set = record->name;
  for (const auto& name : list_pins(layout.root + "/map").value_or(std::vector<std::string>()))
    found.add_map(UniqueFd(bpf_obj_get(layout.map(name).c_str())));
  for (const auto& name : list_pins(layout.node_programs()).value_or(std::vector<std::string>()))
    found.add_program(UniqueFd(bpf_obj_get(layout.node_program(name).c_str())), name);
  for (const auto& program : list_pins(layout.operators()).value_or(std::vector<std::string>()))
    for (const auto& name : list_pins(layout.operator_folder(program)).value_or(std::vector<std::string>())) {
      UniqueFd fd(bpf_obj_get((layout.operator_folder(program) + "/" + name).c_str()));
      name.starts_with("map_") ? found.add_map(std::move(fd)) : found.add_program(std::move(fd));
    }
  if (sources_.held) {
    const Held held = sources_.held();
    for (const int fd : held.programs) found.add_program(duplicate(fd));
    for (const int fd : held.maps) found.add_map(duplicate(fd));
  }
  for (const auto& name : list_pins(layout.root + "/link").value_or(std::vector<std::string>())) found.add_link(layout.link(name));
  for (const auto& name : list_pins(layout.kubepods()).value_or(std::vector<std::string>())) found.add_link(layout.kubepods() + "/" + name);
  for (const auto& pod : list_pins(layout.pods()).value_or(std::vector<std::string>())) {
    const std::string folder = layout.pods() + "/" + pod;
    for (const auto& hook : list_pins(folder).value_or(std::vector<std::string>()))
      found.add_link(fmt::format("{}/{}", folder, hook), hook.starts_with(kOperatorPrefix) ? std::string() : hook);
  }
  // Maps that have no pin of their own.
  for (const auto& [id, program] : found.programs)
    for (const auto map : program.details.map_ids)
      if (!found.maps.contains(map)) found.add_map(UniqueFd(bpf_map_get_fd_by_id(map)));
  return found;
}

Result<std::vector<ports::LoadedProgram>> PinInventory::programs() {
  PINTLE_ASSIGN_OR_RETURN(const auto found, look());
  const Duration wall = boot_to_wall(clock_);
  std::vector<ports::LoadedProgram> out;
  for (const auto& [id, program] : found.programs) {
    const auto& d = program.details;
    ports::LoadedProgram row;
    row.id = id;
    row.name = d.name;
    row.hook = program.hook;
    row.type = program_type_name(d.type);
    row.tag = d.tag;
    row.loaded_at = Time(wall + d.loaded);
    row.xlated_bytes = d.xlated_bytes;
    row.jited_bytes = d.jited_bytes;
    row.memlock_bytes = d.memlock_bytes;
    row.verified_insns = d.verified_insns;
    if (found.of_set.contains(id)) row.set = found.set;
    row.links = program.links;
    row.run_count = d.run_count;
    row.run_ns = d.run_ns;
    row.map_ids = d.map_ids;
    out.push_back(std::move(row));
  }
  return out;
}

std::vector<std::string> PinInventory::missing_pins() {
  const auto& layout = sources_.layout;
  const auto listed = list_pins(layout.set());
  std::vector<std::string> out;
  if (!listed && !list_pins(layout.root + "/map")) return out;  // nothing was ever pinned
  const auto there = listed.value_or(std::vector<std::string>());
  const auto look_for = [&](const std::string& name) {
    if (std::ranges::find(there, name) == there.end()) out.push_back(layout.program(name));
  };
  for (const auto hook : model::kAllHooks) look_for(program_name_of(hook));
  look_for("set");
  return out;
}

Result<std::vector<ports::LoadedMap>> PinInventory::maps() {
  PINTLE_ASSIGN_OR_RETURN(const auto found, look());
  std::vector<ports::LoadedMap> out;
  for (const auto& [id, map] : found.maps) {
    const auto& d = map.details;
    ports::LoadedMap row{id, d.name, map_type_name(d.type), d.key_bytes, d.value_bytes, d.max_entries, d.memlock_bytes};
    row.entries = d.name == "pod_slots" && sources_.slots_in_use ? std::optional<uint64_t>(sources_.slots_in_use()) : entries_of(map);
    row.evicts = d.type == BPF_MAP_TYPE_LRU_HASH;
    out.push_back(std::move(row));
  }
  return out;
}

Result<ports::ProgramCost> PinInventory::cost() {
  PINTLE_ASSIGN_OR_RETURN(const auto found, look());
  ports::ProgramCost out;
  out.programs = found.programs.size();
  out.maps = found.maps.size();
  out.links = found.links;
  out.run_statistics = run_statistics();
  for (const auto& [id, program] : found.programs) out.kernel_bytes += program.details.memlock_bytes;
  const auto counts = sources_.ring_counts ? sources_.ring_counts() : std::vector<RingCount>();
  for (const auto& [id, map] : found.maps) {
    out.kernel_bytes += map.details.memlock_bytes;
    if (map.details.type != BPF_MAP_TYPE_RINGBUF) continue;
    ports::RingUse ring;
    ring.name = map.details.name;
    ring.bytes = map.details.max_entries;
    ring.unread_bytes = unread_bytes(map.fd.get()).value_or(0);
    if (const auto count = std::ranges::find(counts, ring.name, &RingCount::map); count != counts.end()) {
      ring.received = count->received;
      ring.lost = count->lost;
    }
    out.rings.push_back(std::move(ring));
  }
  return out;
}

Result<std::string> PinInventory::dump(uint32_t program_id, bool jited) {
  PINTLE_ASSIGN_OR_RETURN(const auto found, look());
  const auto program = found.programs.find(program_id);
  if (program == found.programs.end()) return fail(Code::kNotFound, fmt::format("program {} is none of Pintle's", program_id));
  PINTLE_ASSIGN_OR_RETURN(const auto code, program_instructions(program->second.fd.get()));
  const auto& bytes = jited ? code.jited : code.xlated;
  if (bytes.empty() && jited)
    return fail(
        Code::kUnsupported,
        fmt::format("the kernel does not show pintled the machine's instructions of program {}: they hold addresses, for which it asks "
                    "CAP_SYSLOG, given up after the start, or kernel.kptr_restrict=0 with kernel.perf_event_paranoid at most 1. "
                    "'bpftool prog dump jited id {}' as root shows them (unless kptr_restrict is 2, or nothing was compiled)",
                    program_id, program_id));
  if (bytes.empty())
    return fail(
        Code::kUnsupported,
        fmt::format("the kernel does not show the translated instructions of program {}: it takes CAP_SYS_ADMIN or CAP_PERFMON, and "
                    "kernel.kptr_restrict and net.core.bpf_jit_harden below 2",
                    program_id));
  if (jited) return hex_lines(bytes);
  std::vector<bpf_insn> instructions(bytes.size() / sizeof(bpf_insn));
  std::memcpy(instructions.data(), bytes.data(), instructions.size() * sizeof(bpf_insn));
  return disassemble(instructions, kernel_call_names(instructions));
}

Result<uint64_t> unread_bytes(int ring_fd) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  // The first page holds where the reader is, the second where the writers are.
  void* memory = ::mmap(nullptr, page, PROT_READ, MAP_SHARED, ring_fd, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "map the ring's reader");
  const uint64_t consumer = __atomic_load_n(static_cast<const uint64_t*>(memory), __ATOMIC_ACQUIRE);
  (void)::munmap(memory, page);  // ignoring: fails only for ranges that were never mapped
  memory = ::mmap(nullptr, page, PROT_READ, MAP_SHARED, ring_fd, static_cast<off_t>(page));
  if (memory == MAP_FAILED) return fail_errno(errno, "map the ring's writers");
  const uint64_t producer = __atomic_load_n(static_cast<const uint64_t*>(memory), __ATOMIC_ACQUIRE);
  (void)::munmap(memory, page);  // ignoring: as above
  return producer - consumer;
}

}  // namespace pintle::bpf

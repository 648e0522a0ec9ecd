// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/program_set.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/object_info.h"
#include "bpf/pin.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {

using model::Hook;

namespace {

struct HookTraits {
  const char* program;
  uint32_t program_type, attach_type;
  const char* shared = nullptr;  // the name of a program that serves hooks of several attach types, if there may be such a one
};
constexpr const char* kPacket = "accounting_packet";  // of the lower attach type, as the kernel takes it for both
constexpr HookTraits kTraits[] = {
    {"accounting_ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, kPacket},
    {"accounting_egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, kPacket},
    {"connect_connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
    {"connect_connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT},
    {"sendmsg_sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG},
    {"sendmsg_sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG},
    {"bind_bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND},
    {"bind_bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND},
    {"sockops_events", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS},
    {"device_access", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE},
    {"sysctl_write", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL},
    {"sockopt_set", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT},
};
static_assert(std::size(kTraits) == model::kHookCount);

const HookTraits& traits_of(Hook hook) { return kTraits[static_cast<size_t>(hook)]; }
std::string record_pin(const std::string& folder) { return folder + "/set"; }

void copy_text(const std::string& text, std::span<char> out) {
  std::memcpy(out.data(), text.data(), std::min(text.size(), out.size() - 1));
}
std::string text_of(std::span<const char> text) { return {text.data(), ::strnlen(text.data(), text.size())}; }

std::vector<uint32_t> sorted(std::vector<uint32_t> ids) {
  std::ranges::sort(ids);
  return ids;
}

Result<ProgramSet::Program> copy_of(const ProgramSet::Program& program) {
  UniqueFd fd(::fcntl(program.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "duplicate the descriptor of a program");
  return ProgramSet::Program{std::move(fd), program.info, program.attach_type};
}

}  // namespace

uint32_t attach_type_of(Hook hook) { return traits_of(hook).attach_type; }
uint32_t program_type_of(Hook hook) { return traits_of(hook).program_type; }
const char* program_name_of(Hook hook) { return traits_of(hook).program; }

HookProgram program_in(const BpfObject& object, Hook hook) {
  const auto& traits = traits_of(hook);
  if (traits.shared != nullptr && object.program_kind(traits.shared)) return {traits.shared, BPF_CGROUP_INET_INGRESS};
  return {traits.program, traits.attach_type};
}

Status check_programs(const BpfObject& object, const std::string& set) {
  for (const auto hook : model::kAllHooks) {
    const auto wanted = program_in(object, hook);
    const auto kind = object.program_kind(wanted.name);
    if (!kind) return std::unexpected(with_context(kind.error(), fmt::format("program set '{}'", set)));
    if (kind->type != program_type_of(hook) || kind->attach_type != wanted.attach_type)
      return fail(Code::kInvalid,
                  fmt::format("program set '{}': '{}' is of type {} and attach type {}, the hook {} takes type {} and attach "
                              "type {}",
                              set, wanted.name, program_type_name(kind->type), kind->attach_type, model::to_string(hook),
                              program_type_name(program_type_of(hook)), wanted.attach_type));
  }
  return {};
}

Result<ProgramSetPtr> ProgramSet::take(const SetObject& object, const BpfObject& loaded, SharedMapIds maps, const ProgramSet* known) {
  std::shared_ptr<ProgramSet> out(new ProgramSet);
  for (const auto hook : model::kAllHooks) {
    auto& program = out->programs_[static_cast<size_t>(hook)];
    PINTLE_ASSIGN_OR_RETURN(program.fd, loaded.program_fd(program_in(loaded, hook).name));
    PINTLE_ASSIGN_OR_RETURN(program.info, program_info(program.fd.get()));
    program.attach_type = attach_type_of(hook);
    if (known == nullptr) continue;
    const auto& before = known->program(hook);
    if (before.info.tag != program.info.tag || sorted(before.info.map_ids) != sorted(program.info.map_ids)) continue;
    PINTLE_ASSIGN_OR_RETURN(program, copy_of(before));
  }
  out->maps_ = std::move(maps);
  out->name_ = object.name();
  out->version_ = object.version();
  out->object_id_ = object.id();
  return out;
}

std::optional<pintle_set_record> read_set_record(const std::string& folder) {
  const auto pin = open_pin(record_pin(folder));
  if (!pin) return std::nullopt;
  const auto info = map_info(pin->get());
  if (!info || info->shape.type != BPF_MAP_TYPE_ARRAY || info->shape.value_size != sizeof(pintle_set_record)) return std::nullopt;
  pintle_set_record record{};
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(pin->get(), &zero, &record) != 0) return std::nullopt;
  return record;
}

ProgramSetPtr ProgramSet::find_pinned(const std::string& folder, const SharedMapIds& maps) {
  const auto record = read_set_record(folder);
  if (!record || record->abi != PINTLE_SET_ABI || record->map_count > PINTLE_SET_MAPS) return nullptr;
  if (!std::ranges::equal(std::span(record->map_ids, record->map_count), maps)) return nullptr;
  std::shared_ptr<ProgramSet> out(new ProgramSet);
  for (const auto hook : model::kAllHooks) {
    auto pin = open_pin(folder + "/" + program_name_of(hook));
    if (!pin) return nullptr;
    auto info = program_info(pin->get());
    if (!info) return nullptr;
    out->programs_[static_cast<size_t>(hook)] = {*std::move(pin), *std::move(info), attach_type_of(hook)};
  }
  out->maps_ = maps;
  out->name_ = text_of(record->name);
  out->version_ = text_of(record->version);
  out->object_id_ = record->object_id;
  return out;
}

Status ProgramSet::pin(const std::string& folder) const {
  PINTLE_ASSIGN_OR_RETURN(auto pending, PendingPins::create(folder + "_new"));
  for (const auto hook : model::kAllHooks) PINTLE_TRY(pin_fd(program(hook).fd.get(), pending.path() + "/" + program_name_of(hook)));
  pintle_set_record record{};
  record.object_id = object_id_;
  record.abi = PINTLE_SET_ABI;
  record.map_count = static_cast<uint32_t>(std::min<size_t>(maps_.size(), PINTLE_SET_MAPS));
  std::copy_n(maps_.begin(), record.map_count, record.map_ids);
  copy_text(name_, record.name);
  copy_text(version_, record.version);
  const MapRequest request{
      .name = "program_set", .type = BPF_MAP_TYPE_ARRAY, .key_size = sizeof(uint32_t), .value_size = sizeof record, .max_entries = 1};
  const auto map = create_map(request);
  if (!map) return std::unexpected(with_context(map.error(), "make the record of a program set"));
  const uint32_t zero = 0;
  if (bpf_map_update_elem(map->get(), &zero, &record, BPF_ANY) != 0) return fail_errno(errno, "write the record of a program set");
  PINTLE_TRY(pin_fd(map->get(), record_pin(pending.path())));
  return pending.commit(folder);
}

std::string ProgramSet::describe() const {
  return version_.empty() ? fmt::format("'{}'", name_) : fmt::format("'{}' (version {})", name_, version_);
}

}  // namespace pintle::bpf

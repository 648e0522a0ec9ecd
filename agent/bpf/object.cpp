// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/object.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <numeric>
#include <set>

#include <fcntl.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include "base/log.h"
#include "bpf/errno_causes.h"
#include "bpf/libbpf_words.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {
namespace {

constexpr size_t kLogBytes = 256 * 1024;  // untouched, and so no memory, unless the verifier refuses

Result<UniqueFd> duplicate(int fd, const std::string& what) {
  if (fd < 0) return fail(Code::kInternal, fmt::format("{} is not loaded", what));
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return fail_errno(errno, fmt::format("duplicate the descriptor of {}", what));
  return copy;
}

// So that there are soon programs that wait for no more maps.
std::vector<size_t> most_used_first(const ElfObject& object) {
  std::vector<size_t> uses(object.maps().size()), order(uses.size());
  for (const auto& program : object.programs()) {
    std::set<size_t> used;
    for (const auto& use : program.map_uses) used.insert(use.map);
    for (const size_t map : used) ++uses[map];
  }
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t map) { return uses[map]; });
  return order;
}

}  // namespace

void BpfObject::Close::operator()(bpf_object* object) const { bpf_object__close(object); }

Result<BpfObject> BpfObject::open(std::span<const std::byte> elf, const std::string& name, std::shared_ptr<const ElfObject> read) {
  BpfObject out(elf, name);
  if (read) {
    out.lean_ = std::move(read);
    return out;
  }
  if (auto parsed = ElfObject::parse(elf)) {
    out.lean_ = std::make_shared<const ElfObject>(*std::move(parsed));
    return out;
  } else {
    out.not_lean_ = std::move(parsed).error();
  }
  PINTLE_LOG(kDebug, "bpf", "object '{}' is libbpf's to load: {}", name, out.not_lean_.message());
  PINTLE_TRY(out.open_with_libbpf());
  return out;
}

Status BpfObject::open_with_libbpf() {
  install_libbpf_printer();
  log_ = std::make_unique_for_overwrite<char[]>(kLogBytes);
  log_[0] = '\0';
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = name_.c_str();
  options.kernel_log_buf = log_.get();
  options.kernel_log_size = kLogBytes;
  object_.reset(bpf_object__open_mem(elf_.data(), elf_.size(), &options));
  if (!object_) return fail_errno(errno, fmt::format("open BPF object '{}'", name_));
  return {};
}

Status BpfObject::require_map(const std::string& map) const {
  if (const auto found = map_definition(map); !found) return fail(Code::kInternal, found.error().context);
  return {};
}

Status BpfObject::set_max_entries(const std::string& map, uint32_t entries) {
  PINTLE_TRY(require_map(map));
  sizes_[map] = entries;
  return {};
}

Status BpfObject::reuse_map(const std::string& map, int fd) {
  PINTLE_TRY(require_map(map));
  PINTLE_ASSIGN_OR_RETURN(given_[map], duplicate(fd, fmt::format("map '{}'", map)));
  return {};
}

Result<BpfObject::MapDefinition> BpfObject::map_definition(const std::string& map) const {
  const auto missing = [&] { return fail(Code::kInvalid, fmt::format("BPF object '{}' has no map '{}'", name_, map)); };
  if (lean_) {
    const auto found = std::ranges::find(lean_->maps(), map, &ElfMap::name);
    if (found == lean_->maps().end()) return missing();
    return MapDefinition{found->type, found->key_size, found->value_size, found->flags};
  }
  const bpf_map* found = bpf_object__find_map_by_name(object_.get(), map.c_str());
  if (found == nullptr) return missing();
  return MapDefinition{static_cast<uint32_t>(bpf_map__type(found)), bpf_map__key_size(found), bpf_map__value_size(found),
                       bpf_map__map_flags(found)};
}

Result<BpfObject::ProgramKind> BpfObject::program_kind(const std::string& program) const {
  const auto missing = [&] { return fail(Code::kInvalid, fmt::format("BPF object '{}' has no program '{}'", name_, program)); };
  if (lean_) {
    const auto found = std::ranges::find(lean_->programs(), program, &ElfProgram::name);
    if (found == lean_->programs().end()) return missing();
    return ProgramKind{found->type, found->attach_type};
  }
  if (!object_) {
    const auto loaded = kinds_.find(program);
    if (loaded == kinds_.end()) return missing();
    return loaded->second;
  }
  const bpf_program* found = bpf_object__find_program_by_name(object_.get(), program.c_str());
  if (found == nullptr) return missing();
  return ProgramKind{static_cast<uint32_t>(bpf_program__type(found)), static_cast<uint32_t>(bpf_program__expected_attach_type(found))};
}

Result<UniqueFd> BpfObject::make_map(const ElfMap& map) const {
  if (const auto given = given_.find(map.name); given != given_.end())
    return duplicate(given->second.get(), fmt::format("map '{}'", map.name));
  const auto size = sizes_.find(map.name);
  MapRequest request{.name = map.name, .type = map.type, .key_size = map.key_size, .value_size = map.value_size};
  request.max_entries = size == sizes_.end() ? map.max_entries : size->second;
  request.flags = map.flags;
  if (map.value_type != 0) {  // for those who look at it; socket storage demands it
    request.types_fd = types_fd_.get();
    request.key_type = map.key_type;
    request.value_type = map.value_type;
  }
  return create_map(request);
}

Status BpfObject::begin(ProgramLoader& loader) {
  if (!lean_) return std::unexpected(not_lean_);
  auto types = load_types(lean_->types());
  if (!types) return std::unexpected(with_context(std::move(types).error(), fmt::format("BPF object '{}'", name_)));
  types_fd_ = *std::move(types);
  batch_ = loader.begin(lean_, types_fd_.get());
  auto made = make_maps(loader);
  if (!made) loader.abandon(batch_);
  return made;
}

Status BpfObject::make_maps(ProgramLoader& loader) {
  for (const size_t index : most_used_first(*lean_)) {
    const auto& name = lean_->maps()[index].name;
    PINTLE_ASSIGN_OR_RETURN(auto& fd = maps_[name], make_map(lean_->maps()[index]));
    loader.give_map(batch_, index, fd.get());
  }
  return {};
}

Status BpfObject::finish(ProgramLoader& loader) {
  auto programs = loader.finish(batch_);
  if (!programs) return std::unexpected(with_context(std::move(programs).error(), fmt::format("BPF object '{}'", name_)));
  programs_ = *std::move(programs);
  types_fd_.reset();
  return {};
}

Status BpfObject::load(ProgramLoader& loader) {
  if (lean_) {
    auto loaded = begin(loader);
    if (loaded) loaded = finish(loader);
    if (loaded) return {};
    PINTLE_LOG(kDebug, "bpf", "left to libbpf: {}", loaded.error().message());
    maps_.clear();
    PINTLE_TRY(open_with_libbpf());
  }
  return load_with_libbpf();
}

Status BpfObject::load_with_libbpf() {
  for (const auto& [name, entries] : sizes_) {
    const int err = bpf_map__set_max_entries(bpf_object__find_map_by_name(object_.get(), name.c_str()), entries);
    if (err != 0) return fail_errno(-err, fmt::format("size map '{}'", name));
  }
  for (const auto& [name, fd] : given_) {
    const int err = bpf_map__reuse_fd(bpf_object__find_map_by_name(object_.get(), name.c_str()), fd.get());
    if (err != 0) return fail_errno(-err, fmt::format("reuse map '{}'", name));
  }
  if (const int err = bpf_object__load(object_.get()); err != 0)
    return std::unexpected(Error{Code::kUnsupported, -err, fmt::format("load BPF object '{}': {}", name_, explain_load(-err, log_.get()))});
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    PINTLE_ASSIGN_OR_RETURN(maps_[bpf_map__name(map)], duplicate(bpf_map__fd(map), fmt::format("map '{}'", bpf_map__name(map))));
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) {
    const std::string name = bpf_program__name(program);
    kinds_[name] = {static_cast<uint32_t>(bpf_program__type(program)), static_cast<uint32_t>(bpf_program__expected_attach_type(program))};
    PINTLE_ASSIGN_OR_RETURN(programs_[name], duplicate(bpf_program__fd(program), fmt::format("program '{}'", name)));
  }
  object_.reset();  // what is left is descriptors
  return {};
}

Result<UniqueFd> BpfObject::map_fd(const std::string& map) const {
  const auto found = maps_.find(map);
  return duplicate(found == maps_.end() ? -1 : found->second.get(), fmt::format("map '{}'", map));
}

Result<UniqueFd> BpfObject::program_fd(const std::string& program) const {
  const auto found = programs_.find(program);
  return duplicate(found == programs_.end() ? -1 : found->second.get(), fmt::format("program '{}'", program));
}

}  // namespace pintle::bpf

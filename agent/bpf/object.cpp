// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/object.h"

#include <cerrno>
#include <thread>

#include <fcntl.h>

#include <bpf/libbpf.h>
#include <fmt/format.h>

#include "bpf/errno_causes.h"
#include "bpf/libbpf_words.h"

namespace pintle::bpf {
namespace {

constexpr int kWorthTwoThreads = 8;
constexpr size_t kLogBytes = 256 * 1024;  // untouched, and so no memory, unless the verifier refuses

Result<UniqueFd> duplicate(int fd, const std::string& what) {
  if (fd < 0) return fail(Code::kInternal, fmt::format("{} is not loaded", what));
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return fail_errno(errno, fmt::format("duplicate the descriptor of {}", what));
  return copy;
}

}  // namespace

void BpfObject::Close::operator()(bpf_object* object) const { bpf_object__close(object); }

Result<BpfObject> BpfObject::open(std::span<const std::byte> elf, const std::string& name) {
  install_libbpf_printer();
  auto log = std::make_unique_for_overwrite<char[]>(kLogBytes);
  log[0] = '\0';
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = name.c_str();
  options.kernel_log_buf = log.get();
  options.kernel_log_size = kLogBytes;
  bpf_object* object = bpf_object__open_mem(elf.data(), elf.size(), &options);
  if (object == nullptr) return fail_errno(errno, fmt::format("open BPF object '{}'", name));
  return BpfObject(elf, std::move(log), object, name);
}

Status BpfObject::set_max_entries(const std::string& map, uint32_t entries) {
  bpf_map* found = bpf_object__find_map_by_name(object_.get(), map.c_str());
  if (found == nullptr) return fail(Code::kInternal, fmt::format("BPF object '{}' has no map '{}'", name_, map));
  if (const int err = bpf_map__set_max_entries(found, entries); err != 0) return fail_errno(-err, fmt::format("size map '{}'", map));
  return {};
}

Status BpfObject::reuse_map(const std::string& map, int fd) {
  bpf_map* found = bpf_object__find_map_by_name(object_.get(), map.c_str());
  if (found == nullptr) return fail(Code::kInternal, fmt::format("BPF object '{}' has no map '{}'", name_, map));
  if (const int err = bpf_map__reuse_fd(found, fd); err != 0) return fail_errno(-err, fmt::format("reuse map '{}'", map));
  return {};
}

Result<BpfObject::MapDefinition> BpfObject::map_definition(const std::string& map) const {
  const bpf_map* found = bpf_object__find_map_by_name(object_.get(), map.c_str());
  if (found == nullptr) return fail(Code::kInvalid, fmt::format("BPF object '{}' has no map '{}'", name_, map));
  return MapDefinition{static_cast<uint32_t>(bpf_map__type(found)), bpf_map__key_size(found), bpf_map__value_size(found),
                       bpf_map__map_flags(found)};
}

Result<BpfObject::ProgramKind> BpfObject::program_kind(const std::string& program) const {
  const bpf_program* found = bpf_object__find_program_by_name(object_.get(), program.c_str());
  if (found == nullptr) return fail(Code::kInvalid, fmt::format("BPF object '{}' has no program '{}'", name_, program));
  return ProgramKind{static_cast<uint32_t>(bpf_program__type(found)), static_cast<uint32_t>(bpf_program__expected_attach_type(found))};
}

// Its maps, and the programs that are chosen.
Status BpfObject::load_chosen() {
  const int err = bpf_object__load(object_.get());
  if (err == 0) return {};
  return std::unexpected(Error{Code::kUnsupported, -err, fmt::format("load BPF object '{}': {}", name_, explain_load(-err, log_.get()))});
}

Status BpfObject::take_out(Descriptors& maps, Descriptors& programs) const {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    PINTLE_ASSIGN_OR_RETURN(maps[bpf_map__name(map)], duplicate(bpf_map__fd(map), fmt::format("map '{}'", bpf_map__name(map))));
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) {
    const std::string name = bpf_program__name(program);
    if (!bpf_program__autoload(program)) continue;
    PINTLE_ASSIGN_OR_RETURN(programs[name], duplicate(bpf_program__fd(program), fmt::format("program '{}'", name)));
  }
  return {};
}

// The same object once more, on the maps that there are, with every second program: they come in pairs that are alike.
Result<BpfObject::Descriptors> BpfObject::load_half(int half) const {
  PINTLE_ASSIGN_OR_RETURN(auto object, open(elf_, name_));
  for (const auto& [name, fd] : maps_) PINTLE_TRY(object.reuse_map(name, fd.get()));
  int index = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.object_.get()) bpf_program__set_autoload(program, index++ % 2 == half);
  PINTLE_TRY(object.load_chosen());
  Descriptors maps, programs;
  PINTLE_TRY(object.take_out(maps, programs));
  return programs;
}

Status BpfObject::load() {
  int count = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get())++ count;
  const bool shared = count >= kWorthTwoThreads;
  if (shared) bpf_object__for_each_program(program, object_.get()) bpf_program__set_autoload(program, false);
  PINTLE_TRY(load_chosen());
  PINTLE_TRY(take_out(maps_, programs_));
  object_.reset();  // what is left is descriptors, and the halves need the memory
  if (!shared) return {};
  Result<Descriptors> second;
  std::jthread other([&] { second = load_half(1); });
  auto first = load_half(0);
  other.join();
  for (auto* half : {&first, &second}) {
    if (!*half) return std::unexpected(std::move(*half).error());
    programs_.merge(**half);
  }
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

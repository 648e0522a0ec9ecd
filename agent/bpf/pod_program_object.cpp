// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/pod_program_object.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <elf.h>
#include <fcntl.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include "bpf/errno_causes.h"
#include "bpf/libbpf_words.h"
#include "bpf/object_info.h"
#include "bpf/program_hooks.h"

namespace pintle::bpf {
namespace {

constexpr size_t kLogBytes = 256 * 1024;
constexpr uint16_t kBpfMachine = 247;  // EM_BPF
constexpr uint32_t kStructOps = 26;    // BPF_MAP_TYPE_STRUCT_OPS
constexpr int kLibbpfErrors = 4000;    // LIBBPF_ERRNO__START: numbers of its own from here on

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

std::unexpected<Error> refuse(int err, std::string text) { return std::unexpected(Error{Code::kInvalid, err, std::move(text)}); }

std::string errno_words(int err) {
  char text[128] = "";
  if (err >= kLibbpfErrors) return libbpf_strerror(-err, text, sizeof text) == 0 ? text : fmt::format("libbpf's error {}", err);
  return std::generic_category().message(err);
}

Status check_elf(const std::string& name, std::string_view elf) {
  if (elf.empty()) return refuse(0, fmt::format("object '{}' is empty", name));
  if (elf.size() > kMostObjectBytes)
    return refuse(E2BIG, fmt::format("object '{}' has {} bytes; {} are allowed", name, elf.size(), kMostObjectBytes));
  Elf64_Ehdr header;
  if (elf.size() < sizeof header || std::memcmp(elf.data(), ELFMAG, SELFMAG) != 0)
    return refuse(ENOEXEC, fmt::format("object '{}' is not an ELF file: compile with clang -target bpf -c", name));
  std::memcpy(&header, elf.data(), sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kBpfMachine || header.e_type != ET_REL)
    return refuse(ENOEXEC, fmt::format("object '{}' is an ELF file, but no BPF object (machine {}): compile with clang -target bpf -c",
                                       name, header.e_machine));
  return {};
}

// Per entry about what the kernel takes; maps that grow with sockets or cgroups have no size of their own.
uint64_t bytes_when_full(const bpf_map* map) {
  const uint64_t key = bpf_map__key_size(map), value = (uint64_t{bpf_map__value_size(map)} + 7) / 8 * 8;
  const uint64_t entries = bpf_map__max_entries(map);
  const int cpus = libbpf_num_possible_cpus();
  const uint64_t copies = cpus > 0 ? static_cast<uint64_t>(cpus) : 1;
  switch (bpf_map__type(map)) {
    case BPF_MAP_TYPE_RINGBUF:
    case BPF_MAP_TYPE_USER_RINGBUF: return entries;
    case BPF_MAP_TYPE_ARRAY: return value * entries;
    case BPF_MAP_TYPE_PERCPU_ARRAY: return value * copies * entries;
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH: return (key + 64 + value * copies) * entries;
    default: return (key + 64 + value) * entries;
  }
}

class Loader {
 public:
  Loader(const model::PodProgram& wanted, const std::function<UniqueFd(const std::string&)>& find_map)
      : wanted_(wanted), find_map_(find_map), log_(std::make_unique_for_overwrite<char[]>(kLogBytes)) {
    log_[0] = '\0';
  }

  Result<PodProgramObject> load(std::string_view elf) {
    PINTLE_TRY(check_elf(wanted_.object, elf));
    PINTLE_TRY(open(elf));
    PINTLE_TRY(choose_program());
    PINTLE_TRY(prepare_maps());
    if (const int err = bpf_object__load(object_.get()); err != 0) return refused_load(-err);
    PodProgramObject out;
    PINTLE_ASSIGN_OR_RETURN(out.program, duplicate(bpf_program__fd(program_)));
    PINTLE_ASSIGN_OR_RETURN(out.info, program_info(out.program.get()));
    for (auto& named : named_) {
      PINTLE_ASSIGN_OR_RETURN(auto fd, duplicate(bpf_map__fd(named.map)));
      out.named_maps.push_back({bpf_map__name(named.map), std::move(fd), named.found});
    }
    return out;
  }

 private:
  struct Named {
    bpf_map* map;
    bool found;
  };

  static Result<UniqueFd> duplicate(int fd) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) return fail_errno(errno, "duplicate a descriptor of the object");
    return copy;
  }

  Status open(std::string_view elf) {
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = wanted_.name.c_str();
    options.kernel_log_buf = log_.get();
    options.kernel_log_size = kLogBytes;
    object_.reset(bpf_object__open_mem(elf.data(), elf.size(), &options));
    if (object_) return {};
    const int err = errno;
    const std::string said = words_.last(2);
    return refuse(err, fmt::format("open object '{}': {}{}{}", wanted_.object, errno_words(err), said.empty() ? "" : "; libbpf: ", said));
  }

  Status choose_program() {
    std::string names;
    bpf_program* one = nullptr;
    bpf_object__for_each_program(one, object_.get()) {
      const bool is_it = wanted_.program == bpf_program__name(one);
      if (is_it) program_ = one;
      bpf_program__set_autoload(one, is_it);
      names += fmt::format("{}{}", names.empty() ? "" : ", ", bpf_program__name(one));
    }
    if (program_ == nullptr)
      return refuse(ENOENT, fmt::format("object '{}' has no program '{}'; it has {}", wanted_.object, wanted_.program,
                                        names.empty() ? "none" : names));
    const auto& type = type_of(wanted_.hook);
    const std::string section = bpf_program__section_name(program_);
    const auto attach_type = static_cast<uint32_t>(bpf_program__expected_attach_type(program_));
    // Of this one type a section may leave open which of the two hooks is meant.
    const bool open_end = section == "cgroup/skb" && type.program_type == BPF_PROG_TYPE_CGROUP_SKB;
    const bool fits = static_cast<uint32_t>(bpf_program__type(program_)) == type.program_type;
    if (!fits || (attach_type != type.attach_type && !open_end))
      return refuse(EINVAL, fmt::format("program '{}' of object '{}' is in section \"{}\", which is not for hook {}: write SEC(\"{}\"), or "
                                        "name another hook",
                                        wanted_.program, wanted_.object, section, to_string(wanted_.hook), type.section));
    if (open_end) (void)bpf_program__set_expected_attach_type(program_, static_cast<bpf_attach_type>(type.attach_type));
    return {};
  }

  Status prepare_maps() {
    size_t count = 0;
    uint64_t bytes = 0;
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get()) {
      if (static_cast<uint32_t>(bpf_map__type(map)) == kStructOps) {
        (void)bpf_map__set_autocreate(map, false);  // ignoring: fails only for objects that are loaded already
        continue;
      }
      ++count;
      bytes += bytes_when_full(map);
      PINTLE_TRY(prepare_named(map));
    }
    if (count > kMostObjectMaps)
      return refuse(E2BIG, fmt::format("object '{}' has {} maps; {} are allowed", wanted_.object, count, kMostObjectMaps));
    if (bytes > kMostMapBytes)
      return refuse(E2BIG, fmt::format("the maps of object '{}' may grow to {} bytes; {} are allowed: lower max_entries", wanted_.object,
                                       bytes, kMostMapBytes));
    return {};
  }

  // libbpf would pin it right below /sys/fs/bpf. Where it lies is ours to say.
  Status prepare_named(bpf_map* map) {
    if (bpf_map__pin_path(map) == nullptr) return {};
    const std::string name = bpf_map__name(map);
    if (const int err = bpf_map__set_pin_path(map, nullptr); err != 0)
      return refuse(-err, fmt::format("map '{}' of object '{}' can't be pinned by us", name, wanted_.object));
    bool found = false;
    if (const UniqueFd old = find_map_(name); old.valid())
      if (const auto info = map_info(old.get())) {
        const MapShape shape{static_cast<uint32_t>(bpf_map__type(map)), bpf_map__key_size(map), bpf_map__value_size(map),
                             bpf_map__max_entries(map), bpf_map__map_flags(map)};
        found = info->shape == shape && bpf_map__reuse_fd(map, old.get()) == 0;
      }
    named_.push_back({map, found});
    return {};
  }

  std::unexpected<Error> refused_load(int err) const {
    const auto said = read_verifier_log(log_.get());
    std::string why = err >= kLibbpfErrors && said.rule == VerifierRule::kNone ? errno_words(err) : explain_load(err, log_.get());
    // What stopped before the verifier only libbpf knows: no BTF of the kernel, a map it can't make.
    if (const auto words = words_.last(3); said.rule == VerifierRule::kNone && !words.empty()) why += "; libbpf: " + words;
    const bool rights = err == EPERM && said.rule == VerifierRule::kNone;
    return std::unexpected(Error{rights ? Code::kUnsupported : Code::kInvalid, err,
                                 fmt::format("load program '{}' of object '{}': {}", wanted_.program, wanted_.object, why)});
  }

  const model::PodProgram& wanted_;
  const std::function<UniqueFd(const std::string&)>& find_map_;
  const std::unique_ptr<char[]> log_;  // the verifier writes here
  LibbpfWords words_;
  Object object_;
  bpf_program* program_ = nullptr;
  std::vector<Named> named_;
};

}  // namespace

Result<PodProgramObject> load_pod_program(const model::PodProgram& wanted, std::string_view elf,
                                          const std::function<UniqueFd(const std::string& name)>& find_map) {
  return Loader(wanted, find_map).load(elf);
}

}  // namespace pintle::bpf

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/kubepods_programs.h"

#include <cerrno>

#include <sys/stat.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/object.h"
#include "bpf/pin.h"
#include "skeleton/kubepods.skel.h"

namespace pintle::bpf {
namespace {

struct KubepodsMap {
  const char* name;
  MapShape shape;
  UniqueFd KubepodsPrograms::* fd;
};

}  // namespace

Result<KubepodsPrograms> KubepodsPrograms::load(const PinLayout& layout, int slots_fd, uint32_t slots) {
  size_t size = 0;
  const void* elf = pintle_kubepods__elf_bytes(&size);
  PINTLE_ASSIGN_OR_RETURN(auto object, BpfObject::open({static_cast<const std::byte*>(elf), size}, "pintle_kubepods"));
  KubepodsPrograms out;
  out.folder_ = layout.kubepods();
  PINTLE_TRY(make_pin_folder(out.folder_));
  const KubepodsMap maps[] = {{"kubepods_rows",
                               {BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(pintle_kubepods_row), PINTLE_KUBEPODS_ROWS, BPF_F_NO_PREALLOC},
                               &KubepodsPrograms::rows_},
                              {"kubepods_early",
                               {BPF_MAP_TYPE_LRU_HASH, sizeof(uint64_t), sizeof(pintle_kubepods_early), PINTLE_KUBEPODS_EARLY, 0},
                               &KubepodsPrograms::early_},
                              {"kubepods_parent",
                               {BPF_MAP_TYPE_CGROUP_STORAGE, sizeof(uint64_t), sizeof(pintle_kubepods_parent), 0, 0},
                               &KubepodsPrograms::parent_}};
  PINTLE_TRY(object.set_max_entries("pod_slots", slots));
  PINTLE_TRY(object.reuse_map("pod_slots", slots_fd));
  std::vector<const KubepodsMap*> fresh;
  for (const auto& map : maps) {
    auto pinned = open_pin(layout.map(map.name));
    const auto info = pinned ? map_info(pinned->get()) : Result<MapInfo>(std::unexpected(pinned.error()));
    if (info && info->shape == map.shape)
      PINTLE_TRY(object.reuse_map(map.name, pinned->get()));
    else
      fresh.push_back(&map);
  }
  ProgramLoader loader;
  PINTLE_TRY(object.load(loader));
  for (const auto& map : maps) {
    PINTLE_ASSIGN_OR_RETURN(out.*map.fd, object.map_fd(map.name));
  }
  for (const auto* map : fresh) {
    PINTLE_TRY(pin_anew((out.*map->fd).get(), layout.map(map->name)));
  }
  PINTLE_ASSIGN_OR_RETURN(const auto constants, object.map_fd("pintle_k.rodata"));
  PINTLE_TRY(pin_anew(constants.get(), layout.map("kubepods_rodata")));  // to be told of without CAP_SYS_ADMIN, as the programs
  PINTLE_ASSIGN_OR_RETURN(out.ingress_, object.program_fd("kubepods_ingress"));
  PINTLE_ASSIGN_OR_RETURN(out.egress_, object.program_fd("kubepods_egress"));
  for (const auto& [program, name] : {std::pair{&out.ingress_, "kubepods_ingress"}, std::pair{&out.egress_, "kubepods_egress"}}) {
    PINTLE_ASSIGN_OR_RETURN(const auto info, program_info(program->get()));
    out.program_ids_.push_back(info.id);
    PINTLE_TRY(pin_anew(program->get(), layout.node_program(name)));
  }
  out.drop_dead_links();
  return out;
}

void KubepodsPrograms::drop_dead_links() {
  for (const auto& name : list_pins(folder_).value_or(std::vector<std::string>())) {
    const std::string pin = folder_ + "/" + name;
    const auto link = BpfLink::open(pin);
    if (const auto info = link ? link->info() : Result<LinkInfo>(std::unexpected(link.error())); !info || info->cgroup_id.empty())
      (void)detach_pinned(pin);  // ignoring: tried again at the next start
  }
}

Status KubepodsPrograms::attach(const DirFd& kubepods, const std::string& path) {
  struct stat st{};
  if (::fstat(kubepods.get(), &st) != 0) return fail_errno(errno, fmt::format("stat '{}'", path));
  const CgroupId id(st.st_ino);
  drop_dead_links();
  for (const bool ingress : {true, false})
    if (auto done = ensure_link(kubepods, id, ingress); !done)
      return std::unexpected(with_context(std::move(done).error(), fmt::format("count on '{}'", path)));
  // With a link the cgroup has its storage; from here on its programs know where they are.
  const uint64_t key = id.value();
  const pintle_kubepods_parent parent{.cgroup_id = key, .level = 0, .reserved = 0};
  if (bpf_map_update_elem(parent_.get(), &key, &parent, BPF_ANY) != 0) return fail_errno(errno, fmt::format("count on '{}'", path));
  return {};
}

Status KubepodsPrograms::ensure_link(const DirFd& kubepods, CgroupId id, bool ingress) {
  const std::string pin = fmt::format("{}/{}_{}", folder_, id.value(), ingress ? "ingress" : "egress");
  const int program = (ingress ? ingress_ : egress_).get();
  const uint32_t type = ingress ? BPF_CGROUP_INET_INGRESS : BPF_CGROUP_INET_EGRESS;
  if (const auto pinned = BpfLink::open(pin); pinned && pinned->update(program, type)) return {};
  PINTLE_ASSIGN_OR_RETURN(const auto link, BpfLink::attach_cgroup(program, kubepods.get(), type));
  PINTLE_TRY(detach_pinned(pin));
  return link.pin(pin);
}

Status KubepodsPrograms::add(CgroupId cgroup, pintle_kubepods_row row) {
  const uint64_t key = cgroup.value();
  if (bpf_map_update_elem(rows_.get(), &key, &row, BPF_ANY) != 0) return fail_errno(errno, fmt::format("tell kubepods of cgroup {}", key));
  return {};
}

Status KubepodsPrograms::remove(CgroupId cgroup) {
  const uint64_t key = cgroup.value();
  if (bpf_map_delete_elem(rows_.get(), &key) != 0 && errno != ENOENT)
    return fail_errno(errno, fmt::format("take cgroup {} from kubepods' rows", key));
  return {};
}

std::vector<CgroupId> KubepodsPrograms::list_pods() const {
  std::vector<CgroupId> ids;
  uint64_t key = 0;
  pintle_kubepods_row row{};
  for (const uint64_t* previous = nullptr; bpf_map_get_next_key(rows_.get(), previous, &key) == 0; previous = &key)
    if (bpf_map_lookup_elem(rows_.get(), &key, &row) == 0 && row.kind == PINTLE_KUBEPODS_POD) ids.emplace_back(key);
  return ids;
}

std::optional<pintle_kubepods_early> KubepodsPrograms::take_early(CgroupId cgroup) {
  const uint64_t key = cgroup.value();
  pintle_kubepods_early early{};
  if (bpf_map_lookup_elem(early_.get(), &key, &early) != 0) return std::nullopt;
  (void)bpf_map_delete_elem(early_.get(), &key);  // ignoring: it was there a moment ago; the kernel may have forgotten it by itself
  return early;
}

}  // namespace pintle::bpf

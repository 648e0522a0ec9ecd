// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/privilege.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <thread>

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "base/unique_fd.h"
#include "bpf/evidence.h"

namespace pintle::bpf {
namespace {

constexpr std::array kTable = {
    Capability{CAP_BPF, "CAP_BPF", false, false, "load programs and make maps, at start"},
    Capability{CAP_PERFMON, "CAP_PERFMON", false, false, "load and attach the tracepoint programs, at start"},
    Capability{CAP_NET_ADMIN, "CAP_NET_ADMIN", true, true,
               "attach programs to each new pod's cgroup, ask which run there (CAP_SYS_ADMIN stands in from kernel 6.9)"},
    Capability{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", true, false,
               "mount volumes; load the programs of users; tell names of foreign programs, which is the one eBPF call that takes it"},
    Capability{CAP_CHOWN, "CAP_CHOWN", true, false, "give volumes to the pod's fsGroup"},
    Capability{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", true, false, "read, write and remove files of pods, whoever owns them"},
    Capability{CAP_FOWNER, "CAP_FOWNER", true, false, "set modes of volume files that a pod's user owns"},
    Capability{CAP_FSETID, "CAP_FSETID", true, false, "keep the setgid bit on folders of an fsGroup that isn't ours"},
    Capability{CAP_KILL, "CAP_KILL", true, false, "end what is left in a pod's cgroup, whoever runs it"},
};

struct CapabilityData {
  __user_cap_data_struct words[2]{};
};

Status set_thread(const std::vector<int>& keep) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  CapabilityData data;
  if (::syscall(SYS_capget, &header, data.words) != 0) return fail_errno(errno, "read capabilities");
  for (unsigned word = 0; word < 2; ++word) {
    uint32_t mask = 0;
    for (const int number : keep)
      if (static_cast<unsigned>(number) / 32 == word) mask |= 1U << (number % 32);
    data.words[word].permitted &= mask;
    data.words[word].effective &= mask;
    data.words[word].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, data.words) != 0) return fail_errno(errno, "drop capabilities");
  return {};
}

std::string name_of(int number) {
  const auto row = std::ranges::find(kTable, number, &Capability::number);
  return row == kTable.end() ? fmt::format("capability {}", number) : std::string(row->name);
}

size_t count_threads() {
  std::error_code error;
  size_t threads = 0;
  for (std::filesystem::directory_iterator it("/proc/self/task", error), end; !error && it != end; it.increment(error)) ++threads;
  return error ? 0 : threads;
}

// A thread that was joined stands in /proc a moment longer: the kernel wakes the joiner before it takes the thread off its list.
bool alone() {
  size_t threads = count_threads();
  for (int i = 0; i < 1000 && threads > 1; ++i) {
    std::this_thread::yield();
    threads = count_threads();
  }
  return threads == 1;
}

}  // namespace

std::span<const Capability> needed_capabilities() { return kTable; }

std::string bounding_set() {
  std::string out;
  for (const auto& row : kTable) out += (out.empty() ? "" : " ") + std::string(row.name);
  return out;
}

std::vector<int> working_set(WorkingSet which) {
  std::vector<int> out;
  for (const auto& row : kTable)
    if (which == WorkingSet::kNode ? row.after_start : row.for_programs_alone) out.push_back(row.number);
  return out;
}

bool suffices(const std::vector<int>& capabilities) {
  bool answer = false;
  std::jthread([&] {
    if (!set_thread(capabilities)) return;
    // EBADF: the kernel looked at the descriptor, so it lets us use those we have.
    answer = bpf_link_detach(-1) != 0 && errno != EPERM;
  }).join();
  return answer;
}

Result<Dropped> drop_to_working_set(WorkingSet which) {
  if (!alone()) return fail(Code::kInvalid, "drop capabilities: other threads run already, and would keep theirs");
  Dropped out;
  auto keep = working_set(which);
  if (!suffices(keep)) {
    keep.push_back(CAP_BPF);
    out.kept_bpf = true;
  }
  const auto kept = [&](int number) { return std::ranges::find(keep, number) != keep.end(); };
  for (int number = 0; ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
    if (kept(number)) continue;
    if (has_capability(number)) out.names.push_back(name_of(number));
    // Ignoring: without CAP_SETPCAP the bounding set stays, and matters only to what we would execute.
    (void)::prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
  }
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);  // ignoring: emptied by an empty inheritable set as well
  PINTLE_TRY(set_thread(keep));
  return out;
}

Status check_pin_folder(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return fail_errno(errno, fmt::format("look at '{}'", path));
  if (st.st_uid != ::geteuid() || (st.st_mode & 0077U) != 0)
    return fail(Code::kInvalid,
                fmt::format("'{}' has owner {} and mode {:04o}; whoever opens a pin can detach it: chown {} '{}' && chmod 0700 '{}'", path,
                            st.st_uid, st.st_mode & 07777U, ::geteuid(), path, path));
  return {};
}

Status check_pin_folders(const PinLayout& layout) {
  const std::string top = layout.root.substr(0, layout.root.rfind('/'));
  for (const auto& path : {top, layout.root, layout.root + "/prog", layout.root + "/map", layout.root + "/link", layout.kubepods(),
                           layout.node_programs(), layout.operators(), layout.pods()})
    if (auto checked = check_pin_folder(path); !checked && checked.error().code != Code::kNotFound) return checked;
  return {};
}

bool is_frozen(int map_fd) {
  const auto text = read_file(fmt::format("/proc/thread-self/fdinfo/{}", map_fd));
  return text && text->find("frozen:\t1") != std::string::npos;
}

}  // namespace pintle::bpf

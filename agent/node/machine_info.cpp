// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "node/machine_info.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace pintle::node {
namespace {

constexpr uint64_t kKi = 1024;

std::string trimmed(std::string text) {
  const char* blanks = " \t\r\n";
  text.erase(text.find_last_not_of(blanks) + 1);
  text.erase(0, text.find_first_not_of(blanks));
  return text;
}

std::string first_readable(const std::string& root, std::initializer_list<const char*> paths) {
  for (const char* path : paths)
    if (auto text = read_file(root + path)) return trimmed(*std::move(text));
  return "";
}

template <typename OnLine>
void for_each_line(std::string_view text, const OnLine& on_line) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    on_line(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

std::optional<uint64_t> number_in(std::string_view text) {
  const size_t begin = text.find_first_of("0123456789");
  if (begin == std::string_view::npos) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

// "hugepages-2048kB" -> "hugepages-2Mi"
std::string resource_name(uint64_t size_kib) {
  if (size_kib % (kKi * kKi) == 0) return fmt::format("hugepages-{}Gi", size_kib / (kKi * kKi));
  if (size_kib % kKi == 0) return fmt::format("hugepages-{}Mi", size_kib / kKi);
  return fmt::format("hugepages-{}Ki", size_kib);
}

std::map<std::string, uint64_t> read_hugepages(const std::string& root) {
  std::map<std::string, uint64_t> out;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/sys/kernel/mm/hugepages", none)) {
    const auto size_kib = number_in(entry.path().filename().string());
    auto count_text = read_file(entry.path().string() + "/nr_hugepages");
    if (!size_kib || !count_text) continue;
    out[resource_name(*size_kib)] = number_in(*count_text).value_or(0) * *size_kib * kKi;
  }
  return out;
}

}  // namespace

Result<uint64_t> parse_meminfo_total(std::string_view meminfo) {
  std::optional<uint64_t> total;
  for_each_line(meminfo, [&](std::string_view line) {
    if (line.starts_with("MemTotal:")) total = number_in(line);
  });
  if (!total) return fail(Code::kInvalid, "meminfo: no MemTotal");
  return *total * kKi;
}

int count_cpus(std::string_view cpuinfo) {
  int count = 0;
  for_each_line(cpuinfo, [&](std::string_view line) { count += line.starts_with("processor") ? 1 : 0; });
  return count;
}

std::string parse_os_name(std::string_view os_release) {
  std::string name;
  for_each_line(os_release, [&](std::string_view line) {
    if (!line.starts_with("PRETTY_NAME=")) return;
    line.remove_prefix(12);
    if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'') && line.back() == line.front())
      line = line.substr(1, line.size() - 2);
    name = line;
  });
  return name;
}

std::string go_architecture(std::string_view machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine == "armv7l" || machine == "armv6l") return "arm";
  if (machine == "i686" || machine == "i386") return "386";
  return std::string(machine);  // riscv64, s390x, ppc64le, loong64 are called the same
}

bool swap_is_on(const std::string& root) {
  const auto text = read_file(root + "/proc/swaps");
  if (!text) return false;
  // A heading, then a line for each.
  const auto heading = text->find('\n');
  return heading != std::string::npos && text->find_first_not_of(" \n", heading) != std::string::npos;
}

Result<MachineInfo> read_machine_info(const std::string& root, const std::string& storage_path) {
  MachineInfo out;
  PINTLE_ASSIGN_OR_RETURN(const std::string meminfo, read_file(root + "/proc/meminfo"));
  PINTLE_ASSIGN_OR_RETURN(out.memory_bytes, parse_meminfo_total(meminfo));
  PINTLE_ASSIGN_OR_RETURN(const std::string cpuinfo, read_file(root + "/proc/cpuinfo"));
  out.cpus = count_cpus(cpuinfo);
  if (out.cpus == 0) return fail(Code::kInvalid, fmt::format("{}/proc/cpuinfo: no processor", root));
  struct statvfs storage{};
  if (::statvfs(storage_path.c_str(), &storage) != 0) return fail_errno(errno, fmt::format("statvfs '{}'", storage_path));
  out.storage_bytes = uint64_t{storage.f_blocks} * storage.f_frsize;
  out.hugepages = read_hugepages(root);

  out.system.machine_id = first_readable(root, {"/etc/machine-id", "/var/lib/dbus/machine-id"});
  out.system.system_uuid = first_readable(root, {"/sys/class/dmi/id/product_uuid", "/proc/device-tree/vm,uuid"});
  if (out.system.system_uuid.empty()) out.system.system_uuid = out.system.machine_id;  // as golden/node.json has it
  out.system.boot_id = first_readable(root, {"/proc/sys/kernel/random/boot_id"});
  out.system.kernel_version = first_readable(root, {"/proc/sys/kernel/osrelease"});
  out.system.os_image = parse_os_name(first_readable(root, {"/etc/os-release", "/usr/lib/os-release"}));
  out.system.operating_system = "linux";
  utsname name{};
  if (::uname(&name) == 0) out.system.architecture = go_architecture(name.machine);
  return out;
}

std::string parse_default_interface(std::string_view proc_net_route) {
  std::string best;
  uint64_t best_metric = UINT64_MAX;
  for_each_line(proc_net_route, [&](std::string_view line) {
    // Iface Destination Gateway Flags RefCnt Use Metric Mask …: blanks or tabs between
    std::vector<std::string_view> fields;
    for (size_t at = line.find_first_not_of(" \t"); at != std::string_view::npos;) {
      const size_t end = line.find_first_of(" \t", at);
      fields.push_back(line.substr(at, end == std::string_view::npos ? end : end - at));
      at = end == std::string_view::npos ? end : line.find_first_not_of(" \t", end);
    }
    if (fields.size() < 8 || fields[1] != "00000000" || fields[7] != "00000000") return;
    const uint64_t metric = number_in(fields[6]).value_or(0);
    if (metric >= best_metric) return;
    best_metric = metric;
    best = fields[0];
  });
  return best;
}

std::vector<std::string> default_route_addresses(const std::string& root) {
  auto routes = read_file(root + "/proc/net/route");
  if (!routes) return {};
  const std::string interface = parse_default_interface(*routes);
  ifaddrs* raw = nullptr;
  if (interface.empty() || ::getifaddrs(&raw) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(raw, &::freeifaddrs);
  for (const ifaddrs* at = list.get(); at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET || interface != at->ifa_name || (at->ifa_flags & IFF_UP) == 0)
      continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) return {text};
  }
  return {};
}

}  // namespace pintle::node

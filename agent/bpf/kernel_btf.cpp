// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/kernel_btf.h"

#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/unique_fd.h"

namespace pintle::bpf {
namespace {

constexpr const char* kPath = "/sys/kernel/btf/vmlinux";

template <typename T>
T read_as(std::string_view bytes, size_t at) {
  T out;
  std::memcpy(&out, bytes.data() + at, sizeof out);
  return out;
}

// What follows a type's three words.
std::optional<size_t> tail_bytes(uint32_t kind, uint32_t count) {
  switch (kind) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG: return 4;
    case BTF_KIND_ARRAY: return 12;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case 19 /* BTF_KIND_ENUM64 */: return size_t{count} * 12;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO: return size_t{count} * 8;
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_FLOAT:
    case 18 /* BTF_KIND_TYPE_TAG */: return 0;
    default: return std::nullopt;
  }
}

struct Mapping {
  void* data = MAP_FAILED;
  size_t bytes = 0;
  ~Mapping() {
    if (data != MAP_FAILED) (void)::munmap(data, bytes);  // ignoring: fails only for ranges that were never mapped
  }
};

}  // namespace

Result<std::vector<uint32_t>> find_types(std::string_view btf, const std::vector<BtfName>& names) {
  const auto bad = [] { return fail(Code::kInvalid, "this is no BTF, or of a newer version"); };
  if (btf.size() < sizeof(btf_header)) return bad();
  const auto header = read_as<btf_header>(btf, 0);
  const uint64_t types_at = uint64_t{header.hdr_len} + header.type_off, strings_at = uint64_t{header.hdr_len} + header.str_off;
  if (header.magic != BTF_MAGIC || types_at + header.type_len > btf.size() || strings_at + header.str_len > btf.size()) return bad();
  const std::string_view strings = btf.substr(strings_at, header.str_len);
  const std::string_view types = btf.substr(types_at, header.type_len);
  std::vector<uint32_t> ids(names.size(), 0);
  uint32_t id = 1;
  for (size_t at = 0; at + sizeof(btf_type) <= types.size(); ++id) {
    const auto type = read_as<btf_type>(types, at);
    const uint32_t kind = BTF_INFO_KIND(type.info);
    const auto tail = tail_bytes(kind, BTF_INFO_VLEN(type.info));
    if (!tail) return bad();
    at += sizeof(btf_type) + *tail;
    if ((kind != BTF_KIND_TYPEDEF && kind != BTF_KIND_FUNC) || type.name_off >= strings.size()) continue;
    const std::string_view rest = strings.substr(type.name_off);
    for (size_t i = 0; i < names.size(); ++i)
      if (static_cast<uint32_t>(names[i].kind) == kind && rest.starts_with(names[i].name) && rest.size() > names[i].name.size() &&
          rest[names[i].name.size()] == '\0')
        ids[i] = id;
  }
  return ids;
}

Result<BtfLookup> find_kernel_types(const std::vector<BtfName>& names) {
  const auto unsupported = [](Error error) {
    error.code = Code::kUnsupported;
    return std::unexpected(std::move(error));
  };
  const UniqueFd fd(::open(kPath, O_RDONLY | O_CLOEXEC));
  struct stat st{};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0) return unsupported(error_from_errno(errno, "open the kernel's BTF"));
  BtfLookup out;
  Mapping mapping;
  mapping.bytes = static_cast<size_t>(st.st_size);
  mapping.data = ::mmap(nullptr, mapping.bytes, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  out.mapped = mapping.data != MAP_FAILED;
  std::string text;
  if (!out.mapped) {
    auto read = read_file(kPath);
    if (!read) return unsupported(std::move(read).error());
    text = std::move(*read);
  }
  const std::string_view btf =
      out.mapped ? std::string_view(static_cast<const char*>(mapping.data), mapping.bytes) : std::string_view(text);
  auto ids = find_types(btf, names);
  if (!ids) return unsupported(std::move(ids).error());
  out.ids = std::move(*ids);
  return out;
}

}  // namespace pintle::bpf

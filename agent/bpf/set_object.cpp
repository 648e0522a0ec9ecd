// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/set_object.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "bpf/byte_parts.h"
#include "bpf/layout.h"
#include "model/ebpf.h"
#include "set/set_abi.h"
#include "skeleton/cgroup.skel.h"

namespace pintle::bpf {
namespace {

constexpr size_t kMostBytes = size_t{16} << 20;

std::optional<pintle_set_words> words_of(std::span<const std::byte> elf) {
  const auto words = read_at<pintle_set_words>(find_elf_section(elf, PINTLE_SET_SECTION), 0);
  return words && words->magic == PINTLE_SET_MAGIC ? words : std::nullopt;
}

std::string version_of(const pintle_set_words& words) { return {words.version, ::strnlen(words.version, sizeof words.version)}; }

// "; there are 'a', 'b'": the folders that hold an object.
std::string others_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (std::error_code ignored; std::filesystem::exists(it->path() / kSetObject, ignored)) names.push_back(it->path().filename().string());
  if (names.empty()) return fmt::format("; there is no other set in '{}'", folder);
  std::ranges::sort(names);
  std::string text = "; there are '" + std::string(model::kBuiltinSet) + "'";
  for (const auto& name : names) text += fmt::format(", '{}'", name);
  return text;
}

}  // namespace

uint64_t content_id(std::span<const std::byte> bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  const auto add = [&hash](uint64_t word) { hash = std::rotl((hash ^ word) * 0x100000001b3ULL, 29); };
  uint64_t at = 0;
  for (; const auto word = read_at<uint64_t>(bytes, at); at += sizeof(uint64_t)) add(*word);
  for (; at < bytes.size(); ++at) add(static_cast<uint64_t>(bytes[at]));
  return hash;
}

std::span<const std::byte> find_elf_section(std::span<const std::byte> elf, std::string_view name) {
  const auto header = read_at<Elf64_Ehdr>(elf, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_shentsize != sizeof(Elf64_Shdr))
    return {};
  const auto section = [&](uint64_t index) { return read_at<Elf64_Shdr>(elf, header->e_shoff + index * sizeof(Elf64_Shdr)); };
  const auto strings = section(header->e_shstrndx);
  if (!strings) return {};
  const auto names = part_of(elf, strings->sh_offset, strings->sh_size);
  if (!names) return {};
  for (uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto found = section(i);
    if (!found) return {};
    const auto at = part_of(*names, found->sh_name, name.size() + 1);
    if (!at || std::memcmp(at->data(), name.data(), name.size()) != 0 || at->back() != std::byte{0}) continue;
    return found->sh_type == SHT_NOBITS ? std::span<const std::byte>()
                                        : part_of(elf, found->sh_offset, found->sh_size).value_or(std::span<const std::byte>());
  }
  return {};
}

SetObject SetObject::builtin() {
  size_t size = 0;
  const void* elf = pintle_cgroup__elf_bytes(&size);
  SetObject out;
  out.elf_ = {static_cast<const std::byte*>(elf), size};
  out.name_ = model::kBuiltinSet;
  if (const auto words = words_of(out.elf_)) out.version_ = version_of(*words);
  out.id_ = content_id(out.elf_);
  return out;
}

Result<SetObject> SetObject::parse(const std::string& name, std::vector<std::byte> bytes) {
  SetObject out;
  out.bytes_ = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  out.elf_ = *out.bytes_;
  if (find_elf_section(out.elf_, ".BTF").empty())
    return fail(Code::kInvalid, fmt::format("program set '{}': no BPF object with BTF", name));
  const auto words = words_of(out.elf_);
  if (!words)
    return fail(Code::kInvalid, fmt::format("program set '{}': its object has no section '{}': link set/set.bpf.c of this release into it",
                                            name, PINTLE_SET_SECTION));
  if (words->abi != PINTLE_SET_ABI)
    return fail(Code::kInvalid,
                fmt::format("program set '{}' is of ABI {}, this agent of ABI {}: it would misread the set's maps and records", name,
                            words->abi, PINTLE_SET_ABI));
  out.name_ = name;
  out.version_ = version_of(*words);
  out.id_ = content_id(out.elf_);
  return out;
}

void SetObject::read_ahead() {
  if (auto read = ElfObject::parse(elf_)) read_ = std::make_shared<const ElfObject>(*std::move(read));
}

Result<BpfObject> SetObject::open() const { return BpfObject::open(elf_, "pintle_cgroup", read_); }

Result<SetObject> SetObject::find(const std::string& folder, const std::string& name) {
  PINTLE_TRY(model::check_set_name(name));
  if (name == model::kBuiltinSet) return builtin();
  if (folder.empty()) return fail(Code::kNotFound, fmt::format("program set '{}': pintle.ebpf.setsFolder is not set", name));
  const std::string path = fmt::format("{}/{}/{}", folder, name, kSetObject);
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) {
    auto error = error_from_errno(errno, fmt::format("program set '{}': read '{}'", name, path));
    error.context += others_in(folder);
    return std::unexpected(std::move(error));
  }
  if ((st.st_uid != 0 && st.st_uid != ::geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::kInvalid,
                fmt::format("program set '{}': '{}' can be written by others than root (uid {}, mode {:04o}): chown root, chmod "
                            "go-w",
                            name, path, st.st_uid, st.st_mode & 07777));
  if (!S_ISREG(st.st_mode) || static_cast<uint64_t>(st.st_size) > kMostBytes)
    return fail(Code::kInvalid, fmt::format("program set '{}': '{}' is no file of at most {} bytes", name, path, kMostBytes));
  auto text = read_file(path);
  if (!text) return std::unexpected(with_context(std::move(text).error(), fmt::format("program set '{}'", name)));
  const auto* data = reinterpret_cast<const std::byte*>(text->data());
  return parse(name, {data, data + text->size()});
}

}  // namespace pintle::bpf

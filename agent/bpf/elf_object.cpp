// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/elf_object.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <ranges>
#include <string_view>

#include <elf.h>
#include <linux/bpf.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include "bpf/byte_parts.h"
#include "bpf/libbpf_words.h"

namespace pintle::bpf {
namespace {

constexpr uint32_t kMapReference = 1, kCall = 10;  // R_BPF_64_64, R_BPF_64_32
constexpr uint8_t kLoadImmediate = BPF_LD | BPF_IMM | BPF_DW, kCallCode = BPF_JMP | BPF_CALL;
constexpr size_t kInstructionBytes = sizeof(bpf_insn);
constexpr size_t kNowhere = SIZE_MAX;
constexpr const char* kMaps = ".maps";
constexpr int kMostNames = 32;  // of a type, one for the other

// Of .BTF.ext; libbpf keeps it to itself.
struct ExtHeader {
  uint16_t magic;
  uint8_t version, flags;
  uint32_t header_bytes;
  uint32_t functions_at, functions_bytes, lines_at, lines_bytes, relocations_at, relocations_bytes;
};
constexpr uint16_t kExtMagic = 0xeb9f;

using Bytes = std::span<const std::byte>;

std::string_view text_at(Bytes strings, uint64_t at) {
  if (at >= strings.size()) return {};
  const auto* begin = reinterpret_cast<const char*>(strings.data()) + at;
  return {begin, ::strnlen(begin, strings.size() - at)};
}

std::unexpected<Error> not_ours(const std::string& what) { return fail(Code::kUnsupported, what); }
std::unexpected<Error> damaged(const std::string& what) { return fail(Code::kInvalid, "BPF object: " + what); }

struct Section {
  std::string_view name;
  uint32_t type = 0, link = 0, info = 0;
  uint64_t flags = 0;
  Bytes bytes;
  [[nodiscard]] bool holds_code() const { return type == SHT_PROGBITS && (flags & SHF_EXECINSTR) != 0; }
};

struct Symbol {
  std::string_view name;
  uint8_t type = 0, visibility = 0;
  uint16_t section = 0;
  uint64_t value = 0, size = 0;
};

struct Reference {
  uint32_t section = 0;  // that it lies in
  uint64_t instruction = 0;
  uint32_t symbol = 0, type = 0;
  auto operator<=>(const Reference&) const = default;
};

struct Function {
  uint32_t section = 0;
  uint64_t begin = 0, end = 0;  // in instructions
  std::string_view name;
};

// Records of one kind, by section: where each begins.
struct ExtBlock {
  std::string_view section;
  Bytes records;
};
struct ExtTable {
  uint32_t size = 0;
  std::vector<ExtBlock> blocks;
};

Result<uint32_t> number_of(const btf* types, const btf_member& member, const std::string& where) {
  const auto* pointer = btf__type_by_id(types, member.type);
  const auto* array = pointer != nullptr && btf_is_ptr(pointer) ? btf__type_by_id(types, pointer->type) : nullptr;
  if (array == nullptr || !btf_is_array(array)) return damaged(where + " is no number");
  return btf_array(array)->nelems;
}

}  // namespace

class ElfParser {
 public:
  explicit ElfParser(Bytes elf) : elf_(elf) {}

  Result<ElfObject> parse() {
    PINTLE_TRY(read_sections());
    PINTLE_TRY(read_symbols());
    PINTLE_TRY(read_types());
    PINTLE_TRY(read_maps());
    for (uint32_t i = 0; i < functions_.size(); ++i)
      if (sections_[functions_[i].section].name != ".text") PINTLE_TRY(add_program(i));
    if (out_.programs_.empty()) return damaged("no programs");
    return std::move(out_);
  }

 private:
  Status read_sections();
  Status read_symbols();
  Status read_types();
  Status read_ext(Bytes ext);
  Result<ExtTable> read_table(Bytes ext, const ExtHeader& header, uint32_t at, uint32_t bytes) const;
  Status read_maps();
  Result<ElfMap> read_map(const btf_type* variable) const;
  Status add_program(uint32_t function);
  Status append(ElfProgram& program, std::vector<size_t>& where, uint32_t function);
  Status refer_to_map(ElfProgram& program, size_t at, const Reference& reference) const;
  Result<uint32_t> callee(const Function& caller, uint64_t instruction, int32_t imm, const Reference* reference) const;
  void append_records(ElfRecords& records, const ExtTable& table, const Function& function, size_t at, uint32_t unit) const;
  [[nodiscard]] const Section* section(std::string_view name) const {
    const auto found = std::ranges::find(sections_, name, &Section::name);
    return found == sections_.end() ? nullptr : &*found;
  }

  Bytes elf_;
  std::vector<Section> sections_;
  std::vector<Symbol> symbols_;
  std::vector<Reference> references_;  // sorted
  std::vector<Function> functions_;
  ExtTable function_info_, line_info_, relocations_;
  ElfObject out_;
};

Status ElfParser::read_sections() {
  const auto header = read_at<Elf64_Ehdr>(elf_, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_machine != EM_BPF || header->e_shentsize != sizeof(Elf64_Shdr))
    return damaged("no ELF file for BPF");
  std::vector<uint32_t> names;
  for (uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto raw = read_at<Elf64_Shdr>(elf_, header->e_shoff + i * sizeof(Elf64_Shdr));
    if (!raw) return damaged(fmt::format("section header {} lies outside", i));
    const auto bytes = raw->sh_type == SHT_NOBITS ? Bytes() : part_of(elf_, raw->sh_offset, raw->sh_size);
    if (!bytes) return damaged(fmt::format("section {} lies outside", i));
    sections_.push_back({{}, raw->sh_type, raw->sh_link, raw->sh_info, raw->sh_flags, *bytes});
    names.push_back(raw->sh_name);
  }
  if (header->e_shstrndx >= sections_.size()) return damaged("no names of sections");
  for (size_t i = 0; i < sections_.size(); ++i) sections_[i].name = text_at(sections_[header->e_shstrndx].bytes, names[i]);
  for (const auto& found : sections_)
    for (const std::string_view data : {".rodata", ".data", ".bss", ".kconfig", ".ksyms", ".struct_ops", "maps"})
      if (found.name.starts_with(data)) return not_ours(fmt::format("section '{}'", found.name));
  if (const auto* license = section("license")) out_.license_ = text_at(license->bytes, 0);
  return {};
}

Status ElfParser::read_symbols() {
  const auto table = std::ranges::find(sections_, SHT_SYMTAB, &Section::type);
  if (table == sections_.end() || table->link >= sections_.size()) return damaged("no symbols");
  const auto names = sections_[table->link].bytes;
  for (uint64_t at = 0; const auto raw = read_at<Elf64_Sym>(table->bytes, at); at += sizeof(Elf64_Sym)) {
    symbols_.push_back({text_at(names, raw->st_name), static_cast<uint8_t>(ELF64_ST_TYPE(raw->st_info)),
                        static_cast<uint8_t>(ELF64_ST_VISIBILITY(raw->st_other)), raw->st_shndx, raw->st_value, raw->st_size});
    const auto& symbol = symbols_.back();
    if (symbol.type != STT_FUNC || symbol.section == SHN_UNDEF) continue;
    if (symbol.section >= sections_.size() || !sections_[symbol.section].holds_code() ||
        !part_of(sections_[symbol.section].bytes, symbol.value, symbol.size) || symbol.size == 0 ||
        (symbol.value | symbol.size) % kInstructionBytes != 0)
      return damaged(fmt::format("function '{}' lies outside its section", symbol.name));
    if (symbol.visibility != STV_DEFAULT) return not_ours(fmt::format("hidden function '{}'", symbol.name));
    functions_.push_back({symbol.section, symbol.value / kInstructionBytes, (symbol.value + symbol.size) / kInstructionBytes, symbol.name});
  }
  for (const auto& relocations : sections_) {
    if (relocations.type != SHT_REL || relocations.info >= sections_.size() || !sections_[relocations.info].holds_code()) continue;
    for (uint64_t at = 0; const auto raw = read_at<Elf64_Rel>(relocations.bytes, at); at += sizeof(Elf64_Rel)) {
      const auto symbol = static_cast<uint32_t>(ELF64_R_SYM(raw->r_info));
      if (symbol >= symbols_.size()) return damaged("a relocation without its symbol");
      references_.push_back(
          {relocations.info, raw->r_offset / kInstructionBytes, symbol, static_cast<uint32_t>(ELF64_R_TYPE(raw->r_info))});
    }
  }
  std::ranges::sort(references_);
  return {};
}

Status ElfParser::read_types() {
  const auto* types = section(".BTF");
  const auto* ext = section(".BTF.ext");
  if (types == nullptr || ext == nullptr) return damaged("no BTF");
  install_libbpf_printer();
  out_.types_.reset(btf__new(types->bytes.data(), static_cast<uint32_t>(types->bytes.size())));
  if (out_.types_ == nullptr) return fail_errno(errno, "read the BTF of a BPF object");
  return read_ext(ext->bytes);
}

Status ElfParser::read_ext(Bytes ext) {
  const auto header = read_at<ExtHeader>(ext, 0);
  if (!header || header->magic != kExtMagic) return damaged(".BTF.ext has no header");
  PINTLE_ASSIGN_OR_RETURN(function_info_, read_table(ext, *header, header->functions_at, header->functions_bytes));
  PINTLE_ASSIGN_OR_RETURN(line_info_, read_table(ext, *header, header->lines_at, header->lines_bytes));
  if (header->header_bytes >= sizeof(ExtHeader)) {
    PINTLE_ASSIGN_OR_RETURN(relocations_, read_table(ext, *header, header->relocations_at, header->relocations_bytes));
  }
  return {};
}

Result<ExtTable> ElfParser::read_table(Bytes ext, const ExtHeader& header, uint32_t at, uint32_t bytes) const {
  ExtTable table;
  const auto part = part_of(ext, uint64_t{header.header_bytes} + at, bytes);
  if (!part) return damaged("a table of .BTF.ext lies outside");
  if (part->empty()) return table;
  const auto size = read_at<uint32_t>(*part, 0);
  if (!size || *size < sizeof(uint32_t) || *size > 256) return damaged("records of .BTF.ext have no size");
  table.size = *size;
  for (uint64_t next = sizeof(uint32_t); next < part->size();) {
    const auto name = read_at<uint32_t>(*part, next), count = read_at<uint32_t>(*part, next + sizeof(uint32_t));
    const auto records = count ? part_of(*part, next + 2 * sizeof(uint32_t), uint64_t{*count} * table.size) : std::nullopt;
    const char* text = name ? btf__name_by_offset(out_.types_.get(), *name) : nullptr;
    if (!records || text == nullptr) return damaged("records of .BTF.ext lie outside");
    table.blocks.push_back({text, *records});
    next += 2 * sizeof(uint32_t) + records->size();
  }
  return table;
}

Status ElfParser::read_maps() {
  const auto* types = out_.types_.get();
  const int id = btf__find_by_name_kind(types, kMaps, BTF_KIND_DATASEC);
  if (id < 0) return {};
  const auto* all = btf__type_by_id(types, static_cast<uint32_t>(id));
  const auto* entries = btf_var_secinfos(all);
  for (uint16_t i = 0; i < btf_vlen(all); ++i) {
    PINTLE_ASSIGN_OR_RETURN(auto map, read_map(btf__type_by_id(types, entries[i].type)));
    out_.maps_.push_back(std::move(map));
  }
  return {};
}

Result<ElfMap> ElfParser::read_map(const btf_type* variable) const {
  const auto* types = out_.types_.get();
  ElfMap map;
  if (variable == nullptr || !btf_is_var(variable)) return damaged("a map without a name");
  map.name = btf__name_by_offset(types, variable->name_off);
  const auto* definition = btf__type_by_id(types, variable->type);
  for (int depth = 0; definition != nullptr && (btf_is_mod(definition) || btf_is_typedef(definition)); ++depth)
    definition = depth < kMostNames ? btf__type_by_id(types, definition->type) : nullptr;
  if (definition == nullptr || !btf_is_struct(definition)) return damaged(fmt::format("map '{}' is no struct", map.name));
  for (uint16_t i = 0; i < btf_vlen(definition); ++i) {
    const auto& member = btf_members(definition)[i];
    const std::string_view field = btf__name_by_offset(types, member.name_off);
    const std::string where = fmt::format("map '{}': {}", map.name, field);
    if (field == "key" || field == "value") {
      const auto* pointer = btf__type_by_id(types, member.type);
      const auto size = pointer != nullptr && btf_is_ptr(pointer) ? btf__resolve_size(types, pointer->type) : -1;
      if (size < 0) return damaged(where + " has no size");
      (field == "key" ? map.key_size : map.value_size) = static_cast<uint32_t>(size);
      (field == "key" ? map.key_type : map.value_type) = pointer->type;
      continue;
    }
    constexpr std::pair<std::string_view, uint32_t ElfMap::*> kNumbers[] = {{"type", &ElfMap::type},
                                                                            {"max_entries", &ElfMap::max_entries},
                                                                            {"map_flags", &ElfMap::flags},
                                                                            {"key_size", &ElfMap::key_size},
                                                                            {"value_size", &ElfMap::value_size}};
    const auto* number = std::ranges::find(kNumbers, field, &std::pair<std::string_view, uint32_t ElfMap::*>::first);
    if (number == std::end(kNumbers)) return not_ours(where);
    PINTLE_ASSIGN_OR_RETURN(map.*number->second, number_of(types, member, where));
  }
  return map;
}

Status ElfParser::add_program(uint32_t function) {
  ElfProgram program;
  program.name = functions_[function].name;
  const std::string name(sections_[functions_[function].section].name);
  bpf_prog_type type{};
  bpf_attach_type attach_type{};
  if (libbpf_prog_type_by_name(name.c_str(), &type, &attach_type) != 0) return not_ours(fmt::format("section '{}'", name));
  program.type = type;
  program.attach_type = attach_type;
  if (type == BPF_PROG_TYPE_RAW_TRACEPOINT) program.target = name.substr(name.find('/') + 1);
  std::vector<size_t> where(functions_.size(), kNowhere);
  PINTLE_TRY(append(program, where, function));
  out_.programs_.push_back(std::move(program));
  return {};
}

// The function and, behind it, what it calls that is not there yet.
Status ElfParser::append(ElfProgram& program, std::vector<size_t>& where, uint32_t number) {
  const auto& function = functions_[number];
  const size_t begin = program.instructions.size();
  where[number] = begin;
  program.instructions.resize(begin + function.end - function.begin);
  std::memcpy(&program.instructions[begin], sections_[function.section].bytes.data() + function.begin * kInstructionBytes,
              (function.end - function.begin) * kInstructionBytes);
  append_records(program.functions, function_info_, function, begin, 1);
  append_records(program.lines, line_info_, function, begin, 1);
  append_records(program.relocations, relocations_, function, begin, kInstructionBytes);
  auto next = std::ranges::lower_bound(references_, Reference{function.section, function.begin, 0, 0});
  for (uint64_t i = function.begin; i < function.end; ++i) {
    const size_t at = begin + i - function.begin;
    const auto instruction = program.instructions[at];
    const Reference* reference = nullptr;
    if (next != references_.end() && next->section == function.section && next->instruction == i) reference = &*next++;
    if (instruction.code == kLoadImmediate) {
      if (++i == function.end) return damaged(fmt::format("function '{}' ends within an instruction", function.name));
      if (reference != nullptr)
        PINTLE_TRY(refer_to_map(program, at, *reference));
      else if (instruction.src_reg != 0)
        return not_ours(fmt::format("function '{}' loads an address", function.name));
    } else if (instruction.code == kCallCode && instruction.src_reg == BPF_PSEUDO_CALL) {
      PINTLE_ASSIGN_OR_RETURN(const auto target, callee(function, i, instruction.imm, reference));
      if (where[target] == kNowhere) PINTLE_TRY(append(program, where, target));
      program.instructions[at].imm = static_cast<int32_t>(static_cast<int64_t>(where[target]) - static_cast<int64_t>(at) - 1);
    } else if (reference != nullptr) {
      return not_ours(fmt::format("function '{}' refers to '{}'", function.name, symbols_[reference->symbol].name));
    }
  }
  return {};
}

Status ElfParser::refer_to_map(ElfProgram& program, size_t at, const Reference& reference) const {
  const auto& symbol = symbols_[reference.symbol];
  const auto map = std::ranges::find(out_.maps_, symbol.name, &ElfMap::name);
  if (reference.type != kMapReference || symbol.section >= sections_.size() || sections_[symbol.section].name != kMaps ||
      map == out_.maps_.end())
    return not_ours(fmt::format("program '{}' refers to '{}'", program.name, symbol.name));
  program.instructions[at].src_reg = BPF_PSEUDO_MAP_FD;
  program.instructions[at].imm = 0;
  program.instructions[at + 1].imm = 0;
  program.map_uses.push_back({at, static_cast<size_t>(map - out_.maps_.begin())});
  return {};
}

Result<uint32_t> ElfParser::callee(const Function& caller, uint64_t instruction, int32_t imm, const Reference* reference) const {
  uint32_t section = caller.section;
  int64_t target = static_cast<int64_t>(instruction) + imm + 1;
  if (reference != nullptr) {
    const auto& symbol = symbols_[reference->symbol];
    if (reference->type != kCall || symbol.section == SHN_UNDEF) return not_ours(fmt::format("extern function '{}'", symbol.name));
    section = symbol.section;
    target = static_cast<int64_t>(symbol.value / kInstructionBytes) + imm + 1;
  }
  const auto found =
      std::ranges::find_if(functions_, [&](const Function& f) { return f.section == section && static_cast<int64_t>(f.begin) == target; });
  if (found == functions_.end()) return damaged(fmt::format("function '{}' calls what is no function", caller.name));
  return static_cast<uint32_t>(found - functions_.begin());
}

// Those of the function's instructions, which come sorted and are now counted from `at`; `unit`: how much an instruction is.
void ElfParser::append_records(ElfRecords& records, const ExtTable& table, const Function& function, size_t at, uint32_t unit) const {
  records.size = table.size;
  for (const auto& block : table.blocks) {
    if (block.section != sections_[function.section].name) continue;
    const auto instruction_of = [&](size_t record) { return *read_at<uint32_t>(block.records, record * table.size) / kInstructionBytes; };
    const auto all = std::views::iota(size_t{0}, block.records.size() / table.size);
    for (size_t i = *std::ranges::lower_bound(all, function.begin, {}, instruction_of); i < all.size(); ++i) {
      const uint64_t instruction = instruction_of(i);
      if (instruction >= function.end) break;
      const auto moved = static_cast<uint32_t>((at + instruction - function.begin) * unit);
      const auto record = block.records.subspan(i * table.size, table.size);
      records.bytes.insert(records.bytes.end(), record.begin(), record.end());
      std::memcpy(records.bytes.data() + records.bytes.size() - table.size, &moved, sizeof moved);
      ++records.count;
    }
  }
}

std::span<const std::byte> ElfObject::types() const {
  uint32_t size = 0;
  const void* bytes = btf__raw_data(types_.get(), &size);
  return {static_cast<const std::byte*>(bytes), bytes == nullptr ? 0 : size};
}

void ElfObject::FreeTypes::operator()(::btf* types) const { btf__free(types); }
ElfObject::ElfObject() = default;
ElfObject::ElfObject(ElfObject&&) noexcept = default;
ElfObject& ElfObject::operator=(ElfObject&&) noexcept = default;
ElfObject::~ElfObject() = default;

Result<ElfObject> ElfObject::parse(std::span<const std::byte> elf) { return ElfParser(elf).parse(); }

}  // namespace pintle::bpf

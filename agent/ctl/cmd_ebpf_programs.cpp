// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <optional>
#include <ostream>
#include <ranges>
#include <string_view>

#include <fmt/format.h>

#include "ctl/ebpf_commands.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

constexpr const char* kNoStatistics =
    "the kernel keeps no run statistics; 'sysctl kernel.bpf_stats_enabled=1' makes it count, at some 20 ns a run";

codec::Node program_json(const v1::LoadedProgram& program) {
  std::vector<codec::Node> maps;
  for (const auto id : program.map_ids()) maps.push_back(json_scalar(codec::Node::Kind::kInteger, std::to_string(id)));
  return JsonObject()
      .add("id", program.id())
      .add("name", program.name())
      .add("type", program.type())
      .add("tag", program.tag())
      .add("hook", program.hook())
      .add("set", program.set())
      .add("loadedAt", program.loaded_at() == 0 ? "" : format_rfc3339(time_of(program.loaded_at())))
      .add("links", program.links())
      .add("verifiedInstructions", program.verified_insns())
      .add("xlatedBytes", program.xlated_bytes())
      .add("jitedBytes", program.jited_bytes())
      .add("memlockBytes", program.memlock_bytes())
      .add("runCount", program.run_count())
      .add("runNanoseconds", program.run_time())
      .add("mapIds", json_list(std::move(maps)))
      .take();
}

std::string mean_run(const v1::LoadedProgram& program) {
  return program.run_count() == 0 ? "-" : fmt::format("{} ns", static_cast<uint64_t>(program.run_time()) / program.run_count());
}

int list(Session& session, const Format& format, std::string_view kind, std::vector<codec::Node> items,
         const v1::ListProgramsReply* programs = nullptr) {
  JsonObject object;
  object.add("apiVersion", "pintle.dev/v1").add("kind", kind);
  if (programs != nullptr) {
    std::vector<codec::Node> missing;
    for (const auto& path : programs->missing_pins()) missing.push_back(json_scalar(codec::Node::Kind::kString, path));
    object.add("programSet", program_set_json(programs->program_set())).add("missingPins", json_list(std::move(missing)));
  }
  object.add("items", json_list(std::move(items)));
  print_objects(session, format, {{std::string(kind), object.take()}}, Shape::kSingle);
  return kOk;
}

std::string fill_text(const v1::LoadedMap& map) {
  if (map.max_entries() == 0 || !map.counts_entries()) return "-";
  return fmt::format("{:.0f}%", 100.0 * static_cast<double>(map.entries()) / map.max_entries());
}

// The kernel cuts names to 15 characters, so that two may look the same: the hook tells them apart.
std::string called(const v1::LoadedProgram& program) { return program.hook().empty() ? program.name() : program.hook(); }

// "egress,ingress" is the hook of one that serves both.
bool serves(const v1::LoadedProgram& program, std::string_view hook) {
  return std::ranges::any_of(std::views::split(program.hook(), ','), [&](auto&& one) { return std::ranges::equal(one, hook); });
}

// An id, a hook, a name, a tag or the beginning of one (at least four digits).
Result<v1::LoadedProgram> find_program(const v1::ListProgramsReply& reply, const std::string& word) {
  std::vector<const v1::LoadedProgram*> found;
  for (const auto& program : reply.programs())
    if (std::to_string(program.id()) == word) return program;
  for (const auto& program : reply.programs())
    if (serves(program, word) || program.name() == word || (word.size() >= 4 && program.tag().starts_with(word))) found.push_back(&program);
  if (found.size() == 1) return *found.front();
  std::string names;
  for (const auto& program : reply.programs())
    if (found.empty() || std::ranges::find(found, &program) != found.end())
      names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", program.id(), called(program));
  if (found.empty())
    return ::pintle::fail(Code::kNotFound,
                          fmt::format("no program '{}' of Pintle is loaded; there are {}", word, names.empty() ? "none" : names));
  return ::pintle::fail(Code::kInvalid, fmt::format("'{}' names several programs, give an id: {}", word, names));
}

}  // namespace

int ebpf_programs(Session& session, const EbpfListArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto reply = (*client)->list_programs();
  if (!reply) return session.fail(reply.error());
  if (!format->is_table()) {
    std::vector<codec::Node> items;
    for (const auto& program : reply->programs()) items.push_back(program_json(program));
    return list(session, *format, "EbpfPrograms", std::move(items), &*reply);
  }
  Table table({"ID", "NAME", "HOOK", "TYPE", "TAG", "SET", "LINKS", "INSNS", "XLATED", "JITED", "MEMORY", "RUNS", "MEAN", "LOADED"});
  for (const auto& program : reply->programs())
    table.add({fmt::format("{}", program.id()), program.name(), program.hook().empty() ? "-" : program.hook(), program.type(),
               program.tag(), program.set().empty() ? "-" : program.set(), fmt::format("{}", program.links()),
               fmt::format("{}", program.verified_insns()), bytes(program.xlated_bytes()), bytes(program.jited_bytes()),
               bytes(program.memlock_bytes()), reply->run_statistics() ? fmt::format("{}", program.run_count()) : "-", mean_run(program),
               age(program.loaded_at(), session.now())});
  if (table.empty())
    session.note("no programs are loaded");
  else
    table.print(session.io().out, session.style());
  print_program_set(session, reply->program_set());
  for (const auto& path : reply->missing_pins())
    session.note(
        fmt::format("the pin '{}' is missing: somebody has removed it. What is attached goes on; pintled makes it anew at its next "
                    "start",
                    path));
  if (!reply->run_statistics()) session.note(kNoStatistics);
  return kOk;
}

int ebpf_maps(Session& session, const EbpfListArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto reply = (*client)->list_maps();
  if (!reply) return session.fail(reply.error());
  if (!format->is_table()) {
    std::vector<codec::Node> items;
    for (const auto& map : reply->maps())
      items.push_back(JsonObject()
                          .add("id", map.id())
                          .add("name", map.name())
                          .add("type", map.type())
                          .add("keyBytes", map.key_bytes())
                          .add("valueBytes", map.value_bytes())
                          .add("maxEntries", map.max_entries())
                          .add("entries", map.entries())
                          .add("countsEntries", map.counts_entries())
                          .add("memlockBytes", map.memlock_bytes())
                          .take());
    return list(session, *format, "EbpfMaps", std::move(items));
  }
  Table table({"ID", "NAME", "TYPE", "KEY", "VALUE", "ENTRIES", "MAX", "FILL", "MEMORY"});
  for (const auto& map : reply->maps()) {
    const bool nearly_full =
        map.max_entries() != 0 && map.counts_entries() && !map.evicts() && map.entries() * 10 >= uint64_t{9} * map.max_entries();
    table.add({fmt::format("{}", map.id()),
               map.name(),
               map.type(),
               bytes(map.key_bytes()),
               bytes(map.value_bytes()),
               map.counts_entries() ? fmt::format("{}", map.entries()) : "-",
               map.max_entries() == 0 ? "-" : fmt::format("{}", map.max_entries()),
               {fill_text(map), nearly_full ? Tone::kBad : Tone::kPlain},
               bytes(map.memlock_bytes())});
  }
  if (table.empty())
    session.note("no maps are loaded");
  else
    table.print(session.io().out, session.style());
  return kOk;
}

int ebpf_cost(Session& session, const EbpfListArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto cost = (*client)->program_cost();
  if (!cost) return session.fail(cost.error());
  const auto programs = (*client)->list_programs();
  if (!programs) return session.fail(programs.error());
  uint64_t runs = 0, run_ns = 0;
  for (const auto& program : programs->programs()) {
    runs += program.run_count();
    run_ns += static_cast<uint64_t>(program.run_time());
  }
  if (!format->is_table()) {
    std::vector<codec::Node> rings;
    for (const auto& ring : cost->rings())
      rings.push_back(JsonObject()
                          .add("name", ring.name())
                          .add("bytes", ring.bytes())
                          .add("unreadBytes", ring.unread_bytes())
                          .add("received", ring.received())
                          .add("lost", ring.lost())
                          .take());
    print_objects(session, *format,
                  {{"ebpfcost", JsonObject()
                                    .add("apiVersion", "pintle.dev/v1")
                                    .add("kind", "EbpfCost")
                                    .add("programs", cost->programs())
                                    .add("maps", cost->maps())
                                    .add("links", cost->links())
                                    .add("kernelBytes", cost->kernel_bytes())
                                    .add("runStatistics", cost->run_statistics())
                                    .add("runCount", runs)
                                    .add("runNanoseconds", run_ns)
                                    .add("rings", json_list(std::move(rings)))
                                    .take()}},
                  Shape::kSingle);
    return kOk;
  }
  auto& out = session.io().out;
  out << fmt::format("{:<12}{}, on {} links\n", "programs", cost->programs(), cost->links());
  out << fmt::format("{:<12}{}\n", "maps", cost->maps());
  out << fmt::format("{:<12}{} in the kernel\n", "memory", bytes(cost->kernel_bytes()));
  if (cost->run_statistics())
    out << fmt::format("{:<12}{} in {} runs, {} ns each\n", "run time", span(Duration{static_cast<int64_t>(run_ns)}), runs,
                       runs == 0 ? 0 : run_ns / runs);
  Table table({"RING", "SIZE", "UNREAD", "RECEIVED", "LOST"});
  for (const auto& ring : cost->rings())
    table.add({ring.name(),
               bytes(ring.bytes()),
               bytes(ring.unread_bytes()),
               fmt::format("{}", ring.received()),
               {fmt::format("{}", ring.lost()), ring.lost() == 0 ? Tone::kPlain : Tone::kBad}});
  if (!table.empty()) {
    out << '\n';
    table.print(out, session.style());
  }
  out.flush();
  if (!cost->run_statistics()) session.note(kNoStatistics);
  return kOk;
}

int ebpf_dump(Session& session, const EbpfDumpArgs& args) {
  if (args.xlated && args.jited) return session.fail(kUsage, "--xlated and --jited are two answers: ask for one");
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto programs = (*client)->list_programs();
  if (!programs) return session.fail(programs.error());
  const auto program = find_program(*programs, args.program);
  if (!program) return session.fail(program.error());
  v1::DumpProgramRequest request;
  request.set_id(program->id());
  request.set_jited(args.jited);
  const auto reply = (*client)->dump_program(request);
  if (!reply) return session.fail(reply.error());
  session.note(fmt::format("program {} '{}', tag {}, {}", program->id(), program->name(), program->tag(),
                           args.jited ? "as the machine runs it" : "translated, as the verifier left it"));
  session.io().out << reply->text();
  if (!reply->text().ends_with('\n')) session.io().out << '\n';
  session.io().out.flush();
  return kOk;
}

}  // namespace pintle::ctl

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <ostream>

#include <fmt/format.h>

#include "ctl/ebpf_commands.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

codec::Node program_json(const v1::PodProgram& program) {
  return JsonObject()
      .add("name", program.name())
      .add("origin", program.origin())
      .add("object", program.object())
      .add("program", program.program())
      .add("hook", program.hook())
      .add("selector", program.selector())
      .add("order", program.order())
      .add("policy", program.required() ? "required" : "bestEffort")
      .add("state", program.state())
      .add("since", program.since() == 0 ? "" : format_rfc3339(time_of(program.since())))
      .add("pods", program.pods())
      .add("programId", program.program_id())
      .add("programTag", program.program_tag())
      .add("objectDigest", program.digest())
      .add("errno", program.sys_errno())
      .add("error", program.error())
      .take();
}

int print_json(Session& session, const Format& format, const v1::ListPodProgramsReply& reply, bool all_loaded) {
  std::vector<codec::Node> items;
  for (const auto& program : reply.programs()) items.push_back(program_json(program));
  print_objects(session, format,
                {{"ebpfpodprograms", JsonObject()
                                         .add("apiVersion", "pintle.dev/v1")
                                         .add("kind", "EbpfPodPrograms")
                                         .add("loaded", all_loaded)
                                         .add("items", json_list(std::move(items)))
                                         .take()}},
                Shape::kSingle);
  return all_loaded ? kOk : kNotMet;
}

Tone tone_of(const v1::PodProgram& program) {
  if (program.state() == "Loaded") return Tone::kGood;
  return program.state() == "Outdated" ? Tone::kWarning : Tone::kBad;
}

}  // namespace

int ebpf_pod_programs(Session& session, const EbpfListArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto reply = (*client)->list_pod_programs();
  if (!reply) return session.fail(reply.error());
  int refused = 0;
  for (const auto& program : reply->programs()) refused += program.state() == "Loaded" ? 0 : 1;
  if (!format->is_table()) return print_json(session, *format, *reply, refused == 0);
  const bool wide = format->kind == Format::Kind::kWide;
  std::vector<std::string> headers{"NAME", "HOOK", "STATE", "PODS", "SELECTOR", "POLICY", "ORDER", "AGE", "SOURCE"};
  if (wide) headers.insert(headers.end(), {"OBJECT", "PROGRAM", "PROG ID", "PROG TAG", "DIGEST"});
  headers.emplace_back("ERROR");
  Table table(std::move(headers));
  for (const auto& program : reply->programs()) {
    std::vector<Cell> cells{program.name(),
                            program.hook(),
                            {program.state(), tone_of(program)},
                            fmt::format("{}", program.pods()),
                            program.selector(),
                            program.required() ? "required" : "bestEffort",
                            program.order(),
                            age(program.since(), session.now()),
                            program.origin()};
    if (wide)
      cells.insert(
          cells.end(),
          {Cell(program.object()), Cell(program.program()), Cell(program.program_id() == 0 ? "-" : fmt::format("{}", program.program_id())),
           Cell(program.program_tag().empty() ? "-" : program.program_tag()), Cell(program.digest().empty() ? "-" : program.digest())});
    cells.emplace_back(program.error().empty() ? "-" : safe(program.error()));
    table.add(std::move(cells));
  }
  if (table.empty()) {
    session.note("no programs of operators are declared on this node");
    return kOk;
  }
  table.print(session.io().out, session.style());
  if (refused == 0) return kOk;
  return session.fail(kNotMet, fmt::format("{} of {} programs are not loaded in their newest version", refused, reply->programs_size()));
}

}  // namespace pintle::ctl

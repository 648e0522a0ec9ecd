// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <ostream>

#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

std::string_view state_name(const v1::DoctorCheck& check) {
  return check.state() == v1::DoctorCheck::OK ? "ok" : check.state() == v1::DoctorCheck::WARNING ? "warning" : "failed";
}
Tone tone_of(const v1::DoctorCheck& check) {
  return check.state() == v1::DoctorCheck::OK ? Tone::kGood : check.state() == v1::DoctorCheck::WARNING ? Tone::kWarning : Tone::kBad;
}

codec::Node doctor_json(const v1::DoctorReply& reply, int failed) {
  std::vector<codec::Node> checks;
  for (const auto& check : reply.checks())
    checks.push_back(JsonObject()
                         .add("check", check.name())
                         .add("state", state_name(check))
                         .add("detail", check.detail())
                         .add("why", check.why())
                         .add("fix", check.fix())
                         .take());
  return JsonObject()
      .add("apiVersion", "pintle.dev/v1")
      .add("kind", "Doctor")
      .add("ok", failed == 0)
      .add("checks", json_list(std::move(checks)))
      .take();
}

void print_checks(Session& session, const v1::DoctorReply& reply) {
  auto& out = session.io().out;
  Table table({"CHECK", "STATE", "DETAIL"});
  for (const auto& check : reply.checks()) table.add({check.name(), {std::string(state_name(check)), tone_of(check)}, check.detail()});
  table.print(out, session.style());
  for (const auto& check : reply.checks()) {
    if (check.state() == v1::DoctorCheck::OK) continue;
    out << '\n' << session.style().paint(tone_of(check), safe(check.name())) << ": " << safe(check.detail()) << '\n';
    if (!check.why().empty()) out << "  why it matters: " << safe(check.why()) << '\n';
    if (!check.fix().empty()) out << "  how to fix:     " << safe(check.fix()) << '\n';
  }
  out.flush();
}

}  // namespace

int doctor(Session& session, const DoctorArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto reply = (*client)->doctor();
  if (!reply) return session.fail(reply.error());
  int failed = 0;
  for (const auto& check : reply->checks()) failed += check.state() == v1::DoctorCheck::FAILED ? 1 : 0;
  if (format->is_table())
    print_checks(session, *reply);
  else
    print_objects(session, *format, {{"doctor", doctor_json(*reply, failed)}}, Shape::kSingle);
  return failed == 0 ? kOk : kNotMet;
}

}  // namespace pintle::ctl

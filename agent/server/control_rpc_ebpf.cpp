// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The calls of ControlRpc about programs, their events and network policy.
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/reorder_buffer.h"
#include "ports/pod_names.h"
#include "server/control_convert.h"
#include "server/control_rpc.h"
#include "server/control_stream.h"
#include "server/pod_match.h"

namespace pintle::server {
namespace {

// Longer than a ring is left unread under load, shorter than a person notices.
constexpr std::chrono::milliseconds kReorderHold{20};

constexpr std::array kKinds = {model::ProgramEventKind::kConnect, model::ProgramEventKind::kSendmsg, model::ProgramEventKind::kBind,
                               model::ProgramEventKind::kAccept,  model::ProgramEventKind::kPacket,  model::ProgramEventKind::kTcp,
                               model::ProgramEventKind::kDevice,  model::ProgramEventKind::kSysctl,  model::ProgramEventKind::kSockopt,
                               model::ProgramEventKind::kExec,    model::ProgramEventKind::kExit,    model::ProgramEventKind::kOom};
constexpr std::array kVerdicts = {model::Verdict::kAllowed, model::Verdict::kDenied, model::Verdict::kWouldDeny};

template <typename Names, typename All, typename Set>
Status read_names(const Names& names, const All& all, const char* what, Set& out) {
  for (const auto& name : names) {
    const auto found = std::ranges::find_if(all, [&](auto value) { return to_string(value) == name; });
    if (found == all.end()) return fail(Code::kInvalid, fmt::format("'{}' is not {}", name, what));
    out.insert(*found);
  }
  return {};
}

Result<EventFilter> filter_of(const v1::WatchEbpfEventsRequest& request) {
  EventFilter filter;
  PINTLE_TRY(read_names(request.kinds(), kKinds, "a kind of event", filter.kinds));
  PINTLE_TRY(read_names(request.verdicts(), kVerdicts, "a verdict", filter.verdicts));
  return filter;
}

grpc::Status missing(const char* what) {
  return to_grpc(Error{Code::kUnsupported, 0, fmt::format("this daemon does not tell {}; 'pintlectl ebpf doctor' says what it has", what)});
}
grpc::Status no_inventory() { return missing("what it has loaded"); }

}  // namespace

grpc::Status ControlRpc::EbpfStatus(grpc::ServerContext*, const v1::EbpfStatusRequest* request, v1::EbpfStatusReply* reply) {
  for (const auto& record : sorted_pods(agent_, request->namespace_(), request->name())) to_proto(record, {}, *reply->add_pods());
  for (const auto& probe : agent_.ebpf_features()) to_proto(probe, *reply->add_features());
  reply->set_events_lost(agent_.ebpf_events_lost());
  to_proto(agent_.program_set(), *reply->mutable_program_set());
  return grpc::Status::OK;
}

grpc::Status ControlRpc::WatchEbpfEvents(grpc::ServerContext* context, const v1::WatchEbpfEventsRequest* request,
                                         grpc::ServerWriter<v1::EbpfEvent>* writer) {
  const auto filter = filter_of(*request);
  if (!filter) return to_grpc(filter.error());
  EventBuffer buffer(*filter);
  ReorderBuffer<v1::EbpfEvent> order(kReorderHold);
  ports::PodNames names(agent_);
  const auto subscription = agent_.watch_ebpf([&](const model::ProgramEvent& event) { buffer.push(event); });
  writer->SendInitialMetadata();  // tells the caller that nothing after this moment is missed
  uint64_t skipped = 0;
  while (!ended(context)) {
    Duration wait = kCancelCheck;
    if (const auto due = order.next_due()) wait = std::clamp<Duration>(*due - clock_.steady(), Duration::zero(), kCancelCheck);
    if (const auto popped = buffer.pop(stop_, wait)) {
      skipped += popped->skipped;
      const auto& uid = popped->event.uid;
      const auto& [namespace_, name] = names.find(uid.value());
      if (matches(namespace_, name, request->namespace_(), request->name())) {
        v1::EbpfEvent event;
        to_proto(popped->event, event);
        event.set_namespace_(namespace_);
        event.set_name(name);
        order.push(std::move(event), popped->event.time, clock_.steady());
      } else if (!name.empty()) {
        buffer.ignore(uid);
      }
    }
    for (auto& [event, late] : order.take(clock_.steady())) {
      event.set_late(late);
      if (late) ++late_events_;
      event.set_skipped(std::exchange(skipped, 0));
      if (!writer->Write(event)) return grpc::Status::OK;
    }
  }
  return grpc::Status::OK;
}

grpc::Status ControlRpc::ListPolicies(grpc::ServerContext*, const v1::ListPoliciesRequest* request, v1::ListPoliciesReply* reply) {
  auto* const view = agent_.policies();
  if (view == nullptr) return missing("network policy");
  auto policies = view->list_policies();
  std::ranges::sort(policies, {}, [](const ports::PodPolicy& policy) { return std::tie(policy.namespace_, policy.name); });
  for (const auto& policy : policies)
    if (matches(policy.namespace_, policy.name, request->namespace_(), request->name())) to_proto(policy, *reply->add_pods());
  return grpc::Status::OK;
}

grpc::Status ControlRpc::TestFlow(grpc::ServerContext*, const v1::TestFlowRequest* request, v1::TestFlowReply* reply) {
  auto* const view = agent_.policies();
  if (view == nullptr) return missing("network policy");
  if (request->protocol() > 255 || request->port() > 65535)
    return {grpc::StatusCode::INVALID_ARGUMENT, fmt::format("port {}/{} is none", request->port(), request->protocol())};
  const auto answer = view->test_flow({.from = request->from(),
                                       .to = request->to(),
                                       .protocol = static_cast<uint8_t>(request->protocol()),
                                       .port = static_cast<uint16_t>(request->port())});
  if (!answer) return to_grpc(answer.error());
  to_proto(*answer, *reply);
  return grpc::Status::OK;
}

grpc::Status ControlRpc::ListPrograms(grpc::ServerContext*, const v1::ListProgramsRequest*, v1::ListProgramsReply* reply) {
  auto* const inventory = agent_.inventory();
  if (inventory == nullptr) return no_inventory();
  const auto programs = inventory->programs();
  if (!programs) return to_grpc(programs.error());
  for (const auto& program : *programs) to_proto(program, *reply->add_programs());
  for (auto& path : inventory->missing_pins()) reply->add_missing_pins(std::move(path));
  to_proto(agent_.program_set(), *reply->mutable_program_set());
  if (const auto cost = inventory->cost()) reply->set_run_statistics(cost->run_statistics);
  return grpc::Status::OK;
}

grpc::Status ControlRpc::ListPodPrograms(grpc::ServerContext*, const v1::ListPodProgramsRequest*, v1::ListPodProgramsReply* reply) {
  auto* const view = agent_.pod_programs();
  if (view == nullptr) return missing("operators' programs");
  for (const auto& record : view->list_programs()) to_proto(record, *reply->add_programs());
  return grpc::Status::OK;
}

grpc::Status ControlRpc::ListMaps(grpc::ServerContext*, const v1::ListMapsRequest*, v1::ListMapsReply* reply) {
  auto* const inventory = agent_.inventory();
  if (inventory == nullptr) return no_inventory();
  const auto maps = inventory->maps();
  if (!maps) return to_grpc(maps.error());
  for (const auto& map : *maps) to_proto(map, *reply->add_maps());
  return grpc::Status::OK;
}

grpc::Status ControlRpc::GetProgramCost(grpc::ServerContext*, const v1::GetProgramCostRequest*, v1::GetProgramCostReply* reply) {
  auto* const inventory = agent_.inventory();
  if (inventory == nullptr) return no_inventory();
  const auto cost = inventory->cost();
  if (!cost) return to_grpc(cost.error());
  to_proto(*cost, *reply);
  return grpc::Status::OK;
}

grpc::Status ControlRpc::DumpProgram(grpc::ServerContext*, const v1::DumpProgramRequest* request, v1::DumpProgramReply* reply) {
  auto* const inventory = agent_.inventory();
  if (inventory == nullptr) return no_inventory();
  auto text = inventory->dump(request->id(), request->jited());
  if (!text) return to_grpc(text.error());
  reply->set_text(*std::move(text));
  return grpc::Status::OK;
}

}  // namespace pintle::server

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/plan_words.h"

namespace pintle::bpf {
namespace {

uint32_t flag_of(model::Trace trace) {
  switch (trace) {
    case model::Trace::kConnect: return PINTLE_TRACE_CONNECT;
    case model::Trace::kSendmsg: return PINTLE_TRACE_SENDMSG;
    case model::Trace::kBind: return PINTLE_TRACE_BIND;
    case model::Trace::kAccept: return PINTLE_TRACE_ACCEPT;
    case model::Trace::kTcp: return PINTLE_TRACE_TCP;
  }
  return 0;
}

}  // namespace

pintle_control control_of(const model::ProgramPlan& plan) {
  pintle_control control{};
  if (plan.network != model::Enforcement::kOff) {
    control.policy = plan.network_policy;
    if (plan.isolate_ingress) control.flags |= PINTLE_ISOLATE_INGRESS;
    if (plan.isolate_egress) control.flags |= PINTLE_ISOLATE_EGRESS;
    if (plan.network == model::Enforcement::kAudit) control.flags |= PINTLE_AUDIT_NETWORK;
  }
  for (const auto trace : plan.traces) control.flags |= flag_of(trace);
  if (!plan.denied_devices.empty()) control.flags |= PINTLE_GUARD_DEVICES;
  if (!plan.denied_sockopts.empty()) control.flags |= PINTLE_GUARD_SOCKOPTS;
  if (plan.sysctl_writes == model::Enforcement::kAudit) control.flags |= PINTLE_AUDIT_SYSCTL;
  if (plan.sysctl_writes == model::Enforcement::kEnforce) control.flags |= PINTLE_DENY_SYSCTL;
  return control;
}

}  // namespace pintle::bpf

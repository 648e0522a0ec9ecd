// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From what the agent says to the messages of the control service, and from Error to gRPC's status (the table stands at the
// top of control.proto). Pure; internal to server.
#pragma once

#include <grpcpp/support/status.h>

#include "pintle/v1/control.pb.h"
#include "ports/agent_view.h"

namespace pintle::server {

[[nodiscard]] grpc::Status to_grpc(const Error& error);

void to_proto(const ports::PodRecord& record, const v1::PodDetail& detail, v1::Pod& out);
void to_proto(const ports::PodRecord& record, v1::PodEbpf& out);
void to_proto(const ports::AgentStatus& status, v1::GetStatusReply& out);
void to_proto(const model::Event& event, v1::Event& out);
void to_proto(const model::ProgramEvent& event, v1::EbpfEvent& out);
void to_proto(const model::FeatureProbe& probe, v1::Feature& out);
void to_proto(const ports::DoctorCheck& check, v1::DoctorCheck& out);
void to_proto(const ports::PodPolicy& policy, v1::PodPolicy& out);
void to_proto(const ports::FlowAnswer& answer, v1::TestFlowReply& out);
void to_proto(const ports::LoadedProgram& program, v1::LoadedProgram& out);
void to_proto(const ports::PodProgramRecord& record, v1::PodProgram& out);
void to_proto(const ports::LoadedMap& map, v1::LoadedMap& out);
void to_proto(const model::ProgramSetStatus& set, v1::ProgramSet& out);
void to_proto(const ports::ProgramCost& cost, v1::GetProgramCostReply& out);

// The pod as the API would publish it: desired, with the status last decided here.
[[nodiscard]] model::Pod published(const ports::PodRecord& record);

}  // namespace pintle::server

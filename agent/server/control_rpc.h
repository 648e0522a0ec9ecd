// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The calls of the control service, each a question to AgentView and a translation. Internal to server: includes gRPC.
// Thread rule: any of gRPC's threads. Streams end within a wake-up of `stop`.
#pragma once

#include <atomic>
#include <stop_token>

#include "base/time.h"
#include "pintle/v1/control.grpc.pb.h"
#include "ports/agent_view.h"
#include "ports/log_reader.h"

namespace pintle::server {

class ControlRpc final : public v1::Control::Service {
 public:
  ControlRpc(ports::AgentView& agent, ports::LogReader& logs, const Clock& clock, std::stop_token stop)
      : agent_(agent), logs_(logs), clock_(clock), stop_(std::move(stop)) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::GetStatusReply* reply) override;
  grpc::Status ListPods(grpc::ServerContext*, const v1::ListPodsRequest* request, v1::ListPodsReply* reply) override;
  grpc::Status WatchPods(grpc::ServerContext* context, const v1::WatchPodsRequest* request,
                         grpc::ServerWriter<v1::PodChange>* writer) override;
  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ApplyReply* reply) override;
  grpc::Status DeletePod(grpc::ServerContext*, const v1::DeletePodRequest* request, v1::DeletePodReply*) override;
  grpc::Status ListEvents(grpc::ServerContext*, const v1::ListEventsRequest*, v1::ListEventsReply* reply) override;
  grpc::Status ListObjects(grpc::ServerContext*, const v1::ListObjectsRequest* request, v1::ListObjectsReply* reply) override;
  grpc::Status ReadLogs(grpc::ServerContext* context, const v1::ReadLogsRequest* request,
                        grpc::ServerWriter<v1::LogChunk>* writer) override;
  grpc::Status EbpfStatus(grpc::ServerContext*, const v1::EbpfStatusRequest* request, v1::EbpfStatusReply* reply) override;
  grpc::Status WatchEbpfEvents(grpc::ServerContext* context, const v1::WatchEbpfEventsRequest* request,
                               grpc::ServerWriter<v1::EbpfEvent>* writer) override;
  grpc::Status ListPolicies(grpc::ServerContext*, const v1::ListPoliciesRequest* request, v1::ListPoliciesReply* reply) override;
  grpc::Status TestFlow(grpc::ServerContext*, const v1::TestFlowRequest* request, v1::TestFlowReply* reply) override;
  grpc::Status ListPrograms(grpc::ServerContext*, const v1::ListProgramsRequest*, v1::ListProgramsReply* reply) override;
  grpc::Status ListPodPrograms(grpc::ServerContext*, const v1::ListPodProgramsRequest*, v1::ListPodProgramsReply* reply) override;
  grpc::Status ListMaps(grpc::ServerContext*, const v1::ListMapsRequest*, v1::ListMapsReply* reply) override;
  grpc::Status GetProgramCost(grpc::ServerContext*, const v1::GetProgramCostRequest*, v1::GetProgramCostReply* reply) override;
  grpc::Status DumpProgram(grpc::ServerContext*, const v1::DumpProgramRequest* request, v1::DumpProgramReply* reply) override;
  grpc::Status Doctor(grpc::ServerContext*, const v1::DoctorRequest*, v1::DoctorReply* reply) override;
  // Events of programs that readers got after a younger one.
  [[nodiscard]] uint64_t late_events() const { return late_events_; }

 private:
  [[nodiscard]] std::optional<ports::PodRecord> find_pod(const std::string& namespace_, const std::string& name);
  [[nodiscard]] bool ended(grpc::ServerContext* context) const { return stop_.stop_requested() || context->IsCancelled(); }

  ports::AgentView& agent_;
  ports::LogReader& logs_;
  const Clock& clock_;
  const std::stop_token stop_;
  std::atomic<uint64_t> late_events_ = 0;
};

}  // namespace pintle::server

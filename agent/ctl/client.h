// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One connection to the daemon's control service. The socket is connected by hand, so that a daemon that isn't there is told
// apart from one that may not be spoken to; gRPC gets the descriptor. No reconnecting: a lost daemon ends the command.
// Errors: kUnavailable is the transport alone; all others are the daemon's own (control.proto lists them); kCancelled: interrupted.
// Thread rule: one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "pintle/v1/control.pb.h"

namespace pintle::ctl {

// Why a stream is no more.
enum class StreamEnd { kByReader, kByDaemon, kTimeout };

class Client {
 public:
  [[nodiscard]] static Result<Client> connect(const std::string& socket_path, std::stop_token interrupted);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  [[nodiscard]] Result<v1::GetStatusReply> status();
  [[nodiscard]] Result<v1::ListPodsReply> list_pods(const v1::ListPodsRequest& request);
  [[nodiscard]] Result<v1::ApplyReply> apply(const v1::ApplyRequest& request);
  [[nodiscard]] Status delete_pod(const v1::DeletePodRequest& request);
  [[nodiscard]] Result<v1::ListEventsReply> list_events();
  [[nodiscard]] Result<v1::ListObjectsReply> list_objects(const v1::ListObjectsRequest& request);
  [[nodiscard]] Result<v1::EbpfStatusReply> ebpf_status(const v1::EbpfStatusRequest& request);
  [[nodiscard]] Result<v1::ListPoliciesReply> list_policies(const v1::ListPoliciesRequest& request);
  [[nodiscard]] Result<v1::TestFlowReply> test_flow(const v1::TestFlowRequest& request);
  [[nodiscard]] Result<v1::ListProgramsReply> list_programs();
  [[nodiscard]] Result<v1::ListPodProgramsReply> list_pod_programs();
  [[nodiscard]] Result<v1::ListMapsReply> list_maps();
  [[nodiscard]] Result<v1::GetProgramCostReply> program_cost();
  [[nodiscard]] Result<v1::DumpProgramReply> dump_program(const v1::DumpProgramRequest& request);
  [[nodiscard]] Result<v1::DoctorReply> doctor();

  // Each message goes to the reader until it answers false, the daemon ends the stream, or `timeout` has passed.
  template <typename Message>
  using Reader = std::function<bool(const Message&)>;
  [[nodiscard]] Result<StreamEnd> watch_pods(const v1::WatchPodsRequest& request, const Reader<v1::PodChange>& reader,
                                             std::optional<Duration> timeout = std::nullopt);
  [[nodiscard]] Result<StreamEnd> read_logs(const v1::ReadLogsRequest& request, const Reader<v1::LogChunk>& reader);
  [[nodiscard]] Result<StreamEnd> watch_ebpf_events(const v1::WatchEbpfEventsRequest& request, const Reader<v1::EbpfEvent>& reader,
                                                    std::optional<Duration> timeout = std::nullopt);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pintle::ctl

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/convert.h"

#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <fmt/format.h>

namespace pintle::bpf {
namespace {

std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_SCTP: return "sctp";
    default: return fmt::format("proto-{}", protocol);
  }
}

std::string destination(const pintle_event& event) {
  char text[INET6_ADDRSTRLEN] = {};
  const bool v4 = event.kind == PINTLE_EVENT_CONNECT4;
  if (::inet_ntop(v4 ? AF_INET : AF_INET6, event.addr, text, sizeof text) == nullptr) return {};
  return fmt::format(fmt::runtime(v4 ? "{}:{}/{}" : "[{}]:{}/{}"), text, ntohs(event.port), protocol_name(event.protocol));
}

}  // namespace

model::ProgramEvent to_model(const pintle_event& event, const PodUid& uid, Duration boot_to_wall) {
  model::ProgramEvent out;
  out.uid = uid;
  out.cgroup_id = CgroupId(event.cgroup_id);
  out.time = Time(Duration(static_cast<int64_t>(event.boot_ns)) + boot_to_wall);
  out.pid = event.tgid;
  out.comm.assign(event.comm, ::strnlen(event.comm, sizeof event.comm));
  switch (event.kind) {
    case PINTLE_EVENT_CONNECT4:
    case PINTLE_EVENT_CONNECT6:
      out.kind = model::ProgramEventKind::kConnect;
      out.destination = destination(event);
      break;
    case PINTLE_EVENT_EXIT:
      out.kind = model::ProgramEventKind::kExit;
      out.exit_code = event.exit_code;
      break;
    default: out.kind = model::ProgramEventKind::kExec;
  }
  return out;
}

}  // namespace pintle::bpf

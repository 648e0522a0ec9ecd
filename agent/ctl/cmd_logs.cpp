// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <ostream>

#include <fmt/format.h>

#include "ctl/commands.h"

namespace pintle::ctl {
namespace {

// The moment from which on lines are shown; 0 for all.
Result<int64_t> since_of(Session& session, const LogsArgs& args) {
  if (!args.since_time.empty()) {
    PINTLE_ASSIGN_OR_RETURN(const auto time, parse_rfc3339(args.since_time));
    return time.time_since_epoch().count();
  }
  if (args.since.empty()) return 0;
  PINTLE_ASSIGN_OR_RETURN(const auto span, parse_duration(args.since));
  if (span <= Duration::zero()) return ::pintle::fail(Code::kInvalid, fmt::format("'{}' must be more than nothing", args.since));
  return (session.now() - span).time_since_epoch().count();
}

}  // namespace

int logs(Session& session, const LogsArgs& args) {
  const auto name = pod_name(args.pod);
  if (!name) return session.fail(kUsage, fmt::format("'{}': only pods have logs", args.pod));
  if (args.tail && *args.tail < -1) return session.fail(kUsage, fmt::format("--tail: {} lines can't be shown; -1 means all", *args.tail));
  const auto since = since_of(session, args);
  if (!since) return session.fail(kUsage, "--since: " + since.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  v1::ReadLogsRequest request;
  request.set_namespace_(args.namespace_);
  request.set_pod(*name);
  request.set_container(args.container);
  request.set_follow(args.follow);
  request.set_previous(args.previous);
  request.set_timestamps(args.timestamps);
  request.set_since(*since);
  if (args.tail && *args.tail >= 0) {
    request.set_has_tail(true);
    request.set_tail_lines(*args.tail);
  }
  auto& out = session.io().out;
  const auto end = (*client)->read_logs(request, [&](const v1::LogChunk& chunk) {
    out.write(chunk.data().data(), static_cast<std::streamsize>(chunk.data().size()));
    out.flush();
    return out.good();  // a closed pipe ends it
  });
  if (end) return kOk;
  return end.error().code == Code::kCancelled ? kInterrupted : session.fail(end.error());
}

}  // namespace pintle::ctl

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The commands of pintlectl as functions of their arguments, free of the parser that read them (cli.cpp). Each prints what it
// has to say and answers its exit code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/session.h"

namespace pintle::ctl {

inline constexpr const char* kDefaultNamespace = "default";

struct RunArgs {
  std::vector<std::string> files;
  std::string wait = "ready";  // running | ready | exit
  bool no_wait = false;
  bool dry_run = false, verbose = false;
  std::string timeout = "2m";
};
[[nodiscard]] int run_pods(Session& session, const RunArgs& args);

struct GetArgs {
  std::vector<std::string> words;  // KIND [NAME…] or KIND/NAME…
  std::string namespace_ = kDefaultNamespace;
  bool all_namespaces = false, watch = false, no_headers = false;
  std::string output, selector;
};
[[nodiscard]] int get(Session& session, const GetArgs& args);

struct DescribeArgs {
  std::vector<std::string> words;
  std::string namespace_ = kDefaultNamespace;
};
[[nodiscard]] int describe(Session& session, const DescribeArgs& args);

struct LogsArgs {
  std::string pod, container;
  std::string namespace_ = kDefaultNamespace;
  bool follow = false, previous = false, timestamps = false;
  std::optional<int64_t> tail;
  std::string since, since_time;
};
[[nodiscard]] int logs(Session& session, const LogsArgs& args);

struct DeleteArgs {
  std::vector<std::string> words, files;
  std::string namespace_ = kDefaultNamespace;
  std::optional<int64_t> grace_period;
  bool force = false, now = false, no_wait = false, ignore_not_found = false;
  std::string timeout = "5m";
};
[[nodiscard]] int delete_pods(Session& session, const DeleteArgs& args);

struct StatusArgs {
  bool wait = false;
  std::string timeout = "1m", output;
};
[[nodiscard]] int status(Session& session, const StatusArgs& args);

struct ExplainArgs {
  std::string pod;
  std::string namespace_ = kDefaultNamespace;
  std::string output;
};
[[nodiscard]] int explain(Session& session, const ExplainArgs& args);

struct DoctorArgs {
  std::string output;
};
[[nodiscard]] int doctor(Session& session, const DoctorArgs& args);

// --- what several of them share -----------------------------------------------------------------------------

// "web", "pod/web", "pods/web" -> "web"; nullopt for another kind.
[[nodiscard]] std::optional<std::string> pod_name(const std::string& word);
// kNotFound in words when it isn't on this node.
[[nodiscard]] Result<v1::Pod> find_pod(Session& session, const std::string& namespace_, const std::string& name,
                                       const v1::PodDetail& detail);
// The text of a manifest; "-" is standard input. kNotFound, kInvalid.
[[nodiscard]] Result<std::string> read_manifest(Session& session, const std::string& file);
// Steps and what they took, one line each, offsets from the first one.
void print_steps(std::ostream& out, const v1::Pod& pod, const std::string& indent, const Style& style);
// "4/4 hooks in force, rx 1.2 KiB, tx 80 B, 3 connects, 1 execs, 0 events lost"
[[nodiscard]] std::string ebpf_line(const v1::Pod& pod);

}  // namespace pintle::ctl

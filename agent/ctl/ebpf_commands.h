// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The commands below `pintlectl ebpf` as functions of their arguments, like commands.h.
#pragma once

#include <optional>
#include <string>

#include "codec/document.h"
#include "ctl/commands.h"
#include "ctl/session.h"

namespace pintle::ctl {

// Which pods are meant. Without a pod: those of the namespace if one was given, else all of the node.
struct PodScope {
  std::string pod;
  std::string namespace_;  // empty: kDefaultNamespace if a pod is given
  bool all_namespaces = false;
};
struct PodChoice {
  std::string namespace_, name;  // empty: any
};
// kInvalid: the word is another kind's.
[[nodiscard]] Result<PodChoice> choose(const PodScope& scope);
// kNotFound: the one that was named is not on this node.
[[nodiscard]] Result<v1::EbpfStatusReply> ask_status(Session& session, const PodChoice& pods);

struct EbpfStatusArgs : PodScope {
  std::string output;
  bool watch = false;
  std::string interval = "2s";
};
[[nodiscard]] int ebpf_status(Session& session, const EbpfStatusArgs& args);

struct EbpfExplainArgs : PodScope {
  std::string hook, output;
};
[[nodiscard]] int ebpf_explain(Session& session, const EbpfExplainArgs& args);

struct EbpfDoctorArgs {
  std::string output;
};
[[nodiscard]] int ebpf_doctor(Session& session, const EbpfDoctorArgs& args);

struct EbpfTopArgs : PodScope {
  std::string interval = "2s", sort = "rx", output;
  bool once = false;
};
[[nodiscard]] int ebpf_top(Session& session, const EbpfTopArgs& args);

struct EbpfTraceArgs : PodScope {
  std::string what = "all";  // a kind of event, deny or all
  std::string output;
  std::optional<std::string> duration;  // none: until interrupted
  bool audit = false;                   // only what audit would have refused
};
[[nodiscard]] int ebpf_trace(Session& session, const EbpfTraceArgs& args);

struct EbpfPolicyArgs : PodScope {
  std::string output;
};
[[nodiscard]] int ebpf_policy_show(Session& session, const EbpfPolicyArgs& args);
struct EbpfFlowArgs {
  std::string from, to, port, output;
  std::string namespace_ = kDefaultNamespace;
};
[[nodiscard]] int ebpf_policy_test(Session& session, const EbpfFlowArgs& args);

struct EbpfListArgs {
  std::string output;
};
[[nodiscard]] int ebpf_programs(Session& session, const EbpfListArgs& args);
[[nodiscard]] int ebpf_pod_programs(Session& session, const EbpfListArgs& args);
[[nodiscard]] int ebpf_maps(Session& session, const EbpfListArgs& args);
[[nodiscard]] int ebpf_cost(Session& session, const EbpfListArgs& args);
struct EbpfDumpArgs {
  std::string program;  // id, name, tag, or the beginning of a tag
  bool xlated = false, jited = false;
};
[[nodiscard]] int ebpf_dump(Session& session, const EbpfDumpArgs& args);

[[nodiscard]] codec::Node counters_json(const v1::Counters& counters);
[[nodiscard]] codec::Node program_set_json(const v1::ProgramSet& set);
void print_program_set(Session& session, const v1::ProgramSet& set);  // as notes

}  // namespace pintle::ctl

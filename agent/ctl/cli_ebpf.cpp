// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/cli_ebpf.h"

#include <CLI/CLI.hpp>

#include "ctl/rates.h"

namespace pintle::ctl {
namespace {

constexpr const char* kOwnFormats = "table, json, yaml or jsonpath=TEMPLATE";
constexpr const char* kStreamFormats = "table, json (one object a line), yaml or jsonpath=TEMPLATE";

void add_output(CLI::App& app, std::string& target, const char* formats) {
  app.add_option("-o,--output", target, formats)->type_name("FORMAT");
}
void add_namespace(CLI::App& app, PodScope& scope, const char* flags = "-n,--namespace") {
  app.add_option(flags, scope.namespace_, "Namespace (default: default with a pod, else all)")->type_name("NAME");
  app.add_flag("-A,--all-namespaces", scope.all_namespaces, "Of all namespaces");
}
void add_pod(CLI::App& app, PodScope& scope) { app.add_option("pod", scope.pod, "Pod; all of the node without one")->type_name("POD"); }

}  // namespace

void EbpfCli::add_to(CLI::App& root, const AddCommand& command) {
  auto* ebpf = root.add_subcommand("ebpf", "Show the programs in force on pods, what they see, decide and cost");
  ebpf->require_subcommand(1);
  ebpf->footer(
      "Examples:\n  pintlectl ebpf status\n  pintlectl ebpf explain web egress\n  pintlectl ebpf trace deny --pod web\n  pintlectl ebpf "
      "top");
  add_looking(*ebpf, command);
  add_listening(*ebpf, command);
  add_policy(*ebpf, command);
  add_programs(*ebpf, command);
}

void EbpfCli::add_looking(CLI::App& ebpf, const AddCommand& command) {
  auto* sub = command(ebpf, "status", "Every pod and hook; exit code 0 only if all wanted programs are in force",
                      "  pintlectl ebpf status\n  pintlectl ebpf status web -o wide\n  pintlectl ebpf status web -o json\n"
                      "  pintlectl ebpf status -w                    stay, and show what changes",
                      [this](Session& session) { return ebpf_status(session, status_); });
  add_pod(*sub, status_);
  add_namespace(*sub, status_);
  add_output(*sub, status_.output, "table, wide, json, yaml or jsonpath=TEMPLATE");
  sub->add_flag("-w,--watch", status_.watch, "Stay and show changes");
  sub->add_option("--interval", status_.interval, "How often -w looks (default 2s)")->type_name("SPAN");

  sub = command(ebpf, "explain", "Say in words what is attached, in which order it runs, who is beside it, and why not",
                "  pintlectl ebpf explain web\n  pintlectl ebpf explain web egress -n shop",
                [this](Session& session) { return ebpf_explain(session, explain_); });
  sub->add_option("pod", explain_.pod, "pod/NAME")->type_name("POD")->required();
  sub->add_option("hook", explain_.hook, "Only this hook: ingress, egress, connect4 …")->type_name("HOOK");
  add_namespace(*sub, explain_);
  add_output(*sub, explain_.output, kOwnFormats);

  sub = command(ebpf, "doctor",
                "Every feature that was probed, what of it this kernel has, and what is done without it; exit code 0 if nothing is lacking",
                "  pintlectl ebpf doctor\n  pintlectl ebpf doctor -o json",
                [this](Session& session) { return ebpf_doctor(session, doctor_); });
  add_output(*sub, doctor_.output, kOwnFormats);

  sub = command(ebpf, "top", "Rates of every pod: traffic, calls, refusals, drops, retransmits, round trips",
                "  pintlectl ebpf top\n  pintlectl ebpf top -n 5 --sort denies\n  pintlectl ebpf top --once -o json",
                [this](Session& session) { return ebpf_top(session, top_); });
  add_pod(*sub, top_);
  add_namespace(*sub, top_, "--namespace");
  sub->add_option("-n,--interval", top_.interval, "Seconds, or a span such as 500ms, between two tables (default 2s)")->type_name("SPAN");
  sub->add_option("--sort", top_.sort, "rx (default), tx, packets, connects, denies, drops, retransmits, rtt, lost or name")
      ->type_name("COLUMN")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kSortKeys), std::end(kSortKeys))).description(""));
  sub->add_flag("--once", top_.once, "One table, then end");
  add_output(*sub, top_.output, kStreamFormats);
}

int EbpfCli::listen(Session& session) {
  listened_.duration = follow_ ? std::nullopt : std::optional(duration_);
  return ebpf_trace(session, listened_);
}

void EbpfCli::add_listening(CLI::App& ebpf, const AddCommand& command) {
  auto* sub = command(ebpf, "trace", "Follow one kind of event, or those that were refused, until interrupted",
                      "  pintlectl ebpf trace connect\n  pintlectl ebpf trace deny --pod web\n  pintlectl ebpf trace all -o json --for 30s",
                      [this](Session& session) { return ebpf_trace(session, trace_); });
  sub->add_option("what", trace_.what,
                  "connect, sendmsg, bind, accept, packet, tcp, device, sysctl, sockopt, exec, exit, oom, deny or all (default all)")
      ->type_name("EVENT")
      ->check(CLI::IsMember({"connect", "sendmsg", "bind", "accept", "packet", "tcp", "device", "sysctl", "sockopt", "exec", "exit", "oom",
                             "deny", "all"})
                  .description(""));
  sub->add_option("--pod", trace_.pod, "Only of this pod")->type_name("POD");
  add_namespace(*sub, trace_);
  sub->add_option("--for", trace_.duration, "End after this time")->type_name("SPAN");
  add_output(*sub, trace_.output, kStreamFormats);

  sub = command(ebpf, "events", "All events as they happen, for a while",
                "  pintlectl ebpf events -f\n  pintlectl ebpf events web --for 30s -o json",
                [this](Session& session) { return listen(session); });
  add_pod(*sub, listened_);
  sub->add_flag("-f,--follow", follow_, "Until interrupted");
  sub->add_option("--for", duration_, "How long to listen without -f (default 5s)")->type_name("SPAN");
  add_namespace(*sub, listened_);
  add_output(*sub, listened_.output, kStreamFormats);
}

void EbpfCli::add_policy(CLI::App& ebpf, const AddCommand& command) {
  auto* policy = ebpf.add_subcommand("policy", "Network policy: what is in force, what it would say, what audit lets through");
  policy->require_subcommand(1);
  policy->footer("Examples:\n  pintlectl ebpf policy show web\n  pintlectl ebpf policy test web db 5432\n  pintlectl ebpf policy audit -f");
  auto* sub = command(*policy, "show", "The policies that select pods, and the rows they were compiled to",
                      "  pintlectl ebpf policy show\n  pintlectl ebpf policy show web\n  pintlectl ebpf policy show web -o yaml",
                      [this](Session& session) { return ebpf_policy_show(session, policy_); });
  add_pod(*sub, policy_);
  add_namespace(*sub, policy_);
  add_output(*sub, policy_.output, kOwnFormats);

  sub = command(*policy, "test", "Ask whether a flow is allowed, and by what; exit code 0 if it is",
                "  pintlectl ebpf policy test web db 5432\n  pintlectl ebpf policy test shop/till 10.0.0.7 53/udp\n"
                "  pintlectl ebpf policy test 192.0.2.1 pod/web 80/tcp -n shop",
                [this](Session& session) { return ebpf_policy_test(session, flow_); });
  sub->add_option("from", flow_.from, "Pod, NAMESPACE/POD or address")->type_name("POD")->required();
  sub->add_option("to", flow_.to, "Pod, NAMESPACE/POD or address")->type_name("POD")->required();
  sub->add_option("port", flow_.port, "PORT or PORT/PROTOCOL (default tcp)")->type_name("PORT")->required();
  sub->add_option("-n,--namespace", flow_.namespace_, "Namespace of pods named without one (default default)")->type_name("NAME");
  add_output(*sub, flow_.output, kOwnFormats);

  sub = command(*policy, "audit", "What would have been refused, had policy been enforced",
                "  pintlectl ebpf policy audit -f\n  pintlectl ebpf policy audit web --for 1m -o json", [this](Session& session) {
                  listened_.audit = true;
                  return listen(session);
                });
  add_pod(*sub, listened_);
  sub->add_flag("-f,--follow", follow_, "Until interrupted");
  sub->add_option("--for", duration_, "How long to listen without -f (default 5s)")->type_name("SPAN");
  add_namespace(*sub, listened_);
  add_output(*sub, listened_.output, kStreamFormats);
}

void EbpfCli::add_programs(CLI::App& ebpf, const AddCommand& command) {
  add_output(*command(ebpf, "programs", "Operators' programs: where they come from, which pods get them, what became of each",
                      "  pintlectl ebpf programs\n  pintlectl ebpf programs -o wide\n  pintlectl ebpf programs -o json",
                      [this](Session& session) { return ebpf_pod_programs(session, list_); }),
             list_.output, kOwnFormats);
  add_output(*command(ebpf, "progs", "Pintle's programs in the kernel: size, memory, links, runs",
                      "  pintlectl ebpf progs\n  pintlectl ebpf progs -o json",
                      [this](Session& session) { return ebpf_programs(session, list_); }),
             list_.output, kOwnFormats);
  add_output(
      *command(ebpf, "maps", "Pintle's maps in the kernel: size, memory, how full they are",
               "  pintlectl ebpf maps\n  pintlectl ebpf maps -o json", [this](Session& session) { return ebpf_maps(session, list_); }),
      list_.output, kOwnFormats);
  add_output(
      *command(ebpf, "cost", "What all of it costs: memory, run time, rings and their losses",
               "  pintlectl ebpf cost\n  pintlectl ebpf cost -o json", [this](Session& session) { return ebpf_cost(session, list_); }),
      list_.output, kOwnFormats);
  auto* sub = command(ebpf, "dump", "Print a program's instructions as the kernel holds them",
                      "  pintlectl ebpf dump egress\n  pintlectl ebpf dump connect4 --jited",
                      [this](Session& session) { return ebpf_dump(session, dump_); });
  sub->add_option("program", dump_.program, "Hook, id, name, or tag (four digits of it are enough)")->type_name("PROGRAM")->required();
  sub->add_flag("--xlated", dump_.xlated, "Translated BPF (default)");
  sub->add_flag("--jited", dump_.jited, "The machine's code");
}

}  // namespace pintle::ctl

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/metrics_page.h"

#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

namespace pintle::telemetry {
namespace {

using enum MetricType;
using model::HookState;

// Of one pod with counters, beside those of its hooks: see render_pods.
constexpr size_t kSeriesOfPod = 31;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }
bool effective(const model::HookStatus& hook) { return hook.state == HookState::kAttached || hook.state == HookState::kAdopted; }

// One of each name, the youngest, by namespace and name: a pod that is made again may be in the table twice for a while.
std::vector<ports::PodRecord> unique_pods(ports::AgentView& agent) {
  auto pods = agent.list_pods();
  std::erase_if(pods, [](const ports::PodRecord& record) { return !record.counters && !record.programs; });
  const auto key = [](const ports::PodRecord& record) {
    return std::tie(record.pod->metadata.namespace_, record.pod->metadata.name, record.pod->metadata.creation_timestamp);
  };
  std::ranges::sort(pods, std::ranges::greater{}, key);
  const auto repeated = std::ranges::unique(pods, [](const ports::PodRecord& a, const ports::PodRecord& b) {
    return a.pod->metadata.namespace_ == b.pod->metadata.namespace_ && a.pod->metadata.name == b.pod->metadata.name;
  });
  pods.erase(repeated.begin(), repeated.end());
  std::ranges::reverse(pods);
  return pods;
}

struct PodFigures {
  std::string namespace_, name;
  Time since;  // what its programs count survives the daemon
  model::PodCounters counters;
  std::vector<model::HookStatus> hooks;
};

// The families of a pod: each is written for all pods before the next begins.
class PodFamilies {
 public:
  PodFamilies(MetricWriter& out, const std::vector<PodFigures>& pods) : out_(out), pods_(pods) {}

  void counter(std::string_view name, std::string_view help, uint64_t model::PodCounters::* field) {
    out_.family(name, kCounter, help);
    for (const auto& pod : pods_) {
      out_.since(pod.since);
      out_.sample({{"namespace", pod.namespace_}, {"pod", pod.name}}, pod.counters.*field);
    }
  }
  void labelled(std::string_view name, std::string_view help, std::string_view label,
                std::initializer_list<std::pair<std::string_view, uint64_t model::PodCounters::*>> fields) {
    out_.family(name, kCounter, help);
    for (const auto& pod : pods_)
      for (const auto& [value, field] : fields) {
        out_.since(pod.since);
        out_.sample({{"namespace", pod.namespace_}, {"pod", pod.name}, {label, value}}, pod.counters.*field);
      }
  }
  void traffic(std::string_view name, std::string_view help, uint64_t model::TrafficCounters::* received,
               uint64_t model::TrafficCounters::* sent) {
    static constexpr std::pair<std::string_view, model::TrafficCounters model::PodCounters::*> kProtocols[] = {
        {"tcp", &model::PodCounters::tcp}, {"udp", &model::PodCounters::udp}, {"other", &model::PodCounters::other}};
    out_.family(name, kCounter, help);
    for (const auto& pod : pods_)
      for (const auto& [protocol, field] : kProtocols)
        for (const auto& [direction, figure] : {std::pair{"receive", received}, std::pair{"transmit", sent}}) {
          out_.since(pod.since);
          out_.sample({{"namespace", pod.namespace_}, {"pod", pod.name}, {"direction", direction}, {"protocol", protocol}},
                      (pod.counters.*field).*figure);
        }
  }
  void rtt() {
    out_.family("pintle_pod_tcp_rtt_seconds", kSummary, "Round-trip times of the pod's TCP connections, as the kernel smoothed them.");
    for (const auto& pod : pods_) {
      out_.since(pod.since);
      out_.summary({{"namespace", pod.namespace_}, {"pod", pod.name}}, static_cast<double>(pod.counters.tcp_rtt_sum_us) / 1e6,
                   pod.counters.tcp_rtt_samples);
    }
  }
  void hooks() {
    out_.family("pintle_pod_hook_effective", kGauge, "1 if the hook's program is in force on the pod, else 0.");
    for (const auto& pod : pods_)
      for (const auto& hook : pod.hooks)
        out_.sample({{"namespace", pod.namespace_}, {"pod", pod.name}, {"hook", to_string(hook.hook)}}, uint64_t{effective(hook)});
  }

 private:
  MetricWriter& out_;
  const std::vector<PodFigures>& pods_;
};

}  // namespace

Exposition MetricsPage::render() {
  Exposition out;
  write(out);
  return out;
}

void MetricsPage::write(MetricWriter& out) {
  render_agent(out);
  render_pods(out);
  render_programs(out);
  render_policy(out);
  render_nri(out);
  render_telemetry(out);
}

void MetricsPage::render_telemetry(MetricWriter& out) {
  const auto log = options_.event_log ? options_.event_log() : EventLogCounts{};
  out.family("pintle_event_log_written_total", kCounter, "Events written to the event log.");
  out.sample({}, log.written);
  out.family("pintle_event_log_lost_total", kCounter, "Events that the event log had no room for or could not write.");
  out.sample({}, log.lost);
  out.family("pintle_events_late_total", kCounter, "Events handed on after a younger one: they came later than what is waited for.");
  out.sample({{"to", "event-log"}}, log.late);
  out.sample({{"to", "control"}}, options_.streams_late ? options_.streams_late() : uint64_t{0});
  if (options_.otlp) out.sample({{"to", "otlp"}}, options_.otlp().late);
  out.family("pintle_metrics_series_left_out_total", kCounter, "Series left out of scrapes because of the limit on series.");
  out.sample({}, left_out_);
  if (!options_.otlp) return;
  const auto otlp = options_.otlp();
  const auto of_signals = [&](std::string_view name, MetricType type, std::string_view help, uint64_t OtlpSignalCounts::* field) {
    out.family(name, type, help);
    for (const auto signal : kOtlpSignals) out.sample({{"signal", to_string(signal)}}, otlp.of(signal).*field);
  };
  of_signals("pintle_otlp_exported_total", kCounter, "Spans, data points and log records that the collector took.",
             &OtlpSignalCounts::exported);
  of_signals("pintle_otlp_dropped_total", kCounter, "Those for which the queue had no room, or that were given up.",
             &OtlpSignalCounts::dropped);
  of_signals("pintle_otlp_rejected_total", kCounter, "Those that the collector did not take of a request that it took.",
             &OtlpSignalCounts::rejected);
  of_signals("pintle_otlp_failures_total", kCounter, "Requests that the collector did not take.", &OtlpSignalCounts::failures);
  of_signals("pintle_otlp_queued", kGauge, "Spans and log records that wait to be sent.", &OtlpSignalCounts::queued);
}

void MetricsPage::render_agent(MetricWriter& out) {
  const auto status = agent_.status();
  started_at_ = status.started_at;
  out.since(started_at_);
  out.family("pintle_build_info", kGauge, "Always 1; its labels say what runs.");
  out.sample({{"version", status.version}, {"mode", status.mode}, {"node", status.node_name}}, uint64_t{1});
  out.family("process_start_time_seconds", kGauge, "When the daemon started, in seconds since 1970.");
  out.sample({}, seconds(status.started_at.time_since_epoch()));
  out.family("process_resident_memory_bytes", kGauge, "The daemon's resident memory.");
  out.sample({}, static_cast<uint64_t>(std::max<int64_t>(status.rss_bytes, 0)));
  out.family("pintle_anonymous_memory_bytes", kGauge, "The part of the resident memory that is backed by no file.");
  out.sample({}, static_cast<uint64_t>(std::max<int64_t>(status.anon_bytes, 0)));
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);  // can't fail for oneself
  out.family("process_cpu_seconds_total", kCounter, "Processor time that the daemon used.");
  out.sample({}, seconds(usage.ru_utime) + seconds(usage.ru_stime));
  out.family("pintle_pods", kGauge, "Pods in the daemon's table.");
  out.sample({}, static_cast<uint64_t>(std::max(status.pods, 0)));
  out.family("pintle_running_containers", kGauge, "Containers that run.");
  out.sample({}, static_cast<uint64_t>(std::max(status.running_containers, 0)));
  out.family("pintle_loop_latency_seconds", kGauge, "How long the loop that owns all pods took to answer this scrape.");
  out.sample({}, seconds(status.loop_latency));
  out.family("pintle_source_problems", kGauge, "What was given and is not in force: manifests, policies, programs, program sets.");
  out.sample({}, uint64_t{status.problems.size()});
  out.family("pintle_component_up", kGauge, "1 if the part of the daemon does its work, else 0.");
  std::set<std::string_view> told;
  for (const auto& component : status.components)
    if (told.insert(component.name).second) out.sample({{"component", component.name}}, uint64_t{component.ok});
}

void MetricsPage::render_pods(MetricWriter& out) {
  std::vector<PodFigures> pods;
  std::map<HookState, uint64_t> states, program_states;
  uint64_t pods_left_out = 0;
  size_t series = 0;
  for (auto& record : unique_pods(agent_)) {
    PodFigures figures{record.pod->metadata.namespace_,
                       record.pod->metadata.name,
                       record.status.start_time.value_or(started_at_),
                       record.counters.value_or(model::PodCounters{}),
                       {}};
    if (record.programs) figures.hooks = std::move(record.programs->hooks);
    for (const auto& hook : figures.hooks) ++states[hook.state];
    if (record.programs)
      for (const auto& program : record.programs->programs) ++program_states[program.state];
    const size_t own = kSeriesOfPod + figures.hooks.size();
    if (pods_left_out != 0 || series + own > options_.most_pod_series) {
      ++pods_left_out;
      left_out_ += own;
      continue;
    }
    series += own;
    pods.push_back(std::move(figures));
  }
  using Counters = model::PodCounters;
  using Traffic = model::TrafficCounters;
  PodFamilies of(out, pods);
  of.traffic("pintle_pod_network_bytes_total", "Bytes of IP packets, counted at the pod's own sockets, host network or not.",
             &Traffic::rx_bytes, &Traffic::tx_bytes);
  of.traffic("pintle_pod_network_packets_total", "IP packets, counted at the pod's own sockets.", &Traffic::rx_packets,
             &Traffic::tx_packets);
  of.labelled("pintle_pod_network_drops_total", "Packets that policy dropped.", "direction",
              {{"receive", &Counters::rx_drops}, {"transmit", &Counters::tx_drops}});
  of.labelled(
      "pintle_pod_socket_calls_total", "Calls on sockets that the pod's programs saw.", "call",
      {{"connect", &Counters::connects}, {"sendmsg", &Counters::sendmsgs}, {"bind", &Counters::binds}, {"accept", &Counters::accepts}});
  of.labelled("pintle_pod_denied_total", "What the pod's programs refused.", "what",
              {{"socket", &Counters::denied},
               {"device", &Counters::device_denied},
               {"sysctl", &Counters::sysctl_denied},
               {"sockopt", &Counters::sockopt_denied}});
  of.counter("pintle_pod_would_deny_total", "Calls and packets that audit let through and policy would have refused.",
             &Counters::would_deny);
  of.counter("pintle_pod_tcp_retransmits_total", "TCP segments sent again.", &Counters::tcp_retransmits);
  of.rtt();
  of.counter("pintle_pod_execs_total", "Programs that the pod's processes executed.", &Counters::execs);
  of.counter("pintle_pod_exits_total", "Processes of the pod that ended.", &Counters::exits);
  of.counter("pintle_pod_oom_kills_total", "Processes of the pod that were killed for want of memory.", &Counters::ooms);
  of.counter("pintle_pod_events_total", "Events of the pod that reached a ring.", &Counters::events_sent);
  of.counter("pintle_pod_events_lost_total", "Events of the pod for which a ring had no room.", &Counters::events_lost);
  of.hooks();
  out.since(started_at_);
  out.family("pintle_ebpf_hooks", kGauge, "Hooks of all pods by their state.");
  for (const auto state :
       {HookState::kAttached, HookState::kAdopted, HookState::kDead, HookState::kOverridden, HookState::kRefused, HookState::kOff})
    out.sample({{"state", to_string(state)}}, states[state]);
  out.family("pintle_pod_program_attachments", kGauge, "Operators' programs of all pods by their state.");
  for (const auto state : {HookState::kAttached, HookState::kAdopted, HookState::kDead, HookState::kOverridden, HookState::kRefused})
    out.sample({{"state", to_string(state)}}, program_states[state]);
  render_declared(out);
  out.family("pintle_metrics_pods_left_out", kGauge, "Pods left out of this scrape because of the limit on series.");
  out.sample({}, pods_left_out);
}

// Bounded: a node takes so many programs and no more (programs/program_registry.h).
void MetricsPage::render_declared(MetricWriter& out) {
  auto* const view = agent_.pod_programs();
  if (view == nullptr) return;
  using State = ports::PodProgramRecord::State;
  const auto programs = view->list_programs();
  out.family("pintle_pod_programs", kGauge, "Operators' programs that are declared on this node, by what became of the newest version.");
  for (const auto state : {State::kLoaded, State::kOutdated, State::kRefused})
    out.sample({{"state", to_string(state)}}, static_cast<uint64_t>(std::ranges::count(programs, state, &ports::PodProgramRecord::state)));
  out.family("pintle_pod_program_pods", kGauge, "Pods that an operator's program is meant for.");
  for (const auto& program : programs) out.sample({{"pod_program", program.program.name}}, program.pods);
}

// The kernel tells the load in time since boot, and what that is by the wall clock differs a little at each look. A start that moves would
// be a sum that began anew.
Time MetricsPage::settled(const std::string& program, Time loaded_at) {
  auto& told = loaded_at_[program];
  if (loaded_at > told + std::chrono::seconds(1) || loaded_at < told - std::chrono::seconds(1)) told = loaded_at;
  return told;
}

void MetricsPage::render_programs(MetricWriter& out) {
  out.family("pintle_ebpf_feature_available", kGauge, "1 if this kernel has the feature, else 0.");
  std::set<std::string> told;
  for (const auto& feature : agent_.ebpf_features())
    if (told.insert(feature.name).second) out.sample({{"feature", feature.name}}, uint64_t{feature.available});
  const auto set = agent_.program_set();
  out.family("pintle_ebpf_program_set_info", kGauge,
             "1 for the program set in force, and for one that is wanted and was refused or rolled back.");
  if (!set.name.empty()) out.sample({{"set", set.name}, {"state", to_string(model::ProgramSetStatus::Attempt::kNone)}}, uint64_t{1});
  if (set.attempt != model::ProgramSetStatus::Attempt::kNone)
    out.sample({{"set", set.wanted}, {"state", to_string(set.attempt)}}, uint64_t{1});
  out.family("pintle_ebpf_program_set_switches_total", kCounter, "Program sets put in force, and rolled back, since the daemon started.");
  out.sample({{"outcome", "in force"}}, set.switched);
  out.sample({{"outcome", "rolled back"}}, set.rolled_back);
  out.family("pintle_ebpf_events_lost_total", kCounter, "Events lost on the way from the kernel, of all pods and of none.");
  out.sample({}, agent_.ebpf_events_lost());

  auto* const inventory = agent_.inventory();
  std::optional<ports::ProgramCost> cost;  // absent: not known, which is not zero
  // By name: a name that occurs twice is one series.
  std::map<std::string, ports::LoadedProgram> programs;
  std::map<std::string, ports::LoadedMap> maps;
  if (inventory != nullptr) {
    if (auto known = inventory->cost()) cost = *std::move(known);
    if (const auto list = inventory->programs())
      for (const auto& program : *list) {
        auto& sum = programs[program.name];
        sum.loaded_at = std::max(sum.loaded_at, program.loaded_at);  // of several, the sum goes down when one is made anew
        sum.run_count += program.run_count;
        sum.run_ns += program.run_ns;
      }
    if (const auto list = inventory->maps())
      for (const auto& map : *list) {
        auto& sum = maps[map.name];
        if (map.entries) sum.entries = sum.entries.value_or(0) + *map.entries;
        sum.max_entries += map.max_entries;
        sum.evicts = map.evicts;
        sum.memlock_bytes += map.memlock_bytes;
      }
  }
  const auto total = [&](std::string_view name, std::string_view help, uint64_t ports::ProgramCost::* field) {
    out.family(name, kGauge, help);
    if (cost) out.sample({}, (*cost).*field);
  };
  total("pintle_ebpf_programs", "Programs of Pintle in the kernel.", &ports::ProgramCost::programs);
  total("pintle_ebpf_maps", "Maps of Pintle in the kernel.", &ports::ProgramCost::maps);
  total("pintle_ebpf_links", "Links of Pintle in the kernel.", &ports::ProgramCost::links);
  total("pintle_ebpf_memory_bytes", "Kernel memory of Pintle's programs and maps.", &ports::ProgramCost::kernel_bytes);
  out.family("pintle_ebpf_run_statistics_enabled", kGauge, "1 if the kernel counts runs of programs (sysctl kernel.bpf_stats_enabled).");
  if (cost) out.sample({}, uint64_t{cost->run_statistics});
  std::erase_if(loaded_at_, [&](const auto& known) { return !programs.contains(known.first); });
  out.family("pintle_ebpf_program_run_seconds_total", kCounter, "Time spent in a program, while the kernel counts it.");
  for (const auto& [name, program] : programs) {
    out.since(settled(name, program.loaded_at));
    out.sample({{"program", name}}, static_cast<double>(program.run_ns) / 1e9);
  }
  out.family("pintle_ebpf_program_runs_total", kCounter, "Runs of a program, while the kernel counts them.");
  for (const auto& [name, program] : programs) {
    out.since(settled(name, program.loaded_at));
    out.sample({{"program", name}}, program.run_count);
  }
  out.since(started_at_);
  out.family("pintle_ebpf_map_entries", kGauge, "Entries in a map, where the kernel can tell.");
  for (const auto& [name, map] : maps)
    if (map.entries) out.sample({{"map", name}}, *map.entries);
  // Only where being full would be a fault, so that the two can be compared.
  out.family("pintle_ebpf_map_max_entries", kGauge, "Entries that a map has room for, of maps that refuse more.");
  for (const auto& [name, map] : maps)
    if (map.entries && map.max_entries != 0 && !map.evicts) out.sample({{"map", name}}, uint64_t{map.max_entries});
  out.family("pintle_ebpf_map_memory_bytes", kGauge, "Kernel memory of a map.");
  for (const auto& [name, map] : maps) out.sample({{"map", name}}, map.memlock_bytes);
  const auto ring = [&](std::string_view name, MetricType type, std::string_view help, uint64_t ports::RingUse::* field) {
    out.family(name, type, help);
    if (!cost) return;
    for (const auto& use : cost->rings) out.sample({{"ring", use.name}}, use.*field);
  };
  ring("pintle_ebpf_ring_bytes", kGauge, "Size of a ring of events.", &ports::RingUse::bytes);
  ring("pintle_ebpf_ring_unread_bytes", kGauge, "What of a ring is not read yet.", &ports::RingUse::unread_bytes);
  ring("pintle_ebpf_ring_events_total", kCounter, "Events read from a ring.", &ports::RingUse::received);
  ring("pintle_ebpf_ring_events_lost_total", kCounter, "Events that a ring had no room for.", &ports::RingUse::lost);
}

void MetricsPage::render_policy(MetricWriter& out) {
  auto* const policies = agent_.policies();
  std::map<model::Enforcement, uint64_t> pods;
  uint64_t stale = 0;
  if (policies != nullptr)
    for (const auto& policy : policies->list_policies()) {
      ++pods[policy.enforcement];
      stale += policy.problem.empty() ? 0 : 1;
    }
  out.family("pintle_policy_pods", kGauge, "Pods by how network policy is enforced on them.");
  for (const auto enforcement : {model::Enforcement::kOff, model::Enforcement::kAudit, model::Enforcement::kEnforce})
    if (policies != nullptr) out.sample({{"enforcement", to_string(enforcement)}}, pods[enforcement]);
  out.family("pintle_policy_stale_pods", kGauge, "Pods whose rules in force are not those of the newest policies.");
  if (policies != nullptr) out.sample({}, stale);
}

void MetricsPage::render_nri(MetricWriter& out) {
  if (!options_.nri) return;
  const auto counts = options_.nri();
  out.family("pintle_nri_connected", kGauge, "1 if the runtime asks before it makes a container (NRI), else 0.");
  out.sample({}, uint64_t{counts.connected});
  out.family("pintle_nri_connections_total", kCounter, "Registrations with the runtime.");
  out.sample({}, counts.connections);
  out.family("pintle_nri_lost_total", kCounter, "Registrations that the runtime ended: by a restart, or because an answer came too late.");
  out.sample({}, counts.lost);
  out.family("pintle_nri_request_seconds", kSummary, "Calls of the runtime and how long it waited for the answers.");
  for (const auto call : ports::kHookCalls)
    out.summary({{"call", to_string(call)}}, seconds(counts.of(call).took), counts.of(call).answered);
  out.family("pintle_nri_refused_total", kCounter, "Containers refused because their pod's required programs were not in force in time.");
  out.sample({}, counts.of(ports::HookCall::kCreateContainer).refused);
  out.family("pintle_nri_late_total", kCounter, "Containers let through before their pod's programs were in force.");
  out.sample({}, counts.late);
}

}  // namespace pintle::telemetry

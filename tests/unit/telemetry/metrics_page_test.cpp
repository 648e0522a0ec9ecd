// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a scrape shows, and that the dashboards and alert rules of deploy/ name nothing else.
#include "telemetry/metrics_page.h"

#include <regex>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "codec/document.h"
#include "fakes/agent/fake_agent_view.h"
#include "fakes/agent/fake_policy_view.h"
#include "fakes/agent/fake_program_inventory.h"
#include "fakes/otlp/otlp_json.h"
#include "telemetry/otlp_metrics.h"
#include "unit/server/agent_samples.h"

using namespace pintle;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, const std::string& line) {
  UNSCOPED_INFO("looked for the line: " << line << "\nin:\n" << text);
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

struct Fixture {
  fakes::FakeAgentView agent;
  fakes::FakePolicyView policies;
  fakes::FakeProgramInventory inventory;

  std::string page(telemetry::MetricsOptions options = {}) {
    const auto out = telemetry::MetricsPage(agent, std::move(options)).render();
    for (const auto& problem : out.problems()) UNSCOPED_INFO(problem);
    CHECK(out.problems().empty());
    return out.text();
  }
};

// Every name that a query may use: summaries have two.
std::set<std::string> names_of(const std::string& text) {
  std::set<std::string> names;
  const std::regex type("# TYPE (\\w+) (\\w+)\n");
  for (std::sregex_iterator at(text.begin(), text.end(), type), end; at != end; ++at) {
    if ((*at)[2] == "summary")
      names.insert({(*at)[1].str() + "_sum", (*at)[1].str() + "_count"});
    else
      names.insert((*at)[1].str());
  }
  return names;
}

// The values of every `expr` and `query` below the node.
void collect_queries(const codec::Node& node, std::vector<std::string>& out) {
  if ((node.key == "expr" || node.key == "query") && node.is_string()) out.push_back(node.text);
  for (const auto& child : node.children) collect_queries(child, out);
}

std::vector<std::string> queries_of(const std::string& file) {
  const auto text = read_file(std::string(DEPLOY_DIR) + "/" + file);
  REQUIRE(text);
  const auto documents = codec::parse_documents(*text, file);
  REQUIRE(documents.errors.empty());
  REQUIRE(documents.roots.size() == 1);
  std::vector<std::string> queries;
  collect_queries(documents.roots[0], queries);
  return queries;
}

}  // namespace

TEST_CASE("an agent that knows nothing yet is a valid page with every family") {
  Fixture f;
  const auto empty = f.page();
  // What is not known is not zero.
  CHECK(empty.find("\npintle_ebpf_programs ") == std::string::npos);
  CHECK(empty.find("\npintle_policy_stale_pods ") == std::string::npos);
  f.agent.put(test::running_pod());
  CHECK(names_of(empty) == names_of(f.page()));
}

TEST_CASE("a pod's figures, by direction and protocol, without its containers") {
  Fixture f;
  auto record = test::running_pod();
  record.counters = model::PodCounters{.tcp = {.rx_bytes = 10, .rx_packets = 1, .tx_bytes = 20, .tx_packets = 2},
                                       .udp = {.rx_bytes = 30},
                                       .other = {.tx_packets = 4},
                                       .rx_drops = 5,
                                       .connects = 6,
                                       .denied = 7,
                                       .would_deny = 8,
                                       .device_denied = 9,
                                       .tcp_retransmits = 10,
                                       .tcp_rtt_samples = 4,
                                       .tcp_rtt_sum_us = 2'000'000,
                                       .execs = 11,
                                       .ooms = 12,
                                       .events_lost = 13};
  record.programs->hooks[1].state = model::HookState::kRefused;
  f.agent.put(record);
  const auto page = f.page();
  const std::string pod = R"(namespace="default",pod="web")";
  CHECK(has(page, "pintle_pod_network_bytes_total{" + pod + R"(,direction="receive",protocol="tcp"} 10)"));
  CHECK(has(page, "pintle_pod_network_bytes_total{" + pod + R"(,direction="transmit",protocol="tcp"} 20)"));
  CHECK(has(page, "pintle_pod_network_bytes_total{" + pod + R"(,direction="receive",protocol="udp"} 30)"));
  CHECK(has(page, "pintle_pod_network_packets_total{" + pod + R"(,direction="transmit",protocol="other"} 4)"));
  CHECK(has(page, "pintle_pod_network_drops_total{" + pod + R"(,direction="receive"} 5)"));
  CHECK(has(page, "pintle_pod_socket_calls_total{" + pod + R"(,call="connect"} 6)"));
  CHECK(has(page, "pintle_pod_denied_total{" + pod + R"(,what="socket"} 7)"));
  CHECK(has(page, "pintle_pod_denied_total{" + pod + R"(,what="device"} 9)"));
  CHECK(has(page, "pintle_pod_would_deny_total{" + pod + "} 8"));
  CHECK(has(page, "pintle_pod_tcp_retransmits_total{" + pod + "} 10"));
  CHECK(has(page, "pintle_pod_tcp_rtt_seconds_sum{" + pod + "} 2"));
  CHECK(has(page, "pintle_pod_tcp_rtt_seconds_count{" + pod + "} 4"));
  CHECK(has(page, "pintle_pod_execs_total{" + pod + "} 11"));
  CHECK(has(page, "pintle_pod_oom_kills_total{" + pod + "} 12"));
  CHECK(has(page, "pintle_pod_events_lost_total{" + pod + "} 13"));
  CHECK(has(page, "pintle_pod_hook_effective{" + pod + R"(,hook="ingress"} 1)"));
  CHECK(has(page, "pintle_pod_hook_effective{" + pod + R"(,hook="egress"} 0)"));
  CHECK(has(page, R"(pintle_ebpf_hooks{state="Attached"} 3)"));
  CHECK(has(page, R"(pintle_ebpf_hooks{state="Refused"} 1)"));
  CHECK(page.find("container=") == std::string::npos);
  CHECK(page.find("uid-default-web") == std::string::npos);
}

namespace {

class DeclaredPrograms final : public ports::PodProgramView {
 public:
  std::vector<ports::PodProgramRecord> list_programs() override {
    std::vector<ports::PodProgramRecord> out(2);
    out[0].program.name = "deny";
    out[0].state = ports::PodProgramRecord::State::kLoaded;
    out[0].pods = 3;
    out[1].program.name = "late";
    out[1].state = ports::PodProgramRecord::State::kOutdated;
    return out;
  }
};

}  // namespace

TEST_CASE("operators' programs: how many there are, for how many pods, and how they are attached") {
  Fixture f;
  DeclaredPrograms programs;
  f.agent.set_pod_programs(&programs);
  auto record = test::running_pod();
  record.programs->programs.resize(2);
  record.programs->programs[0].state = model::HookState::kAdopted;
  record.programs->programs[1].state = model::HookState::kRefused;
  f.agent.put(record);
  const auto page = f.page();
  CHECK(has(page, R"(pintle_pod_programs{state="Loaded"} 1)"));
  CHECK(has(page, R"(pintle_pod_programs{state="Outdated"} 1)"));
  CHECK(has(page, R"(pintle_pod_programs{state="Refused"} 0)"));
  CHECK(has(page, R"(pintle_pod_program_pods{pod_program="deny"} 3)"));
  CHECK(has(page, R"(pintle_pod_program_attachments{state="Adopted"} 1)"));
  CHECK(has(page, R"(pintle_pod_program_attachments{state="Refused"} 1)"));
}

TEST_CASE("the agent's own cost") {
  Fixture f;
  ports::AgentStatus status{.version = "1.2", .mode = "node", .node_name = "n1"};
  status.started_at = test::kNow;
  status.rss_bytes = 20 << 20;
  status.loop_latency = 1500us;
  status.components = {{"runtime", true, ""}, {"ebpf", false, "x"}};
  f.agent.set_status(status);
  f.agent.set_events_lost(3);
  f.agent.set_inventory(&f.inventory);
  f.agent.set_policies(&f.policies);
  f.agent.add_feature({.name = "tracepoint programs", .available = true});
  f.inventory.load(
      ports::LoadedProgram{.id = 1, .name = "egress", .memlock_bytes = 100, .links = 2, .run_count = 3, .run_ns = 500'000'000});
  f.inventory.load(ports::LoadedProgram{.id = 2, .name = "egress", .run_count = 1, .run_ns = 250'000'000});
  f.inventory.load(ports::LoadedMap{.id = 1, .name = "rows", .max_entries = 100, .memlock_bytes = 50, .entries = 40});
  f.inventory.load(ports::LoadedMap{.id = 2, .name = "slots", .max_entries = 16});                                 // an array
  f.inventory.load(ports::LoadedMap{.id = 3, .name = "flows", .max_entries = 16, .entries = 16, .evicts = true});  // full, as it may be
  f.inventory.load(ports::LoadedMap{.id = 4, .name = "refs", .entries = 3});                                       // without a bound
  f.inventory.set_rings({{"bulk", 4096, 128, 77, 5}});
  f.inventory.set_run_statistics(true);
  f.policies.put({.namespace_ = "a", .name = "b", .enforcement = model::Enforcement::kAudit, .problem = "full"}, "10.0.0.1");
  f.agent.set_program_set({.name = "builtin",
                           .version = "1",
                           .attempt = model::ProgramSetStatus::Attempt::kRolledBack,
                           .wanted = "next",
                           .switched = 4,
                           .rolled_back = 1});
  const auto page = f.page({.event_log = [] { return telemetry::EventLogCounts{8, 9}; }});
  for (const char* line : {R"(pintle_build_info{version="1.2",mode="node",node="n1"} 1)",
                           "process_start_time_seconds 1700000000",
                           "process_resident_memory_bytes 20971520",
                           "pintle_loop_latency_seconds 0.0015",
                           R"(pintle_component_up{component="runtime"} 1)",
                           R"(pintle_component_up{component="ebpf"} 0)",
                           R"(pintle_ebpf_feature_available{feature="tracepoint programs"} 1)",
                           "pintle_ebpf_events_lost_total 3",
                           R"(pintle_ebpf_program_set_info{set="builtin",state="in force"} 1)",
                           R"(pintle_ebpf_program_set_info{set="next",state="rolled back"} 1)",
                           R"(pintle_ebpf_program_set_switches_total{outcome="in force"} 4)",
                           R"(pintle_ebpf_program_set_switches_total{outcome="rolled back"} 1)",
                           "pintle_ebpf_programs 2",
                           "pintle_ebpf_links 2",
                           "pintle_ebpf_memory_bytes 150",
                           "pintle_ebpf_run_statistics_enabled 1",
                           R"(pintle_ebpf_program_run_seconds_total{program="egress"} 0.75)",
                           R"(pintle_ebpf_program_runs_total{program="egress"} 4)",
                           R"(pintle_ebpf_map_entries{map="rows"} 40)",
                           R"(pintle_ebpf_map_max_entries{map="rows"} 100)",
                           R"(pintle_ebpf_ring_unread_bytes{ring="bulk"} 128)",
                           R"(pintle_ebpf_ring_events_lost_total{ring="bulk"} 5)",
                           R"(pintle_policy_pods{enforcement="audit"} 1)",
                           "pintle_policy_stale_pods 1",
                           "pintle_event_log_written_total 8",
                           "pintle_event_log_lost_total 9"})
    CHECK(has(page, line));
  // The alert divides one by the other: neither what is always full nor what may be may have both.
  for (const char* absent : {R"(pintle_ebpf_map_entries{map="slots"})", R"(pintle_ebpf_map_max_entries{map="slots"})",
                             R"(pintle_ebpf_map_max_entries{map="flows"})", R"(pintle_ebpf_map_max_entries{map="refs"})"})
    CHECK_FALSE(has(page, absent));
}

TEST_CASE("pods beyond the limit of series are left out whole, and counted") {
  Fixture f;
  for (const char* name : {"a", "b", "c"}) f.agent.put(test::running_pod(name));
  telemetry::MetricsPage page(f.agent, {.most_pod_series = 2 * 35});  // 31 and four hooks each
  for (const int scrape : {1, 2}) {
    const auto text = page.render().text();
    CHECK(has(text, R"(pintle_pod_execs_total{namespace="default",pod="b"} 1)"));
    CHECK(text.find(R"(pod="c")") == std::string::npos);
    CHECK(has(text, "pintle_metrics_pods_left_out 1"));
    CHECK(has(text, "pintle_metrics_series_left_out_total " + std::to_string(35 * scrape)));
    CHECK(has(text, R"(pintle_ebpf_hooks{state="Attached"} 12)"));  // sums still know all
  }
}

TEST_CASE("the number of a pod's series is the one the limit reckons with") {
  Fixture f;
  const auto series = [&] { return telemetry::MetricsPage(f.agent).render().series(); };
  const auto before = series();
  f.agent.put(test::running_pod());
  CHECK(series() - before == 35);
}

TEST_CASE("a pod that is made again under its name is one series") {
  Fixture f;
  auto old = test::running_pod();
  old.counters->execs = 100;
  f.agent.put(old);
  auto twin = test::running_pod();
  auto renewed = *twin.pod;
  renewed.metadata.creation_timestamp = test::kNow;
  twin.pod = std::make_shared<model::Pod>(renewed);
  twin.counters->execs = 2;
  struct Both final : fakes::FakeAgentView {
    std::vector<ports::PodRecord> records;
    std::vector<ports::PodRecord> list_pods() override { return records; }
  } both;
  both.records = {old, twin};
  const auto out = telemetry::MetricsPage(both).render();
  CHECK(out.problems().empty());
  CHECK(has(out.text(), R"(pintle_pod_execs_total{namespace="default",pod="web"} 2)"));
}

TEST_CASE("dashboard and alert rules name metrics that exist") {
  Fixture f;
  const auto known = names_of(f.page({.nri = [] { return ports::HookCounts{}; }}));
  const std::regex name("\\b(pintle|process)_[a-z0-9_]+");
  for (const char* file : {"grafana/pintle.json", "prometheus/rules.yaml"}) {
    size_t found = 0;
    for (const auto& query : queries_of(file))
      for (std::sregex_iterator at(query.begin(), query.end(), name), end; at != end; ++at, ++found) {
        INFO(file << ": " << query);
        CHECK(known.contains(at->str()));
      }
    CHECK(found > 10);
  }
}

TEST_CASE("what the runtime asked is counted by call") {
  Fixture f;
  CHECK_FALSE(has(f.page(), "pintle_nri_connected"));
  ports::HookCounts counts{.connected = true, .connections = 3, .lost = 2, .late = 1};
  counts.of(ports::HookCall::kCreateContainer) = {.answered = 7, .refused = 4, .took = std::chrono::milliseconds(1500)};
  const auto page = f.page({.nri = [&] { return counts; }});
  for (const char* line :
       {"pintle_nri_connected 1", "pintle_nri_connections_total 3", "pintle_nri_lost_total 2", "pintle_nri_late_total 1",
        "pintle_nri_refused_total 4", R"(pintle_nri_request_seconds_sum{call="CreateContainer"} 1.5)",
        R"(pintle_nri_request_seconds_count{call="CreateContainer"} 7)", R"(pintle_nri_request_seconds_count{call="RunPodSandbox"} 0)"})
    CHECK(has(page, line));
}

TEST_CASE("OTLP has the page's figures, each once, under a name of its own") {
  Fixture f;
  auto record = test::running_pod();
  record.counters = model::PodCounters{.tcp = {.rx_bytes = 10}, .connects = 6, .tcp_rtt_samples = 4, .tcp_rtt_sum_us = 2'000'000};
  f.agent.put(record);
  telemetry::OtlpCounts counts{.late = 3};
  counts.of(telemetry::OtlpSignal::kLogs) = {.exported = 1, .dropped = 2};
  const telemetry::MetricsOptions options{.streams_late = [] { return uint64_t{5}; }, .otlp = [&] { return counts; }};
  const auto page = f.page(options);
  CHECK(has(page, R"(pintle_otlp_dropped_total{signal="logs"} 2)"));
  CHECK(has(page, R"(pintle_events_late_total{to="otlp"} 3)"));
  CHECK(has(page, R"(pintle_events_late_total{to="control"} 5)"));

  telemetry::OtlpMetricWriter writer({}, test::kNow);
  telemetry::MetricsPage(f.agent, options).write(writer);
  const auto points = fakes::to_json({"metrics", writer.finish(), {}, {}});
  size_t series = 0;
  for (size_t at = page.find('\n'); at != std::string::npos; at = page.find('\n', at + 1))
    if (at + 1 < page.size() && page[at + 1] != '#') ++series;
  const size_t summaries = 1;  // of one pod; each is two series
  CHECK(points.size() == series - summaries);
  std::set<std::pair<std::string, std::string>> seen;
  for (const auto& point : points) {
    INFO(point.dump());
    CHECK(seen.emplace(point["name"], point["attributes"].dump()).second);
    const bool of_pod = point["attributes"].contains("k8s.pod.name");
    if (point["type"] != "gauge" && of_pod) CHECK(point["start"] == (test::kNow - 5min).time_since_epoch().count());
    if (point["name"] == "pintle.pod.network" && point["attributes"]["network.transport"] == "tcp" &&
        point["attributes"]["network.io.direction"] == "receive")
      CHECK(point["value"] == 10);
    if (point["name"] == "pintle.pod.tcp.rtt") CHECK((point["sum"] == 2.0 && point["count"] == 4 && point["unit"] == "s"));
  }
}

TEST_CASE("A program's figures begin with its load, however the clocks drift, and anew with another load") {
  Fixture f;
  telemetry::MetricsPage page(f.agent);
  const Time loaded = test::kNow - 1h;
  const auto told_with = [&](Time at) {
    fakes::FakeProgramInventory inventory;
    inventory.load(ports::LoadedProgram{.id = 7, .name = "egress", .loaded_at = at, .run_count = 3});
    f.agent.set_inventory(&inventory);
    telemetry::OtlpMetricWriter writer({}, test::kNow);
    page.write(writer);
    std::set<int64_t> starts;
    for (const auto& point : fakes::to_json({"metrics", writer.finish(), {}, {}}))
      if (point["name"].get<std::string>().starts_with("pintle.ebpf.program.run")) starts.insert(point["start"].get<int64_t>());
    REQUIRE(starts.size() == 1);  // time and count are of one load
    return *starts.begin();
  };
  const int64_t first = loaded.time_since_epoch().count();
  CHECK(told_with(loaded) == first);
  CHECK(told_with(loaded + 35us) == first);
  CHECK(told_with(loaded - 12us) == first);
  CHECK(told_with(loaded + 10min) == (loaded + 10min).time_since_epoch().count());
}

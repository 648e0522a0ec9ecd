// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/table.h"

#include <catch2/catch_test_macros.hpp>

namespace pintle::standalone {
namespace {

const Time kNow = *parse_rfc3339("2026-01-02T12:00:00Z");

std::string cells(const char* pod) {
  const Json row = pod_cells(Json::parse(pod), kNow);
  return row[1].get<std::string>() + " " + row[2].get<std::string>() + " " + row[3].get<std::string>();
}

struct Case {
  const char *what, *pod, *expected;
};

}  // namespace

TEST_CASE("a pod's READY, STATUS and RESTARTS") {
  const Case cases[] = {
      {"just created", R"({"spec":{"containers":[{},{}]},"status":{"phase":"Pending"}})", "0/2 Pending 0"},
      {"creating",
       R"({"spec":{"containers":[{}]},"status":{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]}})",
       "0/1 ContainerCreating 0"},
      {"running",
       R"({"spec":{"containers":[{}]},"status":{"phase":"Running","containerStatuses":[{"ready":true,"restartCount":0,"state":{"running":{}}}]}})",
       "1/1 Running 0"},
      {"restarted a while ago",
       R"({"spec":{"containers":[{}]},"status":{"phase":"Running","containerStatuses":[{"ready":true,"restartCount":2,"state":{"running":{}},
          "lastState":{"terminated":{"finishedAt":"2026-01-02T11:55:00Z"}}}]}})",
       "1/1 Running 2 (5m ago)"},
      {"crash loop",
       R"({"spec":{"containers":[{},{}]},"status":{"phase":"Running","containerStatuses":[{"restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}},
          "lastState":{"terminated":{"finishedAt":"2026-01-02T11:59:50Z"}}},{"ready":true,"restartCount":0,"state":{"running":{}}}]}})",
       "1/2 CrashLoopBackOff 1 (10s ago)"},
      {"completed",
       R"({"spec":{"containers":[{}]},"status":{"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"reason":"Completed","exitCode":0}}}]}})",
       "0/1 Completed 0"},
      {"one done, one running, ready",
       R"({"spec":{"containers":[{},{}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[
          {"state":{"terminated":{"reason":"Completed","exitCode":0}}},{"ready":true,"state":{"running":{}}}]}})",
       "1/2 Running 0"},
      {"killed by a signal",
       R"({"spec":{"containers":[{}]},"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"signal":9,"exitCode":137}}}]}})",
       "0/1 Signal:9 0"},
      {"an exit code alone",
       R"({"spec":{"containers":[{}]},"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":3}}}]}})",
       "0/1 ExitCode:3 0"},
      {"first of two init containers",
       R"({"spec":{"containers":[{}],"initContainers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Pending","initContainerStatuses":[
          {"name":"a","state":{"running":{}}},{"name":"b","state":{"waiting":{"reason":"PodInitializing"}}}]}})",
       "0/1 Init:0/2 0"},
      {"second of two init containers",
       R"({"spec":{"containers":[{}],"initContainers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Pending","initContainerStatuses":[
          {"name":"a","state":{"terminated":{"exitCode":0}}},{"name":"b","state":{"running":{}}}]}})",
       "0/1 Init:1/2 0"},
      {"an init container fails",
       R"({"spec":{"containers":[{}],"initContainers":[{"name":"a"}]},"status":{"phase":"Pending","initContainerStatuses":[
          {"name":"a","restartCount":3,"state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}})",
       "0/1 Init:Error 3"},
      {"a sidecar counts as a container",
       R"({"spec":{"containers":[{}],"initContainers":[{"name":"s","restartPolicy":"Always"}]},"status":{"phase":"Running","initContainerStatuses":[
          {"name":"s","started":true,"ready":true,"state":{"running":{}}}],"containerStatuses":[{"ready":true,"state":{"running":{}}}]}})",
       "2/2 Running 0"},
      {"on its way out", R"({"metadata":{"deletionTimestamp":"2026-01-02T12:00:00Z"},"spec":{"containers":[{}]},"status":{"phase":"Running",
          "containerStatuses":[{"ready":true,"state":{"running":{}}}]}})",
       "1/1 Terminating 0"},
      {"evicted", R"({"spec":{"containers":[{}]},"status":{"phase":"Failed","reason":"Evicted"}})", "0/1 Evicted 0"},
  };
  for (const auto& c : cases) {
    INFO(c.what);
    CHECK(cells(c.pod) == c.expected);
  }
}

TEST_CASE("ages") {
  using namespace std::chrono_literals;
  const std::pair<Duration, const char*> cases[] = {
      {0s, "0s"},     {-1s, "0s"},      {-5s, "<invalid>"},  {119s, "119s"},    {2min, "2m"},         {2min + 5s, "2m5s"},
      {10min, "10m"}, {179min, "179m"}, {3h + 5min, "3h5m"}, {8h, "8h"},        {47h, "47h"},         {48h, "2d"},
      {51h, "2d3h"},  {24h * 8, "8d"},  {24h * 729, "729d"}, {24h * 730, "2y"}, {24h * 740, "2y10d"}, {24h * 365 * 9, "9y"}};
  for (const auto& [duration, expected] : cases) CHECK(human_duration(duration) == expected);
}

TEST_CASE("every kind has as many cells as columns, and rows carry what was asked for") {
  for (const auto& type : resource_types()) {
    INFO(type.plural);
    TableStyle style;
    const Json table = make_table(type, style, true);
    const Json object = {{"metadata", {{"name", "x"}, {"creationTimestamp", "2026-01-02T11:59:00Z"}}}, {"spec", Json::object()}};
    const Json row = make_row(type, style, object, kNow);
    CHECK(row["cells"].size() == table["columnDefinitions"].size());
    CHECK(row["object"]["kind"] == "PartialObjectMetadata");
    style.object = RowObject::kObject;
    CHECK(make_row(type, style, object, kNow)["object"] == object);
    style.object = RowObject::kNone;
    CHECK_FALSE(make_row(type, style, object, kNow).contains("object"));
  }
}

TEST_CASE("nodes and events read as kubectl users know them") {
  const Json node = Json::parse(R"({"metadata":{"name":"n","labels":{"node-role.kubernetes.io/edge":""}},"spec":{"unschedulable":true},
    "status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"10.0.0.1"}],"nodeInfo":{"kubeletVersion":"v1"}}})");
  const Json cells_of_node = make_row(resources::kNodes, {}, node, kNow)["cells"];
  CHECK(cells_of_node[1] == "Ready,SchedulingDisabled");
  CHECK(cells_of_node[2] == "edge");
  CHECK(cells_of_node[5] == "10.0.0.1");
  const Json event =
      Json::parse(R"({"type":"Warning","reason":"BackOff","message":"slow\n","count":3,"firstTimestamp":"2026-01-02T11:50:00Z",
    "lastTimestamp":"2026-01-02T11:59:00Z","involvedObject":{"kind":"Pod","name":"web"}})");
  const Json cells_of_event = make_row(resources::kEvents, {}, event, kNow)["cells"];
  CHECK(cells_of_event[0] == "60s (x3 over 10m)");
  CHECK(cells_of_event[3] == "pod/web");
  CHECK(cells_of_event[6] == "slow");
}

}  // namespace pintle::standalone

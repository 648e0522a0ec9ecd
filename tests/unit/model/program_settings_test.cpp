// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "model/program_settings.h"

namespace pintle::model {
namespace {

using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE("annotations go over the node's defaults") {
  ProgramSettings node;
  node.sysctl_writes = Enforcement::kAudit;
  const auto read = settings_for({{"pintle.dev/ebpf-trace", " tcp, connect,tcp "},
                                  {"pintle.dev/network-policy", "audit"},
                                  {"pintle.dev/network-policy-failure", "open"},
                                  {"pintle.dev/deny-devices", "c 10:229 rw, b *:* rwm"},
                                  {"pintle.dev/deny-sockopts", "1:36, SOL_SOCKET:SO_MARK, IPPROTO_TCP:TCP_ULP"}},
                                 node);
  REQUIRE(read);
  CHECK(read->traces == std::vector{Trace::kConnect, Trace::kTcp});
  CHECK(read->network_policy == Enforcement::kAudit);
  CHECK(read->network_policy_failure == PolicyFailure::kOpen);
  CHECK(read->denied_devices == std::vector<DeviceRule>{{'c', 10, 229, true, true, false}, {'b', {}, {}, true, true, true}});
  CHECK(read->sysctl_writes == Enforcement::kAudit);
  CHECK(read->denied_sockopts == std::vector<SockoptRule>{{1, 36}, {6, 31}});
  CHECK(settings_for({}, node) == node);
  CHECK(settings_for({{"pintle.dev/ebpf-trace", ""}}, node)->traces.empty());
}

TEST_CASE("what can't be read is refused with annotation, value and what is allowed") {
  struct Row {
    const char *key, *value, *text;
  };
  for (const auto& row :
       {Row{"pintle.dev/ebpf-trace", "connect;bind", "connect, sendmsg, bind, accept, tcp"},
        Row{"pintle.dev/ebpf-trace", "connect,", "list"}, Row{"pintle.dev/network-policy", "on", "enforce, audit, off"},
        Row{"pintle.dev/network-policy-failure", "Closed", "closed, open"}, Row{"pintle.dev/sysctl-writes", "off", "allow, audit, deny"},
        Row{"pintle.dev/deny-devices", "c 10:229", "as in \"c 10:229 rw\""}, Row{"pintle.dev/deny-devices", "x 10:229 rw", "device rule"},
        Row{"pintle.dev/deny-devices", "c 10 rw", "device rule"}, Row{"pintle.dev/deny-devices", "c 10:229 rr", "device rule"},
        Row{"pintle.dev/deny-devices", "c 10:y rw", "device rule"}, Row{"pintle.dev/deny-devices", "cc 1:2 rw", "device rule"},
        Row{"pintle.dev/deny-sockopts", "SO_MARK", "LEVEL:NAME"}, Row{"pintle.dev/deny-sockopts", "SOL_SOCKET:SO_MARC", "SO_MARK"},
        Row{"pintle.dev/deny-sockopts", "SOL_SOKET:36", "SOL_SOCKET"}, Row{"pintle.dev/deny-sockopts", "-1:36", "LEVEL:NAME"}}) {
    INFO(row.key << ": " << row.value);
    const auto read = settings_for({{row.key, row.value}}, {});
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::kInvalid);
    CHECK_THAT(read.error().message(), ContainsSubstring(row.key) && ContainsSubstring(row.value) && ContainsSubstring(row.text));
  }
}

TEST_CASE("a name below pintle.dev/ that is none of ours is refused with those there are; other people's are theirs") {
  for (const char* key : {"pintle.dev/deny-device", "pintle.dev/trace", "pintle.dev/", "pintle.dev/zzz"}) {
    INFO(key);
    const auto read = settings_for({{key, "c 10:229 rw"}}, {});
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::kInvalid);
    CHECK_THAT(read.error().message(), ContainsSubstring(key) && ContainsSubstring("pintle.dev/deny-devices"));
  }
  CHECK(settings_for({{"pintle.dev/ebpf", "off"},
                      {"pintle.dev/traceparent", "00"},
                      {"pintle.dev/stop-traceparent", "00"},
                      {"pintle.devices/x", "1"},
                      {"other.dev/deny-device", "1"}},
                     {}));
}

TEST_CASE("rules are written as they are read") {
  for (const char* text : {"c 10:229 rw", "b *:* rwm", "a *:3 m"}) CHECK(to_string(*read_device_rule(text)) == text);
  CHECK(to_string(*read_sockopt_rule("SOL_SOCKET:SO_MARK")) == "1:36");
}

TEST_CASE("a plan has the default hooks and those that it needs") {
  const auto names = [](const ProgramPlan& plan) {
    std::string out;
    for (const auto hook : hooks_for(plan)) out += std::string(to_string(hook)) + " ";
    return out;
  };
  const std::string base = "ingress egress connect4 connect6 ";
  CHECK(plan_from({}) == default_program_plan());
  ProgramPlan plan;
  CHECK(names(plan) == base);
  plan.isolate_ingress = plan.isolate_egress = true;
  CHECK(names(plan) == base);  // not enforced, not audited
  plan.network = Enforcement::kAudit;
  CHECK(names(plan) == base + "sendmsg4 sendmsg6 ");
  plan.isolate_egress = false;
  CHECK(names(plan) == base);
  plan.traces = {Trace::kBind, Trace::kTcp};
  CHECK(names(plan) == base + "bind4 bind6 sock_ops ");
  plan.traces = {Trace::kSendmsg, Trace::kAccept};
  CHECK(names(plan) == base + "sendmsg4 sendmsg6 sock_ops ");
  plan.traces.clear();
  plan.denied_devices.push_back({});
  plan.sysctl_writes = Enforcement::kAudit;
  plan.denied_sockopts.push_back({1, 36});
  CHECK(names(plan) == base + "device sysctl setsockopt ");
}

}  // namespace pintle::model

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Rows of facts/ebpf 4.6 and 3h, as they are told to people.
#include "ctl/hook_text.h"

#include <cerrno>

#include <catch2/catch_test_macros.hpp>

#include "model/ebpf.h"

using namespace pintle;

namespace {

const Time kNow{std::chrono::seconds{1'700'000'000}};

v1::Hook hook(const char* name, const char* state) {
  v1::Hook made;
  made.set_name(name);
  made.set_state(state);
  made.set_effective(std::string_view(state) == "Attached" || std::string_view(state) == "Adopted");
  return made;
}

std::string told(const v1::Hook& what, const std::string& policy = "best-effort") {
  const auto story = ctl::tell(what, policy, kNow);
  std::string text = story.headline + "\n";
  for (const auto& line : story.lines) text += line + "\n";
  return text;
}

bool has(const std::string& text, std::string_view part) {
  UNSCOPED_INFO("looked for: " << part << "\nin:\n" << text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every hook says what it is for") {
  for (const auto each : model::kAllHooks) {
    INFO(to_string(each));
    CHECK_FALSE(ctl::hook_purpose(std::string(to_string(each))).empty());
  }
}

TEST_CASE("each errno of an attach has its fix") {
  const std::pair<int, const char*> kCases[] = {{EPERM, "CAP_NET_ADMIN"},  {EBADF, "cgroup v2"},       {ENOENT, "removed"},
                                                {EINVAL, "does not know"}, {E2BIG, "64 programs"},     {ESTALE, "tried again"},
                                                {EMFILE, "LimitNOFILE"},   {ENOLINK, "attached anew"}, {ENOMEM, "memory limit"}};
  for (const auto& [error, part] : kCases) {
    auto refused = hook("egress", "Refused");
    refused.set_sys_errno(error);
    CHECK(has(told(refused), std::string("fix: ")));
    CHECK(has(told(refused), part));
  }
}

TEST_CASE("what comes next follows state and policy") {
  CHECK(has(told(hook("egress", "Attached")), "next: nothing is to be done"));
  CHECK(has(told(hook("egress", "Refused"), "required"), "the pod is held"));
  CHECK(has(told(hook("egress", "Refused")), "the pod runs without it"));
  CHECK(has(told(hook("egress", "Dead")), "attached anew"));
  CHECK(has(told(hook("egress", "Overridden")), "in force as soon as the other program is gone"));
  CHECK(has(told(hook("egress", "Off")), "not part of the pod's plan"));
}

TEST_CASE("what a neighbour can do depends on the hook and on who runs first") {
  auto calls = hook("connect4", "Attached");
  calls.set_position(2);
  calls.set_effective_count(3);
  calls.add_neighbours()->set_id(5);
  calls.add_neighbours()->set_id(6);
  calls.mutable_neighbours(1)->set_overridable(true);
  CHECK(has(told(calls), "before ours: program 5"));
  CHECK(has(told(calls), "change the address that ours then sees"));
  CHECK(has(told(calls), "after ours: program 6"));
  CHECK(has(told(calls), "undo a refusal of ours by setting the result to 0"));
  CHECK(has(told(calls), "one attached below it runs in its place"));
  calls.set_effective_count(7);  // not all neighbours are known: no place is claimed
  CHECK(has(told(calls), "beside ours: program 5"));
  auto device = hook("device", "Attached");
  device.add_neighbours()->set_id(5);
  CHECK(has(told(device), "it can refuse a device that ours allows"));
  auto alone = hook("ingress", "Attached");
  alone.set_position(1);
  alone.set_effective_count(1);
  CHECK(has(told(alone), "the only program"));
}

TEST_CASE("columns") {
  auto made = hook("ingress", "Attached");
  CHECK(ctl::position_text(made) == "-");
  CHECK(ctl::neighbours_text(made) == "-");
  made.set_position(1);
  made.set_effective_count(4);
  for (const uint32_t id : {1U, 2U, 3U}) made.add_neighbours()->set_id(id);
  made.mutable_neighbours(0)->set_name("fw");
  CHECK(ctl::position_text(made) == "1/4");
  CHECK(ctl::neighbours_text(made) == "fw(1),2,+1");
}

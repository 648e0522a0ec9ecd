// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The commands below `pintlectl ebpf` against a control service with fakes behind it.
#include <algorithm>
#include <future>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "codec/document.h"
#include "fakes/agent/fake_policy_view.h"
#include "fakes/agent/fake_program_inventory.h"
#include "unit/ctl/ctl_fixture.h"

using namespace pintle;
using test::CtlFixture;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, std::string_view part) {
  UNSCOPED_INFO("looked for: " << part << "\nin:\n" << text);
  return text.find(part) != std::string::npos;
}

const codec::Node* at(const codec::Node& root, std::initializer_list<std::string_view> path) {
  const codec::Node* node = &root;
  for (const auto name : path)
    if (node != nullptr) node = node->find(name);
  return node;
}

codec::Node json(const test::Outcome& outcome) {
  auto node = codec::parse_json(outcome.out, "");
  INFO(outcome.out << outcome.err);
  REQUIRE(node);
  return *node;
}

// default/web with neighbours at its ingress and counts of its hooks.
ports::PodRecord neighboured_pod() {
  auto record = test::running_pod();
  auto& hook = record.programs->hooks[0];
  hook.state = model::HookState::kAdopted;
  hook.position = 2;
  hook.effective_count = 3;
  hook.hits = 12;
  hook.drops = 3;
  record.programs->hooks[1].hits = 0;
  record.programs->hooks[2].hits = 30;
  record.programs->hooks[2].drops = 0;
  record.programs->hooks[2].counted_together = true;
  hook.neighbours = {{.id = 181, .name = "fw", .uid = 0, .loaded_at = test::kNow - 1h, .cgroup = "/kubepods"},
                     {.id = 190, .uid = 1000, .cgroup = "/"}};
  return record;
}

}  // namespace

TEST_CASE("ebpf status: a row for each hook with its place, and exit code 0 only if all are in force") {
  CtlFixture f;
  f.agent.put(neighboured_pod());
  const auto ran = f.ctl({"ebpf", "status"});
  CHECK(ran.code == 0);
  CHECK(ran.err == "note: *: both families of a call are counted together, and the refusals of all calls\n");
  CHECK(ran.out ==
        "POD           HOOK       STATE      ORDER   NEIGHBOURS    HITS   DROPS   LINK   PROG TAG           CGROUP ID   ERROR\n"
        "default/web   ingress    Adopted    2/3     fw(181),190   12     3       10     0123456789abcdef   4711        -\n"
        "default/web   egress     Attached   -       -             0      -       11     0123456789abcdef   4711        -\n"
        "default/web   connect4   Attached   -       -             30*    0       12     0123456789abcdef   4711        -\n"
        "default/web   connect6   Attached   -       -             -      -       13     0123456789abcdef   4711        -\n");
  const auto wide = f.ctl({"ebpf", "status", "-o", "wide"});
  CHECK(has(wide.out, "PROG ID   SET   RX        TX      CONNECTS   DENIED   EXECS   LOST   CGROUP"));
  CHECK(has(wide.out, "7         -     2.0 KiB   100 B   3          0        1       0      /kubepods/besteffort/poduid-default-web"));
  f.agent.put(test::crashing_pod());
  f.agent.add_feature({.name = "tracepoint programs", .available = false, .detail = "EPERM", .without = "exits are seen by pidfd"});
  f.agent.add_feature({.name = "fentry", .available = false, .detail = "EPERM", .optional = true});  // nothing needs it: not told here
  f.agent.set_events_lost(4);
  const auto bad = f.ctl({"ebpf", "status"});
  CHECK(bad.code == 1);
  CHECK(has(bad.out, "attach 'egress': operation not permitted"));
  CHECK(bad.err ==
        "note: missing: tracepoint programs: EPERM; exits are seen by pidfd\n"
        "note: *: both families of a call are counted together, and the refusals of all calls\n"
        "note: 4 events were lost since the daemon started; 'ebpf status -o wide' says of which pods\n"
        "error: 1 of 2 pods without every program in force\n");
  CHECK(f.ctl({"ebpf", "status", "web"}).code == 0);
  CHECK(f.ctl({"ebpf", "status", "pod/bad", "-o", "json"}).code == 1);
  CHECK(f.ctl({"ebpf", "status", "gone"}).code == 1);
  const auto told = json(f.ctl({"ebpf", "status", "-A", "-o", "json"}));
  CHECK(told.find("effective")->text == "false");
  CHECK(told.find("pods")->children[0].find("hooks")->children.size() == 4);
  const auto& hook = told.find("pods")->children[1].find("hooks")->children[0];
  CHECK(hook.find("hits")->text == "12");
  CHECK(hook.find("countedTogether") == nullptr);
  CHECK(told.find("pods")->children[1].find("hooks")->children[3].find("hits") == nullptr);  // not counted is not zero
  CHECK(hook.find("position")->text == "2");
  CHECK(hook.find("neighbours")->children[0].find("name")->text == "fw");
}

TEST_CASE("ebpf status: namespaces") {
  CtlFixture f;
  f.agent.put(test::running_pod("web"));
  f.agent.put(test::running_pod("till", "shop"));
  CHECK(has(f.ctl({"ebpf", "status"}).out, "shop/till"));
  CHECK_FALSE(has(f.ctl({"ebpf", "status", "-n", "shop"}).out, "default/web"));
  CHECK(f.ctl({"ebpf", "status", "till"}).code == 1);
  CHECK(f.ctl({"ebpf", "status", "till", "-n", "shop"}).code == 0);
  CHECK(f.ctl({"ebpf", "status", "shop/till"}).code == 0);  // as the table has it
  CHECK(has(f.ctl({"ebpf", "status", "shop/till", "-n", "default"}).err, "is not in namespace 'default'"));
  CHECK(f.ctl({"ebpf", "status", "a/b/c"}).code == 2);
  const auto everywhere = f.ctl({"ebpf", "status", "till", "-A"});
  CHECK(everywhere.code == 2);
  CHECK(has(everywhere.err, "write NAMESPACE/till in place of -A"));
}

TEST_CASE("what a pod lacks though its hooks are in force is told by status, explain and the doctors, and changes no state") {
  CtlFixture f;
  auto record = test::running_pod();
  record.programs->notes = {"its exec, exit and OOM events are not seen: add the pod to the lifecycle programs: Argument list too long"};
  f.agent.put(record);
  f.agent.add_feature({.name = "cgroup links", .available = true});
  const std::string note = "note: pod default/web: " + record.programs->notes[0];
  const auto status = f.ctl({"ebpf", "status"});
  CHECK(status.code == 0);
  CHECK(has(status.err, note));
  CHECK_FALSE(has(status.out, "Refused"));
  const auto told = json(f.ctl({"ebpf", "status", "web", "-o", "json"}));
  CHECK(told.find("effective")->text == "true");
  CHECK(told.find("pods")->children[0].find("notes")->children[0].text == record.programs->notes[0]);
  CHECK(has(f.ctl({"ebpf", "explain", "web"}).out, "  note: its exec, exit and OOM events are not seen"));
  const auto doctor = f.ctl({"ebpf", "doctor"});
  CHECK(doctor.code == 1);
  CHECK(has(doctor.err, note));
  const auto document = json(f.ctl({"ebpf", "doctor", "-o", "json"}));
  CHECK(document.find("ok")->text == "false");
  CHECK(document.find("notes")->children[0].find("name")->text == "web");
}

TEST_CASE("a pod to which nothing could be attached is shown with the reason") {
  CtlFixture f;
  auto record = test::running_pod();
  record.programs.reset();
  record.status.conditions = {
      {.type = "pintle.dev/ProgramsAttached", .status = model::ConditionStatus::kFalse, .message = "this host has no cgroup v2 hierarchy"}};
  f.agent.put(record);
  const auto ran = f.ctl({"ebpf", "status"});
  CHECK(ran.code == 1);
  CHECK(has(ran.out, "NotAttached"));
  CHECK(has(ran.out, "this host has no cgroup v2 hierarchy"));
  CHECK(has(f.ctl({"ebpf", "explain", "web"}).out, "nothing is attached: this host has no cgroup v2 hierarchy"));
}

TEST_CASE("ebpf explain: a program that ours switches off is told as such, and one that refuses ours is the fix") {
  CtlFixture f;
  auto record = test::running_pod();
  auto& hook = record.programs->hooks[1];
  hook.position = hook.effective_count = 1;
  hook.neighbours = {{.id = 5, .name = "fw", .cgroup = "/kubepods", .overridable = true, .in_force = false}};
  auto& refused = record.programs->hooks[2];
  refused.state = model::HookState::kRefused;
  refused.sys_errno = EPERM;
  refused.error = "attach 'connect4': operation not permitted";
  refused.neighbours = {{.id = 6, .name = "sole", .cgroup = "/kubepods", .exclusive = true}};
  f.agent.put(record);
  CHECK(has(f.ctl({"ebpf", "status"}).out, "fw(5):off"));
  const auto off = f.ctl({"ebpf", "explain", "web", "egress"}).out;
  CHECK(has(off, "switched off for this pod: it was attached with ALLOW_OVERRIDE, and ours, attached below it, runs in its place"));
  CHECK_FALSE(has(off, "it can drop packets"));
  CHECK(has(f.ctl({"ebpf", "explain", "web", "connect4"}).out,
            "fix: remove 'sole' (program 6) from /kubepods, or attach it with BPF_F_ALLOW_MULTI"));
  const auto told = json(f.ctl({"ebpf", "status", "web", "-o", "json"}));
  CHECK(told.find("pods")->children[0].find("hooks")->children[1].find("neighbours")->children[0].find("inForce")->text == "false");
}

TEST_CASE("a word that is no command is told with those that there are, and what can't be written is a failure") {
  CtlFixture f;
  const auto none = f.ctl({"ebpf", "statu"});
  CHECK(none.code == 2);
  CHECK(has(none.err, "there is no command 'statu'; there are status, explain,"));
  CHECK(has(f.ctl({"ebpf", "policy", "sho"}).err, "there is no command 'sho'; there are show, test, audit"));
  CHECK(has(f.ctl({"gett"}).err, "there is no command 'gett'; there are run, get,"));
  CHECK(has(f.ctl({"ebpf"}).err, "A subcommand is required"));

  f.agent.put(test::running_pod());
  f.out.fill_up();
  const auto lost = f.ctl({"get", "pods"});
  CHECK(lost.code == 5);
  CHECK(has(lost.err, "error: standard output can't be written to"));
  f.reader_gone = true;  // it has seen what it wanted
  const auto enough = f.ctl({"get", "pods"});
  CHECK(enough.code == 0);
  CHECK(enough.err.empty());
}

TEST_CASE("ebpf top: a terminal gets what fits, and is told how many more there are") {
  CtlFixture f;
  for (int i = 0; i < 30; ++i) f.agent.put(test::running_pod(fmt::format("pod-{:02}", i)));
  f.tty = true;
  f.rows = 12;
  auto watching = std::async(std::launch::async, [&] { return f.ctl({"ebpf", "top", "-n", "0.02", "--sort", "name"}); });
  f.out.wait_for("more pods; --sort chooses");
  f.interrupt.request_stop();
  const auto ran = watching.get();
  CHECK(ran.code == 130);
  CHECK(ran.err.empty());  // whoever interrupted knows
  const auto first = ran.out.substr(0, ran.out.find("more pods"));
  CHECK(std::ranges::count(first, '\n') == 10);  // the header and nine pods
  CHECK(has(first, "pod-08"));
  CHECK_FALSE(has(first, "pod-09"));
  CHECK(has(first, "… and 21 "));
}

TEST_CASE("ebpf status: a hook that a foreign program overrides is not in force") {
  CtlFixture f;
  auto record = test::running_pod();
  record.programs->hooks[2].state = model::HookState::kOverridden;
  f.agent.put(record);
  const auto ran = f.ctl({"ebpf", "status"});
  CHECK(ran.code == 1);
  CHECK(has(ran.out, "connect4   Overridden"));
}

TEST_CASE("ebpf status -w prints all, then what changed") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  auto watching = std::async(std::launch::async, [&] { return f.ctl({"ebpf", "status", "-w", "--interval", "10ms"}); });
  f.out.wait_for("connect6");
  auto record = test::running_pod();
  record.counters->rx_bytes += 1000;  // counters alone are no news
  record.programs->hooks[1].state = model::HookState::kDead;
  f.agent.put(record);
  f.out.wait_for("Dead");
  f.interrupt.request_stop();
  const auto ran = watching.get();
  CHECK(ran.code == 130);
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 6);  // headers, four hooks, and one again
}

TEST_CASE("ebpf status and progs: the program set in force, each hook's, and why the one wanted is not") {
  CtlFixture f;
  auto record = test::running_pod();
  for (auto& hook : record.programs->hooks) hook.program_set = "builtin";
  f.agent.put(record);
  fakes::FakeProgramInventory inventory;
  f.agent.set_inventory(&inventory);
  inventory.set_run_statistics(true);
  f.agent.set_program_set({.name = "builtin",
                           .version = "0.1.0",
                           .since = test::kNow,
                           .attempt = model::ProgramSetStatus::Attempt::kRolledBack,
                           .wanted = "next",
                           .wanted_version = "2",
                           .error = "it counted 0"});
  const auto status = f.ctl({"ebpf", "status", "-o", "wide"});
  CHECK(status.code == 0);  // every hook is in force, if of another set than wanted
  CHECK(status.err == "note: program set 'builtin' (version 0.1.0) is in force\nnote: program set 'next' was rolled back: it counted 0\n");
  CHECK(has(status.out, "   builtin   "));
  CHECK(has(f.ctl({"ebpf", "progs"}).err, "program set 'next' was rolled back: it counted 0"));
  const auto told = json(f.ctl({"ebpf", "status", "-o", "json"}));
  const auto& set = *told.find("programSet");
  CHECK(set.find("name")->text == "builtin");
  CHECK(set.find("state")->text == "rolled back");
  CHECK(set.find("wanted")->text == "next");
  CHECK(set.find("wantedVersion")->text == "2");
  CHECK(told.find("pods")->children.at(0).find("hooks")->children.at(0).find("programSet")->text == "builtin");
  f.agent.set_program_set({.name = "next", .version = "2"});
  CHECK(f.ctl({"ebpf", "status"}).err == "note: program set 'next' (version 2) is in force\n");
  CHECK(json(f.ctl({"ebpf", "progs", "-o", "json"})).find("programSet")->find("name")->text == "next");
}

TEST_CASE("ebpf explain: in words, with order, neighbours, cause, fix and what comes next") {
  CtlFixture f;
  f.agent.put(neighboured_pod());
  const auto ran = f.ctl({"ebpf", "explain", "web", "ingress"});
  CHECK(ran.code == 0);
  CHECK(ran.out ==
        "pod default/web: 4 of 4 hooks in force on cgroup 4711 (/kubepods/besteffort/poduid-default-web); policy best-effort: the pod runs "
        "with those that there are\n"
        "ingress: in force\n"
        "  does: counts packets that reach the pod, and drops what policy does not let in\n"
        "  attached: program 7, tag 0123456789abcdef, by link 10, found pinned from an earlier run of pintled\n"
        "  order: the kernel runs 3 programs here, the pod's own cgroup first, then those above it; ours is number 2\n"
        "  neighbour: before ours: 'fw' (program 181), loaded by uid 0 60m ago, at /kubepods: it can drop packets that ours lets pass, and "
        "can't bring back one that ours dropped\n"
        "  neighbour: after ours: program 190, loaded by uid 1000, at /: it can drop packets that ours lets pass, and can't bring back one "
        "that ours dropped\n"
        "  counted: ran 12 times, refused 3\n"
        "  next: nothing is to be done; the link is pinned and stays in force while pintled is down\n");

  auto bad = test::crashing_pod();
  bad.policy = model::EbpfPolicy::kRequired;
  bad.programs->hooks[1].neighbours = {{.id = 181, .name = "sd_fw", .cgroup = "/kubepods", .exclusive = true}};
  f.agent.put(bad);
  const auto refused = f.ctl({"ebpf", "explain", "pod/bad", "egress"});
  CHECK(refused.code == 0);
  CHECK(has(refused.out, "egress: refused: it is not attached\n"));
  CHECK(has(refused.out, "  now: container 'main' is restarted in 12 s\n"));
  CHECK(has(refused.out, "it is attached exclusively: nothing may be attached below it\n"));
  CHECK(has(refused.out, "  error: attach 'egress': operation not permitted\n"));
  CHECK(has(refused.out, "  fix: remove 'sd_fw' (program 181) from /kubepods, or attach it with BPF_F_ALLOW_MULTI\n"));
  CHECK(has(refused.out, "  next: the pod is held, and it is tried again after 50 ms"));

  CHECK(f.ctl({"ebpf", "explain", "gone"}).code == 1);
  const auto absent = f.ctl({"ebpf", "explain", "web", "device"});
  CHECK(absent.code == 1);
  CHECK(has(absent.err, "pod 'default/web' has no hook 'device': its plan does not ask for it"));
  const auto told = json(f.ctl({"ebpf", "explain", "web", "-o", "json"}));
  CHECK(told.find("hooks")->children.size() == 4);
}

TEST_CASE("ebpf doctor: every feature, also those that are there") {
  CtlFixture f;
  CHECK(f.ctl({"ebpf", "doctor"}).code == 1);  // nothing was probed
  f.agent.add_feature({.name = "cgroup links", .available = true, .detail = "loaded and attached a program"});
  CHECK(f.ctl({"ebpf", "doctor"}).code == 0);
  f.agent.add_feature({.name = "fentry", .available = false, .detail = "EPERM: lockdown", .without = "no LSM hooks"});
  const auto ran = f.ctl({"ebpf", "doctor"});
  CHECK(ran.code == 1);
  CHECK(ran.out ==
        "FEATURE        STATE       REASON                          WITHOUT IT\n"
        "cgroup links   available   loaded and attached a program   -\n"
        "fentry         missing     EPERM: lockdown                 no LSM hooks\n");
  CtlFixture newer;
  newer.agent.add_feature({.name = "cgroup links", .available = true});
  newer.agent.add_feature({.name = "log of calls", .available = false, .detail = "EINVAL", .without = "-", .optional = true});
  const auto fine = newer.ctl({"ebpf", "doctor"});
  CHECK(fine.code == 0);  // of what nothing needs no kernel has all
  CHECK(has(fine.out, "log of calls   not there"));
  CHECK(has(fine.err, "note: 1 more of this kernel's are not there, and nothing needs them\n"));
  CHECK(json(f.ctl({"ebpf", "doctor", "-o", "json"})).find("features")->children.size() == 2);
}

TEST_CASE("ebpf doctor: a program set that is not in order is told, and is a failure") {
  CtlFixture f;
  f.agent.add_feature({.name = "cgroup links", .available = true});
  f.agent.set_program_set({.name = "builtin", .version = "1"});
  CHECK(f.ctl({"ebpf", "doctor"}).code == 0);
  f.agent.set_program_set({.name = "builtin",
                           .version = "1",
                           .attempt = model::ProgramSetStatus::Attempt::kRefused,
                           .wanted = "next",
                           .error = "of 8 packets it counted 0"});
  const auto refused = f.ctl({"ebpf", "doctor"});
  CHECK(refused.code == 1);
  CHECK(has(refused.err, "program set 'next' was refused: of 8 packets it counted 0"));
  f.agent.set_program_set({.name = "builtin", .version = "1", .leftovers = {{EISDIR, "unpin '/bpf/next/x': Is a directory"}}});
  const auto left = f.ctl({"ebpf", "doctor"});
  CHECK(left.code == 1);
  CHECK(has(left.err, "note: unpin '/bpf/next/x': Is a directory; tried again each 10 s\n"));
  CHECK(has(f.ctl({"ebpf", "status"}).err, "unpin '/bpf/next/x': Is a directory"));
  const auto document = json(f.ctl({"ebpf", "doctor", "-o", "json"}));
  CHECK(document.find("ok")->text == "false");
  const auto* row = &document.find("programSet")->find("leftovers")->children.at(0);
  CHECK(row->find("errno")->text == std::to_string(EISDIR));
  CHECK(row->find("error")->text == "unpin '/bpf/next/x': Is a directory");
}

TEST_CASE("ebpf top: rates of the time between two readings") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  f.agent.put(test::running_pod("idle"));
  auto watching = std::async(std::launch::async, [&] { return f.ctl({"ebpf", "top", "-n", "0.2", "-o", "json"}); });
  f.out.wait_for("EbpfTop");  // the second reading was taken: what comes now is in the next ones
  auto record = test::running_pod();
  record.counters->rx_bytes += 1 << 20;
  record.counters->denied += 5;
  record.counters->tcp_rtt_samples += 2;
  record.counters->tcp_rtt_sum_us += 3000;
  f.agent.put(record);
  f.out.wait_for(R"("meanRttMilliseconds":1.500)");
  f.interrupt.request_stop();
  const auto ran = watching.get();
  CHECK(ran.code == 130);
  CHECK(has(ran.out, R"("rxBytesPerSecond":0.000)"));

  f.interrupt = std::stop_source();
  const auto once = f.ctl({"ebpf", "top", "--once", "-n", "10ms", "--sort", "name"});
  CHECK(once.code == 0);
  CHECK(once.out ==
        "POD            RX/S   TX/S   PACKETS/S   CONNECTS/S   DENIES/S   DROPS/S   RETRANSMITS/S   RTT   LOST/S\n"
        "default/idle   0 B    0 B    0           0            0          0         0               -     0\n"
        "default/web    0 B    0 B    0           0            0          0         0               -     0\n");
  CHECK(f.ctl({"ebpf", "top", "gone", "--once", "-n", "10ms"}).code == 1);
}

TEST_CASE("ebpf top redraws a terminal, and prints a table each time in a pipe") {
  for (const bool tty : {true, false}) {
    CtlFixture f;
    f.tty = tty;
    f.agent.put(test::running_pod());
    auto watching = std::async(std::launch::async, [&] { return f.ctl({"ebpf", "top", "-n", "10ms"}); });
    f.out.wait_for("default/web");
    f.interrupt.request_stop();
    CHECK(has(watching.get().out, "\033[H\033[J") == tty);
  }
}

TEST_CASE("ebpf events: lines for people, JSON lines for machines") {
  for (const bool as_json : {false, true}) {
    CtlFixture f;
    f.agent.put(test::running_pod());
    std::vector<std::string> words{"ebpf", "events", "web", "-f"};
    if (as_json) words.insert(words.end(), {"-o", "json"});
    auto watching = std::async(std::launch::async, [&] { return f.ctl(words); });
    f.agent.wait_for_ebpf_watchers(1);
    const PodUid uid("uid-default-web");
    f.agent.emit({.kind = model::ProgramEventKind::kExec, .uid = uid, .time = test::kNow, .pid = 7, .comm = "sh"});
    f.agent.emit({.kind = model::ProgramEventKind::kExit, .uid = uid, .time = test::kNow, .pid = 7, .comm = "sh", .exit_code = 9});
    f.out.wait_for(as_json ? R"("waitStatus":9})" : "signal 9\n");
    f.interrupt.request_stop();
    const auto ran = watching.get();
    CHECK(ran.code == 130);
    CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 2);
    if (as_json)
      CHECK(ran.out.starts_with(R"({"apiVersion":"pintle.dev/v1","kind":"EbpfEvent","type":"exec")"));
    else
      CHECK(ran.out.starts_with("2023-11-14T22:13:20.000000Z  default/web              exec"));
  }
  CtlFixture f;
  CHECK(f.ctl({"ebpf", "events", "--for", "50ms"}).code == 0);
}

TEST_CASE("ebpf trace: one kind or what was refused, with verdict and detail, late ones told") {
  const auto traced = [](std::vector<std::string> words, const char* last) {
    CtlFixture f;
    f.agent.put(test::running_pod());
    words.insert(words.begin(), {"ebpf"});
    auto watching = std::async(std::launch::async, [&] { return f.ctl(words); });
    f.agent.wait_for_ebpf_watchers(1);
    const auto emit = [&](model::ProgramEventKind kind, model::Verdict verdict, const char* destination, Duration after) {
      f.agent.emit({.kind = kind,
                    .uid = PodUid("uid-default-web"),
                    .time = test::kNow + after,
                    .sequence = 3,
                    .pid = 7,
                    .comm = "curl",
                    .verdict = verdict,
                    .destination = destination,
                    .detail = kind == model::ProgramEventKind::kTcp ? "retransmit" : ""});
    };
    using enum model::ProgramEventKind;
    emit(kConnect, model::Verdict::kAllowed, "10.0.0.1:80/tcp", 1ms);
    emit(kConnect, model::Verdict::kDenied, "10.0.0.2:80/tcp", 2ms);
    emit(kBind, model::Verdict::kDenied, "0.0.0.0:22/tcp", 3ms);
    emit(kConnect, model::Verdict::kWouldDeny, "10.0.0.3:80/tcp", 4ms);
    emit(kTcp, model::Verdict::kAllowed, "10.0.0.1:80/tcp", 5ms);
    f.out.wait_for(last);
    f.interrupt.request_stop();
    auto ran = watching.get();
    CHECK(ran.code == 130);
    return ran;
  };
  CHECK(traced({"trace", "connect"}, "10.0.0.3").out ==
        "2023-11-14T22:13:20.001000Z  default/web              connect        7 curl             allowed    10.0.0.1:80/tcp\n"
        "2023-11-14T22:13:20.002000Z  default/web              connect        7 curl             denied     10.0.0.2:80/tcp\n"
        "2023-11-14T22:13:20.004000Z  default/web              connect        7 curl             would-deny 10.0.0.3:80/tcp\n");
  const auto denied = traced({"trace", "deny", "--pod", "web"}, "0.0.0.0:22/tcp");
  CHECK(std::count(denied.out.begin(), denied.out.end(), '\n') == 2);
  const auto audit = traced({"policy", "audit", "-f"}, "10.0.0.3");
  CHECK(std::count(audit.out.begin(), audit.out.end(), '\n') == 1);
  const auto tcp = traced({"trace", "tcp", "-o", "json"}, "retransmit");
  CHECK(
      tcp.out ==
      R"({"apiVersion":"pintle.dev/v1","kind":"EbpfEvent","type":"tcp","time":"2023-11-14T22:13:20.005Z","namespace":"default","name":"web",)"
      R"("uid":"uid-default-web","cgroupId":0,"pid":7,"comm":"curl","sequence":3,"destination":"10.0.0.1:80/tcp","detail":"retransmit"})"
      "\n");
  const auto all = traced({"trace", "all", "-o", "yaml"}, "retransmit");
  CHECK(has(all.out, "verdict: would-deny"));
}

TEST_CASE("ebpf trace: what comes late is marked and counted; a pod that is not there is named") {
  CtlFixture f;
  auto watching = std::async(std::launch::async, [&] { return f.ctl({"ebpf", "trace"}); });
  f.agent.wait_for_ebpf_watchers(1);
  f.agent.emit({.kind = model::ProgramEventKind::kExec, .time = test::kNow, .comm = "young"});
  f.out.wait_for("young");
  f.agent.emit({.kind = model::ProgramEventKind::kExec, .time = test::kNow - 1s, .comm = "old"});
  f.out.wait_for("(late)");
  f.interrupt.request_stop();
  CHECK(watching.get().err == "note: 1 events came late and stand after younger ones\n");
  f.interrupt = std::stop_source();
  CHECK(f.ctl({"ebpf", "trace", "all", "--for", "20ms"}).code == 0);
  CHECK(f.ctl({"ebpf", "trace", "deny", "--pod", "gone"}).code == 1);
}

TEST_CASE("ebpf policy: show, and test with an exit code") {
  CtlFixture f;
  fakes::FakePolicyView policies;
  f.agent.set_policies(&policies);
  ports::PodPolicy web{.uid = PodUid("u1"),
                       .namespace_ = "default",
                       .name = "web",
                       .ingress_policies = {"allow-client"},
                       .isolate_ingress = true,
                       .enforcement = model::Enforcement::kEnforce,
                       .rows_id = 3,
                       .in_force_since = test::kNow - 90s};
  web.rows.ingress.classes = {{{6, 80, 80}}, {}};
  web.rows.ingress.peers = {{*model::parse_prefix("10.0.0.0/24"), 0}, {*model::parse_prefix("10.0.0.9"), 1}};
  policies.put(web, "10.0.0.1");
  policies.put({.uid = PodUid("u2"), .namespace_ = "shop", .name = "till", .problem = "rows 65536/65536"}, "10.0.0.2");

  const auto all = f.ctl({"ebpf", "policy", "show"});
  CHECK(all.code == 0);
  CHECK(all.out ==
        "POD           ENFORCEMENT   INGRESS                  EGRESS   ROWS   SINCE   PROBLEM\n"
        "default/web   enforce       allow-client (2 peers)   open     3      90s     -\n"
        "shop/till     off           open                     open     -      -       rows 65536/65536\n");
  CHECK(all.err == "note: pod shop/till: the newest policies are not in force: rows 65536/65536\n");
  CHECK(f.ctl({"ebpf", "policy", "show", "web"}).out ==
        "pod default/web: enforcement enforce, rows 3 in force for 90s\n"
        "  ingress: isolated by allow-client\n"
        "    10.0.0.0/24: tcp/80\n"
        "    10.0.0.9: refused\n"
        "  egress: open, no policy selects the pod\n");
  CHECK(f.ctl({"ebpf", "policy", "show", "gone"}).code == 1);
  CHECK(at(json(f.ctl({"ebpf", "policy", "show", "web", "-o", "json"})), {"enforcement"})->text == "enforce");

  const auto allowed = f.ctl({"ebpf", "policy", "test", "shop/till", "web", "80"});
  CHECK(allowed.code == 0);
  CHECK(allowed.out ==
        "shop/till -> default/web, 80/tcp: allowed\n"
        "  egress:  allowed: no policy selects the pod\n"
        "  ingress: allowed: a rule allows it\n");
  const auto refused = f.ctl({"ebpf", "policy", "test", "192.0.2.1", "pod/web", "80/TCP"});
  CHECK(refused.code == 1);
  CHECK(has(refused.out, "  egress:  not decided on this node\n  ingress: refused: isolated, and no rule matches\n"));
  CHECK(f.ctl({"ebpf", "policy", "test", "till", "default/web", "80/udp", "-n", "shop"}).code == 1);
  CHECK(policies.last_question().protocol == 17);
  CHECK(policies.last_question().from == "shop/till");
  const auto unknown = f.ctl({"ebpf", "policy", "test", "nobody", "web", "80"});
  CHECK(unknown.code == 1);
  CHECK(has(unknown.err, "'default/nobody' is neither a pod that is known here nor an address"));
  CHECK(at(json(f.ctl({"ebpf", "policy", "test", "shop/till", "web", "80", "-o", "json"})), {"ingress", "decidedHere"})->text == "true");
}

TEST_CASE("ebpf progs, maps, cost and dump") {
  CtlFixture f;
  fakes::FakeProgramInventory inventory;
  f.agent.set_inventory(&inventory);
  CHECK(f.ctl({"ebpf", "progs"}).err.starts_with("note: no programs are loaded\n"));
  inventory.load(ports::LoadedProgram{.id = 7,
                                      .name = "egress",
                                      .type = "cgroup_skb",
                                      .tag = "0123456789abcdef",
                                      .loaded_at = test::kNow - 1h,
                                      .xlated_bytes = 800,
                                      .jited_bytes = 600,
                                      .memlock_bytes = 4096,
                                      .verified_insns = 123,
                                      .hook = "egress",
                                      .set = "mine",
                                      .links = 3,
                                      .run_count = 10,
                                      .run_ns = 500});
  inventory.load(ports::LoadedProgram{.id = 8, .name = "egress", .type = "cgroup_skb", .tag = "0123ffff", .memlock_bytes = 4096});
  inventory.load(ports::LoadedMap{
      .id = 3, .name = "rows", .type = "hash", .key_bytes = 8, .value_bytes = 4, .max_entries = 100, .memlock_bytes = 2048, .entries = 95});
  inventory.load(ports::LoadedMap{.id = 4, .name = "slots", .type = "array", .key_bytes = 4, .value_bytes = 8, .max_entries = 16});
  inventory.set_rings({{"bulk", 1 << 18, 1 << 10, 1000, 2}});
  const auto off = f.ctl({"ebpf", "progs"});
  CHECK(has(off.err, "kernel.bpf_stats_enabled=1"));
  inventory.set_run_statistics(true);
  const auto progs = f.ctl({"ebpf", "progs"});
  CHECK(progs.code == 0);
  CHECK(progs.err.empty());
  CHECK(progs.out ==
        "ID   NAME     HOOK     TYPE         TAG                SET    LINKS   INSNS   XLATED   JITED   MEMORY    RUNS   MEAN    LOADED\n"
        "7    egress   egress   cgroup_skb   0123456789abcdef   mine   3       123     800 B    600 B   4.0 KiB   10     50 ns   60m\n"
        "8    egress   -        cgroup_skb   0123ffff           -      0       0       0 B      0 B     4.0 KiB   0      -       "
        "<unknown>\n");
  CHECK(f.ctl({"ebpf", "maps"}).out ==
        "ID   NAME    TYPE    KEY   VALUE   ENTRIES   MAX   FILL   MEMORY\n"
        "3    rows    hash    8 B   4 B     95        100   95%    2.0 KiB\n"
        "4    slots   array   4 B   8 B     -         16    -      0 B\n");
  CHECK(f.ctl({"ebpf", "cost"}).out ==
        "programs    2, on 3 links\n"
        "maps        2\n"
        "memory      10 KiB in the kernel\n"
        "run time    0.0 ms in 10 runs, 50 ns each\n"
        "\n"
        "RING   SIZE      UNREAD    RECEIVED   LOST\n"
        "bulk   256 KiB   1.0 KiB   1000       2\n");
  for (const char* command : {"progs", "maps", "cost"}) CHECK(f.ctl({"ebpf", command, "-o", "json"}).out.starts_with("{"));
  CHECK(json(f.ctl({"ebpf", "progs", "-o", "json"})).find("missingPins")->children.empty());
  inventory.lose_pin("/sys/fs/bpf/pintle/v3/prog/connect_connect4");
  const auto without = f.ctl({"ebpf", "progs"});
  CHECK(without.code == 0);
  CHECK(without.out == progs.out);
  CHECK(has(without.err, "note: the pin '/sys/fs/bpf/pintle/v3/prog/connect_connect4' is missing: somebody has removed it."));
  CHECK(json(f.ctl({"ebpf", "progs", "-o", "json"})).find("missingPins")->children.at(0).text ==
        "/sys/fs/bpf/pintle/v3/prog/connect_connect4");

  const auto dump = f.ctl({"ebpf", "dump", "7"});
  CHECK(dump.code == 0);
  CHECK(dump.out == "0000: b7 00\n0008: 95 00\n");
  CHECK(dump.err == "note: program 7 'egress', tag 0123456789abcdef, translated, as the verifier left it\n");
  CHECK(f.ctl({"ebpf", "dump", "01234", "--jited"}).out == "0000: 55 48\n0008: 95 00\n");
  const auto ambiguous = f.ctl({"ebpf", "dump", "egress"});
  CHECK(ambiguous.code == 4);
  CHECK(ambiguous.err == "error: 'egress' names several programs, give an id: 7 (egress), 8 (egress)\n");
  const auto none = f.ctl({"ebpf", "dump", "nothing"});
  CHECK(none.code == 1);
  CHECK(has(none.err, "there are 7 (egress), 8 (egress)"));
  inventory.load(ports::LoadedProgram{.id = 9, .name = "packet", .type = "cgroup_skb", .tag = "9999", .hook = "bind6,ingress"});
  for (const char* hook : {"bind6", "ingress"}) CHECK(has(f.ctl({"ebpf", "dump", hook}).err, "note: program 9 'packet'"));
  CHECK(f.ctl({"ebpf", "dump", "bind"}).code == 1);
  inventory.hide_instructions();
  const auto hidden = f.ctl({"ebpf", "dump", "7"});
  CHECK(hidden.code == 4);
  CHECK(has(hidden.err, "kptr_restrict"));
}

namespace {

class FakePodPrograms final : public ports::PodProgramView {
 public:
  std::vector<ports::PodProgramRecord> programs;
  std::vector<ports::PodProgramRecord> list_programs() override { return programs; }
};

ports::PodProgramRecord declared_program(const std::string& name, ports::PodProgramRecord::State state, const std::string& error = {}) {
  ports::PodProgramRecord record;
  record.program.name = name;
  record.program.object = name + ".bpf.o";
  record.program.program = "main_program";
  record.program.hook = model::ProgramHook::kConnect4;
  record.program.pods.match_labels = {{"app", "web"}};
  record.program.required = true;
  record.origin = "/etc/pintle/programs.d/" + name + ".yaml";
  record.state = state;
  record.program_id = 181;
  record.tag = "0123456789abcdef";
  record.digest = "e3b0c44298fc";
  record.since = test::kNow - 2h;
  record.error = error;
  record.pods = 3;
  return record;
}

}  // namespace

TEST_CASE("ebpf programs: where they come from and what became of them; exit code 0 only if all are loaded") {
  CtlFixture f;
  CHECK(f.ctl({"ebpf", "programs"}).code != 0);  // this agent has none to tell
  FakePodPrograms view;
  f.agent.set_pod_programs(&view);
  const auto none = f.ctl({"ebpf", "programs"});
  CHECK(none.code == 0);
  CHECK(has(none.err, "no programs of operators are declared on this node"));
  using State = ports::PodProgramRecord::State;
  view.programs = {declared_program("deny", State::kLoaded)};
  const auto ran = f.ctl({"ebpf", "programs"});
  CHECK(ran.code == 0);
  CHECK(ran.out ==
        "NAME   HOOK       STATE    PODS   SELECTOR   POLICY     ORDER   AGE    SOURCE                             ERROR\n"
        "deny   connect4   Loaded   3      app=web    required   any     120m   /etc/pintle/programs.d/deny.yaml   -\n");
  view.programs.push_back(declared_program("late", State::kOutdated, "the verifier refused: R1 invalid mem access"));
  const auto bad = f.ctl({"ebpf", "programs", "-o", "json"});
  CHECK(bad.code == 1);
  const auto root = json(bad);
  REQUIRE(at(root, {"items"}) != nullptr);
  const auto& late = at(root, {"items"})->children.at(1);
  CHECK(at(late, {"state"})->text == "Outdated");
  CHECK(at(late, {"error"})->text == "the verifier refused: R1 invalid mem access");
  CHECK(at(late, {"objectDigest"})->text == "e3b0c44298fc");
  CHECK(has(f.ctl({"ebpf", "programs"}).err, "1 of 2 programs are not loaded in their newest version"));
}

TEST_CASE("ebpf status and explain: an operator's program is a row of its own, by hook and name") {
  CtlFixture f;
  auto record = test::running_pod();
  model::PodProgramStatus program;
  program.name = "deny-telnet";
  program.hook = model::ProgramHook::kGetsockopt;
  program.order = model::ProgramOrder::kBefore;
  program.required = true;
  program.state = model::HookState::kAttached;
  program.link_id = LinkId(99);
  program.program_id = 181;
  program.program_tag = "fedcba9876543210";
  program.position = 1;
  program.effective_count = 2;
  record.programs->programs = {program};
  f.agent.put(record);
  const auto ran = f.ctl({"ebpf", "status"});
  CHECK(ran.code == 0);
  CHECK(has(ran.out, "getsockopt:deny-telnet   Attached   1/2     -            -      -       99     fedcba9876543210"));
  const auto told = f.ctl({"ebpf", "explain", "web", "deny-telnet"});
  CHECK(told.code == 0);
  CHECK(has(told.out, "getsockopt:deny-telnet: in force"));
  CHECK(has(told.out, "program: 'deny-telnet' of an operator, required"));
  CHECK(has(told.out, "this is number 1; asked for: before Pintle's"));
  CHECK(has(f.ctl({"ebpf", "explain", "web", "getsockopt"}).out, "getsockopt:deny-telnet"));
  program.state = model::HookState::kRefused;
  program.link_id = LinkId();
  program.program_id = 0;
  program.error = "program 'deny-telnet' (getsockopt) was refused: the verifier refused";
  record.programs->programs = {program};
  f.agent.put(record);
  CHECK(f.ctl({"ebpf", "status"}).code == 1);
  const auto refused = f.ctl({"ebpf", "explain", "web", "deny-telnet"});
  CHECK(has(refused.out, "fix: mend the object or its PodProgram"));
  CHECK(has(refused.out, "next: a new pod is held until it is in force"));
}

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Counting on a kubepods that is somebody else's: from a pod's first packet on, and each packet once, whenever its own hooks come.
#include <algorithm>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "bpf/inventory.h"
#include "bpf/link.h"
#include "injection.h"
#include "kernel_fixture.h"

using namespace pintle;
using namespace pintle::kernel_test;

namespace {

ports::PodIdentity identity(const std::string& uid) { return {PodUid(uid), "default", uid}; }

struct Companion : Node {
  explicit Companion(const std::string& folder) : Node(folder) { options.kubepods = true; }
  void begin() {
    auto& attacher = start();
    REQUIRE(!attacher.unsupported());
    const auto attached = attacher.attach_kubepods(kubepods());
    INFO((attached ? std::string() : attached.error().message()));
    REQUIRE(attached);
  }
  [[nodiscard]] static std::string kubepods() { return cgroup_home() + "/kubepods"; }
  // The ids of the links on kubepods, by their pins.
  [[nodiscard]] std::vector<LinkId> links() const {
    std::vector<LinkId> ids;
    for (const auto& pin : std::filesystem::directory_iterator((*this)->layout().root + "/kubepods"))
      ids.push_back(bpf::BpfLink::open(pin.path())->info()->id);
    std::ranges::sort(ids);
    return ids;
  }
};

constexpr uint64_t kBytes = 100 + 8 + 20;  // payload, UDP and IP headers

}  // namespace

TEST_CASE("what a pod sends before anybody knows it counts for it as soon as it is known") {
  const PodDir pod("kubepods/podearly");
  const PodDir burstable("kubepods/burstable/podearly2");
  Companion node("t_early");
  node.begin();
  REQUIRE(node->add_kubepods_class(Companion::kubepods() + "/burstable"));
  for (const auto* one : {&pod, &burstable}) CHECK(run_inside(one->child("c"), [] { return udp_echo(10, 100); }) == 0);
  for (const auto& [uid, one] : {std::pair("early", &pod), std::pair("early2", &burstable)}) {
    INFO(uid);
    REQUIRE(node->attach(identity(uid), one->handle(), kEveryHook)->effective());
    CHECK(node->counters(PodUid(uid))->udp.tx_packets == 10);
    CHECK(run_inside(one->child("c"), [] { return udp_echo(5, 100); }) == 0);  // by its own hooks, and by them alone
    const auto counters = node->counters(PodUid(uid));
    REQUIRE(counters);
    CHECK(counters->tx_packets == 15);
    CHECK(counters->rx_packets == 15);
    CHECK(counters->tx_bytes == 15 * kBytes);
    CHECK(counters->rx_bytes == 15 * kBytes);
    const auto seen = node->inspect(PodUid(uid));
    REQUIRE(seen);
    for (const auto& hook : seen->hooks) CHECK(hook.neighbours.empty());  // those on kubepods are ours
  }
}

TEST_CASE("a pod whose hooks are put in force while it sends loses no packet and gets none twice") {
  constexpr int kPackets = 30000;
  const PodDir pod("kubepods/podbusy");
  Companion node("t_busy");
  node.begin();
  int started[2];
  REQUIRE(::pipe2(started, O_CLOEXEC) == 0);
  const UniqueFd reading(started[0]), writing(started[1]);
  int sent = -1;
  std::jthread sender([&] {
    sent = run_inside(pod.child("c"), [&] {
      if (const int failed = udp_echo(100, 100); failed != 0) return failed;
      if (::write(writing.get(), "x", 1) != 1) return 9;
      return udp_echo(kPackets - 100, 100);
    });
  });
  char byte = 0;
  REQUIRE(::read(reading.get(), &byte, 1) == 1);
  REQUIRE(node->attach(identity("busy"), pod.handle(), kEveryHook)->effective());
  sender.join();
  REQUIRE(sent == 0);
  const auto counters = node->counters(PodUid("busy"));
  REQUIRE(counters);
  // What is between two look-ups at the very moment of a change may fall through: one packet as the row comes, one as the word changes.
  CHECK(counters->tx_packets <= kPackets);
  CHECK(counters->tx_packets >= kPackets - 2);
  CHECK(counters->rx_packets <= kPackets);
  CHECK(counters->rx_packets >= kPackets - 2);
}

TEST_CASE("after a restart the links on kubepods are the same, and pods are counted as before") {
  const PodDir pod("kubepods/podagain");
  Companion node("t_again");
  node.begin();
  REQUIRE(node->attach(identity("again"), pod.handle(), kEveryHook)->effective());
  const auto before = node.links();
  CHECK(before.size() == 2);
  CHECK(run_inside(pod.child("c"), [] { return udp_echo(3, 100); }) == 0);
  node.stop();
  CHECK(run_inside(pod.child("c"), [] { return udp_echo(4, 100); }) == 0);  // nobody is there, and it counts
  node.begin();
  CHECK(node.links() == before);
  REQUIRE(node->attach(identity("again"), pod.handle(), kEveryHook)->effective());
  CHECK(node->counters(PodUid("again"))->tx_packets == 7);
  const PodDir later("kubepods/podlater");  // a pod that comes after it
  CHECK(run_inside(later.child("c"), [] { return udp_echo(2, 100); }) == 0);
  REQUIRE(node->attach(identity("later"), later.handle(), kEveryHook)->effective());
  CHECK(node->counters(PodUid("later"))->tx_packets == 2);
}

TEST_CASE("what counts on kubepods and the node's tracepoints are told with three capabilities, also after a restart") {
  Companion node("t_kubepods_told");
  for (const bool restarted : {false, true}) {
    INFO(restarted);
    node.begin();
    const int status = run_inside(cgroup_home(), [&] {
      keep_only({CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN});
      const SystemClock clock;
      const auto told = bpf::PinInventory({.layout = node->layout(), .held = {}, .ring_counts = {}}, clock).programs();
      if (!told) return 1;
      for (const auto* name :
           {"kubepods_ingress", "kubepods_egress", "lifecycle_exec", "lifecycle_exit", "lifecycle_oom", "lifecycle_rmdir"}) {
        const auto found = std::ranges::find_if(
            *told, [&](const auto& program) { return program.name == std::string_view(name).substr(0, 15) || program.name == name; });
        if (found == told->end()) return 2;
        if (found->links != 1) return 3;
      }
      return 0;
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("a refused hook leaves counting to kubepods") {
  const PodDir pod("kubepods/podrefused");
  Companion node("t_refused");
  node.begin();
  auto plan = kEveryHook;
  std::erase(plan.hooks, model::Hook::kEgress);  // as if the kernel had refused it: ingress alone is in force
  REQUIRE(node->attach(identity("refused"), pod.handle(), plan));
  CHECK(run_inside(pod.child("c"), [] { return udp_echo(10, 100); }) == 0);
  CHECK(node->counters(PodUid("refused"))->tx_packets == 10);
  CHECK(node->counters(PodUid("refused"))->rx_packets == 10);
}

TEST_CASE("two kubepods are counted on, and the links of one that has gone are dropped") {
  const PodDir first("one/kubepods/podfirst"), second("two/kubepods/podsecond");
  Companion node("t_two");
  REQUIRE(!node.start().unsupported());
  REQUIRE(node->attach_kubepods(cgroup_home() + "/one/kubepods"));
  REQUIRE(node->attach_kubepods(cgroup_home() + "/two/kubepods"));
  CHECK(node.links().size() == 4);
  for (const auto* one : {&first, &second}) CHECK(run_inside(one->child("c"), [] { return udp_echo(6, 100); }) == 0);
  REQUIRE(node->attach(identity("second"), second.handle(), kEveryHook)->effective());
  CHECK(node->counters(PodUid("second"))->tx_packets == 6);
  REQUIRE(node->attach(identity("first"), first.handle(), kEveryHook)->effective());
  CHECK(node->counters(PodUid("first"))->tx_packets == 6);
}

TEST_CASE("without the option nothing is attached above pods") {
  const PodDir pod("kubepods/podnode");
  Node node("t_without");
  REQUIRE(!node.start().unsupported());
  CHECK_FALSE(std::filesystem::exists(node->layout().root + "/kubepods"));
}

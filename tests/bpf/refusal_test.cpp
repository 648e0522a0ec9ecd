// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Every refusal here is the kernel's own.
#include <cerrno>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/kernel_object.h"
#include "kernel_fixture.h"

using namespace pintle;
using namespace pintle::kernel_test;

namespace {

const ports::PodIdentity kPod{PodUid("refused"), "default", "refused"};

bool drop_capability(int number) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  data[number / 32].effective &= ~(1U << (number % 32));
  return ::syscall(SYS_capset, &header, data) == 0;
}

void check_refused(const Result<model::AttachReport>& report, int err, const std::string& words) {
  REQUIRE(report);
  CHECK(!report->effective());
  for (const auto& hook : report->hooks) {
    CHECK(hook.state == model::HookState::kRefused);
    CHECK(hook.sys_errno == err);
    INFO(hook.error);
    CHECK(hook.error.find(words) != std::string::npos);
    CHECK(hook.error.starts_with(fmt::format("attach '{}' to '", model::to_string(hook.hook))));
  }
}

}  // namespace

TEST_CASE("EBADF: the target is not a v2 cgroup") {
  Node node("t_ebadf");
  auto& attacher = node.start();
  auto dir = DirFd::open("/mnt");
  REQUIRE(dir);
  const ports::PodCgroup target{std::make_shared<DirFd>(std::move(*dir)), CgroupId(1), "/mnt", "/mnt"};
  check_refused(attacher.attach(kPod, target, kEveryHook), EBADF, "is not in a cgroup v2 hierarchy; one is mounted at '");
  CHECK(attacher.list_pinned()->empty());
  CHECK(attacher.inspect(kPod.uid)->hooks.size() == 4);  // the reasons stay to be seen
}

TEST_CASE("ENOENT: the cgroup was removed after it was opened") {
  Node node("t_enoent");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podgone");
  const auto handle = pod.handle();
  pod.remove();
  check_refused(attacher.attach(kPod, handle, kEveryHook), ENOENT, "the pod's cgroup was removed meanwhile");
}

TEST_CASE("EPERM: someone's exclusive program above us is named, other hooks are not hurt") {
  Node node("t_foreign");
  auto& attacher = node.start();
  const PodDir parent("foreign"), pod("foreign/podx");
  const auto above = parent.handle();
  const auto program = bpf::open_pin(attacher.layout().program("accounting_ingress"));
  REQUIRE(program);
  REQUIRE(bpf_prog_attach(program->get(), above.dir->get(), BPF_CGROUP_INET_INGRESS, 0) == 0);
  const auto report = attacher.attach(kPod, pod.handle(), kEveryHook);
  REQUIRE(report);
  REQUIRE(report->hooks.size() == 4);
  CHECK(report->hooks[0].state == model::HookState::kRefused);
  CHECK(report->hooks[0].sys_errno == EPERM);
  INFO(report->hooks[0].error);
  const auto info = bpf::program_info(program->get());
  CHECK(report->hooks[0].error.find(fmt::format("program {} '{}' (uid 0) on '{}'", info->id, info->name, above.path)) != std::string::npos);
  REQUIRE(report->hooks[0].neighbours.size() == 1);  // whom to ask: explain's fix names it
  CHECK(report->hooks[0].neighbours[0].id == info->id);
  CHECK(report->hooks[0].neighbours[0].exclusive);
  for (size_t i = 1; i < 4; ++i) CHECK(report->hooks[i].state == model::HookState::kAttached);
  REQUIRE(bpf_prog_detach2(program->get(), above.dir->get(), BPF_CGROUP_INET_INGRESS) == 0);
  CHECK(attacher.attach(kPod, pod.handle(), kEveryHook)->effective());  // once it is gone, one more try heals
}

TEST_CASE("EPERM: a missing capability is named") {
  Node node("t_caps");
  const PodDir pod("kubepods/podcaps");
  auto& attacher = node.start();
  int out[2];
  REQUIRE(::pipe(out) == 0);
  const UniqueFd reader(out[0]);
  UniqueFd writer(out[1]);
  const auto handle = pod.handle();
  const int status = run_inside(cgroup_home(), [&] {
    if (!drop_capability(CAP_NET_ADMIN) || !drop_capability(CAP_SYS_ADMIN)) return 2;
    const auto report = attacher.attach(kPod, handle, {.hooks = {model::Hook::kIngress}});
    if (!report || report->hooks.empty()) return 3;
    const std::string text = fmt::format("{} {}", report->hooks[0].sys_errno, report->hooks[0].error);
    return ::write(writer.get(), text.data(), text.size()) > 0 ? 0 : 4;
  });
  CHECK(status == 0);
  writer.reset();
  char buffer[1024];
  const auto length = ::read(reader.get(), buffer, sizeof buffer);
  REQUIRE(length > 0);
  const std::string text(buffer, static_cast<size_t>(length));
  INFO(text);
  CHECK(text.starts_with(fmt::format("{} ", EPERM)));
  CHECK(text.find("lacks CAP_NET_ADMIN") != std::string::npos);
}

TEST_CASE("without capabilities at all the attacher stands and says why it can't") {
  require_kernel();
  const int status = run_inside(cgroup_home(), [] {
    for (const int capability : {CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON})
      if (!drop_capability(capability)) return 2;
    const SystemClock clock;
    const auto attacher = bpf::LibbpfAttacher::create({.bpffs = "/mnt/bpf", .own_bpffs = "", .folder = "t_nocaps"}, clock);
    if (!attacher->unsupported() || attacher->unsupported()->code != Code::kUnsupported) return 3;
    if (attacher->unsupported()->context.find("CAP_BPF") == std::string::npos) return 4;
    const auto refused = attacher->attach(kPod, {}, kEveryHook);
    if (refused || refused.error().code != Code::kUnsupported) return 5;
    if (!attacher->detach(kPod.uid) || !attacher->list_pinned()->empty()) return 6;
    for (const auto& feature : attacher->features())
      if (feature.name == "capabilities") return feature.available ? 7 : 0;
    return 8;
  });
  CHECK(status == 0);
}

TEST_CASE("no bpffs, and none may be mounted") {
  require_kernel();
  const SystemClock clock;
  const auto attacher = bpf::LibbpfAttacher::create({.bpffs = "/mnt", .own_bpffs = ""}, clock);
  REQUIRE(attacher->unsupported());
  CHECK(attacher->unsupported()->context.find("'/mnt' is not a bpffs") != std::string::npos);
  CHECK(attacher->attach(kPod, {}, kEveryHook).error().code == Code::kUnsupported);
}

TEST_CASE("a bpffs of its own is mounted where there is none, and found again") {
  require_kernel();
  const SystemClock clock;
  const bpf::LibbpfAttacher::Options options{.bpffs = "/mnt", .own_bpffs = "/mnt/own/bpf"};
  const PodDir pod("kubepods/podown");
  for (int run = 0; run < 2; ++run) {
    const auto attacher = bpf::LibbpfAttacher::create(options, clock);
    REQUIRE(!attacher->unsupported());
    CHECK(attacher->layout().root == "/mnt/own/bpf/pintle/v3");
    const auto report = attacher->attach(kPod, pod.handle(), kEveryHook);
    REQUIRE(report->effective());
    CHECK(report->hooks[0].state == (run == 0 ? model::HookState::kAttached : model::HookState::kAdopted));
  }
}

TEST_CASE("features are told with what is done without them") {
  Node node("t_features");
  for (const auto& feature : node.start().features()) {
    INFO(feature.name << ": " << feature.detail);
    if (!feature.available) {
      CHECK(!feature.detail.empty());
      CHECK(!feature.without.empty());
    }
    if (feature.name == "cgroup v2" || feature.name == "cgroup links" || feature.name == "ring buffer" || feature.name == "cgroup programs")
      CHECK(feature.available);
  }
}

TEST_CASE("a uid that can't be a pin, and a host without v2") {
  Node node("t_invalid");
  auto& attacher = node.start();
  const PodDir pod("kubepods/podinvalid");
  CHECK(attacher.attach({PodUid("../x"), "", ""}, pod.handle(), kEveryHook).error().code == Code::kInvalid);
  CHECK(attacher.detach(PodUid("..")).error().code == Code::kInvalid);
  CHECK(attacher.attach(kPod, {}, kEveryHook).error().code == Code::kUnsupported);
}

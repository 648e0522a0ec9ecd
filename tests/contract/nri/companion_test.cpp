// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The daemon in mode companion beside a real containerd: this test is in the kubelet's place (pod cgroups below a kubepods, CRI) and in
// the API server's. What is judged is what a pod's own first instructions may do.
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "contract/nri/containerd.h"
#include "fakes/kube/fake_api_server.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace pintle::contract;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using fakes::Json;
namespace fs = std::filesystem;

namespace {

constexpr int kTries = 5;

// Until it holds; the condition asks a process or the kernel, which tell nobody.
bool until(const std::function<bool()>& done, std::chrono::milliseconds most = 30s) {
  for (auto left = most; left > 0ms; left -= 20ms) {
    if (done()) return true;
    (void)::poll(nullptr, 0, 20);
  }
  return done();
}

std::string unified() {
  for (const char* const place : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs fs{};
    if (::statfs(place, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) return place;
  }
  FAIL("no cgroup2 is mounted");
  return {};
}

class Site {
 public:
  Site() {
    fs::create_directories(unified() + subject.cgroup_root());
    fs::create_directories(dir + "/bpffs");
    if (::mount("bpf", (dir + "/bpffs").c_str(), "bpf", 0, nullptr) != 0) FAIL("mount a bpffs: errno " << errno);
    for (const char* const space : {"default"}) api.create("namespaces", "", {{"metadata", {{"name", space}}}});
    api.create("networkpolicies", "default",
               {{"apiVersion", "networking.k8s.io/v1"},
                {"kind", "NetworkPolicy"},
                {"metadata", {{"name", "shut"}, {"namespace", "default"}}},
                {"spec", {{"podSelector", {{"matchLabels", {{"group", "shut"}}}}}, {"policyTypes", {"Egress"}}}}});
    fakes::write_text(
        dir + "/kubeconfig",
        fmt::format("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
                    "clusters: [{{name: c, cluster: {{server: \"http://127.0.0.1:{}\"}}}}]\nusers: [{{name: u, user: {{}}}}]\n",
                    api.port()));
  }
  ~Site() {
    for (const auto& pod : pods_) subject.remove(pod);
    stop();
    (void)run("pintled", {"uninstall", "--config", dir + "/pintled.yaml"});
    (void)::umount2((dir + "/bpffs").c_str(), MNT_DETACH);
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  void start(const std::string& mode) {
    fakes::write_text(dir + "/pintled.yaml",
                      fmt::format("apiVersion: pintle.dev/v1\nkind: PintleConfiguration\ncgroupRoot: /{0}\npintle:\n  mode: companion\n"
                                  "  nodeName: n1\n  kubeconfig: {1}/kubeconfig\n  rootDir: {1}/root\n  runDir: {1}/run\n"
                                  "  ebpf: {{bpffs: {1}/bpffs}}\n  metrics: {{listen: \"\"}}\n"
                                  "  companion: {{nri: {{mode: {2}, socket: {1}/nri.sock}}}}\n",
                                  ContainerdSubject::cgroup_name(), dir, mode));
    daemon_ = spawn("pintled", {"--config", dir + "/pintled.yaml"}, dir + "/pintled.log");
    REQUIRE(until([&] { return run("pintlectl", {"status"}).second == 0; }));
    REQUIRE(
        api.wait_for([](const auto&, int watches) { return watches >= 6; }));  // the node's pods, and five kinds of the cluster's objects
    if (mode != "off") REQUIRE(until([&] { return doctor().find("tells of pods at") != std::string::npos; }));
  }
  void stop() {
    if (daemon_ == 0) return;
    (void)::kill(daemon_, SIGTERM);
    (void)::waitpid(daemon_, nullptr, 0);
    daemon_ = 0;
  }
  void signal(int number) { REQUIRE(::kill(daemon_, number) == 0); }
  [[nodiscard]] std::string doctor() { return run("pintlectl", {"doctor"}).first; }
  // The output and the exit status.
  std::pair<std::string, int> run(const std::string& program, const std::vector<std::string>& words) {
    const std::string out = dir + "/out";
    const pid_t pid = spawn(program, words, out);
    int status = 0;
    (void)::waitpid(pid, &status, 0);
    auto text = fakes::read_text(out);
    fs::remove(out);
    return {std::move(text), status};
  }

  [[nodiscard]] NriTestPod pod(const std::string& group, const std::string& annotation = {}) {
    NriTestPod made = nri_pod(subject, fmt::format("{}-{}", group, ++made_));
    made.uid = fmt::format("{:08x}-1111-2222-3333-{:012x}", ::getpid(), made_);
    made.cgroup_parent = fmt::format("{}/besteffort/pod{}", subject.cgroup_root(), made.uid);
    made.labels = {{"group", group}};
    made.annotations.clear();
    if (!annotation.empty()) made.annotations["pintle.dev/ebpf"] = annotation;
    return made;
  }
  // As a kubelet does: the API knows it first.
  void run_sandbox(const NriTestPod& pod) {
    auto json = fakes::pod_json(pod.name);
    json["metadata"]["uid"] = pod.uid;
    for (const auto& [key, value] : pod.labels) json["metadata"]["labels"][key] = value;
    for (const auto& [key, value] : pod.annotations) json["metadata"]["annotations"][key] = value;
    api.create("pods", "default", json);
    const auto ran = subject.run_sandbox(pod);
    if (!ran) FAIL(ran.error().message());
    pods_.push_back(pod);
  }
  [[nodiscard]] std::string serve() {
    const auto server = pod("server");
    run_sandbox(server);
    const auto container = subject.create(server, "main", "mkdir /tmp/www; exec httpd -f -p 8080 -h /tmp/www");
    if (!container) FAIL(container.error().message());
    REQUIRE(subject.cri().start_container(*container));
    return subject.cri().inspect_pod(PodUid(server.uid))->sandboxes.at(0).ips.at(0);
  }
  // Connects from its first instruction on; how often that went through.
  int leaks(const std::string& group, const std::string& address, const std::function<void()>& when_made = {}) {
    const auto one = pod(group);
    run_sandbox(one);
    const auto container = subject.create(
        one, "main",
        fmt::format("for i in $(seq {}); do nc -w 1 {} 8080 </dev/null >/dev/null 2>&1 && echo leaked; done; echo tried", kTries, address));
    if (!container) FAIL(container.error().message());
    if (when_made) when_made();
    REQUIRE(subject.cri().start_container(*container));
    REQUIRE(until([&] { return ContainerdSubject::log_of(one, "main").find(" tried\n") != std::string::npos; }));
    int count = 0;
    const auto log = ContainerdSubject::log_of(one, "main");
    for (size_t at = log.find(" leaked\n"); at != std::string::npos; at = log.find(" leaked\n", at + 1)) ++count;
    return count;
  }

  ContainerdSubject subject;
  fakes::FakeApiServer api;
  const std::string dir = ContainerdSubject::dir();

 private:
  pid_t spawn(const std::string& program, const std::vector<std::string>& words, const std::string& output) {
    const std::string path = std::string(PINTLE_BINARIES) + "/" + program;
    std::vector<char*> args{const_cast<char*>(path.c_str())};
    for (const auto& word : words) args.push_back(const_cast<char*>(word.c_str()));
    args.push_back(nullptr);
    const std::string socket = dir + "/run/pintle.sock";
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    (void)::setenv("PINTLE_SOCKET", socket.c_str(), 1);
    const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)::dup2(fd, 1);
    (void)::dup2(fd, 2);
    ::execv(path.c_str(), args.data());
    ::_exit(127);
  }
  pid_t daemon_ = 0;
  int made_ = 0;
  std::vector<NriTestPod> pods_;
};

}  // namespace

TEST_CASE("with NRI not one connect of a pod gets past its policy, also when the agent is starved; without, the race is there") {
  Site site;
  site.start("auto");
  const auto address = site.serve();
  REQUIRE(until([&] { return site.leaks("open", address) == kTries; }, 2s));  // the server answers, and others may
  for (int i = 0; i < 20; ++i) CHECK(site.leaks("shut", address) == 0);

  // No processor for the agent from before the sandbox on: the runtime waits for its answer.
  site.signal(SIGSTOP);
  std::thread nurse([&] {
    (void)::poll(nullptr, 0, 1000);
    site.signal(SIGCONT);
  });
  CHECK(site.leaks("shut", address) == 0);
  nurse.join();
  CHECK(site.doctor().find("tells of pods at") != std::string::npos);  // it was not dropped

  site.stop();
  site.start("off");
  CHECK_THAT(site.doctor(), ContainsSubstring("switched off"));
  site.signal(SIGSTOP);
  CHECK(site.leaks("shut", address) > 0);
  site.signal(SIGCONT);
}

TEST_CASE("a container whose pod requires programs that can't be in force is refused, and told why") {
  Site site;
  site.start("required");
  auto strict = site.pod("strict", "required");
  strict.annotations["pintle.dev/network-policy"] = "strictly";
  site.run_sandbox(strict);
  const auto refused = site.subject.create(strict, "main", "sleep 3600");
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message(),
             ContainsSubstring("pintle: eBPF programs of pod 'default/" + strict.name + "' are required and not in force") &&
                 ContainsSubstring("strictly"));
  const auto fine = site.pod("fine", "required");
  site.run_sandbox(fine);
  CHECK(site.subject.create(fine, "main", "sleep 3600"));
}

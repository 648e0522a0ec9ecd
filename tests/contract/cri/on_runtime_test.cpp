// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The contract, and what only a real runtime can show, on a containerd or a CRI-O (PINTLE_RUNTIME) of this test's own, in mount and
// network namespaces of its own. The program starts itself again under scripts/dev-containerd or scripts/dev-crio; what it started it
// takes down.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "contract/cri/contract.h"
#include "cri/cri_runtime.h"

using namespace pintle;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr bool kOnContainerd = std::string_view{PINTLE_RUNTIME} == "containerd";

std::string cgroup_name() { return fmt::format("pintle-test-{}", getpid()); }

// tests/e2e/registry.py, as long as this lives.
class Registry {
 public:
  Registry() {
    int to[2], from[2];
    REQUIRE(pipe2(to, O_CLOEXEC) == 0);
    const UniqueFd reading(to[0]);
    held_ = UniqueFd(to[1]);
    REQUIRE(pipe2(from, O_CLOEXEC) == 0);
    const UniqueFd told(from[0]);
    UniqueFd writing(from[1]);
    const char* script = std::getenv("PINTLE_REGISTRY");
    const std::string path = script != nullptr ? script : "tests/e2e/registry.py";
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      (void)dup2(reading.get(), STDIN_FILENO);
      (void)dup2(writing.get(), STDOUT_FILENO);
      execlp("python3", "python3", path.c_str(), contract::kRegistryUser, contract::kRegistryPassword, nullptr);
      _exit(127);
    }
    writing.reset();
    char next = 0;
    while (!address_.ends_with('\n') && read(told.get(), &next, 1) == 1) address_ += next;
    REQUIRE(address_.ends_with('\n'));
    address_.pop_back();
  }
  ~Registry() {
    held_.reset();  // the end of its input is its end
    (void)waitpid(pid_, nullptr, 0);
  }
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  UniqueFd held_;
  pid_t pid_ = -1;
  std::string address_;
};

class RuntimeSubject final : public contract::Subject {
 public:
  RuntimeSubject() {
    auto made = cri::CriRuntime::create({.runtime_endpoint = std::getenv("PINTLE_CRI_ENDPOINT"), .image_endpoint = {}});
    REQUIRE(made);
    cri_ = std::move(*made);
  }
  cri::CriRuntime& cri() { return *cri_; }
  ports::ContainerRuntime& runtime() override { return *cri_; }
  ports::ImageStore& images() override { return *cri_; }
  std::string image() const override { return "pintle.local/busybox:1"; }
  std::string private_image() override {
    if (!registry_) registry_.emplace();
    return registry_->address() + "/private/busybox:1";
  }
  void let_exit(const ContainerId& id, int32_t code) override {
    const auto told = cri_->exec_sync(id, {"sh", "-c", fmt::format("echo {} > /tmp/exit", code)}, 10s, {});
    REQUIRE(told);
    REQUIRE(told->exit_code == 0);
  }
  std::string log_root() const override { return std::string{std::getenv("PINTLE_CRI_DIR")} + "/logs"; }
  std::string cgroup_root() const override { return "/" + cgroup_name(); }

 private:
  std::unique_ptr<cri::CriRuntime> cri_;
  std::optional<Registry> registry_;
};

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The whole answer; empty when nobody listens.
std::string http_get(const std::string& ip, uint16_t port, const std::string& path) {
  const UniqueFd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  REQUIRE(inet_pton(AF_INET, ip.c_str(), &to.sin_addr) == 1);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return {};
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  if (send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
  std::string answer;
  char part[512];
  for (ssize_t size = 0; (size = recv(connection.get(), part, sizeof part, 0)) > 0;) answer.append(part, static_cast<size_t>(size));
  return answer;
}

bool is_group(const fs::path& path) { return fs::is_directory(path / cgroup_name()); }

// The pods' cgroups are the agent's to remove, not the runtime's: here they are this test's.
void remove_groups() {
  std::error_code ignored;
  const auto remove = [&](const fs::path& root) {
    if (!is_group(root)) return;
    for (const auto& pod : fs::directory_iterator(root / cgroup_name(), ignored)) {
      if (pod.is_directory(ignored)) (void)rmdir(pod.path().c_str());
    }
    (void)rmdir((root / cgroup_name()).c_str());
  };
  remove("/sys/fs/cgroup");
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", ignored)) {
    if (hierarchy.is_directory(ignored)) remove(hierarchy.path());
  }
}

}  // namespace

TEST_CASE("the adapter keeps the contract on " PINTLE_RUNTIME) {
  RuntimeSubject subject;
  contract::check_all(subject);
}

TEST_CASE("a pod on " PINTLE_RUNTIME ": address, traffic, commands, logs") {
  RuntimeSubject subject;
  auto& runtime = subject.cri();
  auto pod = contract::sandbox_config(subject, "web");
  auto config = contract::container_config(subject, pod, "main");
  config.command = {"sh", "-c", "echo out; echo err >&2; echo $GREETING > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"};
  config.envs = {{"GREETING", "ahoy"}};
  fs::create_directories(pod.log_directory + "/main");
  const auto sandbox = runtime.run_sandbox(pod, {});
  if (!sandbox) FAIL(sandbox.error().context);
  const auto container = runtime.create_container(*sandbox, config, pod, {});
  if (!container) FAIL(container.error().context);
  const auto started = runtime.start_container(*container);
  if (!started) FAIL(started.error().context);

  const auto seen = runtime.inspect_pod(PodUid{pod.uid});
  REQUIRE(seen);
  REQUIRE(seen->sandboxes.size() == 1);
  REQUIRE(seen->sandboxes[0].ips.size() == 1);
  const std::string ip = seen->sandboxes[0].ips[0];
  CHECK(ip.starts_with("10.88."));

  // From this side of the bridge to the pod, as a probe goes.
  std::string page = http_get(ip, 8080, "/index.html");
  for (int tries = 0; page.empty() && tries < 250; ++tries) {  // until httpd listens
    (void)poll(nullptr, 0, 20);
    page = http_get(ip, 8080, "/index.html");
  }
  CHECK(page.starts_with("HTTP/1."));
  CHECK(page.ends_with("\r\n\r\nahoy\n"));

  const auto told = runtime.exec_sync(*container, {"sh", "-c", "hostname; echo bad >&2; exit 7"}, 10s, {});
  REQUIRE(told);
  CHECK(told->stdout_text == "web\n");
  CHECK(told->stderr_text == "bad\n");
  CHECK(told->exit_code == 7);
  const auto slow = runtime.exec_sync(*container, {"sleep", "30"}, 1s, {});
  REQUIRE_FALSE(slow);
  INFO(slow.error().context);
  CHECK(slow.error().code == Code::kUnavailable);
  CHECK(slow.error().context.find("deadline") != std::string::npos);

  // The pod's cgroup in the v2 hierarchy, where programs are attached, holds the container.
  const auto status = runtime.container_status(*container);
  REQUIRE(status);
  CHECK(read_all(fmt::format("/proc/{}/cgroup", status->pid))
            .find("0::" + pod.cgroup_parent + (kOnContainerd ? "/" : "/crio-") + container->value()) != std::string::npos);

  const std::string log = status->log_path;
  CHECK(read_all(log).find(" stdout F out\n") != std::string::npos);
  CHECK(read_all(log).find(" stderr F err\n") != std::string::npos);
  REQUIRE(rename(log.c_str(), (log + ".1").c_str()) == 0);
  CHECK(runtime.reopen_log(*container));
  CHECK(fs::exists(log));

  model::LinuxResources smaller;
  smaller.memory_limit_bytes = 64 << 20;
  smaller.memory_swap_limit_bytes = 64 << 20;
  const auto updated = runtime.update_resources(*container, smaller);
  if (!updated) FAIL(updated.error().context);

  CHECK(runtime.stop_container(*container, 1s, {}));
  CHECK(runtime.stop_sandbox(*sandbox));
  CHECK(runtime.remove_sandbox(*sandbox));
  CHECK(runtime.inspect_pod(PodUid{pod.uid})->containers.empty());
  contract::clean_up(subject, pod.uid);
}

TEST_CASE("a pod on the host's network has no address of its own") {
  RuntimeSubject subject;
  auto pod = contract::sandbox_config(subject, "hostnet");
  pod.hostname.clear();
  pod.security.namespaces.network = model::NamespaceMode::kNode;
  const auto sandbox = subject.cri().run_sandbox(pod, {});
  if (!sandbox) FAIL(sandbox.error().context);
  const auto seen = subject.cri().inspect_pod(PodUid{pod.uid});
  REQUIRE(seen);
  REQUIRE(seen->sandboxes.size() == 1);
  CHECK(seen->sandboxes[0].host_network);
  CHECK(seen->sandboxes[0].ips.empty());
  contract::clean_up(subject, pod.uid);
}

TEST_CASE("an image's user is told") {
  RuntimeSubject subject;
  CHECK((*subject.cri().find_image("pintle.local/nonroot:1"))->uid == 1000);
  CHECK((*subject.cri().find_image("pintle.local/named:1"))->username == "app");
  CHECK_FALSE((*subject.cri().find_image("pintle.local/nonroot:1"))->id.empty());
}

TEST_CASE("events tell which container of which pod to look at, and an old containerd has none") {
  RuntimeSubject subject;
  std::mutex mu;
  std::condition_variable changed;
  std::vector<model::RuntimeEvent> events;
  std::optional<Status> ended;
  std::stop_source stop;
  const std::jthread watcher([&] {
    auto status = subject.cri().watch_events(
        [&](const model::RuntimeEvent& event) {
          const std::lock_guard lock(mu);
          events.push_back(event);
          changed.notify_all();
        },
        stop.get_token());
    const std::lock_guard lock(mu);
    ended = std::move(status);
    changed.notify_all();
  });
  auto pod = contract::sandbox_config(subject, "told");
  const auto sandbox = subject.cri().run_sandbox(pod, {});
  REQUIRE(sandbox);
  const auto container = subject.cri().create_container(*sandbox, contract::container_config(subject, pod, "main"), pod, {});
  REQUIRE(container);
  REQUIRE(subject.cri().start_container(*container));
  subject.let_exit(*container, 0);  // by now the stream is up, if not before
  std::optional<Status> refused;
  bool told = false;
  {
    const auto of_this = [&](const model::RuntimeEvent& event) { return event.uid.value() == pod.uid && event.container_id == *container; };
    std::unique_lock lock(mu);
    (void)changed.wait_for(lock, 10s, [&] { return ended || std::ranges::any_of(events, of_this); });
    refused = ended;
    told = std::ranges::any_of(events, of_this);
  }
  stop.request_stop();
  contract::clean_up(subject, pod.uid);
  const auto version = subject.cri().version();
  REQUIRE(version);
  if (kOnContainerd && version->version.find("1.6.") != std::string::npos) {
    REQUIRE(refused.has_value());
    CHECK(refused->error().code == Code::kUnsupported);
    CHECK(subject.cri().cgroup_driver().error().code == Code::kUnsupported);
  } else {
    if (refused) FAIL(refused->error().context);
    CHECK(told);
    if (!kOnContainerd) CHECK(*subject.cri().cgroup_driver() == cri::CgroupDriver::kCgroupfs);
  }
}

int main(int argc, char** argv) {
  if (std::getenv("PINTLE_CRI_ENDPOINT") == nullptr) {
    const char* scripts = std::getenv("PINTLE_SCRIPTS");
    const std::string script = fmt::format("{}/dev-" PINTLE_RUNTIME, scripts != nullptr ? scripts : "scripts");
    const bool there = kOnContainerd ? access("/usr/bin/containerd", X_OK) == 0 : std::getenv("PINTLE_CRIO") != nullptr;
    for (const auto& [missing, what] :
         {std::pair{geteuid() != 0, "root"}, std::pair{!there, kOnContainerd ? "containerd" : "PINTLE_CRIO, a folder with crio and pinns"},
          std::pair{access(script.c_str(), X_OK) != 0, "scripts/dev-" PINTLE_RUNTIME " (set PINTLE_SCRIPTS)"}}) {
      if (missing) {
        fmt::print("SKIPPED: needs {}\n", what);
        return 4;
      }
    }
    std::vector<char*> args;
    std::vector<std::string> words{script, "run", "--private", "--"};
    if (!kOnContainerd) words.insert(words.end() - 1, "--pod-events");
    for (auto& word : words) args.push_back(word.data());
    for (int i = 0; i < argc; ++i) args.push_back(argv[i]);
    args.push_back(nullptr);
    const std::string self = fs::read_symlink("/proc/self/exe").string();
    std::string self_copy = self;
    args[words.size()] = self_copy.data();
    execv(script.c_str(), args.data());
    fmt::print("can't start '{}'\n", script);
    return 1;
  }
  const int result = Catch::Session().run(argc, argv);
  remove_groups();
  return result;
}

// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <deque>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "endpoint_fixture.h"
#include "standalone/json.h"

namespace pintle::standalone {
namespace {

constexpr const char* kPods = "/api/v1/namespaces/default/pods";
constexpr const char* kPod = R"({"metadata":{"name":"web","labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"busybox"}]}})";

struct Answer {
  int status = 0;
  Json body;
};

class Client {
 public:
  explicit Client(const EndpointFixture& f, bool with_token = true) : http_("127.0.0.1", f.endpoint->port()) {
    http_.set_ca_cert_path((f.dir / "api/ca.crt").c_str());
    http_.enable_server_certificate_verification(true);
    http_.set_keep_alive(true);
    http_.set_read_timeout(30);
    if (with_token) http_.set_bearer_token_auth(f.token());
  }
  Answer get(const std::string& path, const httplib::Headers& headers = {}) { return to_answer(http_.Get(path, headers)); }
  Answer post(const std::string& path, const std::string& body) { return to_answer(http_.Post(path, body, "application/json")); }
  Answer put(const std::string& path, const std::string& body) { return to_answer(http_.Put(path, body, "application/json")); }
  Answer patch(const std::string& path, const std::string& body, const std::string& type = "application/strategic-merge-patch+json") {
    return to_answer(http_.Patch(path, body, type));
  }
  Answer remove(const std::string& path, const std::string& body = "") {
    return body.empty() ? to_answer(http_.Delete(path)) : to_answer(http_.Delete(path, body, "application/json"));
  }
  httplib::SSLClient& raw() { return http_; }

 private:
  static Answer to_answer(const httplib::Result& result) {
    if (!result) FAIL("no answer: " << httplib::to_string(result.error()));
    return {result->status, Json::parse(result->body, nullptr, false)};
  }
  httplib::SSLClient http_;
};

// A watch on a thread of its own. The test waits for lines, never for time.
class Watch {
 public:
  Watch(const EndpointFixture& f, std::string path, httplib::Headers headers = {}) : client_(f) {
    thread_ = std::jthread([this, path = std::move(path), headers = std::move(headers)] {
      std::string pending;
      const auto result = client_.raw().Get(path, headers, [&](const char* data, size_t size) {
        pending.append(data, size);
        for (size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
          push(pending.substr(0, end));
          pending.erase(0, end + 1);
        }
        return true;
      });
      const std::lock_guard lock(mutex_);
      ended_ = true;
      clean_ = static_cast<bool>(result);
      changed_.notify_all();
    });
  }
  ~Watch() { client_.raw().stop(); }
  // "ADDED web"; "ended" at the end; "" when nothing came.
  std::string next() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(15), [&] { return !lines_.empty() || ended_; });
    if (lines_.empty()) return ended_ ? (clean_ ? "ended" : "broken") : "";
    last = Json::parse(lines_.front(), nullptr, false);
    lines_.pop_front();
    return text_at(last, "type") + " " + text_at(last, "object", "metadata", "name");
  }
  Json last;

 private:
  void push(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  Client client_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  bool ended_ = false, clean_ = false;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("without the token nothing is answered but 401") {
  const EndpointFixture f;
  Client stranger(f, false);
  for (const char* path : {"/api/v1/pods", "/version", "/nowhere"}) {
    const auto answer = stranger.get(path);
    CHECK(answer.status == 401);
    CHECK(answer.body["reason"] == "Unauthorized");
  }
  stranger.raw().set_bearer_token_auth(std::string(64, '0'));
  CHECK(stranger.get("/api/v1/pods").status == 401);
  CHECK(Client(f).get("/api/v1/pods").status == 200);
}

TEST_CASE("the kubeconfig is private and the port is kept over a restart, with the objects") {
  EndpointFixture f;
  struct stat info{};
  REQUIRE(::stat(f.endpoint->kubeconfig_path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const int port = f.endpoint->port();
  const auto made = Client(f).post(kPods, kPod);
  CHECK(made.status == 201);
  f.restart();
  CHECK(f.endpoint->port() == port);
  const auto found = Client(f).get(std::string(kPods) + "/web");
  CHECK(found.status == 200);
  CHECK(found.body == made.body);
}

namespace {

// A request over the endpoint's socket, without TLS.
UniqueFd send_over_socket(const EndpointFixture& f, const std::string& path, const std::string& token) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  f.endpoint->socket_path().copy(name.sun_path, sizeof name.sun_path - 1);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  const timeval patience{15, 0};
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  const auto request = fmt::format("GET {} HTTP/1.1\r\nHost: n1\r\nAuthorization: Bearer {}\r\n\r\n", path, token);
  REQUIRE(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
  return fd;
}

// What comes until it holds `enough`, or to the end.
std::string read_until(const UniqueFd& fd, const std::string& enough) {
  std::string answer;
  std::array<char, 4096> buffer{};
  while (answer.find(enough) == std::string::npos) {
    const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (n == 0) return answer + "<end>";
    if (n < 0) return answer + "<nothing more came>";
    answer.append(buffer.data(), static_cast<size_t>(n));
  }
  return answer;
}

}  // namespace

TEST_CASE("the socket answers as the port does, to who has the token, and is its user's alone") {
  EndpointFixture f;
  const std::string path = f.endpoint->socket_path();
  CHECK(path == f.dir / "api/api.sock");
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK(S_ISSOCK(info.st_mode));
  CHECK((info.st_mode & 0777) == 0600);

  const auto ask = [&](const std::string& target, const std::string& token, const std::string& enough) {
    return read_until(send_over_socket(f, target, token), enough);
  };
  CHECK(ask("/api/v1/pods", "wrong", "Unauthorized").starts_with("HTTP/1.1 401"));
  CHECK(Client(f).post(kPods, kPod).status == 201);
  const std::string found = ask(std::string(kPods) + "/web", f.token(), R"("name":"web")");
  CHECK(found.starts_with("HTTP/1.1 200"));
  CHECK(found.find(R"("name":"web")") != std::string::npos);

  SECTION("a restart takes the place of what a killed one left") {
    f.endpoint->stop();
    CHECK(::stat(path.c_str(), &info) != 0);
    REQUIRE(std::ofstream(path).put('x'));
    f.restart();
    CHECK(ask("/version", f.token(), "gitVersion").starts_with("HTTP/1.1 200"));
  }
  SECTION("stop() ends its watches") {
    const auto watch = send_over_socket(f, std::string(kPods) + "?watch=1", f.token());
    CHECK(read_until(watch, "\"ADDED\"").find("\"ADDED\"") != std::string::npos);
    f.endpoint->stop();
    CHECK(read_until(watch, "never").ends_with("<end>"));
  }
}

TEST_CASE("a folder whose name is too long for a socket has none, and the port serves") {
  const fakes::TempDir dir;
  fakes::FakeObjectLog log;
  const SystemClock clock;
  const auto made = ApiEndpoint::create({.root_dir = dir / std::string(120, 'a'),
                                         .listen = "127.0.0.1:0",
                                         .node_name = "n",
                                         .kubeconfig_path = "",
                                         .object_log = &log,
                                         .log_reader = nullptr,
                                         .clock = &clock});
  REQUIRE(made);
  CHECK((*made)->socket_path().empty());
  REQUIRE((*made)->warnings().size() == 1);
  CHECK((*made)->warnings()[0].find("longer than a socket's name may be; the agent reaches its API by TLS instead") != std::string::npos);
  CHECK((*made)->port() != 0);
}

TEST_CASE("a listen address that others could reach is refused") {
  const fakes::TempDir dir;
  fakes::FakeObjectLog log;
  const SystemClock clock;
  const auto made = ApiEndpoint::create({.root_dir = dir / "api",
                                         .listen = "0.0.0.0:0",
                                         .node_name = "n",
                                         .kubeconfig_path = "",
                                         .object_log = &log,
                                         .log_reader = nullptr,
                                         .clock = &clock});
  REQUIRE_FALSE(made);
  CHECK(made.error().code == Code::kInvalid);
  CHECK(made.error().message().find("loopback") != std::string::npos);
}

TEST_CASE("objects are made, read, listed, changed and deleted") {
  const EndpointFixture f;
  Client client(f);
  CHECK(client.post(kPods, kPod).status == 201);
  CHECK(client.post(kPods, kPod).body["reason"] == "AlreadyExists");
  const auto pod = client.get(std::string(kPods) + "/web");
  CHECK(pod.body["kind"] == "Pod");
  const auto list = client.get("/api/v1/pods?labelSelector=app%3Dweb&fieldSelector=spec.nodeName%3Dn1");
  CHECK(list.body["kind"] == "PodList");
  CHECK(list.body["items"].size() == 1);
  CHECK(client.get("/api/v1/pods?labelSelector=app%3Ddb").body["items"].empty());
  CHECK(client.get("/api/v1/pods?fieldSelector=spec.x%3Dn1").status == 400);
  CHECK(client.patch(std::string(kPods) + "/web", R"({"metadata":{"annotations":{"a":"b"}}})").body["metadata"]["annotations"]["a"] == "b");
  CHECK(client.put(std::string(kPods) + "/web", dump(pod.body)).status == 409);
  CHECK(client.patch(std::string(kPods) + "/web/status", R"({"status":{"phase":"Running"}})").body["status"]["phase"] == "Running");
  CHECK(client.remove(std::string(kPods) + "/web").body["metadata"]["deletionGracePeriodSeconds"] == 30);
  CHECK(client.remove(std::string(kPods) + "/web", R"({"gracePeriodSeconds":0,"preconditions":{"uid":"x"}})").status == 409);
  CHECK(client.remove(std::string(kPods) + "/web", R"({"gracePeriodSeconds":0})").status == 200);
  CHECK(client.get(std::string(kPods) + "/web").body["reason"] == "NotFound");
  CHECK(client.post("/api/v1/namespaces/default/configmaps", R"({"metadata":{"name":"a"}})").status == 201);
  CHECK(client.remove("/api/v1/namespaces/default/configmaps").body["items"].size() == 1);
  CHECK(client.get("/api/v1/namespaces/default/configmaps/a").status == 404);
}

TEST_CASE("a request's traceparent comes to its pod, one that is none does not") {
  const EndpointFixture f;
  Client client(f);
  const char* const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto post = [&](const char* name, const char* traceparent) {
    Json pod = Json::parse(kPod);
    pod["metadata"]["name"] = name;
    const auto made = client.raw().Post(kPods, {{"traceparent", traceparent}}, dump(pod), "application/json");
    REQUIRE(made);
    return text_at(Json::parse(made->body), "metadata", "annotations", "pintle.dev/traceparent");
  };
  CHECK(post("traced", good) == good);
  CHECK(post("untraced", "00-0-0-01").empty());
  const auto remove = [&](const std::string& path, const char* traceparent) {
    const auto removed = client.raw().Delete(path, {{"traceparent", traceparent}});
    REQUIRE(removed);
    REQUIRE(removed->status == 200);
    return Json::parse(removed->body);
  };
  const auto context = [](const Json& pod) { return text_at(pod, "metadata", "annotations", "pintle.dev/stop-traceparent"); };
  CHECK(context(remove(std::string(kPods) + "/traced", good)) == good);
  CHECK(context(remove(std::string(kPods) + "/untraced", "00-0-0-01")).empty());
  CHECK(post("one", good) == good);
  const Json all = remove(std::string(kPods) + "?fieldSelector=metadata.name%3Done", good);
  REQUIRE(all["items"].size() == 1);
  CHECK(context(all["items"][0]) == good);
  // Of one that goes at once, in the version that goes; of one that is going already, the first.
  const std::string other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  CHECK(post("forced", good) == good);
  CHECK(context(remove(std::string(kPods) + "/forced?gracePeriodSeconds=0", good)) == good);
  CHECK(client.get(std::string(kPods) + "/forced").status == 404);
  CHECK(context(remove(std::string(kPods) + "/traced?gracePeriodSeconds=0", other.c_str())) == good);
}

TEST_CASE("what isn't served is 404, 405 or 415 and says so") {
  const EndpointFixture f;
  Client client(f);
  for (const char* path : {"/apis/apps/v1/deployments", "/api/v2/pods", "/x", "/api/v1/namespaces/default/nodes", "/api/v1/pods/web",
                           "/api/v1/namespaces/default/pods/web/exec/y"}) {
    INFO(path);
    CHECK(client.get(path).status == 404);
  }
  CHECK(client.post("/api/v1/pods", kPod).status == 405);
  CHECK(client.post(kPods, "{").status == 400);
  CHECK(client.post(kPods, std::string(200, '[')).status == 400);
  CHECK(client.post(kPods, kPod).status == 201);
  CHECK(client.patch(std::string(kPods) + "/web", "a: b", "application/apply-patch+yaml").status == 415);
  CHECK(client.post("/api/v1/namespaces/default/serviceaccounts/default/token", "{}").status == 404);
}

TEST_CASE("a body beyond 10 MiB is 413, with and without a stated length") {
  const EndpointFixture f;
  const std::string large(11 * 1024 * 1024, ' ');
  CHECK(Client(f).post(kPods, large).status == 413);
  Client client(f);
  size_t left = large.size();
  const auto result = client.raw().Post(
      kPods,
      [&left](size_t, httplib::DataSink& sink) {
        const size_t piece = std::min<size_t>(left, 65536);
        const std::string text(piece, ' ');
        if (piece > 0) sink.write(text.data(), text.size());
        left -= piece;
        if (left == 0) sink.done();
        return true;
      },
      "application/json");
  // The server answers before it has read everything; the client may find the connection closed while it still sends.
  if (result) CHECK(result->status == 413);
  CHECK(Client(f).get("/readyz").status == 200);
}

TEST_CASE("discovery says what is there") {
  const EndpointFixture f;
  Client client(f);
  CHECK(client.get("/api", {{"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}})
            .body["kind"] == "APIVersions");
  CHECK(client.get("/apis").body["groups"][0]["name"] == "coordination.k8s.io");
  bool has_log = false;
  const auto resources = client.get("/api/v1");
  for (const auto& resource : resources.body["resources"]) has_log = has_log || resource["name"] == "pods/log";
  CHECK(has_log);
  CHECK(client.get("/version").body["major"] == "1");
  CHECK(client.get("/openapi/v3/api/v1").body["paths"].contains("/api/v1/namespaces/{namespace}/pods/{name}"));
}

TEST_CASE("lists come as tables when asked for, and in pages") {
  const EndpointFixture f;
  Client client(f);
  REQUIRE(client.post(kPods, kPod).status == 201);
  const httplib::Headers as_table{{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}};
  const auto table = client.get(kPods, as_table);
  CHECK(table.body["kind"] == "Table");
  CHECK(table.body["columnDefinitions"][0]["name"] == "Name");
  CHECK(table.body["rows"][0]["cells"][2] == "Pending");
  CHECK(table.body["rows"][0]["object"]["metadata"]["name"] == "web");
  const auto page = client.get("/api/v1/namespaces?limit=3");
  CHECK(page.body["items"].size() == 3);
  CHECK(page.body["metadata"]["remainingItemCount"] == 1);
  const auto rest = client.get("/api/v1/namespaces?limit=3&continue=" + page.body["metadata"]["continue"].get<std::string>());
  CHECK(rest.body["items"].size() == 1);
}

TEST_CASE("a watch shows what is there, then every change that its selector lets through") {
  const EndpointFixture f;
  Client client(f);
  REQUIRE(client.post(kPods, kPod).status == 201);
  Watch watch(f, "/api/v1/pods?watch=true&labelSelector=app%3Dweb");
  CHECK(watch.next() == "ADDED web");
  REQUIRE(
      client.post(kPods, R"({"metadata":{"name":"db","labels":{"app":"db"}},"spec":{"containers":[{"name":"c","image":"x"}]}})").status ==
      201);
  REQUIRE(client.patch(std::string(kPods) + "/web/status", R"({"status":{"phase":"Running"}})").status == 200);
  CHECK(watch.next() == "MODIFIED web");
  REQUIRE(client.patch(std::string(kPods) + "/db", R"({"metadata":{"labels":{"app":"web"}}})").status == 200);
  CHECK(watch.next() == "ADDED db");
  REQUIRE(client.patch(std::string(kPods) + "/db", R"({"metadata":{"labels":{"app":"db"}}})").status == 200);
  CHECK(watch.next() == "DELETED db");
  REQUIRE(client.remove(std::string(kPods) + "/web?gracePeriodSeconds=0").status == 200);
  CHECK(watch.next() == "DELETED web");
}

TEST_CASE("a watch from a version shows only what came later, and ends with a bookmark") {
  const EndpointFixture f;
  Client client(f);
  REQUIRE(client.post(kPods, kPod).status == 201);
  const auto version = client.get(kPods).body["metadata"]["resourceVersion"].get<std::string>();
  Watch watch(f, "/api/v1/namespaces/default/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion=" + version);
  const auto changed = client.patch(std::string(kPods) + "/web", R"({"metadata":{"labels":{"x":"y"}}})");
  CHECK(watch.next() == "MODIFIED web");
  CHECK(watch.next() == "BOOKMARK ");
  CHECK(watch.last["object"]["metadata"]["resourceVersion"] == changed.body["metadata"]["resourceVersion"]);
  CHECK(watch.next() == "ended");
}

TEST_CASE("a watch with initial events ends them with a marked bookmark") {
  const EndpointFixture f;
  REQUIRE(Client(f).post(kPods, kPod).status == 201);
  Watch watch(f, "/api/v1/pods?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion=");
  CHECK(watch.next() == "ADDED web");
  CHECK(watch.next() == "BOOKMARK ");
  CHECK(watch.last["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true");
}

TEST_CASE("a watch from before a restart is told to list again") {
  EndpointFixture f;
  REQUIRE(Client(f).post(kPods, kPod).status == 201);
  const auto version = Client(f).get(kPods).body["metadata"]["resourceVersion"].get<std::string>();
  f.restart();
  const auto answer = Client(f).get("/api/v1/pods?watch=1&resourceVersion=" + version);
  CHECK(answer.status == 410);
  CHECK(answer.body["reason"] == "Expired");
  CHECK(Client(f).get("/api/v1/pods?watch=1&resourceVersion=x").status == 400);
}

TEST_CASE("a watch of tables sends its columns once") {
  const EndpointFixture f;
  Client client(f);
  REQUIRE(client.post(kPods, kPod).status == 201);
  Watch watch(f, "/api/v1/pods?watch=1", {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
  CHECK(watch.next() == "ADDED ");
  CHECK_FALSE(watch.last["object"]["columnDefinitions"].empty());
  REQUIRE(client.remove(std::string(kPods) + "/web").status == 200);
  CHECK(watch.next() == "MODIFIED ");
  CHECK(watch.last["object"]["columnDefinitions"].empty());
  CHECK(watch.last["object"]["rows"][0]["cells"][2] == "Terminating");
}

TEST_CASE("stopping ends every watch at once, and many watches keep no one waiting") {
  EndpointFixture f;
  std::deque<Watch> watches;
  for (int i = 0; i < 20; ++i) watches.emplace_back(f, "/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3Ddefault");
  for (auto& watch : watches) CHECK(watch.next() == "ADDED default");
  const auto begin = f.clock.steady();
  f.endpoint->stop();
  CHECK(f.clock.steady() - begin < std::chrono::seconds(3));
  for (auto& watch : watches) CHECK(watch.next() == "ended");
}

TEST_CASE("logs: which attempt, its tail, why not, and following to the end") {
  EndpointFixture f;
  Client client(f);
  REQUIRE(client.post(kPods, kPod).status == 201);
  const std::string path = std::string(kPods) + "/web/log";
  const auto waiting = client.get(path);
  CHECK(waiting.status == 400);
  CHECK(waiting.body["message"] == "container \"c\" in pod \"web\" is waiting to start: ContainerCreating");
  const char* running =
      R"({"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"x","imageID":"","ready":true,"restartCount":1,
    "state":{"running":{"startedAt":"2026-01-02T12:00:00Z"}},
    "lastState":{"terminated":{"exitCode":1,"containerID":"containerd://x","startedAt":"2026-01-02T12:00:00Z","finishedAt":"2026-01-02T12:00:00Z"}}}]}})";
  REQUIRE(client.patch(std::string(kPods) + "/web/status", running).status == 200);
  CHECK(client.get(path).status == 400);  // running, but its log isn't on disk
  f.logs.logs = {{"c/1", "one\ntwo\n"}, {"c/0", "before\n"}};
  CHECK(client.raw().Get(path)->body == "one\ntwo\n");
  CHECK(client.raw().Get(path + "?tailLines=1")->body == "two\n");
  CHECK(client.raw().Get(path + "?previous=true&container=c")->body == "before\n");
  CHECK(client.get(path + "?container=x").status == 400);
  CHECK(client.get(path + "?tailLines=x").status == 400);
  CHECK(client.get(path + "?sinceSeconds=0").status == 422);
  std::mutex mutex;
  std::condition_variable changed;
  std::string followed;
  bool ended = false;
  std::jthread follower([&] {
    Client other(f);
    (void)other.raw().Get(path + "?follow=true", [&](const char* data, size_t size) {
      const std::lock_guard lock(mutex);
      followed.append(data, size);
      changed.notify_all();
      return true;
    });
    const std::lock_guard lock(mutex);
    ended = true;
    changed.notify_all();
  });
  {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return followed == "one\ntwo\nfollowed\n"; }));
    CHECK_FALSE(ended);
  }
  REQUIRE(client.patch(std::string(kPods) + "/web/status", R"({"status":{"phase":"Failed"}})").status == 200);
  std::unique_lock lock(mutex);
  CHECK(changed.wait_for(lock, std::chrono::seconds(10), [&] { return ended; }));
}

}  // namespace pintle::standalone

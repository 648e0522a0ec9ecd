// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A small Kubernetes API server on a real socket (127.0.0.1, port 0), in the clear or over TLS: pods, nodes, leases, events, configmaps,
// secrets and service account tokens; list with continue, watch with bookmarks, optimistic locking, UID preconditions. It keeps a log of
// calls and misbehaves on demand. The contract suite keeps it honest against a real one. Thread rule: any thread; each connection has a
// thread of the server's own pool.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fakes/kube/fake_store.h"
#include "kube/kubeconfig.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace pintle::fakes {

struct Certificate;

struct ApiCall {
  std::string method, path, query, body, content_type, user_agent, authorization;
};

// What happens to a request instead of its answer. The first fault that matches is used up.
struct ApiFault {
  enum class Kind {
    kStatus,    // answers `status` with a Status object of `reason`
    kTruncate,  // promises the whole body and closes half-way
    kGarbage,   // 200 and a body that is not JSON
    kBody,      // 200 and `body`
    kHuge,      // 200 and `bytes` of blanks
    kHang,      // never answers, until the client goes or the server stops
  };
  Kind kind = Kind::kStatus;
  std::string method;         // empty: any
  std::string path_contains;  // empty: any
  int status = 500;
  std::string reason = "InternalError";
  std::optional<int> retry_after;
  size_t bytes = 0;
  int times = 1;
  std::string body = {};
};

enum class Carrier { kPlain, kTls };

class FakeApiServer {
 public:
  explicit FakeApiServer(Carrier carrier = Carrier::kPlain);
  ~FakeApiServer();
  FakeApiServer(const FakeApiServer&) = delete;
  FakeApiServer& operator=(const FakeApiServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] long handshakes() const;  // begun so far, also those that came to nothing
  [[nodiscard]] std::string certificate_pem() const;
  [[nodiscard]] kube::Kubeconfig config() const;  // over TLS with its own certificate as the authority

  // Objects, past any fault. `space` is empty for nodes.
  StoreReply create(const std::string& resource, const std::string& space, Json object);
  StoreReply patch(const std::string& resource, const std::string& space, const std::string& name, const Json& patch);
  StoreReply remove(const std::string& resource, const std::string& space, const std::string& name);
  [[nodiscard]] Json get(const std::string& resource, const std::string& space, const std::string& name);  // null if there is none

  void fail_next(ApiFault fault);
  void drop_watches();    // their connections close in mid-stream
  void expire_watches();  // each gets an ERROR event of 410; older versions are compacted
  void send_bookmarks();
  void inject_line(const std::string& line);  // to every watch, as it is
  void compact();                             // watches from versions before now get HTTP 410

  [[nodiscard]] std::vector<ApiCall> calls();
  [[nodiscard]] int open_watches();
  // Waits until `done` holds over the call log and the number of open watches; false after 10 s.
  bool wait_for(const std::function<bool(const std::vector<ApiCall>& calls, int open_watches)>& done);

 private:
  struct Watch;
  void serve(const httplib::Request& request, httplib::Response& response);
  [[nodiscard]] bool apply_fault(const httplib::Request& request, httplib::Response& response);
  void serve_watch(const httplib::Request& request, httplib::Response& response, const std::string& resource, const std::string& space);
  void answer(httplib::Response& response, const StoreReply& reply);

  const std::unique_ptr<const Certificate> identity_;  // null: in the clear
  const std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::mutex mu_;
  std::condition_variable changed_;
  FakeStore store_;
  std::deque<ApiFault> faults_;
  std::vector<ApiCall> calls_;
  std::vector<std::string> injected_;
  int open_watches_ = 0;
  int drop_round_ = 0, expire_round_ = 0, bookmark_round_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

// A list's body, for what FakeStore would not hold.
[[nodiscard]] std::string list_json(const std::string& kind, const Json& items);
// A pod as the API server would hold it, bound to `node`.
[[nodiscard]] Json pod_json(const std::string& name, const std::string& node = "n1", const std::string& space = "default");

}  // namespace pintle::fakes

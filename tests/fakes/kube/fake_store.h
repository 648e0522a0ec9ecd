// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The objects of FakeApiServer as an API server keeps them: one counter of resource versions, a history for watches, and
// strategic merge by the lists' keys. No sockets, no lock: FakeApiServer holds its own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace pintle::fakes {

using Json = nlohmann::json;

struct StoreReply {
  int status = 200;
  Json body;
};
struct Change {
  int64_t version = 0;
  std::string resource, type;  // "pods", "ADDED"
  Json object;
};

// An API Status object.
[[nodiscard]] Json status_object(int code, const std::string& reason, const std::string& message);

struct Selector {
  std::string field, label;  // each "" or "NAME=VALUE", as spec.nodeName=n1
};
[[nodiscard]] bool is_selected(const Json& object, const Selector& selector);

class FakeStore {
 public:
  [[nodiscard]] StoreReply get(const std::string& resource, const std::string& space, const std::string& name) const;
  [[nodiscard]] StoreReply create(const std::string& resource, const std::string& space, Json object);
  [[nodiscard]] StoreReply replace(const std::string& resource, const std::string& space, const std::string& name, Json object);
  [[nodiscard]] StoreReply patch(const std::string& resource, const std::string& space, const std::string& name, const Json& patch,
                                 bool status_only);
  [[nodiscard]] StoreReply remove(const std::string& resource, const std::string& space, const std::string& name, const Json& options);
  // At most `limit` items (0: all). A later page is of the first one's version, as a server's is: what changed between is a watch's to
  // tell. The token is "offset.version".
  [[nodiscard]] StoreReply list(const std::string& resource, const Selector& selector, const std::string& continue_token,
                                size_t limit) const;

  [[nodiscard]] int64_t version() const { return version_; }
  [[nodiscard]] const std::vector<Change>& history() const { return history_; }
  // Versions up to now are forgotten: a watch from one of them is 410.
  void compact() { floor_ = version_; }
  [[nodiscard]] bool is_compacted(int64_t version) const { return version < floor_; }

 private:
  static std::string key(const std::string& resource, const std::string& space, const std::string& name) {
    return resource + "/" + space + "/" + name;
  }
  Json& commit(const std::string& at, const std::string& resource, const std::string& type, Json object);
  std::map<std::string, Json> objects_;
  std::vector<Change> history_;
  int64_t version_ = 100, floor_ = 0;
  int next_uid_ = 1;
};

}  // namespace pintle::fakes

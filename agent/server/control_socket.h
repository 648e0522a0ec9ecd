// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The unix socket of the control service: bound with mode 0660, guarded against a second daemon, and open only to peers whose
// credentials (SO_PEERCRED, SO_PEERGROUPS) say root, this process's own user, or a member of the configured group. Knows
// nothing of gRPC: accepted descriptors are handed on. A stale socket is replaced; anything else at the path is an error.
// Thread rule: one thread accepts; stop() from any.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pintle::server {

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
};
[[nodiscard]] Result<PeerCredentials> read_peer_credentials(int socket);
// `own_uid`: the daemon's.
[[nodiscard]] bool may_call(const PeerCredentials& peer, uid_t own_uid, std::optional<gid_t> group);

class ControlSocket {
 public:
  // kAlreadyExists: another daemon is alive here, or the path is something else; kInvalid: the path is too long for a socket.
  [[nodiscard]] static Result<ControlSocket> bind(const std::string& path, std::optional<gid_t> group);
  ~ControlSocket();  // removes the socket's file if it is still ours
  ControlSocket(ControlSocket&&) = default;
  ControlSocket& operator=(ControlSocket&&) = delete;

  // Blocks in poll(2) until `stop`. Each peer that may call goes to `accepted` as a non-blocking descriptor.
  void serve(const std::function<void(UniqueFd)>& accepted, std::stop_token stop);

 private:
  ControlSocket(std::string path, std::optional<gid_t> group, UniqueFd lock, UniqueFd listener, UniqueFd wake, ino_t inode)
      : path_(std::move(path)),
        group_(group),
        lock_(std::move(lock)),
        listener_(std::move(listener)),
        wake_(std::move(wake)),
        inode_(inode) {}
  void accept_one(const std::function<void(UniqueFd)>& accepted);

  std::string path_;
  std::optional<gid_t> group_;
  UniqueFd lock_, listener_, wake_;
  ino_t inode_ = 0;
};

}  // namespace pintle::server

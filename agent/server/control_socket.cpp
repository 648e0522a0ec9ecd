// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/control_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/log.h"

namespace pintle::server {
namespace {

constexpr int kBacklog = 16;
constexpr int kNoDescriptorsPauseMs = 200;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(Code::kInvalid, fmt::format("control socket '{}': the path must have 1 to {} bytes", path, sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Error already_alive(const std::string& path) {
  return Error{Code::kAlreadyExists, 0,
               fmt::format("control socket '{}': another daemon is alive there; stop it first, or give this one another socket", path)};
}

Status make_parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return {};
  const std::string folder = path.substr(0, slash);
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, fmt::format("make folder '{}' of the control socket", folder));
  return {};
}

// Held as long as the socket, so that two daemons that start at one moment can't each remove the other's socket.
Result<UniqueFd> take_lock(const std::string& path) {
  const std::string name = path + ".lock";
  UniqueFd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return fail_errno(errno, fmt::format("open '{}'", name));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::unexpected(already_alive(path));
    return fail_errno(errno, fmt::format("lock '{}'", name));
  }
  return lock;
}

Status remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, fmt::format("look at '{}'", path));
  }
  if (!S_ISSOCK(info.st_mode))
    return fail(Code::kAlreadyExists, fmt::format("control socket '{}': there is something else at this path; move it away", path));
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return fail_errno(errno, "make a unix socket");
  // EAGAIN is a full backlog: somebody listens there as well.
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
    return std::unexpected(already_alive(path));
  if (errno != ECONNREFUSED) return fail_errno(errno, fmt::format("ask who listens on '{}'", path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("remove the stale socket '{}'", path));
  return {};
}

// fchmod before bind: the file never has a wider mode than 0600 until its group is set.
Status bind_and_listen(const UniqueFd& listener, const std::string& path, const sockaddr_un& address, std::optional<gid_t> group) {
  if (::fchmod(listener.get(), 0600) != 0) return fail_errno(errno, "set the mode of the control socket");
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, fmt::format("bind control socket '{}'", path));
  Status status;
  if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0)
    status = fail_errno(errno, fmt::format("give control socket '{}' to group {}", path, *group));
  else if (::chmod(path.c_str(), 0660) != 0)
    status = fail_errno(errno, fmt::format("set mode 0660 of control socket '{}'", path));
  else if (::listen(listener.get(), kBacklog) != 0)
    status = fail_errno(errno, fmt::format("listen on control socket '{}'", path));
  if (!status) (void)::unlink(path.c_str());  // the first error is the one to tell
  return status;
}

}  // namespace

Result<PeerCredentials> read_peer_credentials(int socket) {
  ucred raw{};
  socklen_t length = sizeof raw;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &raw, &length) != 0) return fail_errno(errno, "read the peer's credentials");
  PeerCredentials peer{raw.pid, raw.uid, raw.gid, {}};
#ifdef SO_PEERGROUPS
  length = 0;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, nullptr, &length) != 0 && errno == ERANGE) {
    peer.groups.resize(length / sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length) != 0) peer.groups.clear();
  }
#endif
  return peer;
}

bool may_call(const PeerCredentials& peer, uid_t own_uid, std::optional<gid_t> group) {
  if (peer.uid == 0 || peer.uid == own_uid) return true;
  if (!group) return false;
  return peer.gid == *group || std::ranges::find(peer.groups, *group) != peer.groups.end();
}

Result<ControlSocket> ControlSocket::bind(const std::string& path, std::optional<gid_t> group) {
  PINTLE_ASSIGN_OR_RETURN(const sockaddr_un address, address_of(path));
  PINTLE_TRY(make_parent(path));
  PINTLE_ASSIGN_OR_RETURN(UniqueFd lock, take_lock(path));
  PINTLE_TRY(remove_stale(path, address));
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return fail_errno(errno, "make a unix socket");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno(errno, "make an eventfd");
  PINTLE_TRY(bind_and_listen(listener, path, address, group));
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, fmt::format("look at '{}'", path));
  return ControlSocket(path, group, std::move(lock), std::move(listener), std::move(wake), info.st_ino);
}

ControlSocket::~ControlSocket() {
  if (!listener_.valid()) return;  // moved from
  struct stat info{};
  if (::lstat(path_.c_str(), &info) == 0 && info.st_ino == inode_) (void)::unlink(path_.c_str());
}

void ControlSocket::serve(const std::function<void(UniqueFd)>& accepted, std::stop_token stop) {
  const std::stop_callback wake_up(stop, [this] { (void)::eventfd_write(wake_.get(), 1); });
  while (!stop.stop_requested()) {
    pollfd fds[] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) {
      PINTLE_LOG(kError, "server", "control socket '{}': poll: {}; no more callers are taken", path_, std::strerror(errno));
      return;
    }
    if ((fds[0].revents & POLLIN) != 0 && !stop.stop_requested()) accept_one(accepted);
  }
}

void ControlSocket::accept_one(const std::function<void(UniqueFd)>& accepted) {
  UniqueFd peer_fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!peer_fd.valid()) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;  // the peer went away again
    PINTLE_LOG(kWarning, "server", "control socket '{}': accept: {}", path_, std::strerror(errno));
    pollfd wake{wake_.get(), POLLIN, 0};
    (void)::poll(&wake, 1, kNoDescriptorsPauseMs);  // the listener stays readable: don't spin on it
    return;
  }
  const auto peer = read_peer_credentials(peer_fd.get());
  if (!peer) {
    PINTLE_LOG(kWarning, "server", "control socket '{}': refused a caller: {}", path_, peer.error().message());
    return;
  }
  if (!may_call(*peer, ::geteuid(), group_)) {
    PINTLE_LOG(kWarning, "server", "control socket '{}': refused pid {} of uid {}: only root, uid {}{} may call", path_, peer->pid,
               peer->uid, ::geteuid(), group_ ? fmt::format(" and members of group {}", *group_) : std::string());
    return;
  }
  accepted(std::move(peer_fd));
}

}  // namespace pintle::server

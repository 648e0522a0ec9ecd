// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/kube/silent_server.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <map>
#include <stdexcept>

namespace pintle::fakes {

SilentServer::SilentServer()
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_.get(), 1024) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("SilentServer: no socket");
  port_ = ntohs(address.sin_port);
  for (const int fd : {listener_.get(), wake_.get()}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }
  thread_ = std::thread([this] { run(); });
}

SilentServer::~SilentServer() {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  thread_.join();
}

kube::Kubeconfig SilentServer::config(bool tls) const {
  kube::Kubeconfig out;
  out.tls = tls;
  out.host = "127.0.0.1";
  out.port = port_;
  return out;
}

bool SilentServer::wait_for(const std::function<bool(int, size_t, int)>& done) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return done(accepted_, bytes_, open_); });
}

void SilentServer::run() {
  std::map<int, UniqueFd> connections;
  for (;;) {
    epoll_event events[64];
    const int n = ::epoll_wait(epoll_.get(), events, 64, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == wake_.get()) return;
      if (fd == listener_.get()) {
        UniqueFd accepted(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!accepted.valid()) continue;
        epoll_event event{.events = EPOLLIN, .data = {.fd = accepted.get()}};
        (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, accepted.get(), &event);
        connections.emplace(accepted.get(), std::move(accepted));
        const std::lock_guard lock(mu_);
        ++accepted_;
        ++open_;
      } else {
        char buffer[4096];
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) connections.erase(fd);
        const std::lock_guard lock(mu_);
        if (got > 0)
          bytes_ += static_cast<size_t>(got);
        else
          --open_;
      }
    }
    changed_.notify_all();
  }
}

}  // namespace pintle::fakes

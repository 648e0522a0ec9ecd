// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/pins_claim.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "bpf/bpffs.h"
#include "bpf/pin.h"

namespace pintle::bpf {
namespace {

bool is_at(int fd, const std::string& path) {
  struct stat held{};
  struct stat found{};
  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &found) == 0 && held.st_ino == found.st_ino && held.st_dev == found.st_dev;
}

// Invalid: there is no such folder.
Result<UniqueFd> open_folder(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() && errno != ENOENT) return fail_errno(errno, fmt::format("open the pins' folder '{}'", path));
  return fd;
}

Result<UniqueFd> lock_folder(UniqueFd fd, const std::string& path, int how, const char* refusal) {
  if (!fd.valid()) return fd;
  if (::flock(fd.get(), how | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return fail(Code::kUnavailable, fmt::format("pins '{}': {}", path, refusal));
    return fail_errno(errno, fmt::format("lock '{}'", path));
  }
  // Whoever removed the folder meanwhile had it alone until now.
  if (!is_at(fd.get(), path)) return fail(Code::kUnavailable, fmt::format("pins '{}': they were just removed; try again", path));
  return fd;
}

}  // namespace

Result<PinsClaim> PinsClaim::use(const LibbpfAttacher::Options& options) {
  if (options.bpffs.empty() || !is_bpffs(options.bpffs)) return PinsClaim();
  const std::string folder = options.bpffs + "/" + options.folder;
  if (!make_pin_folder(folder)) return PinsClaim();  // the attacher tells why
  auto opened = open_folder(folder);
  if (!opened) return PinsClaim();  // the attacher tells that as well
  PINTLE_ASSIGN_OR_RETURN(
      auto fd, lock_folder(*std::move(opened), folder, LOCK_SH, "'pintled uninstall' removes them just now; start again when it is done"));
  return PinsClaim(std::move(fd));
}

Result<PinsClaim> PinsClaim::take(const LibbpfAttacher::Options& options) {
  if (options.bpffs.empty() || !is_bpffs(options.bpffs)) return PinsClaim();
  const std::string folder = options.bpffs + "/" + options.folder;
  PINTLE_ASSIGN_OR_RETURN(auto opened, open_folder(folder));
  PINTLE_ASSIGN_OR_RETURN(auto fd, lock_folder(std::move(opened), folder, LOCK_EX,
                                               "a pintled uses them, in this container or another one of the node; stop it first"));
  return PinsClaim(std::move(fd));
}

}  // namespace pintle::bpf

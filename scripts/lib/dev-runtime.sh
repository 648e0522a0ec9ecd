# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
#
# Sourced by scripts/dev-containerd and scripts/dev-crio: what a private runtime is made of whichever it is, and their command line.
# The script that sources it has die and usage, takes its own options in take_option, and brings
#   pids_of_runtime   the daemon of $dir
#   start             starts it and prints print_state; repeating it prints the same
#   stop_all          ends and removes everything of $dir but its logs
# and the variables kSocketName, kPrivatePlaces (where it writes whatever its configuration says) and kLog.
readonly kCniBin=${PINTLE_CNI_BIN:-/usr/lib/cni}

# Every name that must be unique on the machine comes from DIR's path.
derive() {
  dir=$(realpath -m "$dir")
  socket=$dir/$kSocketName
  ((${#socket} <= 100)) || die "--dir is too long: a unix socket's path has at most 107 bytes"
  local hash; hash=$(printf '%s' "$dir" | sha256sum)
  tag=${hash:0:6}
  bridge=pt-$tag
  octet=$((16#${hash:6:2}))
}

# --- start --------------------------------------------------------------------------------------------------------

pick_subnet() {
  local tries
  for ((tries = 0; tries < 256; ++tries)); do
    subnet=10.88.$octet.0/24
    ip -4 addr show | grep -q "inet 10\.88\.$octet\." || return 0
    octet=$(((octet + 1) % 256))
  done
  die "every subnet of 10.88.0.0/16 is in use"
}

write_cni() {
  mkdir -p "$dir/cni/net.d"
  ((cni)) || return 0
  local more=""
  ((portmap)) && more=', {"type": "portmap", "capabilities": {"portMappings": true}}'
  cat >"$dir/cni/net.d/10-pintle.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "pintle-$tag", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$dir/cni/ipam", "ranges": [[{"subnet": "$subnet"}]], "routes": [{"dst": "0.0.0.0/0"}]}}$more]}
JSON
}

# need HOW-TO-GET-THEM TOOL...
need() {
  local how=$1 tool; shift
  [[ $(id -u) -eq 0 ]] || die "needs root"
  for tool in "$@"; do command -v "$tool" >/dev/null || die "'$tool' is not there: $how"; done
  ((!cni)) || [[ -x $kCniBin/bridge ]] || die "no CNI plugins in $kCniBin: apt-get install containernetworking-plugins"
}

print_state() { printf 'PID=%s\nSOCKET=%s\nBRIDGE=%s\n' "$1" "$socket" "$bridge"; }

# --- stop ---------------------------------------------------------------------------------------------------------

# Signals pids and waits until they are gone; KILL after 5 s.
end_pids() {
  local signal=$1 pid attempt; shift
  (($# > 0)) || return 0
  kill "-$signal" "$@" 2>/dev/null || true
  for pid in "$@"; do
    for ((attempt = 0; attempt < 100; ++attempt)); do
      kill -0 "$pid" 2>/dev/null || continue 2
      sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}

# Kills what descends from the processes that the function $1 names: they are the reapers of containers.
end_children() {
  local reaper round children
  for ((round = 0; round < 20; ++round)); do
    children=""
    for reaper in $("$1"); do children+=" $(pgrep -P "$reaper" | tr '\n' ' ' || true)"; done
    [[ -n ${children// /} ]] || return 0
    # shellcheck disable=SC2086
    kill -KILL $children 2>/dev/null || true
    sleep 0.02
  done
}

unmount_below() {
  local round point
  for ((round = 0; round < 5; ++round)); do
    local found=0
    while read -r point; do
      found=1
      umount -l -- "$(printf '%b' "$point")" 2>/dev/null || true
    done < <(awk -v top="$1/" 'index($5, top) == 1 {print $5}' /proc/self/mountinfo | sort -r)
    ((found)) || return 0
  done
}

# remove_networks_and_cgroups CONTAINER-ID...
remove_networks_and_cgroups() {
  local id path
  for id in "$@"; do
    [[ -n $id ]] || continue
    while read -r path; do rmdir -- "$path" 2>/dev/null || true; done < <(find /sys/fs/cgroup -depth -type d -name "*$id*" 2>/dev/null)
    rm -f -- /var/lib/cni/results/*-"$id"-* 2>/dev/null || true
  done
  ip link delete "$bridge" 2>/dev/null || true
}

stop() {
  [[ $(id -u) -eq 0 ]] || die "needs root"
  stop_all
  ((keep)) && return 0
  rm -f -- "$dir/$kLog"
  rmdir -- "$dir" 2>/dev/null || true
}

# --- run ----------------------------------------------------------------------------------------------------------

run() {
  if ((private)); then
    command -v unshare >/dev/null || die "'unshare' is not installed: apt-get install util-linux"
    export PINTLE_DEV_RUNTIME_INSIDE=1
    exec unshare --mount --net --propagation private "$0" run --dir "$dir" "${start_options[@]}" -- "$@"
  fi
  if [[ -n ${PINTLE_DEV_RUNTIME_INSIDE:-} ]]; then
    unset PINTLE_DEV_RUNTIME_INSIDE
    ip link set lo up
    # What the runtime and CNI put at fixed places stays inside.
    local place
    for place in "${kPrivatePlaces[@]}"; do
      mkdir -p "$place"
      mount -t tmpfs -o mode=0711 tmpfs "$place"
    done
  fi
  # Cleans up also after a KILL of this script, as a test driver's timeout sends it.
  setsid "$0" guard --dir "$dir" -- "$$" "$made_dir" </dev/null >/dev/null 2>&1 &
  guard=$!
  disown "$guard"
  trap 'kill -KILL -- "-$guard" 2>/dev/null; stop_all >&2; ((made_dir)) && rm -rf -- "$dir"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  start >&2
  local code=0
  PINTLE_CRI_ENDPOINT=unix://$socket PINTLE_CRI_DIR=$dir PINTLE_CRI_BRIDGE=$bridge setpriv --pdeathsig TERM "$@" || code=$?
  exit "$code"
}

# For run's own use: waits for the process $1 to end, then does what its trap would have done.
guard() {
  tail --pid="$1" -f /dev/null
  stop_all
  if (($2)); then rm -rf -- "$dir"; fi
}

# --- command line -------------------------------------------------------------------------------------------------

main() {
  local command=${1:-} pid
  [[ -n $command ]] || usage
  shift
  dir="" cni=1 portmap=0 resume=0 keep=0 private=0 made_dir=0 runtime=runc start_options=()
  while (($# > 0)); do
    case $1 in
      --dir) [[ $# -ge 2 ]] || usage; dir=$2; shift 2 ;;
      --runtime) [[ $# -ge 2 ]] || usage; runtime=$2; start_options+=("$1" "$2"); shift 2 ;;
      --no-cni) cni=0; start_options+=("$1"); shift ;;
      --portmap) portmap=1; start_options+=("$1"); shift ;;
      --resume) resume=1; shift ;;
      --keep) keep=1; shift ;;
      --private) private=1; shift ;;
      --) shift; break ;;
      *) take_option "$1" || usage; start_options+=("$1"); shift ;;
    esac
  done
  if [[ $command == run && -z $dir ]]; then
    dir=$(mktemp -d "${TMPDIR:-/tmp}/pintle-cri.XXXXXX")
  fi
  [[ -n $dir ]] || usage
  derive
  # A folder that `run` made, or that does not exist yet, is `run`'s to remove.
  if [[ $command == run && ( ! -e $dir || -z $(ls -A "$dir" 2>/dev/null) ) ]]; then made_dir=1; fi

  case $command in
    start) start ;;
    stop) stop ;;
    status)
      pid=$(pids_of_runtime)
      [[ -n $pid ]] || die "not running in $dir"
      print_state "${pid%%$'\n'*}"
      ;;
    run) (($# > 0)) || usage; run "$@" ;;
    guard) guard "$@" ;;
    *) usage ;;
  esac
}

# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""The kernel ladder as upstream built it: which release first has what `pintlectl ebpf doctor` probes for.

Pintle never compares versions; it tries. This table is for the tests alone, which compare what was found by trying with what the
release must have. `None`: not of a release but of how the kernel is built, which Debian's cloud kernels all are alike.
"""

SINCE = {
    "cgroup links": (5, 7),
    "ring buffer": (5, 8),
    "link detach": (5, 9),
    "sock_release hook": (5, 9),
    "shared cgroup storage": (5, 9),
    "memory accounted by cgroup": (5, 11),
    "CO-RE in the kernel": (5, 17),
    "bpf_set_retval": (5, 18),
    "LSM programs on cgroups": (6, 0),
    "user ring buffer": (6, 1),
    "cgroup iterators": (6, 1),
    "CGRP_STORAGE": (6, 2),
    "log_true_size": (6, 4),
    "AF_UNIX hooks": (6, 7),
    "BPF token": (6, 9),
    "PREORDER": (6, 15),
    "mapped kernel BTF": (6, 16),
    "BEFORE and AFTER": (6, 17),
    "logs of every call": (7, 0),
    # Of the build, and of Pintle's own programs.
    "cgroup v2": None,
    "capabilities": None,
    "bpffs": None,
    "cgroup programs": None,
    "kernel BTF": None,
    "tracepoint programs": None,
    "tp_btf programs": None,
    "no lockdown": None,
    "fentry": None,
    "LSM programs": None,
}

# What the reason of a missing rung must speak of, beside being there at all: the call that was refused, or what is not known.
REASONS = {
    "CGRP_STORAGE": "cgrp_storage",
    "log_true_size": "verifier's log",
    "AF_UNIX hooks": "BPF_PROG_LOAD",
    "BPF token": "BPF_TOKEN_CREATE",
    "PREORDER": "BPF_LINK_CREATE",
    "BEFORE and AFTER": "BPF_LINK_CREATE",
    "mapped kernel BTF": "/sys/kernel/btf/vmlinux",
    "logs of every call": "common attributes",
}


# What a stable series took over later, so that the answer depends on its patch level: either is right, and tests with programs in the
# guest say whether it is true. 6.12.y took orders over in 2026, with the fixes of cgroup storage.
TAKEN_OVER = {(6, 12): {"PREORDER", "BEFORE and AFTER"}}


def expected(name, kernel):
    """The answers that are right for a kernel such as (6, 1); raises KeyError for a rung that nobody wrote down."""
    if name in TAKEN_OVER.get(kernel, ()):
        return {True, False}
    since = SINCE[name]
    return {since is None or kernel >= since}

#!/usr/bin/env python3
"""Fails when a BPF object carries CO-RE relocations: loading it would make libbpf read the kernel's whole BTF (6 to 17 ms, up to
11 MB), which including vmlinux.h is enough to cause. Reads the .BTF.ext header; see bpf/btf.h's btf_ext_header."""
import struct
import sys


def section(elf, wanted):
    shoff = struct.unpack_from("<Q", elf, 0x28)[0]
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, shoff + i * size) for i in range(count)]
    strings = headers[names]
    for name, _, _, _, offset, length in headers:
        start = strings[4] + name
        if elf[start:elf.index(b"\0", start)] == wanted:
            return elf[offset:offset + length]
    return None


def core_relocations(elf):
    ext = section(elf, b".BTF.ext")
    if ext is None:
        return 0
    magic, _, _, header = struct.unpack_from("<HBBI", ext, 0)
    if magic != 0xEB9F or header < 32:
        return 0
    offset, length = struct.unpack_from("<II", ext, 24)
    if length == 0:
        return 0
    data, at, total = ext[header + offset:header + offset + length], 4, 0
    record = struct.unpack_from("<I", data, 0)[0]
    while at < len(data):
        _, number = struct.unpack_from("<II", data, at)
        at, total = at + 8 + number * record, total + number
    return total


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            found = core_relocations(file.read())
        if found:
            sys.exit(f"{path}: {found} CO-RE relocations; the cgroup object must have none (no vmlinux.h, no preserve_access_index)")
    if len(sys.argv) < 2:
        sys.exit("usage: check_no_core.py OBJECT...")


if __name__ == "__main__":
    main()

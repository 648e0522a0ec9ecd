#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""Boots Debian's other kernels in emulated machines and runs there what depends on the kernel: the ladder that `pintlectl ebpf doctor`
shows, compared with what each release has; the kernel tests and contract tests; all on cgroup v2 alone, with real controllers.

Every test case of a guest is one of ours: "6.1: bpf_kernel_test: …". See tests/vm/machine.py for the machines.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import traceback
import xml.etree.ElementTree as xml

import rungs
from machine import CACHE, ROOT, Image, Job, Missing, Modules, boot, find_kernels, require_tools, unpack

BINARIES = ("bpf_kernel_test", "bpf_contract_kernel_test", "cgroup_contract_test")
CONTROLLERS = {"cpu", "cpuset", "io", "memory", "pids"}


def make_image(kernel, build, folder, jobs):
    image = Image(folder)
    for program in ("ip", "bpftool"):
        image.put(program)
    for binary in ("pintled", "pintlectl", *BINARIES):
        image.put(build / binary, to=f"/usr/bin/{binary}")
    image.put(ROOT / "deploy/systemd/pintled.service")  # read by a test, at its place in the sources
    for script in ("init", "doctor"):
        image.write(f"/vm/{script}", (ROOT / "tests/vm/guest" / script).read_text(), 0o755)
    modules = Modules(kernel)
    modules.add("veth", image.tree / "vm/modules")
    image.write("/vm/modules/order", "".join(f"{name}\n" for name in modules.order))
    image.write("/vm/jobs", "".join(f"{job.name}|{job.seconds}|{job.command}\n" for job in jobs))
    file = folder / "image"
    image.make(file, spare_bytes=64 << 20)
    return file


def jobs_for(binaries):
    return [Job("doctor", "/vm/doctor", 180), *(Job(name, f"{name} --reporter console --reporter junit::out=/results/{name}.xml", 900) for name in binaries)]


def run_guest(kernel, options):
    folder = CACHE / "guests" / kernel.series
    folder.mkdir(parents=True, exist_ok=True)
    vmlinuz = unpack(kernel)
    jobs = jobs_for(BINARIES if not options.quick else ("cgroup_contract_test",))
    image = make_image(kernel, options.build, folder, jobs)
    try:
        return jobs, boot(folder, image, vmlinuz, options.timeout)
    finally:
        image.unlink()


# --- what is checked of a guest ---------------------------------------------------------------------------------------------------

def read_json(outcome, name):
    return json.loads((outcome.results / name).read_text())


def check_jobs(kernel, outcome, jobs):
    """every job of the guest ended by itself, and the machine by powering off"""
    for job in jobs:
        assert job.name in outcome.jobs, f"'{job.name}' never ended; the console's last lines:\n{outcome.console[-1500:]}"
        assert outcome.jobs[job.name][0] not in (124, 137, 143), f"'{job.name}' was cut off after {outcome.jobs[job.name][1]} s"
    assert "Power down" in outcome.console, f"the machine did not power off:\n{outcome.console[-1500:]}"


def check_layout(kernel, outcome, _):
    """cgroup v2 is the only hierarchy, its controllers are real, and the agent says so"""
    seen = dict(line.split("=", 1) for line in (outcome.results / "cgroups.txt").read_text().splitlines())
    assert seen["v1"] == "0" and seen["v2"] == "1", seen
    lacking = CONTROLLERS - set(seen["controllers"].split())
    assert not lacking, f"the root hands no {lacking} down: {seen}"
    node = {check["check"]: check for check in read_json(outcome, "node.json")["checks"]}
    assert node["cgroup2"]["detail"] == "unified at /sys/fs/cgroup", node["cgroup2"]


def check_rungs(kernel, outcome, _):
    """the ladder is what this release has"""
    features = {feature["name"]: feature for feature in read_json(outcome, "doctor.json")["features"]}
    unknown = set(features) - set(rungs.SINCE)
    assert not unknown, f"no kernel is written down for {unknown}: tests/vm/rungs.py"
    assert not set(rungs.SINCE) - set(features), f"not probed: {set(rungs.SINCE) - set(features)}"
    wrong = [f"{name}: {'available' if feature['available'] else 'missing: ' + feature['detail']}" for name, feature in features.items()
             if feature["available"] not in rungs.expected(name, kernel.number)]
    assert not wrong, f"unlike Linux {kernel.series}: " + "; ".join(wrong)


def check_reasons(kernel, outcome, _):
    """each missing rung tells why it is missing, and what is done without it"""
    missing = [feature for feature in read_json(outcome, "doctor.json")["features"] if not feature["available"]]
    assert missing, "this kernel lacks nothing: it shows no degradation"
    table = (outcome.results / "doctor.log").read_text()
    for feature in missing:
        name = feature["name"]
        assert rungs.REASONS[name] in feature["detail"], feature
        assert len(feature["without"]) > 10, feature
        assert name in table and feature["detail"][:40] in table, f"the table for people lacks '{name}'"


def check_programs(kernel, outcome, _):
    """Pintle's own programs are loaded with what there is"""
    features = {feature["name"]: feature for feature in read_json(outcome, "doctor.json")["features"]}
    for name in ("bpffs", "cgroup programs", "tp_btf"):
        assert features[name]["available"], features[name]


CHECKS = (check_jobs, check_layout, check_rungs, check_reasons, check_programs)


def rows_of(kernel, jobs, outcome):
    """(name, None|'failure'|'skipped', message) of one guest: our checks, then every case that ran inside."""
    for check in CHECKS:
        try:
            check(kernel, outcome, jobs)
            yield check.__doc__, None, ""
        except (AssertionError, OSError, KeyError, ValueError) as error:
            yield check.__doc__, "failure", f"{type(error).__name__}: {error}"
    for job in jobs[1:]:
        try:
            cases = list(xml.parse(outcome.results / f"{job.name}.xml").iter("testcase"))
        except (OSError, xml.ParseError) as error:
            yield f"{job.name} (whole binary)", "failure", f"ended without a result: {error}"
            continue
        for case in cases:
            found = next((found for tag in ("failure", "error", "skipped") if (found := case.find(tag)) is not None), None)
            kind = None if found is None else "skipped" if found.tag == "skipped" else "failure"
            yield f"{job.name}: {case.get('name')}", kind, "" if found is None else " ".join((found.get("message") or found.text or "").split())


def write_junit(path, rows):
    root = xml.Element("testsuite", name="vm_kernels")
    for name, kind, message in rows:
        case = xml.SubElement(root, "testcase", name=name)
        if kind:
            xml.SubElement(case, kind, message=message)
    xml.ElementTree(root).write(path, encoding="utf-8")


def collect(options):
    require_tools()
    kernels = [kernel for kernel in find_kernels() if not options.kernel or kernel.series in options.kernel]
    if len(kernels) < (1 if options.kernel else 2):
        raise Missing(f"apt offers {', '.join(kernel.package for kernel in kernels) or 'no linux-image-*-cloud-amd64'}; two other kernels are wanted"
                      " (Debian 12 with its security suite has 6.1 and 6.12)")
    rows = []
    with concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
        for kernel, running in [(kernel, pool.submit(run_guest, kernel, options)) for kernel in kernels]:
            jobs, outcome = running.result()
            took = ", ".join(f"{name} {seconds} s" for name, (_, seconds) in outcome.jobs.items())
            print(f"{kernel.package} {kernel.version}: {outcome.seconds:.0f} s ({took})", flush=True)
            rows += [(f"{kernel.series}: {name}", kind, message) for name, kind, message in rows_of(kernel, jobs, outcome)]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="where the binaries are")
    parser.add_argument("--junit", type=pathlib.Path, default=pathlib.Path(os.devnull), help="where the results go")
    parser.add_argument("--kernel", action="append", metavar="SERIES", help="only this one, such as 6.1 (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="ladder and cgroups only, without the kernel tests")
    parser.add_argument("--parallel", type=int, default=max(1, min(4, os.cpu_count() or 1)), help="machines at a time, each with one processor")
    parser.add_argument("--timeout", type=int, default=1200, metavar="SECONDS", help="for one machine")
    parser.add_argument("--list", action="store_true", help="tell the kernels that would be booted, and end")
    options = parser.parse_args()
    options.build = options.build.resolve()
    if options.list:
        for kernel in find_kernels():
            print(kernel.series, kernel.package, kernel.version)
        return 0
    try:
        rows = collect(options)
    except Missing as missing:
        rows = [("other kernels in emulated machines", "skipped", str(missing))]
    except Exception:  # the count must know of it
        rows = [("other kernels in emulated machines", "failure", traceback.format_exc())]
    write_junit(options.junit, rows)
    for name, kind, message in rows:
        print(f"{kind or 'passed'}: {name}{': ' if message else ''}{message[:2000]}")
    if any(kind == "failure" for _, kind, _ in rows):
        return 1
    return 4 if all(kind == "skipped" for _, kind, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

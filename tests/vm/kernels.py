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
import shutil
import subprocess
import sys
import traceback
import xml.etree.ElementTree as xml

import rungs
from machine import CACHE, PATH, ROOT, Image, Job, Missing, Modules, boot, find_kernels, require_tools, unpack

BINARIES = ("bpf_kernel_test", "bpf_contract_kernel_test", "cgroup_contract_test", "bpf_crash_test")
CONTROLLERS = {"cpu", "cpuset", "io", "memory", "pids"}


RUNTIME = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "mount", "umount")
CNI = pathlib.Path("/usr/lib/cni")


def why_no_runtime():
    """What this machine lacks to run a pod in the guest; None: nothing."""
    lacking = [program for program in RUNTIME if shutil.which(program, path=PATH) is None]
    lacking += [str(CNI / plugin) for plugin in ("bridge", "host-local", "loopback") if not (CNI / plugin).exists()]
    return f"{', '.join(lacking)} not installed" if lacking else None


def make_image(kernel, build, folder, jobs):
    image = Image(folder)
    modules = Modules(kernel)
    for program in ("ip", "bpftool"):
        image.put(program)
    for binary in ("pintled", "pintlectl", *BINARIES):
        image.put(build / binary, to=f"/usr/bin/{binary}")
    for program_set in (build / "ebpf/sets").glob("*/pintle_cgroup.bpf.o"):
        image.put(program_set)
    for program in (build / "tests/bpf/programs").glob("*.bpf.o"):
        image.put(program)
    image.put(ROOT / "deploy/examples/programs/deny-telnet.yaml")
    image.put(ROOT / "deploy/systemd/pintled.service")  # read by a test, at its place in the sources
    for script in (ROOT / "tests/vm/guest").iterdir():
        image.write(f"/vm/{script.name}", script.read_text(), 0o755)
    modules.add("veth", image.tree / "vm/modules")
    if any(job.name == "pod" for job in jobs):
        for program in (*RUNTIME, *CNI.iterdir()):
            image.put(program)
        for name in ("overlay", "bridge"):
            modules.add(name, image.tree / "vm/modules")
        subprocess.run([ROOT / "scripts/dev-image", "build", image.tree / "vm/images.tar"], check=True)
        image.put(ROOT / "deploy/examples/web.yaml", to="/vm/web.yaml")
    image.write("/vm/modules/order", "".join(f"{name}\n" for name in modules.order))
    image.write("/vm/jobs", "".join(f"{job.name}|{job.seconds}|{job.command}\n" for job in jobs))
    file = folder / "image"
    image.make(file, spare_bytes=256 << 20)
    return file


def jobs_of(options):
    jobs = [Job("doctor", "/vm/doctor", 180)]
    if not why_no_runtime():
        jobs.append(Job("pod", "/vm/pod", 400))
    binaries = ("cgroup_contract_test",) if options.quick else BINARIES
    return jobs + [Job(name, f"{name} --reporter console --reporter junit::out=/results/{name}.xml", 900) for name in binaries]


def run_guest(kernel, options):
    folder = CACHE / "guests" / kernel.series
    folder.mkdir(parents=True, exist_ok=True)
    vmlinuz = unpack(kernel)
    jobs = jobs_of(options)
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
    for name in ("bpffs", "cgroup programs", "tracepoint programs"):
        assert features[name]["available"], features[name]


def check_pod(kernel, outcome, jobs):
    """a pod of containerd and runc runs with its programs in force, and leaves nothing"""
    if all(job.name != "pod" for job in jobs):
        raise Missing(f"no pod can be run in the guest: {why_no_runtime()}")
    told = (outcome.results / "pod.log").read_text()[-3000:]
    assert read_json(outcome, "pod.json")["status"]["phase"] == "Running", told
    hooks = read_json(outcome, "programs.json")["pods"][0]["hooks"]
    assert hooks and all(hook["effective"] and hook["state"] == "Attached" for hook in hooks), hooks
    assert CONTROLLERS <= set((outcome.results / "pod-controllers.txt").read_text().split()), "the pod's cgroup hands not all of its controllers down"
    assert (outcome.results / "pod-memory.txt").read_text() == f"{64 << 20}\n", "two containers of 32 Mi each"
    assert "delete ended with 0" in told, told
    assert (outcome.results / "pod-left.txt").read_text() == "", "its cgroup is left"


CHECKS = (check_jobs, check_layout, check_rungs, check_reasons, check_programs, check_pod)


def rows_of(kernel, jobs, outcome):
    """(name, None|'failure'|'skipped', message) of one guest: our checks, then every case that ran inside."""
    for check in CHECKS:
        try:
            check(kernel, outcome, jobs)
            yield check.__doc__, None, ""
        except Missing as missing:
            yield check.__doc__, "skipped", str(missing)
        except (AssertionError, OSError, KeyError, ValueError) as error:
            yield check.__doc__, "failure", f"{type(error).__name__}: {error}"
    for job in (job for job in jobs if job.name.endswith("_test")):
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

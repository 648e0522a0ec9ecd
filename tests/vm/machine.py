# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""Virtual machines of other kernels than this one's: Debian's packages from the machine's own apt sources, booted by QEMU.

Emulated throughout (TCG), so that neither /dev/kvm nor root is needed, and nothing on this machine changes. The root file system is an
ext4 image made on the spot from programs of this machine with the libraries they load; NVMe, ext4 and cgroups are built into Debian's
cloud kernels, so there is no initramfs. What the guest leaves below /results is read from the image when the machine is off.
"""
import dataclasses
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("PINTLE_VM_CACHE", ROOT / "build" / "vm"))
KERNEL_PACKAGE = re.compile(r"linux-image-(\d+\.\d+)\.[\w.+~-]*cloud-amd64")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Missing(Exception):
    """A precondition of this machine is missing; the text names it."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    series: str   # "6.1"
    package: str  # "linux-image-6.1.0-…-cloud-amd64"
    version: str  # of the package

    @property
    def number(self):
        return tuple(int(part) for part in self.series.split("."))

    @property
    def folder(self):
        return CACHE / "kernels" / f"{self.package}_{self.version}"


def _output(*words, **kwargs):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True, env={**os.environ, "PATH": PATH, "LC_ALL": "C"},
                          **kwargs).stdout


def require_tools():
    for tool, package in (("qemu-system-x86_64", "qemu-system-x86"), ("mke2fs", "e2fsprogs"), ("debugfs", "e2fsprogs"), ("dpkg-deb", "dpkg")):
        if shutil.which(tool, path=PATH) is None:
            raise Missing(f"{tool} is not installed (package {package}; scripts/setup installs it)")
    if os.uname().machine != "x86_64":
        raise Missing("the guest runs programs of this machine, and Debian's cloud kernels of x86-64 are the only ones tried")


def find_kernels():
    """The newest kernel of each series that apt offers, oldest series first; those unpacked before where apt offers none."""
    newest = {}
    try:
        names = [name for name in _output("apt-cache", "pkgnames", "linux-image-").split() if KERNEL_PACKAGE.fullmatch(name)]
        told = _output("apt-cache", "policy", *names) if names else ""
    except (OSError, subprocess.CalledProcessError):
        told = ""
    found = re.findall(r"^(linux-image-\S+):\n  Installed: .*\n  Candidate: (\S+)$", told, re.MULTILINE)
    found += [folder.name.split("_", 1) for folder in (CACHE / "kernels").glob("linux-image-*_*")]
    natural = lambda text: [int(part) for part in re.findall(r"\d+", text)]
    for package, version in found:
        match = KERNEL_PACKAGE.fullmatch(package)
        if match and version != "(none)":
            kernel = Kernel(match[1], package, version)
            best = newest.get(kernel.series)
            if best is None or natural(best.package) < natural(package):
                newest[kernel.series] = kernel
    return sorted(newest.values(), key=lambda kernel: kernel.number)


def unpack(kernel):
    """Downloads and unpacks the kernel unless that was done before; its boot image."""
    if not kernel.folder.exists():
        work = kernel.folder.with_suffix(".new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            _output("apt-get", "download", f"{kernel.package}={kernel.version}", cwd=work)
        except subprocess.CalledProcessError as error:
            raise Missing(f"{kernel.package} can't be downloaded: {' '.join(error.stderr.split()[-30:])}") from error
        archive = next(work.glob("*.deb"))
        _output("dpkg-deb", "-x", archive, work)
        archive.unlink()
        work.rename(kernel.folder)
    return next(kernel.folder.glob("boot/vmlinuz-*"))


class Modules:
    """Kernel modules with what they need, in the order in which they load."""

    def __init__(self, kernel):
        found = kernel.folder.glob("lib/modules/*/kernel/**/*.ko*")
        self._files = {path.name.split(".ko")[0].replace("-", "_"): path for path in found}
        self.order = []

    @staticmethod
    def _read(path):
        return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()

    def add(self, name, folder):
        """Writes the module below `folder`; one that is built in is no file and needs none."""
        path = self._files.get(name.replace("-", "_"))
        if path is None or name in self.order:
            return
        content = self._read(path)
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in (depends[1].decode().split(",") if depends else []):
            self.add(other, folder)
        (folder / f"{name}.ko").write_bytes(content)
        self.order.append(name)


class Image:
    """A root file system in the making: a folder that becomes an ext4 image."""

    def __init__(self, folder):
        self.tree = folder / "root"
        shutil.rmtree(self.tree, ignore_errors=True)
        for name in ("bin", "dev", "etc", "mnt", "proc", "results", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin", "var", "vm/modules"):
            (self.tree / name).mkdir(parents=True)
        for name in ("lib", "lib64", "sbin"):
            (self.tree / name).symlink_to(f"usr/{name}" if name != "sbin" else "usr/sbin")
            (self.tree / "usr" / name).mkdir(exist_ok=True)
        self.put("busybox", to="bin/busybox")
        for applet in _output(self.tree / "bin/busybox", "--list").split():
            if applet not in ("busybox", "sh"):
                (self.tree / "bin" / applet).symlink_to("busybox")
        self.put("dash", to="bin/sh")  # busybox's own prefers its applets to whatever PATH has
        (self.tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        (self.tree / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")

    def put(self, program, to=None):
        """A program or file of this machine with the libraries it loads, at the same path or at `to`."""
        source = shutil.which(str(program), path=PATH) or str(program)
        if not os.path.exists(source):
            raise Missing(f"{program} is not installed")
        self._copy(source, to or source)
        told = subprocess.run(["ldd", source], capture_output=True, text=True)  # fails for what is static or no program
        for library in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", told.stdout, re.MULTILINE) if told.returncode == 0 else []:
            self._copy(library, library)

    def _copy(self, source, to):
        # Both trees have lib and sbin as links into usr.
        target = self.tree / re.sub(r"^(lib|lib64|sbin)/", r"usr/\1/", str(to).lstrip("/"))
        if target.is_symlink():
            target.unlink()
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(source), target)

    def write(self, path, text, mode=0o644):
        target = self.tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def make(self, file, spare_bytes):
        size = sum(entry.lstat().st_size + 4096 for entry in self.tree.rglob("*")) + spare_bytes
        file.unlink(missing_ok=True)
        _output("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", self.tree, file, f"{size // 1024}k")
        shutil.rmtree(self.tree)


@dataclasses.dataclass(frozen=True)
class Job:
    """One command in the guest: its output is /results/<name>.log. More files of that folder are its own affair."""
    name: str
    command: str
    seconds: int = 240


@dataclasses.dataclass
class Outcome:
    jobs: dict       # name -> (exit status, seconds)
    results: pathlib.Path
    console: str
    seconds: float


def guest_command(image, kernel_image, *, memory="1536M", cpus=1):
    # Five-level page tables would only make emulation slower.
    return ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max,la57=off", "-smp", str(cpus), "-m", memory, "-nodefaults", "-no-user-config",
            "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel_image), "-drive", f"file={image},if=none,id=root,format=raw,cache=unsafe",
            "-device", "nvme,drive=root,serial=root",
            "-append", "console=ttyS0 root=/dev/nvme0n1 rw rootwait init=/vm/init panic=-1 loglevel=4 mitigations=off lockdown=none tsc=reliable"]


def boot(folder, image, kernel_image, seconds, **machine):
    """Runs the guest until it powers off. An end of its own accord is not yet success: the jobs' statuses are."""
    console = folder / "console.log"
    begun = time.monotonic()
    with open(console, "wb") as log:
        guest = subprocess.Popen(guest_command(image, kernel_image, **machine), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                 env={**os.environ, "PATH": PATH})
        try:
            guest.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if guest.poll() is None:
                guest.kill()
                guest.wait()
    took = time.monotonic() - begun
    results = folder / "results"
    shutil.rmtree(results, ignore_errors=True)
    _output("debugfs", "-R", f"rdump /results {folder}", image)
    text = console.read_text(errors="replace")
    jobs = {name: (int(status), int(took)) for name, status, took in re.findall(r"^vm: (\S+) ended with (\d+) after (\d+) s", text, re.MULTILINE)}
    return Outcome(jobs, results, text, took)

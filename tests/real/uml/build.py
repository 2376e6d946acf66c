"""Builds the user-mode Linux kernel of the real-parts tests: once, at low priority, from Debian's own source.

    python3 tests/real/uml/build.py            build if it is not there yet; print the kernel's path
    python3 tests/real/uml/build.py --path     print the path, exit 1 if nothing is built there yet

The kernel is an ordinary program of 8 MB (no root, no KVM, no image) that boots in 0.2 s with GPIO_SIM inside.
It is kept in the user's cache folder under the hash of everything that decides its content: the recipe below
and the version of Debian's source package. It takes 5 to 7 minutes on two cores and nothing after that.

Only the standard library: `make test` starts this before the virtual environment exists.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "linux-source-6.1"
ARCHIVE = Path("/usr/src") / f"{PACKAGE}.tar.xz"
TOOLS = ("make", "gcc", "flex", "bison", "bc", "xz", "tar")

ENABLED = (
    # lines, and a trace of every value that anybody sets on one
    "GPIOLIB GPIO_CDEV GPIO_SIM CONFIGFS_FS FTRACE ENABLE_DEFAULT_TRACERS DEBUG_FS "
    # a root file system that is the host's, and the rest of a booted Linux
    "HOSTFS DEVTMPFS DEVTMPFS_MOUNT TMPFS CGROUPS MEMCG CGROUP_PIDS INOTIFY_USER SIGNALFD TIMERFD EPOLL UNIX INET "
    "FHANDLE NAMESPACES NET_NS USER_NS SECCOMP SECCOMP_FILTER OVERLAY_FS "
    # a month in a second; disks that can be cut, lie or fail; networks that lose
    "UML_TIME_TRAVEL_SUPPORT BLK_DEV_UBD EXT4_FS NET_SCHED NET_SCH_NETEM VETH MD BLK_DEV_DM DM_FLAKEY DM_LOG_WRITES "
    "DEBUG_INFO_NONE INIT_STACK_NONE"
).split()
VALUES = {"KERNEL_STACK_ORDER": "4"}
DISABLED = (
    # slows each interrupt by the size of the registers below
    "INIT_STACK_ALL_ZERO "
    # what no test here has a use for
    "MODULES SOUND WIRELESS DEBUG_KERNEL REISERFS_FS KEYBOARD_ATKBD INPUT_KEYBOARD MOUSE_PS2 INPUT_MOUSE HID "
    "HID_GENERIC HID_SUPPORT SERIO_SERPORT PPP SLIP WLAN ETHERNET ISO9660_FS BLK_DEV_NBD IOSCHED_BFQ "
    "MQ_IOSCHED_KYBER QUOTA UML_NET INET_DIAG SUSPEND IKCONFIG NETWORK_FILESYSTEMS CRYPTO_HW ETHTOOL_NETLINK "
    "LEGACY_PTYS EFI_PARTITION PTP_1588_CLOCK SYSFS_DEPRECATED BSD_PROCESS_ACCT"
).split()

#: file, what stands there, what is put in its place. Each is looked for, so a new source cannot slip past it.
CHANGES = (
    # gpio-sim's interrupts come from irq_sim, beyond the few numbers that user-mode Linux reserves: without more of
    # them an edge request fails with ENXIO.
    (
        "arch/um/include/asm/irq.h",
        "#define NR_IRQS\t\t\tUM_LAST_SIGNAL_IRQ\n",
        "#define NR_IRQS (UM_LAST_SIGNAL_IRQ + 1024)\n",
    ),
    # Processors with AMX have 11,008 bytes of registers, this kernel keeps 2,696: the host then refuses to restore
    # them and init dies at its first instruction. They stand on the kernel's stacks too, hence KERNEL_STACK_ORDER.
    ("arch/x86/um/user-offsets.c", "DEFINE_LONGS(HOST_FP_SIZE, 2696);", "DEFINE_LONGS(HOST_FP_SIZE, 12288);"),
)


class CannotBuild(Exception):  # noqa: N818  (named for what it says)
    """This machine lacks something that the build needs; the text names it."""


def missing() -> str:
    """What this machine lacks to build the kernel, in words; empty when it has everything."""
    if platform.machine() != "x86_64":
        return "user-mode Linux runs on x86-64 only"
    if not ARCHIVE.exists():
        return f"Debian package {PACKAGE} is not installed"
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {' '.join(lacking)}" if lacking else ""


def kernel() -> Path:
    """Where the kernel of this recipe and this source is, or will be."""
    recipe = [ENABLED, DISABLED, VALUES, CHANGES, source_version()]
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:24]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "loumen" / "uml" / key / "linux"


def source_version() -> str:
    """The version of the installed source package; empty when it is not installed."""
    query = ["dpkg-query", "--show", "--showformat=${Version}", PACKAGE]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def build() -> Path:
    """Build the kernel unless it is there; two builders at once wait for each other. Raises CannotBuild."""
    target = kernel()
    if target.exists():
        return target
    if lacking := missing():
        raise CannotBuild(lacking)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix="loumen-uml-") as scratch:
                _compile(Path(scratch), target)
    return target


def _compile(scratch: Path, target: Path) -> None:
    log = target.with_name("build.log")
    with log.open("wb") as output:

        def run(*command: str) -> None:
            done = subprocess.run(
                command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
            if done.returncode:
                raise CannotBuild(f"`{' '.join(command[:4])}` failed; see {log}")

        run("tar", "xf", str(ARCHIVE), "--strip-components=1")
        for name, before, after in CHANGES:
            _change(scratch / name, before, after)
        switches = [word for name in ENABLED for word in ("-e", name)]
        switches += [word for name in DISABLED for word in ("-d", name)]
        switches += [word for name, value in VALUES.items() for word in ("--set-val", name, value)]
        make = ("make", "ARCH=um", "O=um")
        run(*make, "defconfig")
        run("scripts/config", "--file", "um/.config", *switches)
        run(*make, "olddefconfig")
        run(*make, f"-j{(os.cpu_count() or 1) + 1}", "linux")
    built = scratch / "um" / "linux"
    subprocess.run(["strip", str(built)], check=False)
    part = target.with_name(f"linux.{os.getpid()}")
    shutil.copy2(built, part)
    part.rename(target)


def _change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    if before not in text:
        raise CannotBuild(f"{file} is not as this recipe knows it: no '{before}'")
    file.write_text(text.replace(before, after))


def main(arguments: list[str]) -> int:
    """The command line; see the top of this file."""
    if arguments == ["--path"]:
        print(kernel())
        return 0 if kernel().exists() else 1
    os.nice(19)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the compiler goes with us
    try:
        print(build())
    except CannotBuild as cannot:
        print(f"no user-mode kernel: {cannot}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

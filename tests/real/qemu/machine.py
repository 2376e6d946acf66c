"""A whole emulated PC (QEMU, TCG) with Debian's stock kernel: what user-mode Linux has not got.

    python3 tests/real/qemu/machine.py       make the empty Debian, its kernel and the module; print where they are

The watchdog of a real systemd, the kernel's own device and memory limits, USB and V4L2 devices. gpio-sim is in no
Debian kernel: it is built as a module from Debian's source against the headers of the same release. All is made once
(two minutes) and kept in the user's cache folder under the hash of the recipe. Nightly: emulation is slow.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.real.box import image
from tests.real.box.machine import DONE
from tests.real.uml import build

PACKAGES = [*image.PACKAGES, "linux-image-amd64", "initramfs-tools", "kmod"]
UNIT = image.UNIT.replace("mount -t hostfs none /mnt -o /", "mount -t 9p -o trans=virtio,version=9p2000.L host /mnt")
DISK_GB = 6
#: gpio-sim and the simulated interrupts under it, as one module. irq_to_desc is not exported to modules.
SOURCES = ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c")
NOT_EXPORTED = ("irq_to_desc(irqnum)", "irq_data_to_desc(irq_get_irq_data(irqnum))")
MAKEFILE = """\
obj-m := gpio-sim.o
gpio-sim-y := gpio-sim-main.o irq_sim.o
ccflags-y := -DCONFIG_IRQ_SIM=1
"""
ADAPTER = "usb-serial,serial=A50285BI,chardev=bus,always-plugged=on"
DEVICES = ("-device", "qemu-xhci", "-chardev", "null,id=bus", "-device", ADAPTER)


def folder() -> Path:
    """Where root.tar, vmlinuz, initrd and gpio-sim.ko of this recipe are, made if they are not there."""
    recipe = [image.SUITE, PACKAGES, UNIT, image.CUSTOMISE, image.LEFT_OUT, SOURCES, NOT_EXPORTED, MAKEFILE]
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:24]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    where = cache / "loumen" / "qemu" / key
    where.mkdir(parents=True, exist_ok=True)
    with (where / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (where / "gpio-sim.ko").exists():
            with tempfile.TemporaryDirectory(prefix="loumen-qemu-", dir=where) as scratch:
                _debian(Path(scratch), where)
                _module(Path(scratch), where)
    return where


def _debian(scratch: Path, where: Path) -> None:
    unit, tree = scratch / "unit", scratch / "boot"
    unit.write_text(UNIT)
    hooks = [f"--customize-hook={command}" for command in image.CUSTOMISE]
    hooks.append('--customize-hook=cp "$1"/boot/vmlinuz-* "$OUT/vmlinuz"; cp "$1"/boot/initrd.img-* "$OUT/initrd"')
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in image.LEFT_OUT]
    tree.mkdir()
    include = f"--include={','.join(PACKAGES)}"
    command = ("mmdebstrap", "--variant=minbase", "--quiet", include, *left_out, *hooks, image.SUITE)
    image.run(*command, str(where / "root.tar"), UNIT=str(unit), OUT=str(where))


def _module(scratch: Path, where: Path) -> None:
    release = subprocess.run(
        ["tar", "tf", where / "root.tar", "--wildcards", "./boot/vmlinuz-*"], capture_output=True, text=True, check=True
    ).stdout.strip()
    headers = Path("/usr/src") / f"linux-headers-{release.rpartition('vmlinuz-')[2]}"
    if not headers.is_dir():
        raise image.CannotBuild(f"not installed: {headers.name}")
    module = scratch / "module"
    module.mkdir()
    names = [f"{build.PACKAGE}/{name}" for name in SOURCES]
    image.run("tar", "xf", str(build.ARCHIVE), "--strip-components=1", "-C", str(scratch), *names)
    shutil.copy2(scratch / SOURCES[0], module / "gpio-sim-main.c")
    shutil.copy2(scratch / SOURCES[1], module / "gpiolib.h")
    simulated = (scratch / SOURCES[2]).read_text().replace(*NOT_EXPORTED)
    (module / "irq_sim.c").write_text(
        "\n".join(line for line in simulated.splitlines() if not line.startswith("EXPORT_SYMBOL")) + "\n"
    )
    (module / "Makefile").write_text(MAKEFILE)
    image.run("make", "-s", "-C", str(headers), f"M={module}", "modules")
    shutil.copy2(module / "gpio-sim.ko", where / "gpio-sim.ko")


def disk(tree: Path, to: Path) -> Path:
    """The folder as an ext4 disk."""
    with to.open("wb") as file:
        file.truncate(DISK_GB * 1024**3)
    image.run("mke2fs", "-q", "-t", "ext4", "-F", "-m", "0", "-d", str(tree), str(to))
    return to


def boot(drive: Path, share: Path, script: str, within: float) -> tuple[int, str]:
    """Exit code and output of `script`, a name in `share`, which the machine sees as /mnt; -9 when it took too long."""
    made = folder()
    words = "root=/dev/vda rw console=ttyS0 quiet loglevel=3 systemd.show_status=0"
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]
    command += ["-m", "1536", "-nographic", "-no-reboot", "-net", "none", *DEVICES]
    command += ["-kernel", str(made / "vmlinuz"), "-initrd", str(made / "initrd")]
    command += ["-append", f"{words} loumen.script=/{script}"]
    command += ["-drive", f"file={drive},if=virtio,format=raw,snapshot=on"]
    command += ["-virtfs", f"local,path={share},mount_tag=host,security_model=none,readonly=on"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within,
            check=False,
        )
        raw = done.stdout
    except subprocess.TimeoutExpired as late:
        raw = late.stdout or b""
    output = raw.decode(errors="replace").replace("\r\n", "\n")
    told = [line for line in output.splitlines() if line.startswith(DONE)]
    return (int(told[-1].removeprefix(DONE)) if told else -9), output


if __name__ == "__main__":
    print(folder())

"""Sets a damaged journal aside and puts a sound file with what was readable in its place.

Every step can be cut off and is taken up again at the next start: `journal.epoch` first says which name
the damaged file gets, then the file and its log are renamed, then the new file is built under another
name, synced, renamed, and only then `journal.epoch` is put back. Nothing of the damaged file is deleted;
the three youngest are kept. A large file is salvaged in a process of its own: see DESIGN, threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from gateway.journal import opening, salvage, tables
from gateway.journal.opening import Note, Opened, Witness

_APART = 8 * 1024 * 1024  # bytes from which on the salvage is a process of its own
_KEPT = 3


def open_sound(path: Path, box: str, host: str, note: Note, suspect: str = "", *, held: bool = False) -> Opened:
    """Open the journal; a damaged file (or one that is `suspect`) is set aside first.

    `held`: this process had it open before and closed it, so its log may well be gone.

    Raises sqlite3.Error or OSError when the disk does not allow it now; call again later.
    """
    witness = opening.witness_of(path)
    if witness and witness.aside:
        _carry_out(path)
    damage = suspect or opening.inspect(path, held=held)
    if damage:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        witness = opening.witness_of(path) or Witness(epoch="", number=0, box=box)
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        aside = path.with_name(f"journal.damaged-{stamp}-{os.urandom(2).hex()}.db")
        opening.write_witness(path, replace(witness, aside=aside.name, damage=damage))
        _carry_out(path)
    return opening.prepare(path, box, host, note)


def _carry_out(path: Path) -> None:
    if path.exists() and path.stat().st_size > _APART:
        done = subprocess.run(
            [sys.executable, "-m", "gateway.journal.quarantine", str(path)], capture_output=True, check=False, text=True
        )
        if done.returncode != 0:
            raise OSError(f"the damaged journal could not be set aside: {done.stderr.strip()[-300:]}")
    else:
        carry_out(path)


def carry_out(path: Path) -> None:
    """Do, or finish, the quarantine that `journal.epoch` announces."""
    witness = opening.witness_of(path)
    if witness is None or not witness.aside:
        return
    aside, new = path.with_name(witness.aside), path.with_name(path.name + ".new")
    if not aside.exists():
        path.rename(aside)
    if not path.exists():
        if tables.wal(path).exists() and not tables.wal(aside).exists():
            tables.wal(path).rename(tables.wal(aside))
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        salvage.build(aside, new, witness)
        new.replace(path)
        opening.sync_folder(path.parent)
    opening.write_witness(path, replace(witness, aside="", damage=""))
    _forget_old(path.parent)


def _forget_old(folder: Path) -> None:
    for old in sorted(folder.glob("journal.damaged-*.db"))[:-_KEPT]:
        with suppress(OSError):
            tables.wal(old).unlink(missing_ok=True)
            old.unlink()


if __name__ == "__main__":
    carry_out(Path(sys.argv[1]))

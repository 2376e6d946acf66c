"""The box key, which wraps every person's key: a systemd credential on a box, else a file only root reads.

It is made once. Where it is missing although keys wrapped by it exist, a new one would only hide the
loss: nothing is made, and `status` says what to put back.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from gateway.directory.files import write_whole
from gateway.directory.problem import Problem
from gateway.directory.sealing import KEY, new_key
from gateway.errors import N_

FILE = "box.key"
CREDENTIAL = "box-key"
PUT_BACK = N_("put the file back from the backup and restart loumen; without it, everybody is enrolled anew")


@dataclass(frozen=True, slots=True)
class BoxKey:
    """The key (None: there is none to use), and what is wrong about it."""

    key: bytes | None = field(repr=False)
    problem: Problem | None = None


def load_or_create(folder: Path, *, keys_exist: bool) -> BoxKey:
    """Take the key from the credential, else from `folder`, else make it. Raises OSError."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (credential := Path(credentials) / CREDENTIAL).exists():
        return _checked(credential)
    path = folder / FILE
    if path.exists():
        return _checked(path)
    if keys_exist:
        text = N_("the box key {path} is gone: names and faces cannot be decrypted")
        return BoxKey(None, Problem(text, {"path": str(path)}, grave=True, mend=PUT_BACK))
    key = new_key()
    write_whole(path, key)
    return BoxKey(key)


def _checked(path: Path) -> BoxKey:
    key = path.read_bytes()
    if len(key) != KEY:
        text = N_("the box key {path} has {length} bytes, not 32: names and faces cannot be decrypted")
        return BoxKey(None, Problem(text, {"path": str(path), "length": len(key)}, grave=True, mend=PUT_BACK))
    if path.name == FILE and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)
        text = N_("the box key {path} was readable by others; it is not any more, but they may have copied it")
        mend = N_(
            "look who has used this machine; if a copy may be in wrong hands, set the box up anew and enrol again"
        )
        return BoxKey(key, Problem(text, {"path": str(path)}, mend=mend))
    return BoxKey(key)

"""What a technician needs to run Debian's mosquitto for one community: its texts, and their place in /etc/mosquitto."""

from __future__ import annotations

import grp
import os
import shutil
from pathlib import Path

from gateway.errors import IdentityError, N_
from gateway.identity import replace_file

USER = "mosquitto"  # Debian's package makes the user and the group; the broker drops to it before it reads `acl_file`


def configuration(folder: Path, port: int) -> str:
    """mosquitto.conf: mutual TLS, the certificate's name is the user, limits that suit boxes behind bad lines."""
    return f"""# Written by `loumen desk`. As your own user: mosquitto -c {folder}/mosquitto.conf
# For Debian's service: sudo loumen desk broker --install /etc/mosquitto
listener {port}
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl
max_queued_messages 20000
max_inflight_messages 20
message_size_limit 262144
"""


def access_list(community: str) -> str:
    """A box may speak under its own name and hear its commands; the desk sees all and commands all."""
    return f"""user desk
topic read loumen/{community}/+/event
topic read loumen/{community}/+/event/live
topic read loumen/{community}/+/birth
topic read loumen/{community}/+/state
topic read loumen/{community}/+/reply
topic write loumen/{community}/+/command
pattern write loumen/{community}/%u/event
pattern write loumen/{community}/%u/event/live
pattern write loumen/{community}/%u/birth
pattern write loumen/{community}/%u/state
pattern write loumen/{community}/%u/reply
pattern read loumen/{community}/%u/command
"""


def install(broker: Path, port: int, into: Path) -> Path:
    """Put what `broker` holds where Debian's service reads it; returns the configuration's path. Raises IdentityError.

    The service gives up root before it opens the access list (mosquitto 2.0), so the desk's own folder, which
    only root may enter, is no place for it.
    """
    folder, conf = into / "loumen", into / "conf.d" / "loumen.conf"
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        for name, mode in (("ca.pem", 0o644), ("broker.pem", 0o644), ("acl", 0o644), ("broker.key", 0o640)):
            replace_file(folder / name, (broker / name).read_bytes(), mode)
        if _group_exists():
            shutil.chown(folder / "broker.key", group=USER)
        conf.parent.mkdir(exist_ok=True)
        replace_file(conf, configuration(folder, port).encode(), 0o644)
    except OSError as error:
        raise IdentityError(
            N_("The broker's files cannot be installed: {problem}"),
            where=os.fspath(into),
            mend=N_("run it with sudo; mosquitto must be installed: apt-get install mosquitto"),
            problem=error.strerror or "",
        ) from error
    return conf


def _group_exists() -> bool:
    try:
        grp.getgrnam(USER)
    except KeyError:
        return False
    return True

"""What a technician needs to run Debian's mosquitto for one community. Pure text."""

from __future__ import annotations

from pathlib import Path


def configuration(folder: Path, port: int) -> str:
    """mosquitto.conf: mutual TLS, the certificate's name is the user, limits that suit boxes behind bad lines."""
    return f"""# Written by `loumen desk init`. Run: mosquitto -c {folder}/mosquitto.conf
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

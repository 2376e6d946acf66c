"""Debian's mosquitto as its service starts it: as root, from /etc/mosquitto, and as nobody in particular afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.identity.certificates import client_context, hosts, load_certificate
from tests.uplink.house import free_port, make_desk, wait_for_port

pytestmark = [
    pytest.mark.real("mosquitto"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up being root, as Debian's service does"),
]

#: CONNECT of MQTT 3.1.1 (3.1): clean session, keep-alive 10 s, client id "x".
CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01x"


@pytest.fixture
def etc() -> Iterator[Path]:
    """A folder that the broker's own user can enter, as /etc/mosquitto is."""
    pwd.getpwnam("mosquitto")
    folder = Path(tempfile.mkdtemp(prefix="etc-mosquitto-"))
    folder.chmod(0o755)
    (folder / "conf.d").mkdir()
    (folder / "mosquitto.conf").write_text(f"include_dir {folder}/conf.d\n")
    yield folder
    shutil.rmtree(folder)


def test_the_broker_serves_from_where_the_desk_installed_it_and_a_new_certificate_is_taken(
    tmp_path: Path, etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    authority = make_desk(tmp_path / "desk", port)
    desk = ["desk", "--folder", str(authority.folder), "broker", "--lang", "en"]
    assert main([*desk, "--keep", "--install", str(etc)]) == 0
    assert "systemctl restart mosquitto" in capsys.readouterr().out
    conf = etc / "conf.d" / "loumen.conf"
    conf.write_text(conf.read_text().replace(f"listener {port}", f"listener {port} 127.0.0.1"))
    before = (etc / "loumen" / "broker.pem").read_bytes()
    _served(authority.folder, etc, port)
    assert main([*desk, "--host", "127.0.0.1", "--host", "broker.example", "--install", str(etc)]) == 0
    renewed = (etc / "loumen" / "broker.pem").read_bytes()
    assert renewed != before
    assert set(hosts(load_certificate(renewed))) == {"127.0.0.1", "broker.example"}
    _served(authority.folder, etc, port)


def test_a_folder_that_is_not_there_is_told_with_its_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_desk(tmp_path / "desk", 1).folder
    absent = tmp_path / "nowhere"
    assert main(["desk", "--folder", str(folder), "broker", "--keep", "--install", str(absent), "--lang", "en"]) == 1
    told = capsys.readouterr().err
    assert str(absent) in told
    assert "sudo" in told


def _served(desk: Path, etc: Path, port: int) -> None:
    """The broker runs as its own user and shakes hands with the desk's certificate."""
    process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(etc / "mosquitto.conf")], stderr=subprocess.PIPE)
    try:
        wait_for_port(port, process)
        assert pwd.getpwuid(Path(f"/proc/{process.pid}").stat().st_uid).pw_name == "mosquitto"
        context = client_context(desk / "ca" / "ca.pem", desk / "client" / "desk.pem", desk / "client" / "desk.key")
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(CONNECT)
            assert tls.recv(4)[:4] == b"\x20\x02\x00\x00"  # CONNACK, accepted (MQTT 3.1.1, 3.2)
    finally:
        process.kill()
        process.communicate()

"""The control socket: what it answers, whom it refuses, and that a hostile client troubles nobody."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.command import Role
from gateway.config.schema import Control
from gateway.control.client import Client
from gateway.control.connection import Limits
from gateway.control.peer import Roles
from gateway.control.server import SocketError
from gateway.errors import (
    AlreadyUsed,
    BadRequest,
    DaemonUnreachable,
    JournalDown,
    LoumenError,
    NotFound,
    Refused,
)
from tests.control.daemon import Open, Table, serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sock"


def talk(path: Path, data: bytes, wait: float = 5.0) -> bytes:
    """Send bytes, then read all there is until the server closes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.settimeout(wait)
        wire.connect(str(path))
        answer = b""
        try:
            wire.sendall(data)
            wire.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while piece := wire.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def test_status_and_command(path: Path) -> None:
    table = Table()
    with serving(path, table=table, status={"box": "east", "doors": []}):
        client = Client(path)
        assert client.is_running()
        assert client.status() == {"box": "east", "doors": []}
        assert client.command("door.open", {"door": "east", "reason": "visitor"}) == {"opened": True}
    command, actor = table.ran[0]
    assert command == Open(door="east", reason="visitor")
    assert actor.id == f"uid:{os.getuid()}"
    assert actor.role is Role.ADMINISTRATOR
    assert actor.mouth == "cli"
    assert actor.command_id.startswith("cli:")


def test_the_socket_is_gone_after_the_server(path: Path) -> None:
    with serving(path):
        assert path.stat().st_mode & 0o777 == 0o666
    assert not path.exists()


@pytest.mark.parametrize(
    ("door", "kind", "code"),
    [
        ("gone", NotFound, "not_found"),
        ("used", AlreadyUsed, "command.used"),
        ("down", JournalDown, "journal.down"),
        ("locked", Refused, "refused"),
    ],
)
def test_errors_arrive_as_they_were_raised(path: Path, door: str, kind: type[LoumenError], code: str) -> None:
    with serving(path), pytest.raises(kind) as told:
        Client(path).command("door.open", {"door": door})
    assert told.value.code == code
    if door == "gone":
        assert str(told.value) == "there is no door gone\n  mend: did you mean east?"


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        ("GET /v1/nothing", 404, "not_found"),
        ("POST /v1/status", 400, "request.method"),
        ("GET /v1/command/door.open", 400, "request.method"),
        ("GET /v1/event?limit=x", 404, "not_found"),
        ("GET http://[bad/v1/status", 400, "request"),
    ],
)
def test_wrong_paths(path: Path, request_line: str, status: int, code: str) -> None:
    with serving(path):
        answer = talk(path, f"{request_line} HTTP/1.1\r\nHost: box\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("name", "body", "text"),
    [
        ("door.open", b"{}", "the command door.open cannot be read: Object missing required field `door`"),
        ("door.open", b'{"door": 3}', "the command door.open cannot be read: Expected `str`, got `int` - at `$.door`"),
        ("door.open", b'{"door": "a", "reson": "b"}', "the command door.open has no field reson"),
        ("door.open", b"[1]", "the command door.open cannot be read: Expected `object`, got `array`"),
        ("door.open", b'{"door": "\xff"}', "the command door.open cannot be read: "),
        ("door.open", b'{"door":' * 20000, "the command door.open cannot be read: "),
        ("door.opne", b"{}", "there is no command door.opne"),
        ("wrong", b"{}", "the daemon met an error of its own: ZeroDivisionError"),
    ],
)
def test_wrong_commands(path: Path, name: str, body: bytes, text: str) -> None:
    with serving(path):
        head = f"POST /v1/command/{name} HTTP/1.1\r\nHost: box\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        answer = talk(path, head + body)
        assert Client(path).status()
    told = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert told["what"].format_map(told["facts"]).startswith(text)


def test_a_repeated_key_is_the_same_command_of_the_same_user(path: Path) -> None:
    table = Table()
    with serving(path, table=table):
        for _ in range(2):
            talk(
                path,
                b"POST /v1/command/door.open HTTP/1.1\r\nHost: b\r\nIdempotency-Key: k-12345678\r\n"
                b'Content-Length: 12\r\n\r\n{"door":"a"}',
            )
    assert [actor.command_id for _command, actor in table.ran] == [f"cli:{os.getuid()}:k-12345678"] * 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(path: Path) -> None:
    with serving(path):
        curl = ["curl", "-sS", "--max-time", "10", "--unix-socket", str(path)]
        assert json.loads(subprocess.check_output([*curl, "http://box/v1/status"])) == {"box": "east"}
        answer = subprocess.check_output(
            [*curl, "-w", "%{http_code}", "-d", '{"door":"gone"}', "http://box/v1/command/door.open"]
        )
        assert answer.endswith(b"404")
        large = json.dumps({"picture": "AAAA" * 500_000})  # curl asks first: Expect: 100-continue
        told = subprocess.check_output(
            [*curl, "--data-binary", "@-", "http://box/v1/command/face.try"], input=large.encode()
        )
        assert json.loads(told) == {"size": 1_500_000}


def test_a_user_without_a_role_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Roles, "of", lambda _self, _uid: None)
    with serving(path), pytest.raises(Refused, match="has no role on this box"):
        Client(path).status()


def test_a_clerk_asks_no_lines_and_sends_no_pictures(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Roles, "of", lambda _self, _uid: Role.CLERK)
    with serving(path):
        client = Client(path)
        assert client.command("door.open", {"door": "a"}) == {"opened": True}
        with pytest.raises(Refused, match="this needs the role technician"):
            client.get("/v1/io")
        with pytest.raises(BadRequest, match="at most 65536 are taken"):
            client.command("face.try", {"picture": b"x" * 3_000_000})
        assert client.status()


def test_roles_come_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"lin": 1000, "wang": 1001, "root": 0}

    class Entry:
        def __init__(self, name: str) -> None:
            self.pw_uid = users[name]

    monkeypatch.setattr("gateway.control.peer.pwd.getpwnam", Entry)
    monkeypatch.setattr("gateway.control.peer.os.geteuid", lambda: 900)
    roles = Roles(Control(technicians=("lin", "wang"), clerks=("lin", "nobody-here"), administrators=("root",)))
    assert [roles.of(uid) for uid in (0, 900, 1000, 1001, 1002)] == [
        Role.ADMINISTRATOR,
        Role.ADMINISTRATOR,
        Role.TECHNICIAN,
        Role.TECHNICIAN,
        None,
    ]
    assert roles.unknown == ["nobody-here"]


# --- hostile and slow clients


def test_ten_thousand_headers(path: Path) -> None:
    with serving(path):
        answer = talk(path, b"GET /v1/status HTTP/1.1\r\n" + b"X-A: b\r\n" * 10_000 + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert Client(path).status()


def test_a_body_without_end_is_cut(path: Path) -> None:
    with serving(path, config=Control(max_body_mb=1)):
        head = b"POST /v1/command/face.try HTTP/1.1\r\nHost: b\r\n"
        assert talk(path, head + b"Content-Length: 99999999999\r\n\r\n{").startswith(b"HTTP/1.1 413 ")
        chunks = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        answer = talk(path, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 40)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert Client(path).command("face.try", {"picture": b"x" * 500_000}) == {"size": 500_000}


def test_all_bodies_together_are_bounded(path: Path) -> None:
    half = b"POST /v1/command/face.try HTTP/1.1\r\nHost: b\r\nContent-Length: 900000\r\n\r\n" + b"x" * 600_000
    with serving(path, config=Control(max_body_mb=1)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
            first.connect(str(path))
            first.sendall(half)
            answer = until_answered(path, half)
            assert b"the daemon keeps no request that large now" in answer
        until(lambda: Client(path).command("face.try", {"picture": b"x" * 500_000}) == {"size": 500_000})


def until_answered(path: Path, data: bytes) -> bytes:
    """What comes back to one who leaves its half of the wire open."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.settimeout(5)
        wire.connect(str(path))
        try:
            wire.sendall(data)
        except OSError:
            pass
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
        return answer


def until(holds: object, within: float = 5.0) -> None:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if callable(holds) and holds():
                return
        except LoumenError:
            continue
    raise AssertionError("never held")


def test_half_a_request_is_closed_and_others_are_served(path: Path) -> None:
    with serving(path, limits=Limits(head=0.2, body=0.2, write=0.2)):
        half = [
            b"GET /v1/sta",
            b"POST /v1/command/door.open HTTP/1.1\r\nHost: b\r\nContent-Length: 50\r\n\r\n{",
            b"",
        ]
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
            for data in half:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow:
                    slow.settimeout(5)
                    slow.connect(str(path))
                    slow.sendall(data)
                    assert Client(path).status() == {"box": "east"}
                    assert slow.recv(100) == b""
            assert wire.fileno() > 0


def test_too_many_at_once_are_told_so(path: Path) -> None:
    with serving(path):
        silent = []
        for _ in range(24):
            wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            wire.connect(str(path))
            silent.append(wire)
        until(lambda: b"too many clients at once" in talk(path, b"GET /v1/status HTTP/1.1\r\nHost: b\r\n\r\n"))
        for wire in silent:
            wire.close()
        until(lambda: Client(path).status() == {"box": "east"})


def test_one_who_does_not_read_is_dropped(path: Path) -> None:
    with (
        serving(path, status={"box": "x" * 5_000_000}, limits=Limits(write=0.2)),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf,
    ):
        deaf.connect(str(path))
        deaf.sendall(b"GET /v1/status HTTP/1.1\r\nHost: b\r\n\r\n")
        assert len(Client(path).status()["box"]) == 5_000_000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.sampled_from(
                [
                    b"GET /v1/status HTTP/1.1\r\n",
                    b"POST /v1/command/door.open HTTP/1.1\r\n",
                    b"Host: box\r\n",
                    b"Content-Length: 12\r\n",
                    b"Content-Length: -1\r\n",
                    b"Transfer-Encoding: chunked\r\n",
                    b"Expect: 100-continue\r\n",
                    b"\r\n",
                    b'{"door":"a"}',
                    b"c\r\n",
                    b"0\r\n\r\n",
                ]
            ),
        ),
        max_size=12,
    )
)
def test_garbage_troubles_nobody(served: Path, pieces: list[bytes]) -> None:
    answer = talk(served, b"".join(pieces))
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in answer.split(b"\r\n", maxsplit=1)[0]
    assert Client(served).status() == {"box": "east"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("served") / "s.sock"
    with serving(path):
        yield path


# --- the socket itself


def test_a_stale_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with serving(path):
        assert Client(path).status()


def test_a_second_daemon_does_not_take_the_socket(path: Path) -> None:
    with serving(path):
        with pytest.raises(SocketError, match="another daemon answers"), serving(path):
            pass
        assert Client(path).status()


def test_a_path_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="longer than 100 bytes"), serving(tmp_path / ("x" * 120)):
        pass


# --- the client


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachable, match="the socket does not exist"):
        Client(tmp_path / "none").status()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "dead"))
    with pytest.raises(DaemonUnreachable, match="nobody listens"):
        Client(tmp_path / "dead").status()
    assert not Client(tmp_path / "none").is_running()


@pytest.mark.parametrize(
    "answer",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 200 OK\r\n\r\nnot json"],
)
def test_a_daemon_that_speaks_garbage(path: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def speak() -> None:
            wire, _ = listener.accept()
            with wire:
                wire.recv(65536)
                wire.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(DaemonUnreachable):
            Client(path).status()
        thread.join()


def test_an_error_of_a_newer_daemon_keeps_its_family() -> None:
    from gateway.control.answers import error_of

    told = error_of({"error": {"code": "command.too_new", "what": "no {x}", "facts": {"x": 1, "what": 2}}})
    assert told.code == "command.too_new"
    assert type(told).__mro__[1].__name__ == "BadCommand"
    assert str(told) == "no 1"
    assert error_of(["nonsense"]).code == "error"

"""The CLI's side of control: the standard library's HTTP client over the daemon's unix socket.

Blocking, one connection a call; every call has a time-out. What the daemon refuses arrives as the
error that it raised, rebuilt from its code.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from gateway.control.answers import encode, error_of
from gateway.errors import BadRequest, DaemonUnreachable, LoumenError, N_

TIME_OUT: Final = 10.0
FOLLOW_TIME_OUT: Final = 40.0  # the daemon sends a blank line every 15 s
MAX_ANSWER: Final = 64 * 1024 * 1024


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, time_out: float) -> None:
        super().__init__("box", timeout=time_out)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """The daemon behind `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, path: str, time_out: float = TIME_OUT) -> Any:
        """GET `path` ("/v1/status"); returns the JSON document."""
        return self._document("GET", path, b"", time_out)

    def status(self, time_out: float = TIME_OUT) -> Any:
        """The status document, as plain JSON (see `gateway.control.status`)."""
        return self.get("/v1/status", time_out)

    def command(self, name: str, fields: dict[str, Any] | None = None, time_out: float = TIME_OUT) -> Any:
        """Run the command `name` with `fields`; returns its answer. Bytes go as base64."""
        return self._document("POST", f"/v1/command/{quote(name, safe='.')}", encode(fields or {}), time_out)

    def follow(self, path: str, time_out: float = FOLLOW_TIME_OUT) -> Generator[Any, None, None]:
        """GET `path` that answers with lines of JSON; yields each document as it comes. Never ends by itself."""
        connection, answer = self._ask("GET", path, b"", time_out)
        try:
            while line := self._read_line(answer):
                if line.strip():
                    document = json.loads(line)
                    if isinstance(document, dict) and document.keys() == {"error"}:
                        raise error_of(document)
                    yield document
            raise DaemonUnreachable(
                N_("the daemon has hung up: it stops, or begins anew"), mend=N_("run it again when it is there")
            )
        finally:
            connection.close()

    def is_running(self) -> bool:
        """Whether a daemon accepts connections here."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(2.0)
                probe.connect(str(self.path))
        except OSError:
            return False
        return True

    def _read_line(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.readline(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _document(self, method: str, path: str, body: bytes, time_out: float) -> Any:
        connection, answer = self._ask(method, path, body, time_out)
        try:
            return msgspec.json.decode(answer.read(MAX_ANSWER))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _ask(
        self, method: str, path: str, body: bytes, time_out: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = _UnixConnection(self.path, time_out)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            early: OSError | None = None
            try:
                connection.request(method, path, body=body or None, headers=headers)
            except (BrokenPipeError, ConnectionResetError) as error:
                if connection.sock is None:
                    raise
                early = error  # refused before the whole body was taken: the reason is waiting to be read
            answer = connection.getresponse()
            if early is not None and answer.status < 400:
                raise early
            if answer.status >= 400:
                raise self._refusal(answer)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error
        except (LoumenError, ValueError) as error:
            connection.close()
            if isinstance(error, LoumenError):
                raise
            raise BadRequest(N_("this cannot be asked of the daemon: {path}"), path=path) from error
        return connection, answer

    def _refusal(self, answer: http.client.HTTPResponse) -> LoumenError:
        try:
            document = json.loads(answer.read(MAX_ANSWER))
        except ValueError:
            document = None
        return error_of(document)

    def _unreachable(self, error: Exception) -> DaemonUnreachable:
        if isinstance(error, FileNotFoundError):
            problem = N_("the socket does not exist")
        elif isinstance(error, PermissionError):
            problem = N_("no permission to use the socket")
        elif isinstance(error, ConnectionRefusedError):
            problem = N_("nobody listens on the socket")
        elif isinstance(error, TimeoutError):
            problem = N_("no answer in time")
        else:
            problem = str(error) or type(error).__name__
        return DaemonUnreachable(
            N_("the daemon is not reachable: {problem}"),
            where=str(self.path),
            mend=N_("is it running? `systemctl status loumen`, `loumen doctor`; elsewhere: --socket or --config"),
            problem=problem,
        )

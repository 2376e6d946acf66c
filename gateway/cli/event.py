"""`loumen event`: the journal, told in order. On a running box by its socket, on a stopped one from its file."""

from __future__ import annotations

import argparse
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import urlencode

import msgspec

from gateway.cli.shell import Shell
from gateway.errors import BadRequest, DaemonUnreachable, JournalDown, N_, NotFound
from gateway.locale import _, moment, tell

PAGE = 500
LOOK_BACK = 100_000  # events among which the newest of one type are looked for: about three weeks of a busy box
VERIFY_TIME_OUT = 600.0
_POSITION = re.compile(r"([0-9a-f]{16})/([0-9]{1,12})")


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help=N_("the newest events, or those behind a position"))
    followed = verbs.add_parser("follow", help=N_("events as they happen, until interrupted"))
    verbs.add_parser("verify", help=N_("check every row, hash and link; exit 1 if something is wrong"))
    exported = verbs.add_parser("export", help=N_("every event with its hashes, one JSON document a line"))
    schema = verbs.add_parser("schema", help=N_("the JSON Schema of all event types, or of one"))
    listed.add_argument("--limit", type=int, default=20, metavar="N", help=N_("how many, 1 to 10000"))
    for verb in (listed, followed, exported):
        verb.add_argument("--after", default="", metavar="EPOCH/SEQ", help=N_("only what comes behind this event"))
        verb.add_argument("--type", default="", metavar="BEGINNING", help=N_("only types that begin so (door.)"))
    exported.add_argument("--output", default="", metavar="FILE", help=N_("write to a file, not to stdout"))
    schema.add_argument("type", nargs="?", default="", help=N_("an event type (door.opened.v1)"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {"list": _list, "follow": _follow, "verify": _verify, "export": _export, "schema": _schema}[arguments.verb](
        arguments, shell
    )


def _list(arguments: argparse.Namespace, shell: Shell) -> int:
    if not 1 <= arguments.limit <= 10_000:
        raise BadRequest(N_("--limit is a number from 1 to 10000"))
    source = _source(shell)
    with source:
        after = arguments.after
        if after:
            rows = list(islice(_wanted(source.rows(after), arguments.type), arguments.limit))
        else:
            after, rows = _newest(source, arguments.type, arguments.limit)
    following = f"{rows[-1]['epoch']}/{rows[-1]['seq']}" if rows else after
    shell.out({"events": rows, "next": following}, lambda: _table(rows, shell))
    return shell.done()


def _newest(source: _Daemon | _File, beginning: str, limit: int) -> tuple[str, list[dict[str, Any]]]:
    """The newest events that are wanted, and behind what they were found: rare ones are looked for further back."""
    back = limit
    while True:
        after = source.before_newest(back)
        rows = list(deque(_wanted(source.rows(after), beginning), maxlen=limit))
        if not beginning or len(rows) >= limit or back >= LOOK_BACK or after.endswith("/0") or not after:
            return after, rows
        back *= 10


def _follow(arguments: argparse.Namespace, shell: Shell) -> int:
    query = urlencode({"after": arguments.after or "head", "follow": "1"})
    try:
        for row in _wanted(shell.client().follow(f"/v1/event?{query}"), arguments.type):
            if shell.json:
                shell.line(row)
            else:
                shell.say("  ".join(cells(row)[:3]))
    except KeyboardInterrupt:
        return shell.hung_up()
    return shell.done()


def _verify(_arguments: argparse.Namespace, shell: Shell) -> int:
    source = _source(shell)
    with source:
        result = source.verify()
    shell.out(result, lambda: _verdict(result, shell))
    return shell.done(bool(result["ok"]))


def _export(arguments: argparse.Namespace, shell: Shell) -> int:
    source = _source(shell)
    count = 0
    with source, _target(arguments.output) as out, shell.progress(N_("exporting")) as advance:
        for row in _wanted(source.rows(arguments.after), arguments.type):
            out.write(msgspec.json.encode(row) + b"\n")
            count += 1
            advance(1)
    if arguments.output:
        shell.out(
            {"events": count, "file": arguments.output}, lambda: tell(N_("{count} events written"), {"count": count})
        )
    return shell.done()


def _target(path: str) -> AbstractContextManager[BinaryIO]:
    if not path:
        return nullcontext(sys.stdout.buffer)
    try:
        return Path(path).open("wb")
    except OSError as error:
        raise BadRequest(
            N_("{file} cannot be written: {problem}"),
            mend=N_("name a file in a folder that can be written"),
            file=path,
            problem=error.strerror or str(error),
        ) from error


def _schema(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.events import schemas

    known = schemas()
    if arguments.type and arguments.type not in known:
        raise NotFound(
            N_("there is no event type {type}"), mend=N_("'loumen event schema' lists them all"), type=arguments.type
        )
    wanted = {arguments.type: known[arguments.type]} if arguments.type else known
    shell.out(wanted, lambda: msgspec.json.format(msgspec.json.encode(wanted), indent=2).decode())
    return shell.done()


class _Daemon:
    """The journal of a running box."""

    def __init__(self, shell: Shell) -> None:
        self._client = shell.client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_arguments: object) -> None:
        return

    def before_newest(self, count: int) -> str:
        return _back(self._page("head", 1)["next"], count)

    def rows(self, after: str) -> Iterator[dict[str, Any]]:
        while True:
            page = self._page(after, PAGE)
            yield from page["events"]
            if not page["events"]:
                return
            after = page["next"]

    def verify(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.command("event.verify", time_out=VERIFY_TIME_OUT)
        return answer

    def _page(self, after: str, limit: int) -> dict[str, Any]:
        page: dict[str, Any] = self._client.get(f"/v1/event?{urlencode({'after': after, 'limit': limit})}")
        return page


class _File:
    """The journal of a stopped box. The lock keeps a daemon from starting meanwhile."""

    def __init__(self, state: Path) -> None:
        from gateway.journal.direct import JournalReader
        from gateway.state_lock import StateLock

        self._path, self._lock = state / "journal.db", StateLock(state)
        self._reader = JournalReader(self._path)

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_arguments: object) -> None:
        self._lock.release()

    def before_newest(self, count: int) -> str:
        head = self._reader.head()
        return _back(f"{head.epoch}/{head.seq}" if head else "", count)

    def rows(self, after: str) -> Iterator[dict[str, Any]]:
        from gateway.journal.rows import Position

        found = _POSITION.fullmatch(after)
        if after and not found:
            raise BadRequest(N_("after must be EPOCH/SEQ"))
        boxes = self._reader.boxes()
        for row in self._reader.rows(Position(found[1], int(found[2])) if found else None):
            yield msgspec.json.decode(msgspec.json.encode(row.document(boxes[row.epoch])))

    def verify(self) -> dict[str, Any]:
        import sqlite3

        from gateway.journal.verify import verify_file

        try:
            return dict(msgspec.to_builtins(verify_file(self._path, key=self._key())))
        except sqlite3.Error as error:
            raise JournalDown(
                N_("the journal cannot be read: {error}"), where=str(self._path), error=str(error)
            ) from error

    def _key(self) -> str:
        """The box's public key, where it has one."""
        from gateway.identity import Box
        from gateway.journal.statement import public

        folder = self._path.parent / "identity"
        if not (folder / "sign.key").exists():
            return ""
        return public(Box("", "", folder).signing_key())


def _source(shell: Shell) -> _Daemon | _File:
    """The daemon if it runs, else its files. Raises DaemonUnreachable when there is neither."""
    if shell.client().is_running():
        return _Daemon(shell)
    from gateway.config.places import places

    state = places(shell.config).state
    if not (state / "journal.db").exists():
        raise DaemonUnreachable(
            N_("no daemon runs here, and there is no journal in {folder}"),
            mend=N_("--config names the box's configuration file"),
            folder=str(state),
        )
    return _File(state)


def latest(shell: Shell, beginning: str, count: int) -> list[dict[str, Any]]:
    """Of the `count` newest events those whose type begins so. Raises DaemonUnreachable."""
    with _source(shell) as source:
        return list(_wanted(source.rows(source.before_newest(count)), beginning))


def _back(position: str, count: int) -> str:
    """`count` events before a position, within its epoch."""
    epoch, _slash, seq = position.partition("/")
    return f"{epoch}/{max(0, int(seq) - count)}" if seq else ""


def _wanted(rows: Iterator[dict[str, Any]], beginning: str) -> Iterator[dict[str, Any]]:
    return (row for row in rows if row["type"].startswith(beginning))


def _table(rows: list[dict[str, Any]], shell: Shell) -> None:
    if not rows:
        shell.say(_(N_("no events")))
        return
    shell.table([N_("event"), N_("time"), N_("what happened"), N_("type")], map(cells, rows))


def cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Number, the site's time (with a question mark where the clock was not trusted), the event in words, its type."""
    from gateway.cli.happenings import told

    at = moment(row["at"], "%m-%d %H:%M:%S") + ("" if row["trusted"] else " ?")
    return str(row["seq"]), at, told(row), row["type"]


def _verdict(result: dict[str, Any], shell: Shell) -> None:
    facts = {name: result[name] for name in ("rows", "epochs", "without_body", "lost")}
    shell.say(
        tell(
            N_("{rows} rows in {epochs} epochs; {without_body} bodies removed by retention; {lost} rows known as lost"),
            facts,
        )
    )
    if result.get("closed"):
        told = tell(N_("{closed} older rows are gone whole: the box signed what they ended in"), result)
        shell.say(told)
    for fault in result["faults"]:
        where = f"{fault['epoch']}/{fault['seq']}: " if fault["epoch"] else ""
        shell.mark(where + tell(fault["what"], fault["facts"]), "bold red")
    if result["ok"]:
        shell.mark(_(N_("everything fits: no row is missing or changed")), "green")
    else:
        shell.say(_(N_("something is wrong; the platform's copy of the hashes tells which rows to believe")))

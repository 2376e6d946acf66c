"""`loumen watch`: the screen of `status`, then what changes on it and what happens, until Ctrl-C."""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gateway.cli import words
from gateway.cli.event import cells
from gateway.cli.shell import Shell
from gateway.cli.status import SIGNS, STYLES, lines, show, understood
from gateway.control.status import Problem, State, Status
from gateway.errors import LoumenError, N_
from gateway.locale import labelled, moment, tell

EVERY = 2.0  # seconds between looks at the status
Change = tuple[State, str]


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = N_("How the box is, then each change and each event as it happens, until Ctrl-C.")


def run(_arguments: argparse.Namespace, shell: Shell) -> int:
    client = shell.client()
    document = client.status()
    status = understood(document)
    shell.prefer(status.language)
    shell.out({"status": document}, lambda: show(status, shell))
    shell.say()
    try:
        _follow(status, shell)
    except KeyboardInterrupt:
        return shell.hung_up()
    return shell.done()


def _follow(status: Status, shell: Shell) -> None:
    """Events from a thread, and a look at the status whenever none came for a while."""
    happened: queue.SimpleQueue[dict[str, Any] | LoumenError] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(shell, happened), daemon=True).start()
    looked = time.monotonic()
    while True:
        try:
            row = happened.get(timeout=max(0.0, looked + EVERY - time.monotonic()))
        except queue.Empty:
            document, looked = shell.client().status(), time.monotonic()
            before, status = status, understood(document)
            found = list(changes(before, status))
            if found and shell.json:
                shell.line({"status": document})
            at = moment(datetime.now(UTC).isoformat(), "%m-%d %H:%M:%S")
            for state, text in found:
                shell.mark(f"{at}  {SIGNS[state]} {text}", STYLES[state], hang=2)
            continue
        if isinstance(row, LoumenError):
            raise row
        if shell.json:
            shell.line({"event": row})
        else:
            shell.say("  ".join(cells(row)[1:3]))


def _listen(shell: Shell, happened: queue.SimpleQueue[dict[str, Any] | LoumenError]) -> None:
    try:
        for row in shell.client().follow("/v1/event?after=head&follow=1"):
            happened.put(row)
    except LoumenError as error:
        happened.put(error)


def changes(before: Status, now: Status) -> Iterator[Change]:
    """New problems, problems that are gone, and parts whose state is another one; figures that move are no change."""
    old = {(one.part, one.what): one for one in before.problems}
    new = {(one.part, one.what): one for one in now.problems}
    for key, problem in new.items():
        if key not in old:
            yield "bad" if problem.severity == "bad" else "warning", _said(problem)
    for key, problem in old.items():
        if key not in new:
            yield "ok", tell(N_("over: {problem}"), {"problem": _said(problem)})
    states = {line.part: line.state for line in lines(before)}
    for line in lines(now):
        if states.get(line.part) != line.state:
            yield line.state, labelled(line.part, line.text)


def _said(problem: Problem) -> str:
    return labelled(words.part_name(problem.part), tell(problem.what, problem.facts))

"""What the desk's store says, read without disturbing the one who writes it; also while no desk runs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway.desk.errors import StoreDown
from gateway.desk.holdings import Holding, in_order
from gateway.desk.tables import open_for_reading
from gateway.errors import N_

PAGE = 500


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """A look into the store at `path`. Raises StoreDown."""
    try:
        with contextlib.closing(open_for_reading(path)) as db:
            yield Reading(db)
    except sqlite3.Error as error:
        raise StoreDown(
            N_("The desk's store cannot be read: {problem}"),
            where=str(path),
            mend=N_("start the desk once: loumen desk run"),
            problem=str(error),
        ) from error


class Reading:
    """Documents with stable keys, as `--json` prints them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def boxes(self) -> list[dict[str, Any]]:
        """Every box that was heard of, with what is held of it."""
        found = []
        for row in self._db.execute("SELECT * FROM box ORDER BY name, box"):
            epochs = self._holdings(row["box"])
            found.append(
                {
                    "box": row["box"],
                    "name": row["name"],
                    "version": row["version"],
                    "online": bool(row["online"]),
                    "session": row["session"],
                    "last_seen": row["last_seen"],
                    "backlog": row["backlog"],
                    "events": sum(len(holding.have) for holding in epochs.values()),
                    "findings": self._count("finding", row["box"]),
                    "epochs": self.epochs(row["box"]),
                }
            )
        return found

    def epochs(self, box: str) -> list[dict[str, Any]]:
        """What is held of each epoch of a box, oldest first."""
        epochs = self._holdings(box)
        return [_epoch(epoch, epochs[epoch]) for epoch in in_order(epochs)]

    def _holdings(self, box: str) -> dict[str, Holding]:
        epochs: dict[str, Holding] = {}
        for epoch, predecessor, closed, lost in self._db.execute(
            "SELECT epoch, predecessor, closed, lost FROM epoch WHERE box=?", (box,)
        ):
            epochs[epoch] = Holding(predecessor=predecessor, closed=closed)
            for first, last in msgspec.json.decode(lost):
                epochs[epoch].lose(first, last)
        runs = self._db.execute(
            """SELECT epoch, min(seq), max(seq) FROM (
                   SELECT epoch, seq, seq - row_number() OVER (PARTITION BY epoch ORDER BY seq) AS run
                   FROM event WHERE box=?) GROUP BY epoch, run""",
            (box,),
        )
        for epoch, first, last in runs:
            epochs.setdefault(epoch, Holding()).hold(first, last)
        return epochs

    def _count(self, table: str, box: str) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {table} WHERE box=?", (box,)).fetchone()[0])  # noqa: S608  (ours)

    def findings(self) -> list[dict[str, Any]]:
        """Conflicts, broken chains, damaged events."""
        return [dict(row) for row in self._db.execute("SELECT * FROM finding ORDER BY found")]

    def newest(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(arrival), 0) FROM event").fetchone()[0])

    def arrived(self, after: int, box: str = "", kind: str = "", limit: int = PAGE) -> list[dict[str, Any]]:
        """Events in the order in which they came."""
        query = (
            "SELECT * FROM event WHERE arrival > ? AND (?='' OR box=?) AND (?='' OR type=?) ORDER BY arrival LIMIT ?"
        )
        return [_event(row) for row in self._db.execute(query, (after, box, box, kind, kind, limit))]

    def last(self, count: int, box: str = "", kind: str = "") -> list[dict[str, Any]]:
        """The newest `count` that came, oldest first."""
        query = "SELECT * FROM event WHERE (?='' OR box=?) AND (?='' OR type=?) ORDER BY arrival DESC LIMIT ?"
        return [_event(row) for row in self._db.execute(query, (box, box, kind, kind, count))][::-1]

    def history(self, box: str, kind: str = "") -> Iterator[dict[str, Any]]:
        """Everything of one box as it happened: epoch after epoch, each by its sequence."""
        for epoch in in_order(self._holdings(box)):
            query = "SELECT * FROM event WHERE box=? AND epoch=? AND (?='' OR type=?) ORDER BY seq"
            for row in self._db.execute(query, (box, epoch, kind, kind)):
                yield _event(row)

    def box(self, named: str) -> str | None:
        """The uuid for a uuid, its unambiguous beginning or a name."""
        rows = self._db.execute("SELECT box FROM box WHERE box=? OR name=?", (named, named)).fetchall()
        rows = rows or self._db.execute("SELECT box FROM box WHERE substr(box, 1, ?)=?", (len(named), named)).fetchall()
        return str(rows[0]["box"]) if len(rows) == 1 else None


def _epoch(epoch: str, holding: Holding) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "through": holding.through,
        "highest": holding.highest,
        "closed": holding.closed is not None,
        "holes": holding.holes(),
        "lost": list(holding.lost),
    }


def _event(row: sqlite3.Row) -> dict[str, Any]:
    body = row["body"]
    return {
        "arrival": row["arrival"],
        "id": f"{row['box']}/{row['epoch']}/{row['seq']}",
        "box": row["box"],
        "epoch": row["epoch"],
        "seq": row["seq"],
        "type": row["type"],
        "at": row["at"],
        "trusted": bool(row["trusted"]),
        "historical": bool(row["historical"]),
        "arrived": row["arrived"],
        "body_sha256": row["bodyhash"],
        "previous": row["previous"],
        "head": row["head"],
        "body": None if body is None else msgspec.json.decode(body),
    }

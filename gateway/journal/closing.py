"""Closing a prefix of the history: what was received and is past its time goes whole, its headers too.

A header may go only when something else vouches for what stood there. So the box signs, with its own key,
(box, epoch, seq, head): up to this seq everything was as this head says. The statement is an event of its
own first, so that the platform, which keeps the heads it was told, can contradict it; then a row of the
file; only then headers go, in slices. Cut off anywhere, the next look takes it up. From then on `verify`
begins at the statement. Without a key headers stay.

The last header of every epoch stays, and the newest STAY of all: the release before, which knows nothing of
this, still finds where each epoch ends, and each opening can check the end of the chain. So a journal holds
what `keep_days` cover, CLOSE_AT + STAY headers and one more for each epoch, however old the box is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gateway.journal.events import JournalClosed
from gateway.journal.file import Group, JournalFile
from gateway.journal.rows import Epoch, place, row_of, seq_of
from gateway.journal.statement import public, signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from gateway.journal.writer import Writer

CLOSE_AT = 2000  # headers that can go before it is worth a statement and the pages
STAY = 500
SLICE = 1000  # headers that go in one transaction

Key = Callable[[], "Ed25519PrivateKey"]
Record = Callable[[JournalClosed], Awaitable[object]]


async def close(file: JournalFile, writer: Writer, box: str, at: int, key: Ed25519PrivateKey, record: Record) -> int:
    """Close what can be closed; returns how many headers went. Raises sqlite3.Error, JournalDown."""
    gone = 0
    for epoch in [*file.epochs]:
        if epoch.box != box:
            continue  # a clone's origin: its headers are not ours to vouch for
        newest = epoch.number == file.chain.number
        end = file.chain.seq - STAY if newest else epoch.last - 1
        limit = min(writer.space.received_place, place(epoch.number, max(0, end)))
        count, last = await file.closable(epoch.number, limit)
        closed = await file.closed(epoch.number)
        if count >= CLOSE_AT or (count and last == place(epoch.number, epoch.last - 1)):
            await _state(file, writer, epoch, last, at, key, record)
        elif closed is None:
            continue
        else:
            last = closed
        async with writer.using():
            gone += await _drop(file, epoch.number, last)
    return gone


async def _state(
    file: JournalFile, writer: Writer, epoch: Epoch, last: int, at: int, key: Ed25519PrivateKey, record: Record
) -> None:
    """Say it: to the platform, then in the file."""
    head, seq = row_of(await file.header(last), epoch.id).head, seq_of(last)
    word = signature(epoch.box, epoch.id, seq, head, key)
    await record(JournalClosed(epoch=epoch.id, through=seq, head=head, key=public(key), signature=word))
    async with writer.using():
        row = (epoch.number, epoch.box, epoch.id, seq, head, at, public(key), word)
        await file.commit([Group(closed=[row])])


async def _drop(file: JournalFile, number: int, last: int) -> int:
    """Remove the headers up to a place, the oldest first."""
    gone = 0
    while slice_ := await file.drop_headers(number, last, SLICE):
        gone += slice_
        await file.checkpoint()
    return gone

"""A list of plates as a property office keeps it: CSV out of a spreadsheet, in UTF-8 or GBK, with dirt in it.

    plate,lanes,from,until          车牌,车道,住户,起,止
    粤B·12345,,2026-01-01,          粤b12345,,林晓,,2026-12-31

Every line that is wrong is told with its number, its reason and its mend; whoever imports takes all or nothing. The
daemon parses in a child (`python -m gateway.lanes.listing`), which steps back and is bounded: a hostile file may cost
a second of a processor, never the loop that moves arms.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import resource
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway.dates import begin_of, end_of
from gateway.errors import BadRequest, LoumenError, N_
from gateway.lanes import plates
from gateway.lanes.commands import RowError
from gateway.lanes.register import EVERY_LANE

MOST_ROWS, MOST_ERRORS, MOST_FIELD, MOST_PERSON = 50_000, 100, 4096, 200
MOST_MEMORY, MOST_SECONDS = 512 * 1024 * 1024, 60
#: Column -> the names it goes by, in normal form.
COLUMNS = {
    "plate": ("plate", "车牌", "车牌号", "车牌号码", "号牌", "号牌号码"),
    "lanes": ("lanes", "lane", "车道", "通道"),
    "person": ("person", "住户", "人员"),  # an id or a whole name of the directory; 业主 is often nobody enrolled
    "from": ("from", "valid_from", "起", "开始", "开始日期", "生效日期"),
    "until": ("until", "valid_until", "止", "结束", "结束日期", "到期日期", "有效期至"),
}
ENCODINGS = ("utf-8-sig", "gb18030")
UNICODE_TEXT = (b"\xff\xfe", b"\xfe\xff")  # how a spreadsheet's 'Unicode text' begins: UTF-16
PIECE = 500  # rows that the daemon decodes at a time
TITLES = 5  # lines, of which one names the columns: a title often stands above
FOR_EVER = frozenset({"长期", "长期有效", "永久", "-"})


class NoList(BadRequest):
    """From `line` on this cannot be read as a list."""

    def __init__(self, line: int, what: str, mend: str, **facts: Any) -> None:
        super().__init__(what, mend=mend, **facts)
        self.line = line


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One good line. Times are UTC, ISO."""

    line: int
    plate: str
    lanes: tuple[str, ...] = (EVERY_LANE,)
    person: str | None = None  # as written; None: the list does not say
    valid_from: str | None = None
    valid_until: str | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says. `errors` not empty: nothing of it is to be imported, its rows are for further checks only."""

    rows: tuple[Row, ...] = ()
    errors: tuple[RowError, ...] = ()
    more_errors: int = 0
    encoding: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the child answers: the listing without its rows, and these in pieces, a turn of the loop each."""

    listing: Listing
    pieces: tuple[msgspec.Raw, ...]  # of `Row`s


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told."""

    content: bytes
    zone: str
    lanes: tuple[str, ...]  # of this box


def parse(order: Order) -> Listing:
    """The list. Raises nothing for what is in it."""
    text, encoding = decoded(order.content)
    if text is None:
        return _refused(0, N_("the file is neither UTF-8 nor GBK text"), N_("save it as CSV, in UTF-8 or GBK"))
    if "\0" in text:
        return _refused(0, N_("the file is no text: it has NUL bytes"), N_("save it as CSV, in UTF-8 or GBK"))
    rows: list[Row] = []
    errors: list[RowError] = []
    seen: dict[str, int] = {}
    zone = ZoneInfo(order.zone)
    try:
        for line, given in _lines(text):
            try:
                row = _row(line, given, zone, order.lanes)
                if (first := seen.setdefault(row.plate, line)) != line:
                    raise BadRequest(
                        N_("the plate {plate} stands in line {first} already"),
                        mend=N_("keep one of the two"),
                        plate=row.plate,
                        first=first,
                    )
                rows.append(row)
            except LoumenError as error:
                errors.append(_error(line, error))
            if len(rows) > MOST_ROWS:
                mend = N_("take it over in parts, without --replace")
                return _refused(0, N_("the list is longer than {most} lines"), mend, most=str(MOST_ROWS))
    except NoList as error:
        errors.append(_error(error.line, error))
    if not rows and not errors:
        return _refused(0, N_("the list is empty"), "")
    return Listing(
        rows=tuple(rows),
        errors=tuple(errors[:MOST_ERRORS]),
        more_errors=max(0, len(errors) - MOST_ERRORS),
        encoding=encoding,
    )


def decoded(content: bytes) -> tuple[str | None, str]:
    """The text, and in which encoding it was. UTF-8 first, because no Chinese text in GBK happens to be UTF-8."""
    if content[:2] in UNICODE_TEXT:
        with contextlib.suppress(UnicodeDecodeError):
            return content.decode("utf-16"), "utf-16"
    for encoding in ENCODINGS:
        with contextlib.suppress(UnicodeDecodeError):
            return content.decode(encoding), "gbk" if encoding == "gb18030" else "utf-8"
    return None, ""


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and its columns. Raises NoList."""
    names: list[str] | None = None
    above = 0
    for line, cells in _cells(text):
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            above += 1
            found = [_column(cell) for cell in cells]
            names = found if "plate" in found else None
            if names is None and above == TITLES:
                break
            _unambiguous(line, found, cells)
            continue
        yield line, {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name}
    if names is None and above:
        raise NoList(
            1, N_("the first line names no column 'plate' or '车牌'"), N_("put the columns' names into line 1")
        )


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with its first line. A quotation mark that is not closed would swallow what follows: it is none."""
    csv.field_size_limit(MOST_FIELD)
    head = "\n".join(text[:MOST_FIELD].split("\n")[:TITLES])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise NoList(
            line,
            N_("the quotation marks from this line on do not fit together, or a cell is longer than {most} characters"),
            N_("save it as CSV from the spreadsheet, without quotation marks in names"),
            most=MOST_FIELD,
        ) from error


def _unambiguous(line: int, found: list[str], cells: list[str]) -> None:
    """Raises NoList where two columns of the head say the same."""
    for place, name in enumerate(found):
        if name and (first := found.index(name)) != place:
            raise NoList(
                line,
                N_("the columns '{first}' and '{second}' say the same"),
                N_("leave one of them out"),
                first=cells[first].strip()[:40],
                second=cells[place].strip()[:40],
            )


def _column(cell: str) -> str:
    """Which column a cell of the head names; empty for one that is not ours (a name, a flat): it is not read."""
    name = unicodedata.normalize("NFKC", cell).strip().lower()
    return next((column for column, names in COLUMNS.items() if name in names), "")


def _row(line: int, given: dict[str, str], zone: ZoneInfo, known: tuple[str, ...]) -> Row:
    lanes = tuple(part for part in given.get("lanes", "").replace(";", " ").replace("、", " ").split() if part)
    for lane in lanes:
        if lane != EVERY_LANE and lane not in known:
            raise BadRequest(
                N_("there is no lane {lane}; this box has: {known}"), lane=lane[:40], known=", ".join(known) or "-"
            )
    plate = plates.parse(given.get("plate", ""))
    begin, end = begin_of(_date(given.get("from", "")), zone), end_of(_date(given.get("until", "")), zone)
    if begin is not None and end is not None and begin >= end:
        raise BadRequest(N_("the validity ends before it begins"), mend=N_("exchange the dates"))
    return Row(
        line=line,
        plate=plate,
        lanes=lanes or (EVERY_LANE,),
        person=None if "person" not in given else given["person"][:MOST_PERSON],
        valid_from=None if begin is None else begin.isoformat(),
        valid_until=None if end is None else end.isoformat(),
    )


def _date(text: str) -> str:
    """2026/1/5 and 2026.1.5, as spreadsheets write them, are 2026-01-05."""
    if text in FOR_EVER:
        return ""
    parts = text.replace("/", "-").replace(".", "-").replace("年", "-").replace("月", "-").replace("日", "").split("-")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        return f"{parts[0]:0>4}-{parts[1]:0>2}-{parts[2]:0>2}"
    return text


def _error(line: int, error: LoumenError) -> RowError:
    return RowError(
        line=line, what=error.what, mend=error.mend, facts={key: str(fact) for key, fact in error.facts.items()}
    )


def _refused(line: int, what: str, mend: str, **facts: str) -> Listing:
    return Listing(errors=(RowError(line=line, what=what, mend=mend, facts=facts),))


def packed(listing: Listing) -> Answer:
    """A listing for the way to the daemon."""
    encode, rows = msgspec.msgpack.encode, listing.rows
    pieces = tuple(msgspec.Raw(encode(rows[at : at + PIECE])) for at in range(0, len(rows), PIECE))
    return Answer(listing=msgspec.structs.replace(listing, rows=()), pieces=pieces)


def main() -> int:
    """An Order on stdin, an Answer on stdout, both msgpack."""
    os.nice(10)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.msgpack.encode(packed(parse(order))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

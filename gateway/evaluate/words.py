"""The reports of `evaluate` as lines for people: what, figure, interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gateway.errors import N_

Document = dict[str, Any]
Translate = Callable[[str], str]


def rows(document: Document, translate: Translate) -> Iterator[tuple[str, str, str]]:
    yield translate(N_("engine")), f"{document['engine']}, {document['detector']}", ""
    yield translate(N_("faces found")), f"{document['found']} / {document['images']}", ""
    pairs = f"{document['pairs_same']} + {document['pairs_different']}"
    yield translate(N_("pairs of one person + of two")), pairs, ""
    yield translate(N_("equal error")), percent(document["eer"]), between(document["eer_interval"])
    for far, share in document["tar_at_far"].items():
        what = translate(N_("true accepts at {far} false ones")).format(far=percent(float(far), 1))
        count = f"{document['tar_at_far_accepted'][far]} / {document['pairs_same']}"
        yield what, f"{percent(share)} ({count})", between(document["tar_at_far_interval"][far])
    purpose = document["threshold_for"]
    what = translate(N_("the door's threshold for {persons} people, one stranger in {one_in}"))
    low, high = document["threshold_interval"]
    what = what.format(persons=purpose["persons"], one_in=round(1 / purpose["fpir"]))
    yield what, f"{document['threshold']:.3f}", f"{low:.3f} - {high:.3f}"
    yield from _door(document["door"], translate)
    if "gallery" in document:
        yield from _gallery(document["gallery"], translate)
    if document["ms_per_face"] is not None:
        yield translate(N_("time a face, 640x480, one thread")), f"{document['ms_per_face']:.1f} ms", ""


def _door(door: Document, translate: Translate) -> Iterator[tuple[str, str, str]]:
    if door["residents"]:
        accepted = f"{door['accepted']} / {door['residents']}"
        yield translate(N_("door: residents accepted")), accepted, between(door["accepted_interval"])
    if door["strangers"]:
        let_in = f"{door['let_in']} / {door['strangers']}"
        yield translate(N_("door: strangers let in")), let_in, between(door["let_in_interval"])


def _gallery(gallery: Document, translate: Translate) -> Iterator[tuple[str, str, str]]:
    persons = gallery["persons"]
    what = translate(N_("gallery of {persons}: strangers taken for a resident")).format(persons=persons)
    yield what, percent(gallery["fpir"], 3), between(gallery["fpir_interval"], 3)
    what = translate(N_("gallery of {persons}: residents refused")).format(persons=persons)
    refused = f"{percent(gallery['fnir'])} ({gallery['refused']} / {gallery['presentations']})"
    yield what, refused, between(gallery["fnir_interval"])


def plate_rows(document: Document, translate: Translate) -> Iterator[tuple[str, str, str]]:
    """The lines of `evaluate plates`."""
    count, spans = document["images"], document["intervals"]
    for key, what in (
        ("detected", N_("a plate found")),
        ("exact", N_("read exactly")),
        ("exact_without_province", N_("read exactly but for the province")),
        ("confident", N_("read confidently")),
        ("confident_wrong", N_("read confidently, and not the label")),
    ):
        share = percent(document[key] / count if count else None, 1)
        yield translate(what), f"{document[key]} / {count} ({share})", between(spans[key], 1)
    if document["unreadable"]:
        yield translate(N_("pictures that cannot be decoded")), str(document["unreadable"]), ""
    if document["ms_per_image"] is not None:
        mean = translate(N_("mean {ms} ms")).format(ms=document["ms_per_image_mean"])
        yield translate(N_("time a picture, one thread")), f"{document['ms_per_image']} ms ({mean})", ""


def percent(share: float | None, digits: int = 2) -> str:
    return "-" if share is None else f"{share * 100:.{digits}f} %"


def between(interval: tuple[float, float] | None, digits: int = 2) -> str:
    return "" if interval is None else f"{interval[0] * 100:.{digits}f} - {interval[1] * 100:.{digits}f} %"

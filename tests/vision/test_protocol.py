"""The words between daemon and worker: what is said arrives, and no bytes do more than raise Garbage."""

from __future__ import annotations

import itertools
import json
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vision import protocol
from gateway.vision.protocol import Garbage, Message, Reader

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SHARE = st.floats(0, 1)
WHOLE = st.integers(0, 2**53)
NAME = st.text(max_size=40)
CANDIDATE = st.builds(protocol.Candidate, person=NAME, distance=st.floats(0, 10))
HEALTH = st.builds(
    protocol.CameraHealth, camera=NAME, frame_age=st.none() | SHARE, frames=WHOLE, problem=st.text(max_size=80)
)
NUMBERS = st.dictionaries(NAME, st.integers(0, 2**31), max_size=3)

FROM_WORKER: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        protocol.Hello,
        protocol=st.integers(0, 9),
        group=NAME,
        version=NAME,
        engine=NAME,
        detector=NAME,
        models=st.dictionaries(NAME, NAME, max_size=3),
        pid=WHOLE,
    ),
    st.builds(
        protocol.Heartbeat,
        cameras=st.lists(HEALTH, max_size=3).map(tuple),
        resident_kb=WHOLE,
        generations=NUMBERS,
        thresholds=st.dictionaries(NAME, SHARE, max_size=3),
        people=NUMBERS,
    ),
    st.builds(
        protocol.Candidates,
        camera=NAME,
        door=NAME,
        track=WHOLE,
        generation=WHOLE,
        frames=WHOLE,
        best=st.lists(CANDIDATE, max_size=2).map(tuple),
        threshold=SHARE,
        at=NUMBER,
        quality=SHARE,
    ),
    st.builds(
        protocol.PlateRead,
        camera=NAME,
        lane=NAME,
        track=WHOLE,
        readings=st.lists(
            st.builds(protocol.PlateCandidate, plate=st.text(min_size=1, max_size=16), log_p=st.floats(-1000, 0)),
            min_size=1,
            max_size=8,
        ).map(tuple),
        margin=st.none() | st.floats(0, 1000),
        frames=WHOLE,
        votes=WHOLE,
        at=NUMBER,
    ),
    st.builds(
        protocol.Presence, camera=NAME, present=st.booleans(), looking=st.booleans(), brightness=SHARE, at=NUMBER
    ),
    st.builds(
        protocol.Enrolled,
        request=WHOLE,
        embeddings=st.lists(st.binary(min_size=512, max_size=512), max_size=3).map(tuple),
        quality=st.lists(SHARE, max_size=3).map(tuple),
        engine=NAME,
        names=st.lists(NAME, max_size=3).map(tuple),
        refused=st.lists(
            st.builds(protocol.Refusal, name=NAME, why=NAME, mend=NAME, facts=st.dictionaries(NAME, NAME | NUMBER)),
            max_size=3,
        ).map(tuple),
    ),
)
FROM_DAEMON: st.SearchStrategy[Message] = st.one_of(
    st.builds(protocol.Welcome, protocol=st.integers(0, 9), settings=NAME),
    st.builds(protocol.Gallery, door=NAME, generation=WHOLE, path=NAME, sha256=NAME),
    st.builds(protocol.Enrol, request=WHOLE, files=st.lists(NAME, max_size=3).map(tuple), camera=NAME),
    st.just(protocol.Stop()),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(FROM_WORKER, max_size=5), st.lists(st.integers(0, 10**6), max_size=8))
def test_a_workers_words_arrive_however_they_are_cut(said: list[Message], places: list[int]) -> None:
    reader = Reader("worker")
    data = b"".join(map(protocol.encode, said))
    assert [message for part in cut(data, places) for message in reader.feed(part)] == said


@given(st.lists(FROM_DAEMON, max_size=5), st.lists(st.integers(0, 10**6), max_size=8))
def test_the_daemons_words_arrive_however_they_are_cut(said: list[Message], places: list[int]) -> None:
    reader = Reader("daemon")
    data = b"".join(map(protocol.encode, said))
    assert [message for part in cut(data, places) for message in reader.feed(part)] == said


@settings(max_examples=500)
@given(st.sampled_from(["worker", "daemon"]), st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_messages_or_garbage(side: str, parts: list[bytes]) -> None:
    reader = Reader("worker" if side == "worker" else "daemon")
    try:
        for part in parts:
            for message in reader.feed(part):
                assert isinstance(message, Message)
    except Garbage:
        pass


@settings(max_examples=500)
@given(st.one_of(FROM_WORKER, FROM_DAEMON), st.data())
def test_a_message_that_was_changed_is_a_message_or_garbage(message: Message, data: st.DataObject) -> None:
    """Fields are replaced by any JSON, left out, or added; then bytes are flipped."""
    fields = json.loads(protocol.encode(message)[4:])
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        if data.draw(st.booleans()):
            fields[name] = data.draw(JSON)
        else:
            fields.pop(name, None)
    body = bytearray(json.dumps(fields).encode())
    for place in data.draw(st.lists(st.integers(0, 10**6), max_size=2)):
        body[place % len(body)] ^= data.draw(st.integers(1, 255))
    frame = struct.pack(">I", len(body)) + body
    for side in ("worker", "daemon"):
        try:
            for heard in Reader("worker" if side == "worker" else "daemon").feed(frame):
                assert isinstance(heard, Message)
        except Garbage:
            pass


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">I", protocol.MAX_FRAME + 1),
        b"\xff\xff\xff\xff",
        struct.pack(">I", 0),
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 200_000) + b"[" * 200_000,
        struct.pack(">I", 15) + b'{"kind":"none"}',
        protocol.encode(protocol.Stop()),  # the daemon's word in a worker's mouth
        struct.pack(">I", 4) + b"\xff\xfe\x00\x00",
    ],
    ids=["too-long", "endless", "empty", "no-object", "deep", "unknown", "wrong-side", "no-text"],
)
def test_garbage_is_named(frame: bytes) -> None:
    with pytest.raises(Garbage, match=r"\w"):
        Reader("worker").feed(frame)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", 1.5),
        ("threshold", -0.1),
        ("quality", 2),
        ("track", -1),
        ("track", 2**60),
        ("best", [{"person": "p", "distance": 0.1}] * 3),
        ("best", [{"person": "p", "distance": -1}]),
        ("camera", "c" * 201),
        ("at", "now"),
    ],
)
def test_a_candidate_out_of_bounds_is_garbage(field: str, value: object) -> None:
    sound = protocol.Candidates(
        camera="c", door="d", track=1, generation=1, frames=3, best=(), threshold=0.4, at=1.0, quality=1.0
    )
    assert Reader("worker").feed(protocol.encode(sound)) == [sound]
    body = msgspec.json.encode(msgspec.to_builtins(sound) | {field: value})
    with pytest.raises(Garbage):
        Reader("worker").feed(struct.pack(">I", len(body)) + body)


def test_a_newer_side_may_say_more() -> None:
    body = b'{"kind":"presence","camera":"c","present":true,"brightness":0.5,"at":1.0,"mood":"good"}'
    assert len(Reader("worker").feed(struct.pack(">I", len(body)) + body)) == 1

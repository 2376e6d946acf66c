"""Who may order what: each check, in its order, with its own reason; and no bytes raise anything else."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import Now
from gateway.command import Role
from gateway.errors import IdentityError
from gateway.identity.keys import Key, KeyList, Signed, open_key_list, public_text, sign
from gateway.uplink.envelope import MAX_ENVELOPE, Challenges, Payload, Refusal, VerifiedCommand, verify

BOX = "0f8f3f4e-0000-4000-8000-000000000001"
DESK, CLERK, ODD, STRANGER, ROOT = (Ed25519PrivateKey.generate() for _ in range(5))
WALL = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW = Now(mono=100, boot=100, wall=WALL, trusted=True)
LOST_CLOCK = Now(mono=100, boot=100, wall=datetime(1970, 1, 1, tzinfo=UTC), trusted=False)
KEYS = KeyList(
    community="c",
    version=3,
    issued="",
    keys=(
        Key(kid="desk", public=public_text(DESK.public_key()), role="administrator", receiver=True),
        Key(kid="clerk", public=public_text(CLERK.public_key()), role="clerk"),
        Key(kid="odd", public=public_text(ODD.public_key()), role="emperor"),
    ),
)


def challenges() -> Challenges:
    kept = Challenges()
    for number in range(1, 6):
        kept.renew(bytes([number]) * 16)
    return kept


def payload(**changes: Any) -> Payload:
    fields: dict[str, Any] = {
        "box": BOX, "id": "one", "issued": WALL.isoformat(), "expires": (WALL + timedelta(seconds=30)).isoformat(),
        "challenge": challenges().newest, "command": "door.open", "fields": msgspec.Raw(b'{"door":"main"}'),
    }  # fmt: skip
    return Payload(**{**fields, **changes})


def signed(said: Payload | bytes, kid: str = "desk", key: Ed25519PrivateKey = DESK) -> bytes:
    return sign(said if isinstance(said, bytes) else msgspec.json.encode(said), kid, key)


def check(data: bytes, now: Now = NOW) -> VerifiedCommand:
    return verify(data, box=BOX, keys=KEYS, challenges=challenges(), now=now)


def refusal(data: bytes, now: Now = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check(data, now)
    return caught.value


def test_a_good_command_passes_with_its_actor() -> None:
    command = check(signed(payload()))
    assert (command.name, command.fields, command.receiver) == ("door.open", b'{"door":"main"}', True)
    assert command.actor.id == "key:desk"
    assert command.actor.role is Role.ADMINISTRATOR
    assert command.actor.command_id == "one"
    assert check(signed(payload(), "clerk", CLERK)).actor.role is Role.CLERK


def test_the_signature_covers_exactly_the_bytes_not_their_meaning() -> None:
    spaced = msgspec.json.format(msgspec.json.encode(payload()))
    assert check(signed(spaced)).name == "door.open"
    envelope = msgspec.json.decode(signed(payload()), type=Signed)
    moved = msgspec.structs.replace(envelope, payload=spaced.decode())
    assert refusal(msgspec.json.encode(moved)).reason == "bad_signature"


LATER, EARLIER = WALL + timedelta(hours=1), WALL - timedelta(hours=1)


@pytest.mark.parametrize(
    ("data", "reason", "known"),
    [
        (b"{" + b" " * MAX_ENVELOPE, "oversized", False),
        (b"", "malformed", False),
        (b"[" * 60_000, "malformed", False),
        (b"\xff\xfe", "malformed", False),
        (b'{"kid":"desk","payload":"\\ud800","sig":""}', "malformed", False),
        (signed(payload(), "nobody"), "unknown_key", False),
        (signed(payload(), "desk", STRANGER), "bad_signature", False),
        (signed(payload(), "desk", CLERK), "bad_signature", False),
        (msgspec.json.encode(Signed("desk", "{}", "no base64!")), "bad_signature", False),
        (msgspec.json.encode(Signed("desk", "{}", base64.b64encode(b"short").decode())), "bad_signature", False),
        (signed(b"no json"), "malformed", True),
        (signed(b"{}"), "malformed", True),
        (signed(payload(issued="yesterday")), "malformed", True),
        (signed(payload(issued="2026-05-01T12:00:00")), "malformed", True),
        (signed(payload(id="")), "malformed", True),
        (signed(payload(id="x" * 65)), "malformed", True),
        (signed(payload(expires="0001-01-01T00:00:00+23:59")), "malformed", True),
        (signed(payload(box="another")), "wrong_box", True),
        (signed(payload(challenge="")), "stale_challenge", True),
        (signed(payload(challenge="02" * 16)), "stale_challenge", True),  # the fourth last
        (signed(payload(issued=LATER.isoformat())), "too_early", True),
        (signed(payload(expires=WALL.isoformat())), "expired", True),
        (signed(payload(), "odd", ODD), "role", True),
        (signed(payload(command="receipt"), "clerk", CLERK), "role", True),
    ],
)
def test_each_check_has_a_reason_of_its_own(data: bytes, reason: str, known: bool) -> None:
    refused = refusal(data)
    assert (refused.reason, refused.known) == (reason, known)


def test_the_checks_come_in_their_order() -> None:
    everything_wrong = payload(box="another", challenge="", issued=LATER.isoformat(), expires=EARLIER.isoformat())
    assert refusal(signed(everything_wrong, "nobody", STRANGER)).reason == "unknown_key"
    assert refusal(signed(everything_wrong, "odd", STRANGER)).reason == "bad_signature"
    assert refusal(signed(everything_wrong, "odd", ODD)).reason == "wrong_box"
    assert refusal(signed(payload(challenge="", expires=EARLIER.isoformat()))).reason == "stale_challenge"
    assert refusal(signed(payload(issued=LATER.isoformat(), expires=EARLIER.isoformat()))).reason == "too_early"


@pytest.mark.parametrize("number", [3, 4, 5])
def test_each_of_the_last_three_challenges_will_do(number: int) -> None:
    assert check(signed(payload(challenge=(bytes([number]) * 16).hex()))).id == "one"


def test_a_box_without_a_clock_judges_by_the_challenge_alone() -> None:
    assert check(signed(payload()), LOST_CLOCK).id == "one"
    assert check(signed(payload(expires=EARLIER.isoformat())), LOST_CLOCK).id == "one"
    assert refusal(signed(payload(challenge="02" * 16)), LOST_CLOCK).reason == "stale_challenge"


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    assert refusal(data).reason in {"malformed", "unknown_key", "bad_signature"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_signed_json_raises_anything_but_a_refusal(document: object) -> None:
    assert refusal(signed(msgspec.json.encode(document))).reason == "malformed"


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_flipped_bit_passes(at: int, bit: int) -> None:
    data = bytearray(signed(payload()))
    data[at % len(data)] ^= 1 << bit
    try:
        command = check(bytes(data))
    except Refusal:
        return
    assert command == check(signed(payload()))  # the flip changed nothing that is said (a space, an unused name)


def listed(version: int = 3, key: Ed25519PrivateKey = ROOT, **changes: Any) -> bytes:
    return sign(msgspec.json.encode(msgspec.structs.replace(KEYS, version=version, **changes)), "root", key)


def test_the_list_of_keys_must_come_from_the_root_and_never_be_older() -> None:
    root = public_text(ROOT.public_key())
    assert open_key_list(listed(), root, "c", newest=3) == KEYS
    for data, arguments in (
        (listed(key=STRANGER), {}),
        (listed(), {"newest": 4}),
        (listed(), {"community": "d"}),
        (listed(keys=(Key(kid="x", public="no key", role="clerk"),)), {}),
        (b"nonsense", {}),
        (sign(b"{}", "root", ROOT), {}),
    ):
        with pytest.raises(IdentityError):
            open_key_list(data, root, **arguments)

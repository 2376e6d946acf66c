"""Enrolment without trust on first use: what is accepted, and every file that is not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.desk.authority import Authority
from gateway.errors import IdentityError, Refused
from gateway.identity import Box, Bundle, Request, read_request, root_fingerprint

PEER = ("127.0.0.1",)


def yes(*_told: str) -> bool:
    return True


def no(*_told: str) -> bool:
    return False


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("desk"))
    made.init("peach-garden", PEER)
    return made


def asked(box: Box) -> bytes:
    return msgspec.json.encode(box.request()[0])


def admitted(authority: Authority, box: Box) -> Bundle:
    return authority.admit(asked(box), yes)


def raw(bundle: Bundle) -> bytes:
    return msgspec.json.encode(bundle)


def test_a_box_keeps_its_name_and_its_folder_is_its_own(tmp_path: Path) -> None:
    box = Box.load_or_create(tmp_path / "state", "gate")
    assert Box.load_or_create(tmp_path / "state").uuid == box.uuid
    assert Box.load_or_create(tmp_path / "other").uuid != box.uuid
    assert stat.S_IMODE(box.folder.stat().st_mode) == 0o700
    assert not box.enrolled
    assert box.credentials() is None


def test_a_damaged_identity_is_told_with_its_mend(tmp_path: Path) -> None:
    box = Box.load_or_create(tmp_path)
    (box.folder / "box.json").write_text('{"uuid": "nonsense", "created": ""}')
    with pytest.raises(IdentityError) as caught:
        Box.load_or_create(tmp_path)
    assert caught.value.mend
    assert "box.json" in caught.value.where


def test_the_steps_of_a_technician(tmp_path: Path, authority: Authority) -> None:
    box = Box.load_or_create(tmp_path, "gate")
    request, fingerprint = box.request()
    told: list[tuple[str, ...]] = []

    def look(*shown: str) -> bool:
        told.append(shown)
        return True

    bundle = authority.admit(msgspec.json.encode(request), look)
    assert told == [(box.uuid, "gate", fingerprint)]
    box.accept(raw(bundle), confirm=look)
    assert told[1] == (root_fingerprint(bundle.root),)
    credentials = box.credentials()
    assert credentials
    assert credentials.bundle.community == "peach-garden"
    assert stat.S_IMODE(credentials.key.stat().st_mode) == 0o600
    assert credentials.not_before < credentials.renew_from < credentials.not_after
    assert authority.boxes()[box.uuid].fingerprint == fingerprint
    assert not (box.folder / "pending").exists()


def test_a_pending_request_is_the_same_when_asked_again(tmp_path: Path) -> None:
    box = Box.load_or_create(tmp_path)
    assert box.request()[1] == box.request()[1]


def test_a_renewal_keeps_the_old_one_until_the_new_one_has_connected(tmp_path: Path, authority: Authority) -> None:
    box = Box.load_or_create(tmp_path)
    box.accept(raw(admitted(authority, box)), confirm=yes)
    first = box.credentials()
    box.accept(raw(admitted(authority, box)), confirm=no)  # the root is known: nobody is asked
    previous = box.credentials("previous")
    assert first
    assert previous
    assert previous.folder == first.folder
    box.settle()
    assert box.credentials("previous") is None
    assert not first.folder.exists()
    assert box.credentials()
    box.settle()


def other(tmp_path: Path) -> Authority:
    stranger = Authority(tmp_path / "stranger")
    stranger.init("peach-garden", PEER)
    return stranger


def _another_box(bundle: Bundle, tmp_path: Path, authority: Authority) -> bytes:
    return raw(admitted(authority, Box.load_or_create(tmp_path / "another")))


def _renamed(bundle: Bundle, tmp_path: Path, authority: Authority) -> bytes:
    another = admitted(authority, Box.load_or_create(tmp_path / "another"))
    return raw(msgspec.structs.replace(bundle, certificate=another.certificate))


def _own_list(bundle: Bundle, tmp_path: Path, authority: Authority) -> bytes:
    return raw(msgspec.structs.replace(bundle, keys=other(tmp_path).signed_list().decode()))


def _own_ca(bundle: Bundle, tmp_path: Path, authority: Authority) -> bytes:
    theirs = other(tmp_path).admit(asked(Box.load_or_create(tmp_path / "state")), yes)
    return raw(msgspec.structs.replace(bundle, ca=theirs.ca, certificate=theirs.certificate))


def _wrong_community(bundle: Bundle, tmp_path: Path, authority: Authority) -> bytes:
    return raw(msgspec.structs.replace(bundle, community="plum-garden"))


def _foreign_certificate(bundle: Bundle, tmp_path: Path, authority: Authority) -> bytes:
    theirs = other(tmp_path).admit(asked(Box.load_or_create(tmp_path / "state")), yes)
    return raw(msgspec.structs.replace(bundle, certificate=theirs.certificate))


@pytest.mark.parametrize(
    "spoil",
    [_another_box, _renamed, _own_list, _own_ca, _wrong_community, _foreign_certificate],
    ids=lambda spoil: spoil.__name__.strip("_"),
)
def test_a_bundle_that_does_not_fit_changes_nothing(
    tmp_path: Path, authority: Authority, spoil: Callable[[Bundle, Path, Authority], bytes]
) -> None:
    box = Box.load_or_create(tmp_path / "state")
    data = spoil(admitted(authority, box), tmp_path, authority)
    with pytest.raises(IdentityError) as caught:
        box.accept(data, confirm=yes)
    assert caught.value.mend
    assert not box.enrolled


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"box": 1}'])
def test_a_file_that_is_no_bundle_or_request(tmp_path: Path, authority: Authority, data: bytes) -> None:
    box = Box.load_or_create(tmp_path)
    with pytest.raises(IdentityError) as caught:
        box.accept(data, confirm=yes)
    assert caught.value.mend
    with pytest.raises(IdentityError) as caught:
        authority.admit(data, yes)
    assert caught.value.mend


@pytest.mark.parametrize("field", ["certificate", "ca", "root", "keys"])
@pytest.mark.parametrize("value", ["", "nonsense", "é"])
def test_a_bundle_with_a_spoiled_field(tmp_path: Path, authority: Authority, field: str, value: str) -> None:
    box = Box.load_or_create(tmp_path)
    bundle = msgspec.structs.replace(admitted(authority, box), **{field: value})
    with pytest.raises(IdentityError):
        box.accept(raw(bundle), confirm=yes)
    assert not box.enrolled


def test_an_answer_to_an_older_request_is_refused(tmp_path: Path, authority: Authority) -> None:
    box = Box.load_or_create(tmp_path)
    bundle = admitted(authority, box)
    (box.folder / "pending" / "box.key").unlink()
    with pytest.raises(IdentityError):
        box.accept(raw(bundle), confirm=yes)
    box.request()
    with pytest.raises(IdentityError) as caught:
        box.accept(raw(bundle), confirm=yes)
    assert "another key" in caught.value.what


def test_another_root_is_refused_once_a_box_belongs_somewhere(tmp_path: Path, authority: Authority) -> None:
    box = Box.load_or_create(tmp_path / "state")
    box.accept(raw(admitted(authority, box)), confirm=yes)
    before = box.credentials()
    theirs = other(tmp_path).admit(asked(box), yes)
    with pytest.raises(IdentityError) as caught:
        box.accept(raw(theirs), confirm=yes)
    assert "another root" in caught.value.what
    assert box.credentials() == before


def test_a_list_of_keys_is_never_older_than_the_one_in_use(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "desk")
    authority.init("c", PEER)
    box = Box.load_or_create(tmp_path / "state")
    old = admitted(authority, box)
    from gateway.command import Role

    authority.add_key("porter", Role.CLERK, "Mr Li")
    box.accept(raw(admitted(authority, box)), confirm=yes)
    box.request()
    renewed = msgspec.structs.replace(admitted(authority, box), keys=old.keys)
    with pytest.raises(IdentityError) as caught:
        box.accept(raw(renewed), confirm=yes)
    assert "older" in caught.value.what


def test_nobody_is_believed_without_a_persons_yes(tmp_path: Path, authority: Authority) -> None:
    box = Box.load_or_create(tmp_path)
    with pytest.raises(IdentityError):
        authority.admit(asked(box), no)
    assert box.uuid not in authority.boxes()
    bundle = admitted(authority, box)
    with pytest.raises(IdentityError):
        box.accept(raw(bundle), confirm=no)

    def refused(_fingerprint: str) -> bool:
        raise Refused("no terminal")

    with pytest.raises(Refused):
        box.accept(raw(bundle), confirm=refused)
    assert not box.enrolled


def test_a_request_signed_by_another_key_is_refused(tmp_path: Path, authority: Authority) -> None:
    box, another = Box.load_or_create(tmp_path / "a"), Box.load_or_create(tmp_path / "b")
    mixed: Request = msgspec.structs.replace(box.request()[0], csr=another.request()[0].csr)
    with pytest.raises(IdentityError) as caught:
        authority.admit(msgspec.json.encode(mixed), yes)
    assert "two different boxes" in caught.value.what
    with pytest.raises(IdentityError):
        read_request(msgspec.json.encode(msgspec.structs.replace(mixed, box="../../etc/passwd")))


def test_a_disk_that_fails_at_any_step_leaves_the_old_one_or_the_new_one(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Box.load_or_create(tmp_path)
    box.accept(raw(admitted(authority, box)), confirm=yes)
    bundle = raw(admitted(authority, box))
    calls = 0
    real_open: Callable[..., Any] = os.open

    def cut(*arguments: Any, **named: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == limit:
            raise OSError(28, "No space left on device")
        return int(real_open(*arguments, **named))

    limit, installed = 0, False
    while not installed:
        limit, calls = limit + 1, 0
        monkeypatch.setattr(os, "open", cut)
        try:
            box.accept(bundle, confirm=yes)
            installed = True
        except IdentityError:
            pass
        finally:
            monkeypatch.setattr(os, "open", real_open)
        assert box.credentials() is not None
    assert limit > 5


def test_keys_of_its_own_for_bundles_between_boxes(tmp_path: Path) -> None:
    box = Box.load_or_create(tmp_path)
    signature = box.signing_key().sign(b"words")
    Box.load_or_create(tmp_path).signing_key().public_key().verify(signature, b"words")
    assert box.sealing_key().public_key() == box.sealing_key().public_key()
    (box.folder / "sign.key").write_bytes(b"short")
    with pytest.raises(IdentityError):
        box.signing_key()

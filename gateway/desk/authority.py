"""The desk's folder and what it vouches for: the root, the TLS authority, online keys, admitted boxes.

    root/root.key       Ed25519. Signs the list of online keys and nothing else. Take it off this machine.
    ca/                 the community's own TLS authority
    keys.json           the list of online keys as the root signed it
    keys/<kid>.key      Ed25519, 32 bytes: online keys that live on this machine
    client/             the desk's certificate towards the broker
    broker/             a certificate, mosquitto.conf and access list for the community's broker
    boxes/<uuid>.json   what was admitted, when, with which key
    desk.json           community and brokers
    desk.db, desk.sock  the running desk's store and socket

Files travel by USB stick or ssh. Two people compare two fingerprints: the box's key before it is
admitted, the root's before a box believes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.command import Role
from gateway.desk import mosquitto
from gateway.errors import IdentityError, N_
from gateway.identity import BrokerAddress, Bundle, read_request, replace_file, root_fingerprint
from gateway.identity import certificates as x509
from gateway.identity.keys import Key, KeyList, open_key_list, public_text, sign

_Kind = TypeVar("_Kind")

DESK_KEY = "desk"
ROOT = "root"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """desk.json"""

    community: str
    brokers: tuple[BrokerAddress, ...]
    root: str  # public, base64
    protocol: Literal["5", "3.1.1", "auto"] = "auto"


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """boxes/<uuid>.json"""

    box: str
    name: str
    fingerprint: str
    at: str
    until: str
    sign: str = ""
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Authority:
    """The desk's folder. Everything raises IdentityError."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "desk.db"

    @property
    def socket(self) -> Path:
        return self.folder / "desk.sock"

    @property
    def root_key(self) -> Path:
        return self.folder / "root" / "root.key"

    def settings(self) -> Settings:
        return _read(self.folder / "desk.json", Settings)

    # --- init

    def init(
        self, community: str, hosts: tuple[str, ...], port: int = 8883, protocol: Literal["5", "3.1.1", "auto"] = "auto"
    ) -> str:
        """Make everything for a new community; returns the root's fingerprint. Refuses to do it twice."""
        if (self.folder / "desk.json").exists():
            raise IdentityError(
                N_("There is a desk in this folder already"),
                where=str(self.folder),
                mend=N_("choose another folder; nothing was changed"),
            )
        try:
            for name in ("root", "ca", "keys", "client", "broker", "boxes"):
                (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            root = Ed25519PrivateKey.generate()
            replace_file(self.root_key, root.private_bytes_raw())
            self._new_ca(community)
            self.certify(hosts)
            self._write_broker_files(community, port)
            desk = self._new_key(DESK_KEY)
            first = Key(kid=DESK_KEY, public=desk, role="administrator", name="loumen desk", receiver=True)
            fingerprints = (x509.fingerprint(self._ca()[0]),)
            self._sign_list(
                KeyList(community=community, version=1, issued=_now(), keys=(first,), ca=fingerprints), root
            )
            brokers = tuple(BrokerAddress(host, port) for host in hosts[:1])
            settings = Settings(
                community=community, brokers=brokers, root=public_text(root.public_key()), protocol=protocol
            )
            replace_file(self.folder / "desk.json", msgspec.json.format(msgspec.json.encode(settings)))
        except OSError as error:
            raise _disk(self.folder, error) from error
        return root_fingerprint(settings.root)

    def _new_ca(self, community: str) -> None:
        key = x509.new_key()
        certificate = x509.authority(f"Loumen {community}", key)
        replace_file(self.folder / "ca" / "ca.key", x509.key_pem(key))
        replace_file(self.folder / "ca" / "ca.pem", x509.certificate_pem(certificate).encode(), 0o644)

    def certify(self, hosts: tuple[str, ...] = ()) -> datetime:
        """New certificates for the broker, under the names by which boxes reach it, and for the desk itself.

        Without `hosts` the names stay as they are. Returns until when both are good. Raises IdentityError.
        """
        authority = self._ca()
        try:
            known = hosts or x509.hosts(x509.load_certificate((self.folder / "broker" / "broker.pem").read_bytes()))
            self._new_client(authority)
            return self._new_broker(authority, known)
        except OSError as error:
            raise _disk(self.folder, error) from error

    def broker_until(self) -> datetime:
        """Until when the broker's certificate is good. Raises IdentityError."""
        try:
            return x509.load_certificate((self.folder / "broker" / "broker.pem").read_bytes()).not_valid_after_utc
        except (OSError, ValueError) as error:
            raise IdentityError(
                N_("The broker's certificate cannot be read"),
                where=str(self.folder / "broker" / "broker.pem"),
                mend=N_("make it anew: loumen desk broker --host NAME"),
            ) from error

    def _new_client(self, authority: tuple[x509.Certificate, x509.Key]) -> None:
        key = x509.new_key()
        certificate = x509.issue("desk", key.public_key(), authority, purpose="client", days=x509.BROKER_DAYS)
        replace_file(self.folder / "client" / "desk.key", x509.key_pem(key))
        replace_file(self.folder / "client" / "desk.pem", x509.certificate_pem(certificate).encode())

    def _new_broker(self, authority: tuple[x509.Certificate, x509.Key], hosts: tuple[str, ...]) -> datetime:
        key = x509.new_key()
        certificate = x509.issue(
            hosts[0], key.public_key(), authority, purpose="server", days=x509.BROKER_DAYS, hosts=hosts
        )
        folder = self.folder / "broker"
        replace_file(folder / "broker.key", x509.key_pem(key))
        replace_file(folder / "broker.pem", x509.certificate_pem(certificate).encode(), 0o644)
        replace_file(folder / "ca.pem", (self.folder / "ca" / "ca.pem").read_bytes(), 0o644)
        return certificate.not_valid_after_utc

    def _write_broker_files(self, community: str, port: int) -> None:
        folder = (self.folder / "broker").resolve()
        replace_file(folder / "mosquitto.conf", mosquitto.configuration(folder, port).encode(), 0o644)
        replace_file(folder / "acl", mosquitto.access_list(community).encode(), 0o644)

    def _ca(self) -> tuple[x509.Certificate, x509.Key]:
        try:
            certificate = x509.load_certificate((self.folder / "ca" / "ca.pem").read_bytes())
        except (OSError, ValueError) as error:
            raise IdentityError(
                N_("The desk's TLS authority cannot be read"),
                where=str(self.folder / "ca" / "ca.pem"),
                mend=N_("make the desk with: loumen desk init, or restore its folder"),
            ) from error
        return certificate, x509.load_key(self.folder / "ca" / "ca.key")

    # --- online keys

    def key_list(self) -> KeyList:
        return open_key_list(self.signed_list(), self.settings().root)

    def signed_list(self) -> bytes:
        try:
            return (self.folder / "keys.json").read_bytes()
        except OSError as error:
            raise _disk(self.folder / "keys.json", error) from error

    def key(self, kid: str = DESK_KEY) -> Ed25519PrivateKey:
        """An online key that lives on this machine."""
        return _private(self.folder / "keys" / f"{kid}.key")

    def add_key(self, kid: str, role: Role, name: str, *, receiver: bool = False, root: Path | None = None) -> KeyList:
        """Make an online key and have the root sign the longer list."""
        listed = self.key_list()
        if listed.find(kid) is not None or not kid.replace("-", "").isalnum():
            raise IdentityError(
                N_("There is a key {kid} already, or it is no good name"), kid=kid, mend=N_("choose another name")
            )
        signer = self._root(root)
        key = Key(kid=kid, public=self._new_key(kid), role=role.name.lower(), name=name, receiver=receiver)
        return self._next_list(listed, (*listed.keys, key), signer)

    def remove_key(self, kid: str, root: Path | None = None) -> KeyList:
        """Take a key off the list; boxes hear of it with the next list."""
        listed = self.key_list()
        if listed.find(kid) is None:
            raise IdentityError(N_("There is no key {kid}"), kid=kid, mend=N_("see: loumen desk keys"))
        return self._next_list(listed, tuple(key for key in listed.keys if key.kid != kid), self._root(root))

    def _next_list(self, listed: KeyList, keys: tuple[Key, ...], root: Ed25519PrivateKey) -> KeyList:
        following = msgspec.structs.replace(listed, version=listed.version + 1, issued=_now(), keys=keys)
        try:
            self._sign_list(following, root)
        except OSError as error:
            raise _disk(self.folder, error) from error
        return following

    def _sign_list(self, listed: KeyList, root: Ed25519PrivateKey) -> None:
        replace_file(self.folder / "keys.json", sign(msgspec.json.encode(listed), ROOT, root), 0o644)

    def _root(self, path: Path | None) -> Ed25519PrivateKey:
        root = _private(path or self.root_key)
        if public_text(root.public_key()) != self.settings().root:
            raise IdentityError(N_("This is not the root key of this community"), where=str(path or self.root_key))
        return root

    def _new_key(self, kid: str) -> str:
        key = Ed25519PrivateKey.generate()
        replace_file(self.folder / "keys" / f"{kid}.key", key.private_bytes_raw())
        return public_text(key.public_key())

    # --- boxes

    def admit(self, data: bytes, confirm: Callable[[str, str, str], bool]) -> Bundle:
        """Answer a box's request. `confirm` is shown uuid, name and the key's fingerprint."""
        request, settings = read_request(data), self.settings()
        try:
            name, public = x509.read_request(request.csr)
        except (ValueError, TypeError) as error:
            raise IdentityError(
                N_("The request's certificate request cannot be read or is not signed by its own key"),
                mend=N_("make it anew on the box: loumen enrol"),
            ) from error
        if name != request.box:
            raise IdentityError(N_("The request names two different boxes"), mend=N_("make it anew: loumen enrol"))
        fingerprint = x509.key_fingerprint(public)
        if not confirm(request.box, request.name, fingerprint):
            raise IdentityError(N_("The box was not admitted; nothing was changed"))
        authority = self._ca()
        certificate = x509.issue(request.box, public, authority, purpose="client", days=x509.BOX_DAYS)
        admitted = Admitted(
            box=request.box,
            name=request.name,
            fingerprint=fingerprint,
            at=_now(),
            until=certificate.not_valid_after_utc.isoformat(timespec="seconds"),
            sign=request.sign,
            seal=request.seal,
        )
        try:
            replace_file(self.folder / "boxes" / f"{request.box}.json", msgspec.json.encode(admitted))
        except OSError as error:
            raise _disk(self.folder / "boxes", error) from error
        return Bundle(
            box=request.box,
            community=settings.community,
            certificate=x509.certificate_pem(certificate),
            ca=x509.certificate_pem(authority[0]),
            root=settings.root,
            keys=self.signed_list().decode(),
            brokers=settings.brokers,
        )

    def boxes(self) -> dict[str, Admitted]:
        """Every admitted box by uuid."""
        found = (_read(path, Admitted) for path in sorted((self.folder / "boxes").glob("*.json")))
        return {admitted.box: admitted for admitted in found}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except (OSError, ValueError) as error:
        raise IdentityError(
            N_("The signing key cannot be read"),
            where=os.fspath(path),
            mend=N_("bring the key to this machine (the root key lives on its USB stick: --root FILE)"),
        ) from error


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise IdentityError(
            N_("There is no desk in this folder"), where=str(path.parent), mend=N_("make one: loumen desk init")
        ) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise IdentityError(N_("A file of the desk is damaged"), where=str(path), mend=N_("restore it")) from error


def _disk(path: Path, error: OSError) -> IdentityError:
    return IdentityError(
        N_("The desk's folder cannot be read or written: {problem}"),
        where=str(path),
        mend=N_("check the folder's owner and that the disk is not full"),
        problem=error.strerror or "",
    )

"""Who this box is: its uuid, its keys, and what the desk has vouched for. No trust on first use.

    state/identity/            root-only (0700)
        box.json               the uuid, made once, never changed
        sign.key, seal.key     Ed25519 and X25519: bundles between boxes are signed and encrypted with them
        pending/               a TLS key and the request that waits for the desk's answer
        bundle-<n>/            an accepted bundle: box.key, certificate.pem, ca.pem, bundle.json, keys.json
        current -> bundle-<n>  replaced in one step; `previous` stays until the new one has connected

Enrolment goes over files (USB, ssh): `enrol` makes a key and a request and prints the key's fingerprint,
which a person compares at the desk; `enrol --accept` prints the community root's fingerprint, which a
person compares at the box. After that a bundle of another root is refused.

`cryptography` is imported where it is used: doors do not wait for it at start.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import IdentityError, N_
from gateway.ownership import adopt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

RENEW_AFTER = 2 / 3  # of a certificate's life
REQUEST = "enrolment request"
BUNDLE = "enrolment bundle"
_ASK_AGAIN = N_("ask the desk for a bundle made from this box's newest request")


class BoxFile(msgspec.Struct, frozen=True):
    """box.json"""

    uuid: str
    created: str


class BrokerAddress(msgspec.Struct, frozen=True):
    host: str
    port: int = 8883


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `enrol` writes for the desk. The proof shows that the box holds the key."""

    loumen: str = REQUEST
    box: str
    name: str
    csr: str  # PEM, signed with the box's key
    sign: str = ""  # the box's Ed25519 and X25519 public keys, base64
    seal: str = ""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What `desk admit` answers."""

    loumen: str = BUNDLE
    box: str
    community: str
    certificate: str
    ca: str
    root: str  # the community's Ed25519 root, base64
    keys: str  # the list of online keys as the root signed it
    brokers: tuple[BrokerAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """One accepted bundle on disk."""

    folder: Path
    bundle: Bundle
    not_before: datetime
    not_after: datetime

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "box.key"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def renew_from(self) -> datetime:
        return self.not_before + (self.not_after - self.not_before) * RENEW_AFTER

    @property
    def keys(self) -> Path:
        return self.folder / "keys.json"


@dataclass(frozen=True, slots=True)
class Box:
    """This box. `folder` is state/identity."""

    uuid: str
    name: str
    folder: Path

    @classmethod
    def load_or_create(cls, state: Path, name: str = "") -> Box:
        """The box of this state folder; a new one where there is none. Raises IdentityError."""
        folder = Path(state) / "identity"
        path = folder / "box.json"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            adopt(folder)
            if not path.exists():
                made = BoxFile(str(uuid.uuid4()), datetime.now(UTC).isoformat(timespec="seconds"))
                replace_file(path, msgspec.json.encode(made))
            known = str(uuid.UUID(msgspec.json.decode(path.read_bytes(), type=BoxFile).uuid))
        except OSError as error:
            raise IdentityError(
                N_("The box's identity cannot be read or written: {problem}"),
                where=str(folder),
                mend=N_("check the folder's owner and that the disk is not full"),
                problem=error.strerror or "",
            ) from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise IdentityError(
                N_("The box's identity file is damaged"),
                where=str(path),
                mend=N_("restore it from a backup, or remove it and enrol the box again as a new one"),
            ) from error
        return cls(known, name, folder)

    @property
    def enrolled(self) -> bool:
        return (self.folder / "current" / "bundle.json").exists()

    def credentials(self, which: str = "current") -> Credentials | None:
        """The accepted bundle (`current` or `previous`), or None. Raises IdentityError when it is damaged."""
        folder = self.folder / which
        if not folder.exists():
            return None
        from cryptography import x509

        try:
            bundle = msgspec.json.decode((folder / "bundle.json").read_bytes(), type=Bundle)
            certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise IdentityError(
                N_("The box's certificate or bundle is damaged"),
                where=str(folder),
                mend=N_("enrol the box again: loumen enrol"),
            ) from error
        return Credentials(folder.resolve(), bundle, certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    def settle(self) -> None:
        """The current bundle has connected: the previous one is not needed any more."""
        try:
            (self.folder / "previous").unlink(missing_ok=True)
            kept = (self.folder / "current").readlink().name
            others = [path for path in self.folder.glob("bundle-*") if path.name != kept]
        except OSError:
            return  # the disk says no, or nothing was accepted yet: tried again at the next connection
        for old in others:
            shutil.rmtree(old, ignore_errors=True)

    def signing_key(self) -> Ed25519PrivateKey:
        """The box's own Ed25519 key, made on first use."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._raw_key("sign.key"))

    def sealing_key(self) -> X25519PrivateKey:
        """The box's own X25519 key, made on first use."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return X25519PrivateKey.from_private_bytes(self._raw_key("seal.key"))

    def _raw_key(self, name: str) -> bytes:
        path = self.folder / name
        try:
            if not path.exists():
                replace_file(path, os.urandom(32))
            key = path.read_bytes()
        except OSError as error:
            raise IdentityError(
                N_("A key of this box cannot be read: {problem}"), where=str(path), problem=error.strerror or ""
            ) from error
        if len(key) != 32:
            raise IdentityError(
                N_("A key of this box is damaged"), where=str(path), mend=N_("restore it from a backup")
            )
        return key

    # --- enrolment

    def request(self) -> tuple[Request, str]:
        """A request for the desk and the fingerprint of its key. A pending one is used again."""
        from gateway.identity import certificates
        from gateway.identity.keys import public_text

        path = self.folder / "pending" / "box.key"
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            adopt(path.parent)
            replace_file(path, certificates.key_pem(certificates.new_key()))
        key = certificates.load_key(path)
        request = Request(
            box=self.uuid,
            name=self.name,
            csr=certificates.request_pem(key, self.uuid),
            sign=public_text(self.signing_key().public_key()),
            seal=base64.b64encode(self.sealing_key().public_key().public_bytes_raw()).decode(),
        )
        return request, certificates.key_fingerprint(key.public_key())

    def accept(self, data: bytes, *, confirm: Callable[[str], bool]) -> Bundle:
        """Check a bundle and install it in one step. Raises IdentityError, and then nothing is changed.

        `confirm` is shown the fingerprint of a root that this box does not know yet.
        """
        bundle = read_bundle(data)
        if bundle.box != self.uuid:
            raise IdentityError(N_("The bundle is for another box: {box}"), box=bundle.box[:64], mend=_ASK_AGAIN)
        known = self.credentials()
        self._check(bundle, known)
        if known is None and not confirm(root_fingerprint(bundle.root)):
            raise IdentityError(N_("The root was not confirmed; nothing was changed"))
        try:
            self._install(bundle)
        except OSError as error:
            raise IdentityError(
                N_("The bundle cannot be installed: {problem}"), where=str(self.folder), problem=error.strerror or ""
            ) from error
        return bundle

    def _check(self, bundle: Bundle, known: Credentials | None) -> None:
        from gateway.identity import certificates
        from gateway.identity.keys import open_key_list

        newest = 0
        if known is not None:
            if known.bundle.root != bundle.root:
                raise IdentityError(
                    N_("The bundle comes from another root than the one this box belongs to"),
                    mend=N_("if the box really changes its community, remove its identity folder and enrol it anew"),
                )
            newest = open_key_list(known.keys.read_bytes(), known.bundle.root).version
        listed = open_key_list(bundle.keys.encode(), bundle.root, bundle.community, newest)
        pending = self.folder / "pending" / "box.key"
        if not pending.exists():
            raise IdentityError(N_("This box has made no request"), mend=N_("make one first: loumen enrol"))
        try:
            certificate = certificates.load_certificate(bundle.certificate)
            authority = certificates.load_certificate(bundle.ca)
        except ValueError as error:
            raise IdentityError(N_("A certificate in the bundle cannot be read"), mend=_ASK_AGAIN) from error
        if certificates.fingerprint(authority) not in listed.ca:
            raise IdentityError(N_("The bundle's authority is not one that the root vouches for"), mend=_ASK_AGAIN)
        certificates.check_issued(certificate, authority, self.uuid, certificates.load_key(pending))

    def _install(self, bundle: Bundle) -> None:
        taken = [int(path.name.removeprefix("bundle-")) for path in self.folder.glob("bundle-*")]
        folder = self.folder / f"bundle-{max(taken, default=0) + 1}"
        folder.mkdir(mode=0o700)
        adopt(folder)
        replace_file(folder / "box.key", (self.folder / "pending" / "box.key").read_bytes())
        replace_file(folder / "certificate.pem", bundle.certificate.encode())
        replace_file(folder / "ca.pem", bundle.ca.encode())
        replace_file(folder / "keys.json", bundle.keys.encode())
        replace_file(folder / "bundle.json", msgspec.json.encode(bundle))
        current = self.folder / "current"
        if current.is_symlink():
            _point(self.folder / "previous", current.readlink())
        _point(current, Path(folder.name))
        shutil.rmtree(self.folder / "pending")


def read_bundle(data: bytes) -> Bundle:
    """Raises IdentityError."""
    try:
        bundle = msgspec.json.decode(data, type=Bundle)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise IdentityError(N_("This file is no enrolment bundle"), mend=_ASK_AGAIN) from error
    if bundle.loumen != BUNDLE:
        raise IdentityError(N_("This file is no enrolment bundle"), mend=_ASK_AGAIN)
    return bundle


def read_request(data: bytes) -> Request:
    """Raises IdentityError."""
    mend = N_("take the file that `loumen enrol` wrote on the box")
    try:
        request = msgspec.json.decode(data, type=Request)
        uuid.UUID(request.box)
    except (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError) as error:
        raise IdentityError(N_("This file is no enrolment request"), mend=mend) from error
    if request.loumen != REQUEST:
        raise IdentityError(N_("This file is no enrolment request"), mend=mend)
    return request


def root_fingerprint(root: str) -> str:
    """What two people read to each other: the first 16 bytes of the key's SHA-256, in groups of four."""
    try:
        text = hashlib.sha256(base64.b64decode(root, validate=True)).hexdigest()[:32]
    except ValueError as error:
        raise IdentityError(N_("The bundle's root key cannot be read"), mend=_ASK_AGAIN) from error
    return " ".join(text[at : at + 4] for at in range(0, 32, 4))


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write `path` so that after a power cut it is the old file or the new one. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        adopt(partial)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _point(link: Path, target: Path) -> None:
    """Make `link` point to `target` in one step."""
    partial = link.with_name(f".{link.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(link)
    _sync_folder(link.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

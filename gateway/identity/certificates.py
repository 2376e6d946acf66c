"""X.509 as far as Loumen needs it: keys on P-256 (which every broker's TLS speaks), requests, certificates.

The authority is the community's own; no public one is ever asked or trusted.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import IdentityError, N_

Key = ec.EllipticCurvePrivateKey
Certificate = x509.Certificate

AUTHORITY_DAYS = 20 * 365
BROKER_DAYS = 5 * 365
BOX_DAYS = 2 * 365
BACKDATED = timedelta(days=1)  # clocks of desk and box may differ

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(path: Path) -> Key:
    """Raises IdentityError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("a key of another kind")
    except (OSError, ValueError, TypeError) as error:
        raise IdentityError(
            N_("The private key cannot be read"),
            where=str(path),
            mend=N_("restore it from a backup, or make it anew (on a box: loumen enrol)"),
        ) from error
    return key


def certificate_pem(certificate: Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def load_certificate(pem: bytes | str) -> Certificate:
    """Raises ValueError."""
    return x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)


def request_pem(key: Key, name: str) -> str:
    """A certificate request for `name`, signed with its own key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(name))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def read_request(pem: str) -> tuple[str, ec.EllipticCurvePublicKey]:
    """The name and key of a request whose signature is good. Raises ValueError."""
    request = x509.load_pem_x509_csr(pem.encode())
    key = request.public_key()
    if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("a request that its own key has not signed")
    return _common_name(request.subject), key


def authority(name: str, key: Key) -> Certificate:
    """A self-signed authority."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(signs_certificates=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]
    return _build(_name(name), _name(name), key.public_key(), key, AUTHORITY_DAYS, extensions)


def issue(
    name: str,
    public: ec.EllipticCurvePublicKey,
    by: tuple[Certificate, Key],
    *,
    purpose: Literal["client", "server"],
    days: int,
    hosts: Sequence[str] = (),
) -> Certificate:
    """A certificate for `public`; a server's carries its `hosts` (names or addresses)."""
    issuer, issuer_key = by
    use = ExtendedKeyUsageOID.SERVER_AUTH if purpose == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage([use]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    ]
    if hosts:
        extensions.append((x509.SubjectAlternativeName([_host(host) for host in hosts]), False))
    return _build(_name(name), issuer.subject, public, issuer_key, days, extensions)


def check_issued(certificate: Certificate, by: Certificate, name: str, key: Key) -> None:
    """`certificate` is for `name` and `key`, signed by `by`. Raises IdentityError."""
    mend = N_("ask the desk for a bundle made from this box's newest request")
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise IdentityError(
            N_("The bundle's certificate is not signed by the bundle's authority"), mend=mend
        ) from error
    if common_name(certificate) != name:
        raise IdentityError(N_("The bundle's certificate is for another box"), mend=mend)
    if certificate.public_key() != key.public_key():
        raise IdentityError(N_("The bundle's certificate is for another key than this box's newest request"), mend=mend)


def hosts(certificate: Certificate) -> tuple[str, ...]:
    """The names and addresses that a server's certificate carries."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def common_name(certificate: Certificate) -> str:
    return _common_name(certificate.subject)


def fingerprint(certificate: Certificate) -> str:
    """SHA-256 of the certificate, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """What two people read to each other: the first 16 bytes of the key's SHA-256, in groups."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return grouped(digest.finalize())


def grouped(digest: bytes) -> str:
    text = digest[:16].hex()
    return " ".join(text[at : at + 4] for at in range(0, 32, 4))


def client_context(ca: Path, certificate: Path, key: Path, *, trusted_time: bool = True) -> ssl.SSLContext:
    """TLS towards the broker: this authority and no other, our own certificate. Raises IdentityError.

    Without a believable clock the broker's dates cannot be judged and are not: the signature, the name and
    the key still are.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(ca)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise IdentityError(
            N_("The certificate or its key cannot be used"),
            where=str(certificate),
            mend=N_("make it anew (on a box: loumen enrol)"),
        ) from error
    if not trusted_time:
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    return context


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: Key,
    days: int,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> Certificate:
    start = datetime.now(UTC) - BACKDATED
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

"""The fleet's certificate authority: who may connect to the broker, and as whom.

Two authorities, so that no site's certificate opens the room's door: `fleet` signs the broker's
certificate and the room's, `sites` those of the sites. Keys are on the curve P-256. A site's
certificate names it (`site-7`); the broker lets it publish under that name alone.

Sources: RFC 5280 (certificates and revocation lists).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chain.files import write_secret, write_whole
from energy.errors import SettingError

AUTHORITY_DAYS, CERTIFICATE_DAYS = 20 * 365, 3 * 365
_BACKDATED = timedelta(hours=1)
"""For clocks that are behind."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority's certificate and key in files `NAME.crt` and `NAME.key`."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, folder: Path, name: str, about: str) -> Authority:
        """Make one.

        Raises:
            SettingError: if there is one already.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, about)])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            _begun(named, named, key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        write_secret(folder / f"{name}.key", _key_text(key))
        (folder / f"{name}.crt").write_text(certificate_text(made), encoding="ascii")
        return cls(made, key)

    @classmethod
    def at(cls, folder: Path, name: str) -> Authority:
        """Read one.

        Raises:
            SettingError: if it is not there, or none.
        """
        path = folder / f"{name}.key"
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise SettingError(f"{path} must be an authority's key, got {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SettingError(f"{path} must be a key on a curve, got another kind")
        return cls(certificate_at(folder / f"{name}.crt"), key)

    def issue(
        self, name: str, folder: Path, stem: str, hosts: Iterable[str] = (), replace: bool = False
    ) -> x509.Certificate:
        """Make a key and its certificate, `STEM.key` and `STEM.crt`; for a server with hosts.

        Raises:
            SettingError: if there is a key already, and it is not to be replaced.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        hosts = list(hosts)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        begun = (
            _begun(named, self.certificate.subject, key.public_key(), CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if hosts:
            begun = begun.add_extension(
                x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False
            )
        made = begun.sign(self.key, hashes.SHA256())
        path = folder / f"{stem}.key"
        if replace and path.exists():
            # Whole at any moment: the old key, or the new one.
            write_whole(path, _key_text(key), mode=0o600)
        else:
            write_secret(path, _key_text(key))
        write_whole(folder / f"{stem}.crt", certificate_text(made))
        return made

    def revocation_list(self, serials: Iterable[int]) -> str:
        """Return the list of revoked certificates.

        It is written anew whenever one is revoked, and as good as the authority until then: a
        broker whose list has run out would let no one in.
        """
        now = datetime.now(UTC)
        begun = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _BACKDATED)
            .next_update(self.certificate.not_valid_after_utc)
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial)
            begun = begun.add_revoked_certificate(revoked.revocation_date(now).build())
        made = begun.sign(self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()


def certificate_at(path: Path) -> x509.Certificate:
    """Read a certificate.

    Raises:
        SettingError: if it is none.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingError(f"{path} must be a certificate, got {error}") from None


def certificate_text(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

"""TLS to the databases: the sandbox's own certificate authority, and the pg_hba.conf that requires TLS or not.

The authority's key is stored in the account's file only; its certificate is the bundle that clients verify with, as RDS publishes one.
"""

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_VALID = timedelta(days=365)
_SINCE = timedelta(hours=1)  # the clocks of a container and its host may differ

_HBA = """\
host all         rdsadmin 127.0.0.0/8 scram-sha-256
host replication rdsadmin 127.0.0.0/8 scram-sha-256
{iam}{kind} all all 127.0.0.0/8 scram-sha-256
"""


def access(*, requires_tls: bool, iam: str = "") -> str:
    """The text of pg_hba.conf. The sandbox's own connections, rdsadmin's, need no TLS; `iam` is for members of rds_iam."""
    return _HBA.format(kind="hostssl" if requires_tls else "host", iam=iam)


class Authority:
    """A certificate authority that lives as long as its sandbox's account."""

    def __init__(self, pem: tuple[str, str] | None = None) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Aurora sandbox root CA")])
        if pem:
            self._certificate = x509.load_pem_x509_certificate(pem[0].encode())
            key = serialization.load_pem_private_key(pem[1].encode(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"the authority's key is a {type(key).__name__}, not of an elliptic curve")
            self._key = key
            if self._certificate.not_valid_after_utc > datetime.now(UTC) + _VALID / 2:
                return
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
            key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def bundle(self) -> str:
        """The authority's certificate, PEM: what clients name as sslrootcert."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def pem(self) -> tuple[str, str]:
        """Certificate and private key, PEM: from these a later process makes the same authority."""
        return self.bundle, _pem(self._key)

    def issue(self, hosts: tuple[str, ...]) -> tuple[str, str]:
        """Certificate and private key, PEM, of a server that answers on these addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host)) for host in hosts])
        certificate = (
            self._builder(name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(addresses, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key)

    def _builder(self, name: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SINCE)
            .not_valid_after(now + _VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

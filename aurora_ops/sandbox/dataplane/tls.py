"""TLS to the databases: the sandbox's own certificate authority, and the pg_hba.conf that requires TLS or not.

The authority's key is stored in the account's file only; its certificate is the bundle that clients verify with, as RDS publishes one.
"""

from trustme import CA

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
        if pem:
            certificate, key = pem
            self._ca = CA.from_pem(certificate.encode(), key.encode())
        else:
            self._ca = CA(path_length=0, organization_name="Aurora sandbox", organization_unit_name="root CA")

    @property
    def bundle(self) -> str:
        """The authority's certificate, PEM: what clients name as sslrootcert."""
        return self._ca.cert_pem.bytes().decode()

    @property
    def pem(self) -> tuple[str, str]:
        """Certificate and private key, PEM: from these a later process makes the same authority."""
        return self.bundle, self._ca.private_key_pem.bytes().decode()

    def issue(self, hosts: tuple[str, ...]) -> tuple[str, str]:
        """Certificate and private key, PEM, of a server that answers on these addresses."""
        issued = self._ca.issue_cert(*hosts, common_name=hosts[0], organization_name="Aurora sandbox")
        return issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()

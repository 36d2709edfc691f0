"""Which account an access key belongs to, as moto asks before every operation.

moto looks into the IAM of every partition of AWS, and creates those that are missing: each parses four megabytes of AWS's own policies.
That is half a second of every sandbox, for partitions that no client uses.
"""

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam import models


def account_of(access_key: str) -> str:
    """The account whose IAM has the key, in a partition that is in use; the sandbox's own for any other."""
    for account, partitions in list(models.iam_backends.items()):
        if any(access_key in one.access_keys for one in list(dict.values(partitions))):
            return account
    return DEFAULT_ACCOUNT_ID


def install() -> None:
    """Let moto ask here."""
    models.get_account_id_from = account_of

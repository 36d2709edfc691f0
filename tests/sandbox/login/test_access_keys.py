"""Which account an access key belongs to: asked by moto before every operation of a sandbox."""

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends

from aurora_ops.sandbox.login.access_keys import account_of

OTHER = "210987654321"


def test_a_key_is_looked_for_in_the_partitions_that_are_in_use():
    """The account that has it, or the sandbox's own. moto alone creates the IAM of all of AWS's partitions at the first call."""
    try:
        iam = iam_backends[OTHER]["aws"]
        iam.create_user(region_name="us-east-1", user_name="dev")
        key = iam.create_access_key(user_name="dev").access_key_id

        assert (OTHER, DEFAULT_ACCOUNT_ID) == (account_of(key), account_of("AKIANOBODYHASTHIS"))
        assert ["aws"] == list(dict.keys(iam_backends[OTHER]))
    finally:
        del iam_backends[OTHER]

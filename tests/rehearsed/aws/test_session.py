"""A session that may change something is the same session: it asks for no credentials again."""

from aurora_ops.aws.session import open_session


def test_what_was_resolved_to_read_is_used_to_write(sandbox):
    """Resolving took 54 to 187 ms a call, inside the recovery time that a drill measures."""
    reading = open_session()
    account, boto = reading.account, reading._boto

    writing = reading.to_writable()

    assert (True, account) == (writing.writable, vars(writing)["account"])
    assert boto is vars(writing)["_boto"]
    assert not reading.writable

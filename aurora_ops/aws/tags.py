"""Tags in the form that AWS's APIs want."""

from collections.abc import Mapping


def aws_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """`tags` as most services take them.

    >>> aws_tags({"Environment": "dev"})
    [{'Key': 'Environment', 'Value': 'dev'}]
    """
    return [{"Key": key, "Value": value} for key, value in tags.items()]

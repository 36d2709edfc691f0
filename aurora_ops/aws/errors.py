"""What AWS's error answers say."""

from botocore.exceptions import ClientError


def code_of(error: ClientError) -> str:
    """The code of an error answer, such as "DBClusterNotFoundFault"."""
    return str(error.response.get("Error", {}).get("Code", ""))

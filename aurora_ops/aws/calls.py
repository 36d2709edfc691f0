"""Every AWS call of this process with its request id, which CloudTrail and AWS Support know it by. Parameters and answers are not kept."""

from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One request that was sent. A call that was tried again has one for each try."""

    at: str  # UTC, when the answer came
    service: str
    operation: str
    region: str
    request_id: str  # empty where no answer came
    status: int  # of HTTP; 0 where no answer came
    error: str  # code, or what broke the connection


made: list[Call] = []


def watch(client: Any) -> None:
    """Keep the calls of a boto3 client from now on."""
    client.meta.events.register("response-received.*.*", partial(_keep, client.meta))


def _keep(meta: Any, event_name: str = "", parsed_response: Any = None, exception: Any = None, **_: Any) -> None:
    answer = parsed_response or {}
    about = answer.get("ResponseMetadata", {})
    error = answer.get("Error", {}).get("Code", "") or (type(exception).__name__ if exception else "")
    made.append(
        Call(
            f"{datetime.now(UTC):%FT%TZ}", meta.service_model.service_name, event_name.rpartition(".")[2], meta.region_name or "",
            str(about.get("RequestId", "")), int(about.get("HTTPStatusCode", 0)), str(error),
        )
    )  # fmt: skip

"""Conditional writes of S3 through plain boto3: what Terraform's lock file stands on."""

import threading
import time
from collections.abc import Callable

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from common import HANG, refused
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from aurora_ops.sandbox.client.faults import Faults
from aurora_ops.sandbox.requests.layers import put_on
from aurora_ops.sandbox.services import s3 as conditional

BUCKET = "states"
WRONG = '"00000000000000000000000000000000"'


@pytest.fixture(scope="module")
def s3(aws):
    """A client, and a versioned bucket behind it."""
    client = aws("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


def put(s3, key, body=b"1", **condition) -> str:
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **condition)["ETag"]


def read(s3, key) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def uploaded(s3, key, body=b"parts") -> dict:
    """A multipart upload that only waits to be completed."""
    known = {"Bucket": BUCKET, "Key": key}
    upload = known | {"UploadId": s3.create_multipart_upload(**known)["UploadId"]}
    tag = s3.upload_part(PartNumber=1, Body=body, **upload)["ETag"]
    return upload | {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]}}


def test_a_key_that_is_there_is_not_written_over(s3):
    """PutObject, CopyObject and CompleteMultipartUpload alike. moto alone copies."""
    put(s3, "kept")
    put(s3, "other", b"2")

    assert ["PreconditionFailed"] * 3 == [
        refused(s3.put_object, Bucket=BUCKET, Key="kept", Body=b"2", IfNoneMatch="*"),
        refused(s3.copy_object, Bucket=BUCKET, Key="kept", CopySource=f"{BUCKET}/other", IfNoneMatch="*"),
        refused(s3.complete_multipart_upload, IfNoneMatch="*", **uploaded(s3, "kept")),
    ]
    assert b"1" == read(s3, "kept")


def test_a_key_is_written_if_it_is_what_it_was(s3):
    """moto alone looks at If-Match in PutObject only."""
    put(s3, "source", b"2")

    first = put(s3, "state")
    second = put(s3, "state", b"2", IfMatch=first)

    copied = s3.copy_object(Bucket=BUCKET, Key="state", CopySource=f"{BUCKET}/source", IfMatch=second)
    s3.complete_multipart_upload(IfMatch=copied["CopyObjectResult"]["ETag"], **uploaded(s3, "state"))
    assert ["PreconditionFailed"] * 3 == [
        refused(s3.put_object, Bucket=BUCKET, Key="state", Body=b"3", IfMatch=WRONG),
        refused(s3.copy_object, Bucket=BUCKET, Key="state", CopySource=f"{BUCKET}/source", IfMatch=WRONG),
        refused(s3.complete_multipart_upload, IfMatch=WRONG, **uploaded(s3, "state")),
    ]
    assert b"parts" == read(s3, "state")


def test_a_completed_upload_can_be_completed_again(s3):
    """A client that lost the answer asks again, and its own object is no reason to refuse."""
    ready = uploaded(s3, "twice")

    tags = [s3.complete_multipart_upload(IfNoneMatch="*", **ready)["ETag"] for _ in range(2)]

    assert tags[0] == tags[1]


def test_a_key_is_deleted_if_it_is_what_it_was_or_if_it_is_there(s3):
    """moto alone takes the asterisk for an ETag and refuses."""
    tag = put(s3, "lock")

    assert "PreconditionFailed" == refused(s3.delete_object, Bucket=BUCKET, Key="lock", IfMatch=WRONG)
    s3.delete_object(Bucket=BUCKET, Key="lock", IfMatch=tag)
    put(s3, "lock")
    s3.delete_object(Bucket=BUCKET, Key="lock", IfMatch="*")

    assert "NoSuchKey" == refused(s3.get_object, Bucket=BUCKET, Key="lock")


def test_what_is_not_there_matches_nothing(s3):
    codes = (
        refused(s3.put_object, Bucket=BUCKET, Key="absent", Body=b"1", IfMatch=WRONG),
        refused(s3.delete_object, Bucket=BUCKET, Key="absent", IfMatch=WRONG),
    )

    assert ("NoSuchKey", "NoSuchKey") == codes


def test_a_deleted_key_is_free_and_its_versions_stay(s3):
    """Conditions look at the current version, and a delete marker is none."""
    for body in (b"1", b"2"):
        put(s3, "again", body, IfNoneMatch="*")
        s3.delete_object(Bucket=BUCKET, Key="again")

    kept = s3.list_object_versions(Bucket=BUCKET, Prefix="again")
    assert (2, 2) == (len(kept["Versions"]), len(kept["DeleteMarkers"]))


def test_a_condition_that_s3_does_not_know_is_refused(s3):
    """moto alone writes."""
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=BUCKET, Key="new", Body=b"1", IfNoneMatch=WRONG)

    assert ("NotImplemented", 501) == (
        caught.value.response["Error"]["Code"],
        caught.value.response["ResponseMetadata"]["HTTPStatusCode"],
    )


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_of_newer_sdks_pass(s3, algorithm):
    put(s3, algorithm, b"content", IfNoneMatch="*", ChecksumAlgorithm=algorithm)

    assert b"content" == s3.get_object(Bucket=BUCKET, Key=algorithm, ChecksumMode="ENABLED")["Body"].read()


def race(write: Callable[[int], object], threads: int = 20) -> int:
    """How many of so many writes at once were accepted; the others were refused with 412."""
    ready, won, codes = threading.Barrier(threads), [], []

    def one(number: int) -> None:
        ready.wait()
        try:
            won.append(write(number))
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    started = [threading.Thread(target=one, args=(number,)) for number in range(threads)]
    [thread.start() for thread in started]
    [thread.join() for thread in started]
    assert {"PreconditionFailed"} >= set(codes)
    return len(won)


def test_of_twenty_that_want_the_lock_one_gets_it(s3):
    assert 1 == race(lambda number: put(s3, "race", str(number).encode(), IfNoneMatch="*"))


def test_of_twenty_that_change_the_same_state_one_does(s3):
    tag = put(s3, "contended", b"before")

    assert 1 == race(lambda number: put(s3, "contended", str(number).encode(), IfMatch=tag))


@pytest.mark.parametrize("operation", ["PutObject", "CopyObject", "CompleteMultipartUpload"])
def test_a_conflict_with_another_request_can_be_rehearsed(s3, sandbox, operation):
    """AWS answers 409 when two requests meet; here they take turns, so it comes from a fault. Nothing is written, and again works."""
    faults = Faults(sandbox)
    put(s3, "there")
    ready = uploaded(s3, operation)
    write = {
        "PutObject": (s3.put_object, {"Bucket": BUCKET, "Key": operation}),
        "CopyObject": (s3.copy_object, {"Bucket": BUCKET, "Key": operation, "CopySource": f"{BUCKET}/there"}),
        "CompleteMultipartUpload": (s3.complete_multipart_upload, ready),
    }
    call, arguments = write[operation]
    faults.fail(operation, "ConditionalRequestConflict", status=409, service="s3")

    with pytest.raises(ClientError) as caught:
        call(IfNoneMatch="*", **arguments)

    assert ("ConditionalRequestConflict", 409) == (
        caught.value.response["Error"]["Code"],
        caught.value.response["ResponseMetadata"]["HTTPStatusCode"],
    )
    assert "NoSuchKey" == refused(s3.get_object, Bucket=BUCKET, Key=operation)
    call(IfNoneMatch="*", **arguments)
    assert [] == faults.pending()


@pytest.mark.parametrize(("installed", "several_win"), [(False, True), (True, False)])
def test_a_check_and_its_write_are_one_step_however_slow_the_write(monkeypatch, installed, several_win):
    """moto alone, its writes held until all have checked: many win (not always all: its unlocked writes can fail, and what is sent again is refused)."""
    stock, all_checked = S3Backend.put_object, threading.Barrier(20)

    def slowly(self, *arguments, **named):
        if installed:
            time.sleep(0.3)
        else:
            all_checked.wait(HANG)
        return stock(self, *arguments, **named)

    for name in ("put_object", "copy_object", "delete_object", "_key_response_post", "_bucket_response_delete_keys"):
        monkeypatch.setattr(S3Response, name, getattr(S3Response, name))  # put back at the end
    if installed:
        put_on(conditional.LAYERS)
    monkeypatch.setattr(S3Backend, "put_object", slowly)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = boto3.client(
            "s3", region_name="us-east-1", endpoint_url=f"http://{host}:{port}", aws_access_key_id="a",
            aws_secret_access_key="b", config=Config(max_pool_connections=20),
        )  # fmt: skip
        client.create_bucket(Bucket=BUCKET)

        won = race(lambda _: put(client, f"slow-{installed}", IfNoneMatch="*"))
        assert (True, several_win) == (won >= 1, won > 1)
    finally:
        server.stop()

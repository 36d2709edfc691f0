"""What tests stand on: a sandbox per module, real and private, ended whatever happens; real PostgreSQL, one server per process."""

import itertools
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from common import boto_of
from psycopg import sql
from sandboxes import in_use

from aurora_ops.aws.session import Session, open_session
from aurora_ops.sandbox.client import lifecycle, state
from aurora_ops.sandbox.client.controls import Controls
from aurora_ops.sandbox.client.faults import Faults
from aurora_ops.sandbox.client.state import FRESH, State
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.dataplane.template import template
from aurora_ops.schema.loader import load


class Live(Session):
    """A session that takes itself for a live one, and reaches the sandbox: what is asked of an operator is asked."""

    is_sandbox = False

    @classmethod
    def of(cls, session: Session) -> "Live":
        return cls("a-profile", session.region, session.writable, session.variables, session.state_directory)

    def client(self, service, *, region=None):
        own = Session("sandbox", self.region, self.writable, self.variables, self.state_directory)
        return own.client(service, region=region)

    def to_writable(self):
        return Live.of(super().to_writable())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[State]:
    """A running, empty sandbox that this process's sessions use. A private one: it ends with this process in any case."""
    with in_use(f"{FRESH}-test-{secrets.token_hex(4)}") as name:
        yield lifecycle.start(name)


@pytest.fixture(scope="module")
def aws(sandbox: State):
    """boto3 pointed at the sandbox by its exported variables and nothing of ours: `aws("rds")` is a client."""
    session = boto_of(sandbox.variables)

    def client(service: str):
        return session.client(service, endpoint_url=sandbox.variables["AWS_ENDPOINT_URL"])

    return client


@pytest.fixture
def live(sandbox: State) -> Session:
    """The module's sandbox as a live target."""
    return Live.of(open_session())


TENANT = "11111111-1111-4111-8111-111111111111"
MASTER = "postgres"
PASSWORD = "only-for-tests"


@dataclass
class Database:
    """One database, with the master user as Aurora gives it (owner, no superuser) and the superuser that only tests have."""

    server: Server
    name: str

    def connect(self, **options: object) -> psycopg.Connection:
        settings = "-c timezone=UTC -c datestyle=ISO,YMD"
        return psycopg.connect(
            host=self.server.hosts[0], port=self.server.port, dbname=self.name, user=MASTER, password=PASSWORD,
            **({"autocommit": True, "options": settings} | options),
        )  # fmt: skip

    def superuser(self) -> psycopg.Connection:
        return self.server.connect(self.name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A running server with RDS's roles and a master user."""
    found = programs.find()
    data, password = template(found)
    directory = Path(tempfile.mkdtemp(prefix="test-", dir=state.passable(state.root_directory() / "tests")))
    directory.chmod(0o711)
    server = Server(found, directory / "server", password)
    found.own(server.directory)
    found.run(["cp", "-Rp", str(data), str(server.data)])
    try:
        server.start_isolated(archiving=False)
        with server.connect() as connection:
            statement = "CREATE ROLE {} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD {} IN ROLE rds_superuser"
            connection.execute(sql.SQL(statement).format(sql.Identifier(MASTER), sql.Literal(PASSWORD)))
        yield server
    finally:
        server.stop(immediate=True)
        shutil.rmtree(directory)


_numbers = itertools.count(1)


@pytest.fixture
def database(postgres_server: Server) -> Iterator[Database]:
    """An empty database that belongs to the master user."""
    name = f"test_{next(_numbers)}"
    with postgres_server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(MASTER)))
    yield Database(postgres_server, name)
    with postgres_server.connect() as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the master user to the empty database."""
    with database.connect() as opened:
        yield opened


@pytest.fixture
def small_content(connection: psycopg.Connection) -> None:
    """A tenant with a user, a subscription, payments and their webhooks."""
    load(connection)
    connection.execute(
        f"""
        INSERT INTO tenants (id, name, subdomain) VALUES ('{TENANT}', '株式会社青葉商事', 'aoba-shoji');
        INSERT INTO users (tenant_id, email, cognito_user_id, role) VALUES ('{TENANT}', 'hanako@aoba.example', 'c-0', 'owner');
        INSERT INTO products (id, name, stripe_product_id) VALUES ('{TENANT}', 'Miyabi', 'prod_1');
        INSERT INTO plans (id, product_id, name, stripe_price_id, billing_period, price_amount)
             VALUES ('{TENANT}', '{TENANT}', 'Standard', 'price_1', 'monthly', 2980);
        INSERT INTO entitlements (plan_id, feature_key) VALUES ('{TENANT}', 'seats');
        INSERT INTO subscriptions (id, tenant_id, plan_id, stripe_subscription_id, status, current_period_start, current_period_end)
             VALUES ('{TENANT}', '{TENANT}', '{TENANT}', 'sub_1', 'active', now(), now() + interval '1 month');
        INSERT INTO payments (subscription_id, stripe_payment_intent_id, amount, status, paid_at)
             SELECT '{TENANT}', 'pi_' || n, 2980, 'succeeded', now() FROM generate_series(1, 50) AS n;
        INSERT INTO payment_events (event_type, stripe_event_id, payload, processed_at)
             SELECT 'payment_intent.succeeded', 'evt_' || n, '{{}}', now() FROM generate_series(1, 50) AS n;
        INSERT INTO processed_webhooks (webhook_id, event_type)
             SELECT 'evt_' || n, 'payment_intent.succeeded' FROM generate_series(1, 50) AS n;
        """  # noqa: S608 - our own constant
    )


@pytest.fixture(scope="module")
def rds(aws) -> Any:
    """The sandbox's RDS, by plain boto3."""
    return aws("rds")


@pytest.fixture(scope="module")
def queue(aws) -> Any:
    """An SNS topic that a queue listens to: `queue.topic`, and `queue.read()` for what has come since."""
    sns, sqs = aws("sns"), aws("sqs")

    class Queue:
        topic = sns.create_topic(Name="topic")["TopicArn"]
        url = sqs.create_queue(QueueName="queue")["QueueUrl"]

        def read(self):
            found = []
            while messages := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
                found += [json.loads(one["Body"]) for one in messages]
                for one in messages:
                    sqs.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
            return found

    made = Queue()
    arn = sqs.get_queue_attributes(QueueUrl=made.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=made.topic, Protocol="sqs", Endpoint=arn)
    return made


@pytest.fixture
def faults(sandbox: state.State) -> Iterator[Faults]:
    """Faults of the module's sandbox, forgotten after the test."""
    made = Faults(sandbox)
    yield made
    made.clear()


@pytest.fixture
def controls(sandbox: state.State) -> Iterator[Controls]:
    """Knobs of the module's sandbox, reset after the test."""
    made = Controls(sandbox)
    yield made
    made.reset()


@pytest.fixture
def name() -> Iterator[str]:
    """A sandbox name of this test alone; whatever started under it is ended, and its account deleted."""
    chosen = f"test-{secrets.token_hex(4)}"
    yield chosen
    lifecycle.remove(chosen)

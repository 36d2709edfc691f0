"""The clients of the workload: short transactions as a billing application sends them, one heavy report, one hot row.

A transaction is a function of a connection and a random generator. The mix of each client is named by its `application_name`,
which is how load shows up by application.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg

from aurora_ops.workload.content import make_email, make_payload, make_stripe_id, make_uuid

PROVIDER_SECONDS = 0.03  # how long the hot row stays locked while the payment provider answers: the classic mistake


@dataclass(frozen=True)
class Known:
    """What a client has read before it starts: ids that it can name in its requests."""

    tenants: list[tuple[UUID, str]]  # with subdomain
    subscriptions: list[tuple[UUID, int]]  # with the price in JPY
    plans: list[UUID]

    @classmethod
    def read(cls, connection: psycopg.Connection) -> "Known":
        """Read them, in an order that the seed determines."""
        return cls(
            connection.execute("SELECT id, subdomain FROM tenants ORDER BY id").fetchall(),
            connection.execute(
                "SELECT subscriptions.id, plans.price_amount FROM subscriptions JOIN plans ON plans.id = subscriptions.plan_id ORDER BY 1"
            ).fetchall(),
            [plan for (plan,) in connection.execute("SELECT id FROM plans ORDER BY id")],
        )


Transaction = Callable[[psycopg.Connection, random.Random, Known], None]


def sign_up(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """A user joins one of the tenants."""
    tenant, subdomain = rng.choice(known.tenants)
    connection.execute(
        "INSERT INTO users (id, tenant_id, email, cognito_user_id, role) VALUES (%s, %s, %s, %s, 'member')",
        (make_uuid(rng), tenant, make_email(rng, rng.getrandbits(48), subdomain), str(make_uuid(rng))),
    )


def change_plan(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """A tenant moves its subscription to another plan; the period starts anew."""
    connection.execute(
        "UPDATE subscriptions SET plan_id = %s, status = 'active', current_period_start = now(), "
        "current_period_end = now() + interval '30 days', updated_at = now() WHERE id = %s",
        (rng.choice(known.plans), rng.choice(known.subscriptions)[0]),
    )


def pay(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """A payment is begun; its webhook will settle it."""
    subscription, amount = rng.choice(known.subscriptions)
    connection.execute(
        "INSERT INTO payments (id, subscription_id, stripe_payment_intent_id, amount, status) VALUES (%s, %s, %s, %s, 'processing')",
        (make_uuid(rng), subscription, make_stripe_id(rng, "pi"), amount),
    )


def read_account(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """The account page: one tenant with its subscriptions and latest payments."""
    connection.execute(
        "SELECT subscriptions.status, plans.name, payments.amount, payments.paid_at FROM subscriptions "
        "JOIN plans ON plans.id = subscriptions.plan_id LEFT JOIN payments ON payments.subscription_id = subscriptions.id "
        "WHERE subscriptions.tenant_id = %s ORDER BY payments.created_at DESC LIMIT 20",
        (rng.choice(known.tenants)[0],),
    ).fetchall()


def bill_largest_tenant(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """Everybody wants the same row, and its lock is held while the payment provider answers: waits on transactionid and tuple."""
    connection.execute(
        "UPDATE tenants SET updated_at = now() WHERE id = (SELECT id FROM tenants ORDER BY subdomain LIMIT 1)"
    )
    time.sleep(PROVIDER_SECONDS)


def receive_webhook(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """A webhook settles the oldest payment in process. One in ten comes twice and must have no effect."""
    event = None
    if rng.random() < 0.1:
        row = connection.execute("SELECT webhook_id FROM processed_webhooks ORDER BY id LIMIT 1").fetchone()
        event = row[0] if row else None
    event = event or make_stripe_id(rng, "evt")
    event_type = "payment_intent.succeeded"
    is_new = connection.execute(
        "INSERT INTO processed_webhooks (id, webhook_id, event_type) VALUES (%s, %s, %s) ON CONFLICT (webhook_id) DO NOTHING",
        (make_uuid(rng), event, event_type),
    ).rowcount
    if not is_new:
        return
    settled = connection.execute(
        "UPDATE payments SET status = 'succeeded', paid_at = now(), updated_at = now() WHERE id = (SELECT id FROM payments "
        "WHERE status = 'processing' ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING stripe_payment_intent_id, amount"
    ).fetchone()
    intent, amount = settled or (make_stripe_id(rng, "pi"), 980)
    connection.execute(
        "INSERT INTO payment_events (id, event_type, stripe_event_id, payload, processed_at) VALUES (%s, %s, %s, %s, now())",
        (make_uuid(rng), event_type, event, make_payload(event, event_type, intent, amount)),
    )


def revenue_report(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """The dashboard: revenue by month and tenant, with a rank. Reads all payments and sorts."""
    connection.execute(
        "SELECT month, name, revenue, rank() OVER (PARTITION BY month ORDER BY revenue DESC) FROM (SELECT "
        "date_trunc('month', payments.created_at) AS month, tenants.name, sum(payments.amount) AS revenue FROM payments "
        "JOIN subscriptions ON subscriptions.id = payments.subscription_id JOIN tenants ON tenants.id = subscriptions.tenant_id "
        "WHERE payments.status = 'succeeded' GROUP BY 1, 2) AS by_month ORDER BY month DESC, revenue DESC"
    ).fetchall()


def search_events(connection: psycopg.Connection, rng: random.Random, known: Known) -> None:
    """Support looks for a payment inside webhook bodies: no index helps."""
    pattern = "%" + make_stripe_id(rng, "pi")[:8] + "%"
    connection.execute("SELECT count(*) FROM payment_events WHERE payload::text LIKE %s", (pattern,)).fetchone()


# application_name -> transactions and how often, in percent; the first is what the application is there for
MIXES: dict[str, dict[Transaction, int]] = {
    "billing-api": {read_account: 40, pay: 25, bill_largest_tenant: 15, sign_up: 10, change_plan: 10},
    "webhook-worker": {receive_webhook: 90, bill_largest_tenant: 10},
    "report": {revenue_report: 60, search_events: 40},
}
# Which client is which: of five clients, three serve requests, one takes webhooks, one reports.
ROTA = ("billing-api", "webhook-worker", "report", "billing-api", "billing-api")

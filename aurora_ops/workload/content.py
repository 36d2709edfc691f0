"""Believable content for the application's nine tables: a small Japanese SaaS with tenants, subscriptions and JPY payments.

Everything follows from `seed`: the same seed gives the same rows to the last UUID. All names are invented, all addresses end
in the reserved domain `.example`.

>>> first, again = generate(20, seed=1), generate(20, seed=1)
>>> first == again, {table: len(rows) for table, rows in first.items()}["users"]
(True, 200)
"""

import json
import random
import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

Rows = dict[str, list[tuple[Any, ...]]]

AS_OF = datetime(2025, 12, 12, tzinfo=UTC)  # the spec's date: seeded rows are no younger
SETTLING = timedelta(seconds=40)  # within which a payment is settled
USERS_PER_TENANT = 10
PAYMENTS_PER_TENANT = 25

# In the order in which rows can be written.
COLUMNS = {
    "products": ("id", "name", "description", "stripe_product_id", "created_at", "updated_at"),
    "plans": ("id", "product_id", "name", "stripe_price_id", "billing_period", "price_amount", "created_at", "updated_at"),
    "entitlements": ("id", "plan_id", "feature_key", "feature_value", "created_at"),
    "tenants": ("id", "name", "subdomain", "status", "created_at", "updated_at"),
    "users": ("id", "tenant_id", "email", "cognito_user_id", "role", "created_at", "updated_at"),
    "subscriptions": (
        "id", "tenant_id", "plan_id", "stripe_subscription_id", "status", "current_period_start", "current_period_end",
        "cancel_at", "created_at", "updated_at",
    ),
    "payments": ("id", "subscription_id", "stripe_payment_intent_id", "amount", "status", "paid_at", "created_at", "updated_at"),
    "payment_events": ("id", "event_type", "stripe_event_id", "payload", "processed_at", "error_message", "created_at"),
    "processed_webhooks": ("id", "webhook_id", "event_type", "processed_at", "created_at"),
}  # fmt: skip

_PRODUCTS = (("Miyabi 認証", "シングルサインオンと多要素認証"), ("Miyabi 請求", "請求書と定期課金"))
_PLANS = (  # name, period, JPY, seats
    ("スターター", "monthly", 980, 5),
    ("スタンダード", "monthly", 2_980, 20),
    ("ビジネス", "monthly", 9_800, 100),
    ("ビジネス年払い", "yearly", 98_000, 100),
)
_PLACES = (
    ("青葉", "aoba"), ("さくら", "sakura"), ("みなと", "minato"), ("北斗", "hokuto"), ("富士見", "fujimi"), ("若松", "wakamatsu"),
    ("旭", "asahi"), ("山手", "yamate"), ("瑞穂", "mizuho"), ("白鳥", "shiratori"), ("緑川", "midorikawa"), ("東雲", "shinonome"),
)  # fmt: skip
_TRADES = (
    ("商事", "shoji"), ("製作所", "seisakusho"), ("物流", "butsuryu"), ("食品", "shokuhin"), ("印刷", "insatsu"), ("設計", "sekkei"),
    ("システムズ", "systems"), ("薬局", "yakkyoku"), ("工務店", "komuten"), ("電機", "denki"),
)  # fmt: skip
_FAMILY = (
    "sato",
    "suzuki",
    "takahashi",
    "tanaka",
    "ito",
    "watanabe",
    "yamamoto",
    "nakamura",
    "kobayashi",
    "kato",
    "mori",
)
_GIVEN = ("hanako", "taro", "yui", "haruto", "sakura", "ren", "aoi", "sota", "mei", "yuto", "rin", "kaito", "emi")


def make_uuid(rng: random.Random) -> uuid.UUID:
    """A version-4 UUID from a seeded generator."""
    return uuid.UUID(int=rng.getrandbits(128), version=4)


def make_stripe_id(rng: random.Random, prefix: str) -> str:
    """An identifier that looks like Stripe's, such as `pi_…`."""
    return prefix + "_" + "".join(rng.choices(string.ascii_letters + string.digits, k=24))


def make_tenant(rng: random.Random, number: int) -> tuple[str, str]:
    """Company name and subdomain. `number` makes both unique."""
    (place, place_latin), (trade, trade_latin) = _PLACES[number % len(_PLACES)], rng.choice(_TRADES)
    name = f"株式会社{place}{trade}" if rng.random() < 0.6 else f"{place}{trade}株式会社"
    return (name if number < len(_PLACES) else f"{name} 第{number}支店"), f"{place_latin}-{trade_latin}-{number}"


def make_email(rng: random.Random, number: int, subdomain: str) -> str:
    """An address that is unique within its tenant by `number`."""
    return f"{rng.choice(_GIVEN)}.{rng.choice(_FAMILY)}{number}@{subdomain}.example"


def make_payload(event: str, event_type: str, intent: str, amount: int) -> str:
    """The body of a webhook, shortened to what a consumer reads."""
    return json.dumps(
        {"id": event, "type": event_type, "data": {"object": {"id": intent, "amount": amount, "currency": "jpy"}}}
    )


def generate(tenants: int, *, seed: int = 1, as_of: datetime = AS_OF) -> Rows:
    """Rows for all tables, in the order of `COLUMNS`. Per tenant: 10 users, 25 payments and a webhook for each payment."""
    rng = random.Random(seed)  # noqa: S311 - content, not a secret
    rows: Rows = {table: [] for table in COLUMNS}
    opened = as_of - timedelta(days=900)
    plans = _catalogue(rng, rows, opened)
    for number in range(tenants):
        tenant, since = make_uuid(rng), opened + timedelta(minutes=rng.randrange(300 * 24 * 60))
        name, subdomain = make_tenant(rng, number)
        rows["tenants"].append(
            (tenant, name, subdomain, "suspended" if rng.random() < 0.02 else "active", since, since)
        )
        for person in range(USERS_PER_TENANT):
            joined = since + timedelta(minutes=rng.randrange(200 * 24 * 60))
            role = "owner" if person == 0 else "admin" if person == 1 else "member"
            email = make_email(rng, person, subdomain)
            rows["users"].append((make_uuid(rng), tenant, email, str(make_uuid(rng)), role, joined, joined))
        _subscribe(rng, rows, tenant, plans, since, as_of)
    return rows


def _catalogue(rng: random.Random, rows: Rows, at: datetime) -> list[tuple[uuid.UUID, str, int]]:
    plans = []
    for product_name, description in _PRODUCTS:
        product = make_uuid(rng)
        rows["products"].append((product, product_name, description, make_stripe_id(rng, "prod"), at, at))
        for name, period, price, seats in _PLANS:
            plan = make_uuid(rng)
            plans.append((plan, period, price))
            rows["plans"].append((plan, product, name, make_stripe_id(rng, "price"), period, price, at, at))
            features = {
                "seats": str(seats),
                "sso": str(price >= 9_800).lower(),
                "support": "email" if price < 9_800 else "phone",
            }
            rows["entitlements"] += [(make_uuid(rng), plan, key, value, at) for key, value in features.items()]
    return plans


def _subscribe(
    rng: random.Random,
    rows: Rows,
    tenant: uuid.UUID,
    plans: list[tuple[uuid.UUID, str, int]],
    since: datetime,
    as_of: datetime,
) -> None:
    subscriptions = []
    for plan, period, price in rng.sample(plans, k=2 if rng.random() < 0.2 else 1):
        subscription, length = make_uuid(rng), timedelta(days=365 if period == "yearly" else 30)
        start = as_of - timedelta(minutes=rng.randrange(1, int(length.total_seconds() // 60)))
        status = rng.choices(("active", "trialing", "past_due", "canceled"), (88, 5, 4, 3))[0]
        cancel_at = start + length if status == "canceled" else None
        stripe = make_stripe_id(rng, "sub")
        rows["subscriptions"].append(
            (subscription, tenant, plan, stripe, status, start, start + length, cancel_at, since, start)
        )
        subscriptions.append((subscription, price))
    span_minutes = int((as_of - since).total_seconds() // 60)
    for at in sorted(since + timedelta(minutes=rng.randrange(span_minutes)) for _ in range(PAYMENTS_PER_TENANT)):
        subscription, price = rng.choice(subscriptions)
        _pay(rng, rows, subscription, price, at)


def _pay(rng: random.Random, rows: Rows, subscription: uuid.UUID, price: int, at: datetime) -> None:
    status = rng.choices(("succeeded", "failed", "refunded"), (95, 4, 1))[0]
    intent, event = make_stripe_id(rng, "pi"), make_stripe_id(rng, "evt")
    settled = at + timedelta(seconds=rng.randrange(2, int(SETTLING.total_seconds())))
    paid_at = None if status == "failed" else settled
    rows["payments"].append((make_uuid(rng), subscription, intent, price, status, paid_at, at, settled))
    event_type = {
        "succeeded": "payment_intent.succeeded",
        "failed": "payment_intent.payment_failed",
        "refunded": "charge.refunded",
    }[status]
    payload = make_payload(event, event_type, intent, price)
    if rng.random() < 0.01:  # some are received and wait for a retry
        rows["payment_events"].append(
            (make_uuid(rng), event_type, event, payload, None, "timeout while updating subscription", settled)
        )
        return
    rows["payment_events"].append((make_uuid(rng), event_type, event, payload, settled, None, settled))
    rows["processed_webhooks"].append((make_uuid(rng), event, event_type, settled, settled))

"""Notifications that AWS services publish to SNS topics: RDS events and alarms."""

import logging

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends

log = logging.getLogger(__name__)


def notify(topic_arn: str, subject: str, message: str, attributes: dict[str, str] | None = None) -> None:
    """Publish to an SNS topic of this sandbox; an error, such as a deleted topic, is logged and reaches no caller, as in AWS."""
    values = {name: {"Type": "String", "Value": value} for name, value in (attributes or {}).items()}
    try:
        backend = sns_backends[DEFAULT_ACCOUNT_ID][topic_arn.split(":")[3]]
        backend.publish(message, topic_arn, subject=subject[:99], message_attributes=values)
    except Exception as error:  # an error of a receiver must not reach the caller of the operation
        log.warning("no notification to %s: %s", topic_arn, error)

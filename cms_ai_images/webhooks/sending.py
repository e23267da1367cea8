"""Sends what is due, at least once: a receiver that has answered too late is told again, under the same id.

An attempt is noted before it is made, together with when the next one would be. So whoever dies in the middle of one
loses nothing, and what kills its sender is not sent for ever.
"""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from django.db.models import QuerySet
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from cms_ai_images import conf
from cms_ai_images.exceptions import AIImagesError
from cms_ai_images.models import WebhookDelivery, WebhookEndpoint
from cms_ai_images.safety import addresses
from cms_ai_images.safety.outgoing import exchange

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 20
"""After an attempt that may still be under way, nobody begins the next one for so long."""
MOST_READ = 64 * 1024
"""Bytes of an answer that are read; nobody needs them, but some servers want to be heard out."""

MOST_LOST = 3
"""How many more attempts may be begun than there are pauses for: some senders end in the middle of the last one."""

Status = WebhookDelivery.Status


def due_endpoints() -> list[int]:
    """The keys of the receivers for whom something is due."""
    return list(_due().order_by().values_list("endpoint", flat=True).distinct())


def send_all(endpoint_id: int) -> Iterator[bool]:
    """Send all that is due for a receiver, the oldest first; whether each was delivered."""
    while (is_delivered := send_next(endpoint_id)) is not None:
        yield is_delivered


def send_next(endpoint_id: int) -> bool | None:
    """Send the oldest that is due for a receiver. Whether it was delivered; `None` when nothing was due."""
    delivery = _due().filter(endpoint=endpoint_id).select_related("endpoint").order_by("next_attempt_at").first()
    if delivery is None or not _claim(delivery):
        return None
    if delivery.attempts > MOST_LOST + len(conf.get("WEBHOOK_PAUSES_SECONDS")):
        WebhookDelivery.objects.filter(pk=delivery.pk).update(status=Status.FAILED)
        return False
    status, error = _post(delivery)
    is_delivered = status is not None and 200 <= status < 300
    noted = {"response_status": status, "error": error[:300]}
    mine = WebhookDelivery.objects.filter(pk=delivery.pk, status=Status.WAITING, attempts=delivery.attempts)
    if is_delivered:
        # Whoever else may be sending it by now: it has arrived.
        WebhookDelivery.objects.filter(pk=delivery.pk).update(status=Status.DELIVERED, **noted)
    elif status == HTTPStatus.GONE:
        WebhookEndpoint.objects.filter(pk=endpoint_id).update(enabled=False)
        mine.update(status=Status.FAILED, **noted)
        logger.warning("Webhook %s answers that it is gone, and was disabled", delivery.endpoint.name)
    else:
        pause = _pause(delivery.attempts)
        if pause is None:
            mine.update(status=Status.FAILED, **noted)
            logger.warning("Webhook %s was not told of %s: %s", delivery.endpoint.name, delivery, error or status)
        else:
            mine.update(next_attempt_at=timezone.now() + timedelta(seconds=pause), **noted)
    return is_delivered


def _due() -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(
        status=Status.WAITING, next_attempt_at__lte=timezone.now(), endpoint__enabled=True
    )


def _claim(delivery: WebhookDelivery) -> bool:
    """Count the attempt, and set the time of the next; `False` when somebody else was faster."""
    now = timezone.now()
    pause = max(conf.get("WEBHOOK_TIMEOUT_SECONDS") + MARGIN_SECONDS, _pause(delivery.attempts + 1) or 0)
    claimed = WebhookDelivery.objects.filter(
        pk=delivery.pk, status=Status.WAITING, next_attempt_at=delivery.next_attempt_at
    ).update(attempts=delivery.attempts + 1, last_attempt_at=now, next_attempt_at=now + timedelta(seconds=pause))
    delivery.attempts += 1
    return bool(claimed)


def _pause(attempts: int) -> float | None:
    """Seconds from this attempt to the next one; `None` after the last."""
    pauses = conf.get("WEBHOOK_PAUSES_SECONDS")
    return float(pauses[attempts - 1]) if attempts <= len(pauses) else None


def _post(delivery: WebhookDelivery) -> tuple[int | None, str]:
    """The status of the answer, or what went wrong. Of the answer's body nothing is kept."""
    url = delivery.endpoint.url
    body = json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":"))
    now = datetime.now(tz=UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(delivery.endpoint.secret).sign(delivery.message_id, now, body),
    }
    try:
        host = addresses.check_listed(url, conf.get("WEBHOOK_ALLOWED_HOSTS")).hostname
        private = host in conf.get("WEBHOOK_PRIVATE_HOSTS")
        seconds = conf.get("WEBHOOK_TIMEOUT_SECONDS")
        with exchange("POST", url, seconds=seconds, private=private, headers=headers, body=body.encode()) as answer:
            answer.read(MOST_READ)
            return answer.status, ""
    except (AIImagesError, OSError, http.client.HTTPException, ValueError) as error:
        return None, _printable(str(error) or type(error).__name__)


def _printable(text: str) -> str:
    """Some errors repeat what the receiver has sent. PostgreSQL keeps no zero bytes, and nobody wants to read them."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)

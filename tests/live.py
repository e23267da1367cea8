"""A site that programs use from outside: an ASGI server, a worker, tokens, and somebody who takes its webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from .browser.site import Site
from .receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Of the webhook."""


class LiveSite(Site):
    """The site of the browser tests, whose editor has tokens and whose tasks are told to `receiver`."""

    def __init__(self, receiver: Receiver, **settings: Any) -> None:
        everything = {**receiver.settings, "RECONCILE_SECONDS": 0.2, **settings}
        super().__init__(DJANGO_SETTINGS_MODULE="tests.live_settings", AI_IMAGES_LIVE_SETTINGS=json.dumps(everything))
        self.receiver = receiver

    def token(self, username: str = "editor", *scopes: str) -> str:
        """A token of somebody's: the same one each time."""
        return self._tokens(username, scopes)

    def add_webhook(self) -> None:
        """Tell the receiver of every task."""
        self.python(
            "from cms_ai_images.models import WebhookEndpoint\n"
            "from cms_ai_images.models.webhooks import Event\n"
            f"WebhookEndpoint.objects.create(name='test', url={self.receiver.url!r}, secret={SECRET!r}, "
            "events=list(Event.values))"
        )

    @lru_cache  # noqa: B019 - there is one site
    def _tokens(self, username: str, scopes: tuple[str, ...]) -> str:
        return str(
            self.python(
                "from django.contrib.auth.models import User\n"
                "from cms_ai_images import tokens\n"
                f"chosen = {{'scopes': {list(scopes)!r}}} if {bool(scopes)} else {{}}\n"
                f"user = User.objects.get(username={username!r})\n"
                "print(json.dumps(tokens.issue(user, 'a test', **chosen)[1]))"
            )
        )


@contextmanager
def live_site(**settings: Any) -> Iterator[LiveSite]:
    """Started, and stopped in the end."""
    with Receiver() as receiver, LiveSite(receiver, **settings) as site:
        site.add_webhook()
        yield site

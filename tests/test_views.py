"""The dialog's markup, as the server writes it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse

pytestmark = pytest.mark.django_db


def markup(client: Client, user: User) -> str:
    client.force_login(user)
    return client.get(reverse("cms_ai_images:dialog")).content.decode()


def test_a_site_offers_examples_of_its_own_as_text(client: Client, author: User) -> None:
    with override_settings(CMS_AI_IMAGES={"PROMPT_EXAMPLES": ["a <b>fox</b> in the snow"]}):
        text = markup(client, author)
    assert "a &lt;b&gt;fox&lt;/b&gt; in the snow" in text
    assert "a lighthouse on a cliff at dawn" not in text


def test_without_examples_nothing_announces_them(client: Client, author: User) -> None:
    assert "For example" in markup(client, author)
    with override_settings(CMS_AI_IMAGES={"PROMPT_EXAMPLES": []}):
        assert "For example" not in markup(client, author)

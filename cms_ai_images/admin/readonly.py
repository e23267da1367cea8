"""For tables whose rows are a record of what happened."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest

from cms_ai_images.admin.robust import RobustAdmin

USERNAME = get_user_model().USERNAME_FIELD
"""What people are found by; a site's own user model may call it differently."""


class ReadOnlyAdmin(RobustAdmin):
    """Rows can be looked at. They come from the services, and counting all of them would grow with the table."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody writes history by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nor changes it."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nor makes it undone: points, drafts and library files would lose what explains them."""
        return False

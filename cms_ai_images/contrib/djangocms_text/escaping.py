"""Words that look like markup stay words when a text is edited again.

djangocms-text 1.0 marks its field's value as safe and puts it into the page's `<textarea>` as it is. The browser
decodes it there once, so a caption `<b>` that is stored as `&lt;b&gt;` came back as markup and was lost with the next
saving. Escaped, as Django does for every other textarea, it comes back as it was. Harmless where djangocms-text does
it itself.
"""

from __future__ import annotations

from typing import Any

from djangocms_text.widgets import TextEditorWidget


def format_value(self: TextEditorWidget, value: Any) -> str | None:
    """The value as plain text, which the widget's template escapes."""
    text = super(TextEditorWidget, self).format_value(value)
    return None if text is None else "".join(text)  # `str()` would leave safe text safe


def install() -> None:
    """Idempotent; leaves a `format_value` of djangocms-text's own alone."""
    if "format_value" not in vars(TextEditorWidget):
        TextEditorWidget.format_value = format_value

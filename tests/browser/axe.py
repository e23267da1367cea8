"""axe's rules for WCAG 2.2 AA, asked of the dialog or of another part of a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],  # in full; what passes comes to a quarter of a megabyte
}
SCRIPT = Axe().axe_script


def violations(page: Page, context: str = "ai-image-dialog") -> list[str]:
    """What axe finds inside the dialog, or inside what another selector finds, as readable lines."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT)
    found = page.evaluate("async (asked) => (await axe.run(...asked)).violations", [context, OPTIONS])
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]

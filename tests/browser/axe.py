"""axe's rules for WCAG 2.2 AA, asked of the dialog or of another part of a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


def violations(page: Page, context: str = "ai-image-dialog") -> list[str]:
    """What axe finds inside the dialog, or inside what another selector finds, as readable lines."""
    found = Axe().run(page, context=context, options=RULES).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]

"""The page on which the API is read and tried out, under a policy that allows nothing inline."""

from __future__ import annotations

from playwright.sync_api import expect

from .axe import violations
from .conftest import OpenPage


def test_requests_can_be_tried_out_with_the_session(open_page: OpenPage) -> None:
    page = open_page("/ai-images/api/v1/docs/")
    elsewhere: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url) if "/ai-images/" not in request.url else None)
    operation = page.locator("#operations-preferences-preferences_patch")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("textarea.body-param__text").fill('{"favourite_presets": []}')
    with page.expect_response("**/preferences/") as answered:
        operation.get_by_role("button", name="Execute").click()
    assert (answered.value.request.method, answered.value.status) == ("PATCH", 200)  # the CSRF token came with it
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert page.evaluate("violations") == []
    assert elsewhere == []


def test_codes_are_told_for_everybody(open_page: OpenPage) -> None:
    for scheme in ("light", "dark"):
        page = open_page("/ai-images/api/v1/problems/#no_worker", width=390, color_scheme=scheme)
        expect(page.locator("tr:target")).to_contain_text("503")
        assert violations(page, "html") == []
        assert page.evaluate("violations") == []

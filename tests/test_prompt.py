"""What a prompt must pass before it is queued."""

from __future__ import annotations

import pytest

from cms_ai_images.exceptions import PromptEmpty, PromptTooLong
from cms_ai_images.safety.prompt import clean_negative_prompt, clean_prompt


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  a red apple \n", "a red apple"),
        ("a\x00 red\x1b[31m apple", "a red[31m apple"),
        ("a red\r\napple\tpie", "a red\napple\tpie"),
        ("broken \ud800 half", "broken  half"),
        ("cafe\u0301", "café"),
        ("a family 👩‍👩‍👧 on 🏖️", "a family 👩‍👩‍👧 on 🏖️"),
        ("تفاحة حمراء \u202eعلى الشاطئ", "تفاحة حمراء \u202eعلى الشاطئ"),
        ("海滩上的红苹果", "海滩上的红苹果"),
        ("<script>alert(1)</script> {prompt} %(x)s", "<script>alert(1)</script> {prompt} %(x)s"),
    ],
    ids=["space", "control", "lines", "surrogate", "nfc", "emoji", "right-to-left", "chinese", "markup"],
)
def test_prompt_is_kept_but_for_what_no_database_stores(typed: str, kept: str) -> None:
    assert clean_prompt(typed) == kept


@pytest.mark.parametrize("typed", ["", "  \n\t ", "\x00\x07", "\u200b\u200d\ufeff", "\u2028"])
def test_prompt_without_a_visible_character_is_empty(typed: str) -> None:
    with pytest.raises(PromptEmpty) as caught:
        clean_prompt(typed)
    assert caught.value.field == "prompt"


def test_longest_prompt_is_as_long_as_the_limit_says() -> None:
    assert clean_prompt(" 🍎🍎🍎🍎🍎 ", 5) == "🍎🍎🍎🍎🍎"
    with pytest.raises(PromptTooLong) as caught:
        clean_prompt("apples", 5)
    assert caught.value.params == {"length": 6, "limit": 5}
    assert "6 characters" in str(caught.value)


def test_negative_prompt_may_be_empty_and_names_its_own_field() -> None:
    assert clean_negative_prompt(" \x00 ") == ""
    with pytest.raises(PromptTooLong) as caught:
        clean_negative_prompt("blurry", 5)
    assert caught.value.field == "negative_prompt"

"""The tree of errors: codes that never clash, and sentences that are whole. `test_api_errors` compares the table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from django.utils.functional import Promise

import cms_ai_images
from cms_ai_images import exceptions
from cms_ai_images.exceptions import AIImagesError, GenerationError, InvalidRequest

PACKAGE = Path(cms_ai_images.__file__).parent
PLACEHOLDER = re.compile(r"%\((\w+)\)([sd])")


def tree(parent: type[AIImagesError] = AIImagesError) -> Iterator[type[AIImagesError]]:
    """The class and all below it that the app itself defines."""
    if parent.__module__.startswith("cms_ai_images."):
        yield parent
    for child in parent.__subclasses__():
        yield from tree(child)


CLASSES = {cls.__name__: cls for cls in tree()}
every_class = pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)


def test_all_are_known_to_the_package_with_codes_of_their_own() -> None:
    assert set(exceptions.known()) == set(CLASSES.values()) == {getattr(exceptions, name) for name in CLASSES}
    codes = [cls.code for cls in CLASSES.values()]
    assert len(codes) == len(set(codes)) > 25


@every_class
def test_each_has_a_code_a_status_and_a_translatable_sentence(cls: type[AIImagesError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.code)
    assert len(cls.code) <= 50  # GenerationTask.error_code
    assert 400 <= HTTPStatus(cls.status) < 600
    assert isinstance(cls.message, Promise)
    assert "%s" not in str(cls.message)
    assert str(cls.message).endswith(".")


@every_class
def test_sentence_is_whole_with_its_parameters(cls: type[AIImagesError]) -> None:
    params = {name: 7 if kind == "d" else f"<{name}>" for name, kind in PLACEHOLDER.findall(str(cls.message))}
    text = str(cls(**params))
    assert all(str(value) in text for value in params.values())
    assert not PLACEHOLDER.search(text)


def test_error_says_code_field_and_whether_trying_again_helps() -> None:
    error = exceptions.PromptTooLong(length=3, limit=2, field="negative_prompt")
    assert (error.field, exceptions.PromptTooLong.field) == ("negative_prompt", "prompt")
    assert (error.args, error.status, error.retryable) == (("prompt_too_long",), 400, False)
    assert issubclass(exceptions.PromptTooLong, InvalidRequest)
    assert GenerationError.retryable and not exceptions.ModelFilesMissing.retryable
    assert str(exceptions.ModelFilesMissing(model="100%", detail="%(x)s")).count("%") == 2  # values are not formats


def raised_in_package() -> Iterator[tuple[str, str, set[str]]]:
    """Where, what and with which keyword arguments the package makes an error."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            place = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                yield place, node.func.id, {word.arg or "**" for word in node.keywords}
            elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in CLASSES:
                yield place, node.exc.id, set()


def test_whoever_raises_gives_what_the_sentence_needs() -> None:
    raised = list(raised_in_package())
    assert len(raised) > 40
    for place, name, given in raised:
        needed = {word for word, _kind in PLACEHOLDER.findall(str(CLASSES[name].message))}
        assert needed <= given or "**" in given, f"{place}: {name} lacks {needed - given}"

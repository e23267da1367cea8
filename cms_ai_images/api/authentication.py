"""Who asks: somebody with a session, or a program with a personal token."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY, get_user, get_user_model
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from cms_ai_images import tokens
from cms_ai_images.api.problems import CHALLENGE
from cms_ai_images.exceptions import NotLoggedIn, ScopeMissing, TokenInvalid, TokenMissing
from cms_ai_images.models import APIToken


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer aii_...`. A token that is not valid is refused, even where a session would do."""

    def authenticate(self, request: Request | HttpRequest) -> tuple[Any, APIToken] | None:
        """The user and the token; `None` where there is none. Raises `TokenInvalid`."""
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None  # a proxy in front of the site may have a scheme of its own
        if not secret.strip():
            raise TokenInvalid
        token = tokens.find(secret.strip())
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return CHALLENGE


def identify(request: HttpRequest) -> tuple[Any, APIToken | None]:
    """The same for views outside the REST framework: the user, and the token if that is how they came."""
    return TokenAuthentication().authenticate(request) or (request.user, None)


def check_login(request: Request | HttpRequest, user: Any) -> None:
    """Raise `NotLoggedIn` where nobody is known, or `TokenMissing` where it is no browser that asks."""
    if user.is_authenticated:
        return
    is_browser = bool(request.COOKIES) or "Sec-Fetch-Site" in request.headers
    raise NotLoggedIn if is_browser else TokenMissing


def identify_again(request: HttpRequest) -> Any:
    """The user as the database knows them now, for an answer that goes on long after they were identified.

    Raises `NotLoggedIn` where their session has ended meanwhile, and `TokenInvalid` where their token is worth nothing.
    """
    if found := TokenAuthentication().authenticate(request):
        return found[0]
    session: Any = getattr(request, "session", None)
    known: Any = request.user.pk
    if session is None or SESSION_KEY not in session:  # a middleware of the site's own knows them from elsewhere
        user: Any = get_user_model()._default_manager.filter(pk=known).first()
    else:
        asked = HttpRequest()
        asked.session = type(session)(session.session_key)  # read anew
        user = get_user(asked)
    if user is None or not user.is_active or user.pk != known:
        raise NotLoggedIn
    return user


def check_scope(token: Any, scope: str) -> None:
    """Raise `ScopeMissing` where a token is used that does not have this scope. A session may do everything."""
    if isinstance(token, APIToken) and scope not in token.scopes:
        raise ScopeMissing(scope=scope)

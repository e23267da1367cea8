"""Which servers this site calls, for people who give it an address: hosts of a list, and no address inside the network.

Whoever may name an address could otherwise have the site ask its own services (server-side request forgery).
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cms_ai_images.exceptions import AddressRefused

DEFAULT_PORTS = {"http": 80, "https": 443}
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""The only IPv6 addresses that the Internet knows. Others may be translated to IPv4 addresses of this network."""
NOT_CALLED = [
    ipaddress.ip_network(network)
    for network in (
        "192.88.99.0/24",  # relays that wrap IPv4 in IPv6
        "2001::/23",  # protocols' own addresses; Teredo holds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 holds an IPv4 address
        "3fff::/20",  # documentation
    )
]
"""What Python, in some versions, calls global although nobody should call it."""


def split(url: str) -> SplitResult:
    """The parts of an http or https address. Raises `AddressRefused` for any other, and where it holds a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused(host=url[:200]) from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0 or "@" in parts.netloc:
        raise AddressRefused(host=parts.hostname or url[:200])
    return parts


def port_of(parts: SplitResult) -> int:
    """The port that is asked, also where the address does not say it."""
    return parts.port or DEFAULT_PORTS[parts.scheme]


def check_listed(url: str, hosts: Iterable[str]) -> SplitResult:
    """Raise `AddressRefused` unless the host is in the list."""
    parts = split(url)
    if server_of(parts) not in {server_of(split_entry(entry)) for entry in hosts if is_entry(entry)}:
        raise AddressRefused(host=parts.hostname)
    return parts


def server_of(parts: SplitResult) -> tuple[str, str, int]:
    """(scheme, host, port): who is asked."""
    return parts.scheme, str(parts.hostname), port_of(parts)


def split_entry(entry: str) -> SplitResult:
    """The parts of an entry of a list of hosts: `example.org`, `example.org:8443` or `http://example.org`.

    Without a scheme it means https, without a port the scheme's own. Subdomains have entries of their own.
    """
    return split(entry if "://" in entry else f"https://{entry}")


def is_entry(entry: str) -> bool:
    """Whether a list of hosts may hold this. What looks as if it allowed a path, or every subdomain, would not."""
    try:
        parts = split_entry(entry)
    except AddressRefused:
        return False
    return "*" not in parts.netloc and parts.path in ("", "/") and not parts.query and not parts.fragment


def is_public(address: str) -> bool:
    """Whether this IP address belongs to somebody in the Internet, as far as its number tells."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip not in GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NOT_CALLED)


def resolve(host: str, port: int, *, private: bool = False, seconds: float | None = None) -> str:
    """The IP address to connect to. Ask once and use the answer: a second one may be another (DNS rebinding).

    Raises `AddressRefused` where the name leads, also, into this network, unless `private` allows it, and `OSError`
    where it leads nowhere, or nobody knows within `seconds` where it leads.
    """
    found = [str(answer[4][0]) for answer in _look_up(host, port, seconds)]
    if not private and not all(map(is_public, found)):
        raise AddressRefused(host=host)
    return found[0]


def _look_up(host: str, port: int, seconds: float | None) -> list[Any]:
    """What the resolver says. It knows no limit of time: a thread waits for it, and is left where that takes long."""
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return found.result(seconds)

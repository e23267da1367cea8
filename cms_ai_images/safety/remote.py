"""Reference pictures at an address: from listed servers, over https, and of a bounded size in a bounded time.

What comes back is bytes like any upload's: what the server says of them is not read, their content decides.
"""

from __future__ import annotations

import http.client
import logging
import time
from urllib.parse import urljoin

from django.utils.encoding import iri_to_uri

from cms_ai_images import conf
from cms_ai_images.exceptions import AddressRefused, RemotePictureUnavailable, UploadTooLarge
from cms_ai_images.safety import addresses, upload
from cms_ai_images.safety.outgoing import exchange

logger = logging.getLogger(__name__)

REDIRECTS = 3
"""How often a server may lead elsewhere. Each address is looked at like the first one."""
REDIRECTING = frozenset({301, 302, 303, 307, 308})
HEADERS = {"Accept": "image/jpeg, image/png, image/webp", "Accept-Encoding": "identity"}


def fetch(url: str, *, private: bool = False) -> bytes:
    """The bytes at an address. `private` allows servers inside this network, which no setting does.

    Raises `AddressRefused`, `RemotePictureUnavailable` or `UploadTooLarge`, with the field `references`.
    """
    until = time.monotonic() + conf.get("REMOTE_PICTURE_SECONDS")
    host = ""
    try:
        for _ in range(1 + REDIRECTS):
            url = iri_to_uri(url)
            host = _check(url)
            with exchange("GET", url, seconds=until - time.monotonic(), private=private, headers=HEADERS) as response:
                if response.status == http.HTTPStatus.OK:
                    return _body(response)
                if response.status not in REDIRECTING:
                    break
                url = urljoin(url, response.headers.get("Location", ""))
    except AddressRefused as error:
        raise AddressRefused(field="references", **error.params) from error
    except UploadTooLarge as error:
        raise UploadTooLarge(field="references", **error.params) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        logger.info("No picture from %s: %r", host, error)  # whoever asked is not told what the network looks like
        raise RemotePictureUnavailable(host=host) from error
    raise RemotePictureUnavailable(host=host)


def _check(url: str) -> str:
    """The host's name, if it may be asked. The list may name servers without TLS for others' use, not for ours."""
    parts = addresses.check_listed(url, conf.get("REMOTE_PICTURE_HOSTS"))
    if parts.scheme != "https":
        raise AddressRefused(host=parts.hostname)
    return str(parts.hostname)


def _body(response: http.client.HTTPResponse) -> bytes:
    """All of it, or `UploadTooLarge` as soon as that is known."""
    upload.check_size(response.length or 0)
    data = response.read(conf.get("UPLOAD_MAX_MIB") * 2**20 + 1)
    upload.check_size(len(data))
    return data

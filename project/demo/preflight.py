"""What `ai_images_demo` refuses before it starts anything, and the two files it makes first."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.management import CommandError
from django.core.management.utils import get_random_secret_key
from django.utils.translation import gettext as _

from cms_ai_images.backends.diffusers.digests import SUMS, check_digests
from cms_ai_images.exceptions import ModelFilesDamaged

EMBEDDED_MODEL = Path(settings.BASE_DIR, "project", "embedded_model")
RESTORE_COMMAND = "git checkout -- project/embedded_model"
LONGEST_SOCKET_PATH = 107  # bytes, on Linux


def refuse_public_address(host: str) -> None:
    """The logins are known to everybody, so nobody else may reach the site."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise CommandError(
            _("The demo's passwords are public, so it serves loopback only, not %(host)s.") % {"host": host}
        )


def refuse_long_path(path: Path) -> None:
    """A socket's path has a limit, and the system's own message does not say so."""
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise CommandError(
            _("%(path)s is too long for a socket. Name a shorter folder: AI_IMAGES_VAR=/tmp/demo make demo")
            % {"path": path}
        )


def refuse_damaged_model(folder: Path = EMBEDDED_MODEL) -> None:
    """Say it now, with the command that helps, instead of after everything was started."""
    try:
        if not (folder / SUMS).is_file():
            raise ModelFilesDamaged(model="demo", file=SUMS, restore=RESTORE_COMMAND)
        check_digests("demo", folder)
    except ModelFilesDamaged as error:
        raise CommandError(str(error)) from error


def refuse_taken_port(host: str, port: int) -> None:
    """Say so before anything is started, and name a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            probe.bind((host, 0))
            raise CommandError(
                _("Port %(port)d cannot be used (%(reason)s). Try another: make demo PORT=%(free)d")
                % {"port": port, "reason": error.strerror, "free": probe.getsockname()[1]}
            ) from error


def lock(path: Path, address: str) -> IO[str]:
    """Hold `path` while the file returned is open; a second demo on the same folder is told where the first one is."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise CommandError(
            _("A demo already runs here: %(where)s. Stop it first, or use it.") % {"where": file.read().strip()}
        ) from error
    file.truncate(0)
    file.write(_("%(address)s, process %(pid)d") % {"address": address, "pid": os.getpid()})
    file.flush()
    return file


def make_secret_key() -> None:
    """One key for all processes of this folder, readable by its owner only."""
    if not settings.SECRET_KEY_FILE.exists():
        descriptor = os.open(settings.SECRET_KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(get_random_secret_key())

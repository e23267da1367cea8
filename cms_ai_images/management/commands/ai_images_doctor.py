"""Says whether database, storages, models, Redis and workers are right, and how to mend what is not."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from cms_ai_images.doctor import Finding, Level, examine

MARKS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.ERROR: "ERROR  "}


class Command(BaseCommand):
    help = "Looks at everything a picture needs and says how to mend what is not right. Status 1: no pictures come."
    requires_system_checks: list[str] = []  # it reports them itself, beside the rest

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON list of findings")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in examine():
            findings.append(finding)
            if not options["json"]:
                self._print(finding)
        if options["json"]:
            self.stdout.write(json.dumps([dataclasses.asdict(finding) for finding in findings], ensure_ascii=False))
        if any(finding.level == Level.ERROR for finding in findings):
            sys.exit(1)

    def _print(self, finding: Finding) -> None:
        style = {Level.OK: self.style.SUCCESS, Level.WARNING: self.style.WARNING, Level.ERROR: self.style.ERROR}
        mark = style[finding.level](MARKS[finding.level])
        self.stdout.write(f"{mark}  {finding.part}: {finding.detail}".rstrip(": "))
        if finding.mend:
            self.stdout.write(f"         -> {finding.mend}")

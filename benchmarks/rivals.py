"""What the queue is compared with, in a process of its own: `python -m benchmarks.rivals FOLDER`.

Reads jobs as JSON lines and answers each with the seconds that it took. Ends with its standard input, so it never
outlives the benchmarks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any


class Rivals:
    """Their process, seen from the benchmarks. It starts at first use and builds the tiny pipeline in `folder`."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    @property
    def folder(self) -> Path:
        """Where the tiny pipeline is."""
        self._started()
        return self._folder

    def seconds(self, rival: str, count: int, **arguments: Any) -> float:
        """How long `bare` or `naive` takes for so many pictures; `arguments` are the pipeline's."""
        process = self._started()
        assert process.stdin is not None  # noqa: S101 - a pipe
        process.stdin.write(json.dumps({"rival": rival, "count": count, "arguments": arguments}) + "\n")
        process.stdin.flush()
        return float(self._answer(process)["seconds"])

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.rivals", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **self._environment},
            )
            self._answer(self._process)
        return self._process

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None  # noqa: S101 - a pipe
        if not (answer := process.stdout.readline()):
            raise RuntimeError(f"The rivals' process ended with status {process.wait()}.")
        return dict(json.loads(answer))


def bare(pipe: Any, arguments: dict[str, Any], count: int) -> None:
    """The pipeline in a loop and nothing else: what the GPU could do."""
    for number in range(count):
        pipe(prompt=f"bare {time.monotonic_ns()} {number}", **arguments)


def naive(pipe: Any, arguments: dict[str, Any], count: int) -> None:
    """The obvious service: a thread pool, one `pipe()` for each request, its PNG saved before the next one.

    One thread, because a pipeline keeps the state of a call in itself.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(max_workers=1) as pool:

        def serve(number: int) -> None:
            image = pipe(prompt=f"naive {time.monotonic_ns()} {number}", **arguments).images[0]
            image.save(Path(folder) / f"{number}.png")

        list(pool.map(serve, range(count)))


def main() -> None:
    """Load the pipeline, building it when it is missing, say so, then do what is asked."""
    import torch
    from diffusers import StableDiffusionPipeline

    from benchmarks import tiny

    pipe = StableDiffusionPipeline.from_pretrained(tiny.build(Path(sys.argv[1])))
    pipe.set_progress_bar_config(disable=True)
    answer = partial(print, flush=True)
    answer(json.dumps({"ready": True}))
    for line in sys.stdin:
        job = json.loads(line)
        rival = {"bare": bare, "naive": naive}[job["rival"]]
        begun = time.perf_counter()
        with torch.inference_mode():
            rival(pipe, job["arguments"], job["count"])
        answer(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()

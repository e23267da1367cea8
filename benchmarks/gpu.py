"""Real architectures on a real GPU: `python -m benchmarks.gpu` prints one JSON object.

Each case is a model, a size, a batch and a mode (eager or compiled). `docs/performance.md` says how to read it.
`--tiny` does everything with toy models and measures nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.__main__ import prepare
from benchmarks.results import rounded, say

LAST_MINUTE_STEPS = 3
"""Steps of the picture that is drawn before a case is measured."""


def main() -> None:
    """Measure the cases that were asked for, then the same models through the whole queue."""
    options = parse()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ai-images-gpu-")))
        prepare(folder, "sqlite")
        report: dict[str, Any] = {"tiny": options.tiny, **machine()}
        report["cases"] = [case for name in options.models for case in measure_model(name, options)]
        if options.tasks:
            report["queue"] = measure_queue(stack, options)
    print(json.dumps(report, indent=2))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="toy models: shows that everything works")
    parser.add_argument("--models", nargs="+", default=["z_image", "sdxl"], choices=["z_image", "sdxl"])
    parser.add_argument("--sizes", nargs="+", type=int, help="sides of the squares, in pixels (512 1024)")
    parser.add_argument("--batches", nargs="+", type=int, help="pictures in a call (1 2 4 8)")
    parser.add_argument("--modes", nargs="*", choices=["eager", "compiled"], help="both, unless --tiny")
    parser.add_argument("--steps", type=int, help="instead of the model's usual number")
    parser.add_argument("--repeats", type=int, default=3, help="calls of each case (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=32, help="tasks through the queue; 0 leaves it out")
    parser.add_argument("--queue-batch", type=int, default=4, help="pictures in a call of the worker")
    parser.add_argument("--queue-compile", action="store_true", help="let the worker compile")
    options = parser.parse_args()
    options.sizes = options.sizes or ([64] if options.tiny else [512, 1024])
    options.batches = options.batches or ([1, 2] if options.tiny else [1, 2, 4, 8])
    options.modes = (
        options.modes if options.modes is not None else (["eager"] if options.tiny else ["eager", "compiled"])
    )
    return options


def machine() -> dict[str, Any]:
    """What the figures depend on, and how fast the device multiplies matrices: the floor is counted from that."""
    import diffusers
    import torch

    from cms_ai_images.backends.diffusers.placement import choose_device, describe_device

    device = choose_device()
    return {
        "device": describe_device(device),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "matmul_tflops": rounded(matmul_flops(device) / 1e12),
    }


def matmul_flops(device: str) -> float:
    """Operations per second in the best of some large matrix products, in the number format of the models."""
    import torch

    side, dtype = (8192, torch.bfloat16) if device == "cuda" else (512, torch.float32)
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(20):
        begun = time.perf_counter()
        left @ right
        synchronize()
        seconds.append(time.perf_counter() - begun)
    return 2 * side**3 / min(seconds)


def synchronize() -> None:
    """Wait for the GPU: without this, only the asking is measured."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


# -- One call after the other ------------------------------------------------------------------------------------------


def measure_model(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every case of one model: all eager ones, then all compiled ones."""
    from benchmarks.gpu_models import MODELS, RandomWeights, networks
    from cms_ai_images.backends.diffusers.tuning import Tuning, tune
    from cms_ai_images.types import ModelSpec

    spec = ModelSpec(slug=name, source=f"tiny:{name}" if options.tiny else name)
    backend = RandomWeights(spec)
    begun = time.perf_counter()
    backend.load()
    say(f"{name}: {parameters_of(networks(backend.pipeline))}, built in {time.perf_counter() - begun:.0f} s")
    peak = matmul_flops(backend.pipeline.device.type)
    cases = []
    work: dict[int, float] = {}
    for mode in options.modes:
        if mode == "compiled":
            tune(backend.pipeline, spec, Tuning(compile="regional"))
        for size, batch in itertools.product(options.sizes, options.batches):
            requests = make_requests(MODELS[name], size, batch, options.steps)
            if size not in work:
                work[size] = count_flops(backend, requests[:1])
            case = {"model": name, "mode": mode, "size": size, "batch": batch, "steps": requests[0].steps}
            case |= measure_case(backend, requests, options.repeats, floor=batch * work[size] / peak)
            case["tflop_per_picture"] = work[size] / 1e12
            cases.append({key: rounded(value) for key, value in case.items()})
            say(f"  {cases[-1]}")
    backend.unload()
    return cases


def parameters_of(parts: dict[str, Any]) -> dict[str, str]:
    """How large each network is."""
    return {name: f"{sum(weight.numel() for weight in part.parameters()) / 1e9:.3g} B" for name, part in parts.items()}


def make_requests(model: Any, size: int, batch: int, steps: int | None) -> list[Any]:
    """One picture for each of `batch` authors, with texts of one length."""
    from cms_ai_images.types import GenerationParameters

    return [
        GenerationParameters(
            operation="text_to_image",
            prompt=f"a lighthouse in the evening sun, number {number}",
            negative_prompt="",
            width=size,
            height=size,
            steps=steps or model.steps,
            guidance_scale=model.guidance_scale,
            seed=number,
            num_images=1,
            output_format="png",
        )
        for number in range(batch)
    ]


def count_flops(backend: Any, requests: Sequence[Any]) -> float:
    """Arithmetic operations of one call with known texts: denoising and decoding."""
    from torch.utils.flop_counter import FlopCounterMode

    from cms_ai_images.backends.diffusers.backend import ignore_step

    backend.generate(requests, ignore_step)
    with FlopCounterMode(display=False) as counter:
        backend.generate(requests, ignore_step)
    return float(counter.get_total_flops())


def measure_case(backend: Any, requests: Sequence[Any], repeats: int, *, floor: float) -> dict[str, Any]:
    """Times of one case. `floor` is how many seconds a call would take if it only multiplied matrices."""
    import dataclasses

    import torch

    from cms_ai_images.backends.diffusers.backend import ignore_step

    size = requests[0].width
    backend.fitting.clear()
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.reset_peak_memory_stats()
    # Compilers and tuners do their work here; so do the text encoders.
    steps = min(LAST_MINUTE_STEPS, requests[0].steps)
    begun = time.perf_counter()
    backend.generate([dataclasses.replace(each, steps=steps) for each in requests], ignore_step)
    first = time.perf_counter() - begun
    clock = Clock()
    backend.generate(requests, clock)
    seconds = []
    for _ in range(repeats):
        synchronize()
        begun = time.perf_counter()
        backend.generate(requests, ignore_step)
        seconds.append(time.perf_counter() - begun)
    call = statistics.median(seconds)
    return {
        "ms_per_forward": 1000 * clock.step_seconds,
        "seconds_per_call": call,
        "pictures_per_second": len(requests) / call,
        "fraction_of_floor": floor / call,
        "first_call_seconds": first,
        "memory_gib": torch.cuda.max_memory_allocated() / 2**30 if has_gpu else None,
        "drawn_at_once": min(len(requests), backend.fitting.get((size, size), len(requests))),
    }


class Clock:
    """A step callback that takes the time of each step, with the GPU's work done."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def __call__(self, step: int, total: int, previews: Any = None) -> None:
        synchronize()
        self.moments.append(time.perf_counter())

    @property
    def step_seconds(self) -> float:
        """The middle time from step to step: one forward pass, and the scheduler's arithmetic."""
        return statistics.median(later - earlier for earlier, later in itertools.pairwise(self.moments))


# -- Through the queue -------------------------------------------------------------------------------------------------


def measure_queue(stack: ExitStack, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every model and size through services, RQ, a worker process, encoding and storage."""
    os.environ["AI_IMAGES_BENCH_SETTINGS"] = json.dumps(settings := {"BACKENDS": {"random": RANDOM_WEIGHTS}})
    from benchmarks.gpu_models import MODELS
    from benchmarks.site import open_site

    site = stack.enter_context(open_site(quick=options.tiny))
    figures: list[dict[str, Any]] = []
    for name in options.models:
        worker = site.start_worker("images", name, environment={"OMP_NUM_THREADS": ""}, **settings)
        for size in options.sizes:
            model = MODELS[name]
            row = site.model(
                f"{name}-{size}".replace("_", "-"),
                backend="random",
                source=f"tiny:{name}" if options.tiny else name,
                pool="images",
                sizes=[[size, size]],
                default_parameters={"steps": options.steps or model.steps, "guidance_scale": model.guidance_scale},
                options=queue_options(options, size, model.guidance_scale),
            )
            site.wait(site.ask(row, options.queue_batch))  # loads, and compiles
            figures.append(
                {"model": name, "size": size, "batch": options.queue_batch, **queue_figures(site, row, options)}
            )
            say(f"  {figures[-1]}")
        site.end_worker(worker)
        site.clear()
    return figures


def queue_options(options: argparse.Namespace, size: int, guidance_scale: float) -> dict[str, Any]:
    """A model row's. A worker that compiles draws at load already, so that no task's time has the compiler's in it."""
    batches = {"max_batch": options.queue_batch}
    if not options.queue_compile:
        return batches
    return batches | {
        "compile": "regional",
        "warmup_sizes": [[size, size]],
        "warmup_guidance_scale": guidance_scale,
    }


RANDOM_WEIGHTS = "benchmarks.gpu_models.RandomWeights"


def queue_figures(site: Any, row: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Throughput while there is always a next task, and how long a lone author waits."""
    from benchmarks.site import seconds_between

    tasks = site.wait(site.ask(row, options.tasks))
    ends = [task.finished_at for task in tasks]
    first = ends[: options.queue_batch][-1]  # what came before was waiting, for the first batch
    alone = []
    for _ in range(max(2, options.tasks // 4)):
        [task] = site.wait(site.ask(row))
        alone.append(seconds_between(task.created_at, task.finished_at))
    span = seconds_between(min(task.created_at for task in tasks), ends[-1])
    in_the_middle = (len(ends) - options.queue_batch) / seconds_between(first, ends[-1])
    return {
        "tasks": len(tasks),
        "pictures_per_second": rounded(len(tasks) / span),
        "pictures_per_second_in_the_middle": rounded(in_the_middle),
        "alone_p50_seconds": rounded(percentile(alone, 50)),
        "alone_p99_seconds": rounded(percentile(alone, 99)),
    }


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


if __name__ == "__main__":
    sys.exit(main())

"""How much of what a GPU could do arrives as stored pictures."""

from __future__ import annotations

from typing import Any

from benchmarks.results import Result, median, median_error, say
from benchmarks.site import Site, seconds_between
from cms_ai_images.models import GenerationModel
from cms_ai_images.types import Status

STAGES = {"encode_seconds": 0.130, "denoise_seconds": 0.676, "decode_seconds": 0.031}
"""Z-Image-Turbo on a fast GPU at 1024 x 1024 pixels: text encoder, eight steps, VAE."""
LANDING_SECONDS = 0.3
"""What the storage of `overlap` takes for a picture and its preview together."""
MAX_BATCH = 8


def queue_efficiency(site: Site) -> Result:
    """Pictures per second through the whole path, divided by those of a bare `pipe()` loop."""
    # Pictures of about a second, as on a fast GPU at 1024 x 1024. Many short rounds: a shared machine's speed changes
    # within seconds, and must not fall on one side only.
    size, steps, count, rounds = (64, 2, 3, 1) if site.quick else (320, 20, 3, 31)
    model = tiny_model(site, "tiny", size, steps)
    warm_up(site, model)
    site.rivals.seconds("bare", 1, **arguments(size, steps))
    ratios, seconds, overheads = [], [], []
    for number in range(rounds):
        bare = site.rivals.seconds("bare", count, **arguments(size, steps)) / count
        ours = interval(site, model, count)
        ratios.append(bare / ours)
        seconds.append(bare)
        overheads.append(ours - bare)
        say(f"  round {number + 1}: bare loop {bare:.3f} s, queue {ours:.3f} s for a picture")
    return Result(
        value=median(ratios),
        unit="of the bare loop's pictures per second",
        mark=0.97,
        details={
            "standard_error": median_error(ratios),
            "rounds": ratios,
            "picture_seconds": median(seconds),
            "overhead_seconds": median(overheads),
            "pictures_in_a_round": count,
        },
    )


def overlap(site: Site) -> Result:
    """Pictures per second when the GPU takes 837 ms and the storage 300 ms, divided by what the GPU alone allows."""
    shrink, count, rounds = (0.1, 4, 1) if site.quick else (1.0, 16, 3)
    stages = {name: seconds * shrink for name, seconds in STAGES.items()}
    ideal = sum(stages.values())
    # Two files for each picture.
    environment = {"AI_IMAGES_BENCH_STORAGE_SECONDS": str(LANDING_SECONDS * shrink / 2)}
    worker = site.start_worker("standin", "slow-storage", environment=environment)
    size = 128 if site.quick else 1024
    model = site.model("overlap", options=stages, sizes=[[size, size]], default_parameters={"steps": 8})
    warm_up(site, model)
    intervals = [interval(site, model, count) for _ in range(rounds)]
    site.end_worker(worker)
    return Result(
        value=ideal / median(intervals),
        unit="of 1 / (GPU seconds of a picture)",
        mark=0.95,
        details={
            "rounds": [ideal / each for each in intervals],
            "gpu_seconds": ideal,
            "landing_seconds": LANDING_SECONDS * shrink,
            "without_overlap": ideal / (ideal + LANDING_SECONDS * shrink),
        },
    )


def batching(site: Site) -> Result:
    """32 tasks that can be drawn together, in batches of eight, against the same tasks one at a time."""
    size, steps, count, rounds = (64, 2, 4, 1) if site.quick else (256, 20, 32, 2)
    single, batched = models_for_batches(site, size, steps)
    pairs = []
    for number in range(rounds):
        alone, together = span(site, single, count), span(site, batched, count)
        pairs.append(alone / together)
        say(f"  round {number + 1}: one at a time {alone:.2f} s, together {together:.2f} s")
    return Result(
        value=median(pairs),
        unit="times the throughput of one at a time",
        details={"rounds": pairs, "tasks": count, "max_batch": MAX_BATCH},
    )


def against_naive(site: Site) -> Result:
    """The same 32 requests to the obvious service and to this one, which may draw them together."""
    size, steps, count, rounds = (64, 2, 4, 1) if site.quick else (256, 20, 32, 2)
    _single, batched = models_for_batches(site, size, steps)
    site.rivals.seconds("naive", 1, **arguments(size, steps))
    pairs = []
    for number in range(rounds):
        theirs = site.rivals.seconds("naive", count, **arguments(size, steps))
        ours = span(site, batched, count)
        pairs.append(theirs / ours)
        say(f"  round {number + 1}: the obvious service {theirs:.2f} s, this one {ours:.2f} s")
    return Result(
        value=median(pairs),
        unit="times the throughput of the obvious service",
        details={"rounds": pairs, "requests": count, "max_batch": MAX_BATCH},
    )


def preview_cost(site: Site) -> Result:
    """What previews take from the throughput: a worker that makes them beside one that does not, at the same time."""
    seconds, steps, count = (0.5, 4, 3) if site.quick else (4.0, 20, 9)
    size = 64 if site.quick else 512
    pools: dict[str, dict[str, Any]] = {
        "standin": {"PREVIEW_SECONDS": 0.1} if site.quick else {},
        "silent": {"PREVIEW_SECONDS": 1e9},
        "eager": {"PREVIEW_SECONDS": 0.0},
    }
    workers = [site.start_worker(pool, f"previews-{pool}", **app) for pool, app in pools.items()]
    models = {
        pool: site.model(
            f"previews-{pool}",
            pool=pool,
            options={"denoise_seconds": seconds},
            sizes=[[size, size]],
            default_parameters={"steps": steps},
        )
        for pool in pools
    }
    for model in models.values():
        warm_up(site, model)
    asked = {pool: site.ask(model, count) for pool, model in models.items()}
    intervals = {pool: mean_interval(site.wait(tasks)) for pool, tasks in asked.items()}
    for worker in workers:
        site.end_worker(worker)
    return Result(
        value=1 - intervals["silent"] / intervals["standin"],
        unit="of the throughput",
        mark=0.02,
        at_most=True,
        details={
            "at_every_step": 1 - intervals["silent"] / intervals["eager"],
            "picture_seconds": intervals["silent"],
            "steps": steps,
        },
    )


def tiny_model(site: Site, slug: str, size: int, steps: int, **options: int) -> GenerationModel:
    """A row for the tiny diffusers pipeline, and a worker that draws with it."""
    site.start_worker("images")
    return site.model(
        slug,
        backend="diffusers",
        source=str(site.rivals.folder),
        pool="images",
        sizes=[[size, size]],
        default_parameters={"steps": steps, "guidance_scale": 0.0},
        options=options,
    )


def models_for_batches(site: Site, size: int, steps: int) -> tuple[GenerationModel, GenerationModel]:
    """The tiny pipeline one at a time, and in batches; both are loaded."""
    single, batched = (
        tiny_model(site, "tiny", size, steps),
        tiny_model(site, "tiny-8", size, steps, max_batch=MAX_BATCH),
    )
    warm_up(site, single)
    warm_up(site, batched)
    return single, batched


def arguments(size: int, steps: int) -> dict[str, Any]:
    """The same for a bare `pipe()`."""
    return {"width": size, "height": size, "num_inference_steps": steps, "guidance_scale": 0.0}


def warm_up(site: Site, model: GenerationModel) -> None:
    """Let the worker load the model."""
    site.wait(site.ask(model))


def interval(site: Site, model: GenerationModel, count: int) -> float:
    """Seconds from picture to picture, `count` times, while there is always a next one to draw.

    The last picture is not counted: nothing is drawn while it is stored.
    """
    return mean_interval(site.wait(site.ask(model, count + 2))[:-1])


def mean_interval(tasks: list[Any]) -> float:
    """Seconds from one finished task to the next."""
    return seconds_between(tasks[0].finished_at, tasks[-1].finished_at) / (len(tasks) - 1)


def span(site: Site, model: GenerationModel, count: int) -> float:
    """Seconds from the first request to the last stored picture."""
    tasks = site.wait(site.ask(model, count), Status.SUCCEEDED)
    return seconds_between(min(task.created_at for task in tasks), tasks[-1].finished_at)

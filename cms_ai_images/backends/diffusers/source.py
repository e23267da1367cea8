"""Where a model's files are: a folder on this machine, or a snapshot of a hub repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cms_ai_images.exceptions import ModelFilesMissing, UnsafeWeights
from cms_ai_images.types import ModelSpec

from .errors import root_cause, summary
from .folder import is_pickle, refuse_pickles


def locate(spec: ModelSpec, *, offline: bool = False) -> tuple[Path, str]:
    """The folder to load from, and the hub commit that it holds (empty for a folder of the administrator's).

    With `offline` nothing is downloaded: what the cache lacks is missing.

    Raises `ModelFilesMissing` when there is no such folder or the hub does not give the files, `UnsafeWeights` for
    pickles.
    """
    refuse_pickled_weights(spec)
    path = Path(spec.source).expanduser()
    if not path.is_dir() and not is_path(spec.source):
        snapshot = download(spec, offline=offline)
        return snapshot, snapshot.name
    refuse_pickles(spec.slug, path)
    return path, ""


def is_path(source: str) -> bool:
    """Whether a source can only be a folder: a hub id is `owner/name`, without a leading `/`, `.` or `~`."""
    return Path(source).is_absolute() or source.startswith((".", "~")) or source.count("/") != 1


def download(spec: ModelSpec, *, offline: bool = False) -> Path:
    """Fetch what the pipeline needs into the hub's cache, unless it is there: configuration and safetensors alone.

    Not checked for pickles: the cache is shared with other programs, which may have put some beside ours.
    """
    from diffusers import DiffusionPipeline
    from huggingface_hub.utils import httpx  # whichever HTTP client this version of the hub's library brings

    try:
        return Path(
            DiffusionPipeline.download(
                spec.source, revision=spec.revision or None, use_safetensors=True, local_files_only=offline
            )
        )
    # The hub's own errors are OSErrors; diffusers says ValueError when a repository has no safetensors.
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise ModelFilesMissing(model=spec.slug, detail=f"{spec.source}: {summary(root_cause(error))}") from error


def locate_weights(spec: ModelSpec, entry: dict[str, Any], *, offline: bool = False) -> Path:
    """The file of one entry of `spec.weights`: in a folder, by itself, or in a hub repository.

    Raises `UnsafeWeights` for anything but safetensors, and `ModelFilesMissing`.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import httpx

    source, file = str(entry.get("source", "")), str(entry.get("file", ""))
    name = file or source
    if not name.endswith(".safetensors"):
        error = UnsafeWeights if is_pickle(name) else ModelFilesMissing
        raise error(model=spec.slug, file=name, detail=f"{name or 'extra weights'}: not a safetensors file")
    path = Path(source, file).expanduser()
    if path.is_file():
        return path
    if not source or not file or is_path(source):
        raise ModelFilesMissing(model=spec.slug, detail=f"no file {path}")
    try:
        return Path(hf_hub_download(source, file, revision=entry.get("revision") or None, local_files_only=offline))
    except (OSError, ValueError, httpx.HTTPError) as error:
        detail = f"{source}/{file}: {summary(root_cause(error))}"
        raise ModelFilesMissing(model=spec.slug, detail=detail) from error


def refuse_pickled_weights(spec: ModelSpec) -> None:
    """Raise `UnsafeWeights` before anything is downloaded for a model whose extra weights would be refused later."""
    for entry in spec.weights:
        for value in entry.values():
            if isinstance(value, str) and is_pickle(value):
                raise UnsafeWeights(model=spec.slug, file=value)

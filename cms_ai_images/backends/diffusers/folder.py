"""A pipeline folder, looked at before anything in it is loaded.

`model_index.json` names the pipeline class and, for each component, a library and a class. What it names is imported
and called, so it is checked as strictly as the weights: pickles run code when they are opened, and so do modules that
a folder brings along.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cms_ai_images.exceptions import ModelFilesMissing, UnsafeWeights

from .errors import summary

INDEX = "model_index.json"
PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})
"""Endings of files that PyTorch and its friends unpickle."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    """One part of a pipeline, as `model_index.json` names it, e.g. unet: diffusers, UNet2DConditionModel."""

    name: str
    library: str
    class_name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineFolder:
    """A folder that `inspect_folder` found complete and harmless."""

    path: Path
    class_name: str
    components: tuple[Component, ...]


def is_pickle(name: str) -> bool:
    """Whether a file of this name would be unpickled."""
    return Path(name).suffix.lower() in PICKLE_SUFFIXES


def refuse_pickles(model: str, path: Path) -> None:
    """Raise `UnsafeWeights` for the first pickle anywhere below `path`, even one that nothing would load."""
    for parent, _, files in os.walk(path, followlinks=True):
        for name in sorted(files):
            if is_pickle(name):
                raise UnsafeWeights(model=model, file=str((Path(parent) / name).relative_to(path)))


def inspect_folder(model: str, path: Path) -> PipelineFolder:
    """Read the index and check every component's files.

    Raises `ModelFilesMissing`, saying which file, where something is absent or damaged, and `UnsafeWeights` where the
    folder asks for code of its own.
    """
    if not path.is_dir():
        raise ModelFilesMissing(model=model, detail=f"no folder {path}")
    index = _read_json(model, path, path / INDEX)
    class_name = index.get("_class_name")
    if not isinstance(class_name, str):
        raise UnsafeWeights(model=model, file=f"{INDEX}: _class_name {class_name}")
    components = tuple(_components(model, index))
    for component in components:
        _check_component(model, path, component)
    return PipelineFolder(path=path, class_name=class_name, components=components)


def _components(model: str, index: dict[str, Any]) -> Iterator[Component]:
    """The entries of the index that are [library, class]; [null, null] is a component that is left out."""
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list):
            continue
        if len(value) != 2 or not all(isinstance(part, str | None) for part in value):
            raise ModelFilesMissing(model=model, detail=f"{INDEX}: {name} is not [library, class]")
        library, class_name = value
        if library and class_name:
            yield Component(name=name, library=library, class_name=class_name)


def _check_component(model: str, root: Path, component: Component) -> None:
    path = root / component.name
    # A name like ../../elsewhere would leave the folder that was checked.
    if path.parent != root or not path.is_dir():
        raise ModelFilesMissing(model=model, detail=f"no folder {component.name}")
    for file in sorted(path.glob("*.json")):
        content = _read_json(model, root, file)
        # Only the Auto classes follow an auto_map, to Python files that the folder brings along.
        if "auto_map" in content and component.class_name.startswith("Auto"):
            raise UnsafeWeights(model=model, file=f"{file.relative_to(root)}: auto_map")
        for shard in sorted(set(content.get("weight_map", {}).values())):
            if not (path / shard).is_file():
                raise ModelFilesMissing(model=model, detail=f"no file {component.name}/{shard}")
    for file in sorted(path.glob("*.safetensors")):
        _check_safetensors(model, root, file)


def _check_safetensors(model: str, root: Path, file: Path) -> None:
    """Opening reads the header, and finds out when the file ends before the last tensor."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise ModelFilesMissing(model=model, detail=f"{file.relative_to(root)}: {summary(error)}") from error


def _read_json(model: str, root: Path, file: Path) -> dict[str, Any]:
    name = file.relative_to(root)
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelFilesMissing(model=model, detail=f"no file {name}") from error
    except (OSError, ValueError) as error:
        raise ModelFilesMissing(model=model, detail=f"{name}: {summary(error)}") from error
    # A tokenizer's vocab.json is an object as well; anything else holds no setting that could matter here.
    return content if isinstance(content, dict) else {}

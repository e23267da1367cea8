"""From an inspected folder to a pipeline whose every weight came from a file.

`from_pretrained` of a pipeline only warns when weights are missing and leaves the rest to chance: noise would be sold
as pictures. So the neural components are loaded one by one, with their loading reports, and the pipeline around them.
"""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from cms_ai_images.exceptions import ModelFilesMissing, OperationNotSupported, UnsafeWeights
from cms_ai_images.types import ModelSpec

from .folder import Component, PipelineFolder


def load_pipeline(spec: ModelSpec, folder: PipelineFolder, dtype: Any) -> Any:
    """A text-to-image pipeline, on the CPU. Raises an `AIImagesError`, or whatever else a damaged folder provokes."""
    pipeline_class = find_pipeline_class(spec, folder.class_name)
    # All classes first: nothing is loaded from a folder that asks for something strange further down.
    classes = {component: find_component_class(spec, component) for component in folder.components}
    networks = {
        component.name: load_network(spec, folder, component, network_class, dtype)
        for component, network_class in classes.items()
        if is_network(network_class)
    }
    pipeline = pipeline_class.from_pretrained(folder.path, dtype=dtype, use_safetensors=True, **networks)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def check_components(spec: ModelSpec, folder: PipelineFolder) -> None:
    """Raise what loading would find of the components before it opens the first weights."""
    for component in folder.components:
        if is_network(find_component_class(spec, component)):
            require_weights(spec, folder, component)


def find_pipeline_class(spec: ModelSpec, class_name: str) -> Any:
    """The class that draws from text with this folder's components: an image-to-image folder can do that as well."""
    import diffusers
    from diffusers.pipelines import auto_pipeline

    pipeline_class = getattr(diffusers, class_name, None)
    if not (isinstance(pipeline_class, type) and issubclass(pipeline_class, diffusers.DiffusionPipeline)):
        raise UnsafeWeights(model=spec.slug, file=f"model_index.json: _class_name {class_name}")
    # These fetch further repositories that a README names, which nobody has looked at.
    if getattr(pipeline_class, "_load_connected_pipes", False):
        raise ModelFilesMissing(model=spec.slug, detail=f"{class_name} needs several repositories")
    text_to_image = auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING
    for family in (auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING, auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING):
        for kind, member in family.items():
            if member is pipeline_class and kind in text_to_image:
                return text_to_image[kind]
    if pipeline_class not in text_to_image.values() and not takes_only_text(pipeline_class):
        raise OperationNotSupported(model=spec.slug)
    return pipeline_class


def takes_only_text(pipeline_class: Any) -> bool:
    """Whether a pipeline that nobody has put into a family draws still pictures from a prompt, step by step."""
    parameters = inspect.signature(pipeline_class.__call__).parameters
    # Without a callback, nobody could cancel it or see how far it is.
    reports_steps = bool({"callback_on_step_end", "callback"} & parameters.keys())
    return "prompt" in parameters and reports_steps and not {"image", "video", "num_frames"} & parameters.keys()


def find_component_class(spec: ModelSpec, component: Component) -> Any:
    """The class of a component: from diffusers, transformers or a module of a pipeline, and from nowhere else."""
    import diffusers
    import transformers

    library: Any = {"diffusers": diffusers, "transformers": transformers}.get(component.library)
    if library is None:
        library = getattr(diffusers.pipelines, component.library, None)
        if not (isinstance(library, ModuleType) and library.__name__.startswith("diffusers.pipelines.")):
            raise UnsafeWeights(model=spec.slug, file=f"model_index.json: {component.library}.{component.class_name}")
    component_class: Any = getattr(library, component.class_name, None)
    is_loadable = isinstance(component_class, type) and hasattr(component_class, "from_pretrained")
    # A pipeline inside a pipeline would bring an index of its own, which nobody has looked at.
    if not is_loadable or issubclass(component_class, diffusers.DiffusionPipeline):
        detail = f"{component.name}: {component.library}.{component.class_name} cannot be loaded"
        raise ModelFilesMissing(model=spec.slug, detail=detail)
    return component_class


def is_network(component_class: Any) -> bool:
    """Whether it has weights; tokenizers, schedulers and image processors have none."""
    import torch

    return issubclass(component_class, torch.nn.Module)


def require_weights(spec: ModelSpec, folder: PipelineFolder, component: Component) -> None:
    """Raise `ModelFilesMissing` where a network comes without any."""
    if not any((folder.path / component.name).glob("*.safetensors")):
        raise ModelFilesMissing(model=spec.slug, detail=f"no safetensors file in {component.name}")


def load_network(spec: ModelSpec, folder: PipelineFolder, component: Component, network_class: Any, dtype: Any) -> Any:
    """One component with its weights. Raises `ModelFilesMissing` unless the files held every one of them."""
    require_weights(spec, folder, component)
    path = folder.path / component.name
    network, report = network_class.from_pretrained(
        path, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    absent = sorted(report["missing_keys"]) + [str(key) for key in report["mismatched_keys"]]
    if absent or report["error_msgs"]:
        detail = f"{component.name}: {len(absent)} weights are missing, such as {(absent or report['error_msgs'])[0]}"
        raise ModelFilesMissing(model=spec.slug, detail=detail)
    return network

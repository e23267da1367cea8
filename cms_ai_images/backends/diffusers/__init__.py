"""Text to image, and image to image, with any diffusers pipeline, from the hub or from a folder.

- `source`    finds the files: a folder of the administrator's, or a hub snapshot of safetensors alone
- `folder`    looks at them before anything is loaded: complete, no pickles, no code
- `loading`   builds the pipeline and refuses one whose weights are missing
- `weights`   merges LoRAs and replacements into it
- `placement` number format, device and the memory options
- `tuning`    options that make it faster on a GPU
- `signatures` what a pipeline can be called with
- `texts`     encodes prompts once and remembers them
- `batching`  which pictures are drawn in one call
- `previews`  small pictures of what there is so far
- `drawing`   one call of the pipeline: seeds, steps, pictures
- `sharing`   other operations with the same weights
- `errors`    what to make of whatever these libraries raise
- `backend`   holds it together

Only the worker uses this package, and even there the heavy libraries are imported inside functions.
"""

from .backend import DiffusersBackend

__all__ = ["DiffusersBackend"]

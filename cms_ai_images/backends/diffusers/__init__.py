"""Text to image with any diffusers pipeline, from the hub or from a folder.

- `source`    finds the files: a folder of the administrator's, or a hub snapshot of safetensors alone
- `folder`    looks at them before anything is loaded: complete, no pickles, no code
- `loading`   builds the pipeline and refuses one whose weights are missing
- `placement` number format, device and the memory options
- `drawing`   one request through the pipeline: seeds, steps, pictures
- `errors`    what to make of whatever these libraries raise
- `backend`   holds it together

Only the worker uses this package, and even there the heavy libraries are imported inside functions.
"""

from .backend import DiffusersBackend

__all__ = ["DiffusersBackend"]

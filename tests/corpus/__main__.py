"""Clean every file in turn and tell of each in a line of JSON: a process that dies has told all but the one at fault.

python -m tests.corpus MEBIBYTES SECONDS
"""

from __future__ import annotations

import json
import resource
import sys
import time
from io import BytesIO

from django.conf import settings
from PIL import Image

settings.configure()

from cms_ai_images.exceptions import AIImagesError  # noqa: E402 - they want settings
from cms_ai_images.safety import upload  # noqa: E402

from .files import CLEANED, FILES, SCRIPT  # noqa: E402


def told(data: bytes) -> dict[str, object]:
    """What became of a file."""
    try:
        picture = upload.clean(data)
    except AIImagesError as error:
        return {"outcome": error.code}
    image = Image.open(BytesIO(picture.data))
    return {
        "outcome": CLEANED,
        "format": image.format,
        "mode": image.mode,
        "frames": getattr(image, "n_frames", 1),
        "size": image.size,
        "largest": max(picture.width, picture.height),
        "metadata": sorted(set(image.info) & {"exif", "icc_profile", "xmp", "comment"}),
        "carries": SCRIPT in picture.data or b"PK\x03\x04" in picture.data,
    }


if __name__ == "__main__":
    memory, seconds = (int(word) for word in sys.argv[1:])
    files = {name: make() for name, (make, _outcome) in FILES.items()}
    resource.setrlimit(resource.RLIMIT_AS, (memory * 2**20, memory * 2**20))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    for name, data in files.items():
        begun = time.process_time()
        result = told(data)
        print(json.dumps({"name": name, "seconds": time.process_time() - begun, **result}), flush=True)  # noqa: T201

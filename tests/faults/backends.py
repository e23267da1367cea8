"""The dummy backend on a bad device."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Sequence

from cms_ai_images.backends.dummy import DummyBackend
from cms_ai_images.exceptions import DeviceLost
from cms_ai_images.types import GeneratedPicture, GenerationParameters, StepCallback

from . import traps


class TroubledBackend(DummyBackend):
    """Its traps at the places `device`, in a call, and `load` are of one of these kinds:

    - `hang`: it says nothing for `seconds`
    - `lingers`: it leaves a thread behind that never ends
    - `lost`: the device is lost
    - `dead`: it never comes back, and no signal wakes it, as a call into a driver
    - `dead_locked`: the same, and it keeps Python's lock
    """

    def load(self) -> None:
        _walk_into("load")

    def generate(self, requests: Sequence[GenerationParameters], on_step: StepCallback) -> list[list[GeneratedPicture]]:
        _walk_into("device")
        return super().generate(requests, on_step)


def _walk_into(place: str) -> None:
    trap = traps.spring(place)
    if trap is None:
        return
    if trap["kind"] == "hang":
        time.sleep(trap["seconds"])
        return
    if trap["kind"] == "lingers":
        threading.Thread(target=time.sleep, args=[trap["seconds"]]).start()
        return
    if trap["kind"] == "lost":
        raise DeviceLost
    library = ctypes.CDLL(None) if trap["kind"] == "dead" else ctypes.PyDLL(None)
    mutex = ctypes.create_string_buffer(256)
    library.pthread_mutex_init(mutex, None)
    for _ in range(2):
        library.pthread_mutex_lock(mutex)

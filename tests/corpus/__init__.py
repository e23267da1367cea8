"""Hostile and odd files, made in memory by a few lines each: nothing of it lies in the repository.

`FILES` has a function for each by its name, with what must become of it: `CLEANED`, or the code of the refusal.
"""

from .files import CLEANED, FILES

__all__ = ["CLEANED", "FILES"]

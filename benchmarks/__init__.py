"""Measures the whole path, with real services and ratios taken in one run. `make bench` prints them as JSON.

`docs/benchmarks.md` says what each benchmark measures and how; `gpu.py` is for a machine with a GPU.
"""

"""Bad days, rehearsed: real workers, a real Valkey and a real database are hurt at random, and nothing may be lost.

`python -m tests.faults --runs 200` prints what was done and what came of it; `AI_IMAGES_FAULT_SEED` repeats a day.
"""

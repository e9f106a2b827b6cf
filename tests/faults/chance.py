"""Chance that can be had again: every test of faults draws from the seed that it prints."""

import os
import time
from random import Random

# FAULTS_SEED repeats a run, as far as the machine lets it be repeated.
SEED = int(os.environ.get("FAULTS_SEED", "0")) or time.time_ns() % 1_000_000


def rng_of(name: str) -> Random:
    """The chance of one test, which prints how to have it again."""
    print(f"FAULTS_SEED={SEED} ({name})")
    return Random(f"{SEED} {name}")

"""`skewed.py DRIVER ARGUMENT…`: runs a driver whose clock is an hour fast."""

from __future__ import annotations

import runpy
import sys
import time

import time_machine

_, driver, *arguments = sys.argv
sys.argv = [driver, *arguments]
with time_machine.travel(time.time() + 3600, tick=True):
    runpy.run_path(driver, run_name="__main__")

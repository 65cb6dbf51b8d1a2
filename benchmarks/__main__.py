"""Runs every benchmark: `python -m benchmarks`, about 20 minutes, printing the tables of README.md."""

from benchmarks import interval_speed, rate_limits, recording, replay, start
from benchmarks.table import show

for module in (start, interval_speed, replay, rate_limits, recording):
    show(module.__name__.removeprefix("benchmarks."), module.rows())

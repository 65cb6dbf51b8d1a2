"""Imported before runs are forked: what is installed is read from disk once. Each run would read all of it, to find plugins."""

import functools
from importlib import metadata

INSTALLED = tuple(metadata.distributions())


def read_once(name: str) -> property:
    """A property of a distribution that is read when it is first asked for."""
    return property(functools.cache(getattr(metadata.Distribution, name).fget))


for _name in ("entry_points", "files", "metadata"):
    setattr(metadata.PathDistribution, _name, read_once(_name))
for _each in INSTALLED:
    if any(point.group == "pytest11" for point in _each.entry_points):
        _ = _each.files, _each.metadata
metadata.distributions = lambda **_: iter(INSTALLED)

"""Samples: loaded from a data set, and frozen beside the recordings."""

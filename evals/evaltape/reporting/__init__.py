"""Everything that people and scripts see of a run."""

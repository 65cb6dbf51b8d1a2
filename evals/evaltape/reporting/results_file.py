"""The results file: the results as JSON, whole or not at all."""

import json
import re
from pathlib import Path

from evaltape.files import write_output
from evaltape.reporting.results import Results

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and UTF-8 can't: some model will write one."""


def write_results(results: Results, path: Path) -> None:
    """Write the results file. Raises `OSError` if it can't be written."""
    text = json.dumps(results.as_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_output(path, LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text) + "\n")

"""The files that `evaltape init` writes, shipped with the package.

They end in `.tmpl`, so that no tool takes them for tests of this repository.
"""

from importlib.resources import files

TESTS = {
    "test_baseline.py": "the assertions on each model",
    "test_finetuned.py": "the same for each tuned model, and its job",
    "test_comparisons.py": "one model against another, or against its past",
    "test_mutants.py": "whether the gates would notice damaged answers",
}
"""The test files, with the purpose of each."""
JUDGES = {"test_judges.py": "whether each judge passes its exam"}
"""The file that only a repository with judges needs."""


def template(name: str, **values: str) -> str:
    """Return the text of a shipped file, with every `@key@` that has a value replaced."""
    text = files(__name__).joinpath(f"{name}.tmpl").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text

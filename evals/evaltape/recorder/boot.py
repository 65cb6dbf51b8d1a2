"""The script that Python runs as the recorder: it sets up imports, then lets `main` do its work.

Modules of the standard library come first, then installed packages, then PYTHONPATH and the folders that the
controller imports from: a file of the user's named `queue.py` or `openai.py` takes no module's place. Python is started with
`-P`, which keeps the folder that it starts in out. This very package is imported from where this file lies, installed or not.
"""

import os
import sys


def import_package() -> None:
    """Import this package, and let it import the controller's modules."""
    import importlib.util
    import json

    sys.path += [folder for folder in json.loads(sys.argv[1]) if folder not in sys.path]
    if "evaltape" in sys.modules:
        return
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = importlib.util.spec_from_file_location("evaltape", f"{folder}/__init__.py", submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["evaltape"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["evaltape"])


if __name__ == "__main__":
    # The folders of PYTHONPATH go behind all others. Before that, nothing but built-in modules is imported.
    named = {os.path.abspath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder}
    sys.path.sort(key=lambda folder: os.path.abspath(folder) in named)
    import_package()

    from evaltape.recorder.main import main

    main()

"""A shell whose `pytest` and `evaltape` come from this process: commands of a document as they stand, without their imports."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.commands import evaltape
from tests.support.project import Project, Run, run_forked

SCRIPT = """#!{python} -IS
import json, os, socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect({address!r})
asked.sendall(json.dumps(["{name}", os.getcwd(), dict(os.environ), sys.argv[1:]]).encode())
asked.shutdown(socket.SHUT_WR)
code, output = json.load(asked.makefile())
sys.stdout.write(output)
sys.exit(code)
"""


class Shell:
    """Runs lines of bash; each `pytest` in them is forked, each `evaltape` runs in this process.

    `programs` is the folder of both, first in the PATH; a test may put others there.
    """

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / "asked"))
        self._listening.listen()
        for name in ("pytest", "evaltape"):
            script = self.programs / name
            script.write_text(SCRIPT.format(python=sys.executable, address=str(folder / "asked"), name=name))
            script.chmod(0o755)
        threading.Thread(target=self._answer, daemon=True).start()

    def run(self, folder: Path, script: str, environment: dict[str, str] | None = None) -> Run:
        """Run a script as a step of a workflow is run: until the first command that fails."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "PIP_NO_INDEX": "1", "COLUMNS": "120", **(environment or {})}
        command = ["bash", "--noprofile", "--norc", "-e", "-c", script]
        done = subprocess.run(
            command, cwd=folder, env=Project.environment(more=own), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return Run(done.returncode, done.stdout)

    def close(self) -> None:
        """Answer no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _answer(self) -> None:
        while True:
            try:
                asking, _ = self._listening.accept()
            except OSError:
                return
            with asking, asking.makefile("rw") as stream:
                name, folder, environment, args = json.load(stream)
                if name == "pytest":
                    run = run_forked(Path(folder), *args, environment=environment)
                    answer = [run.exit_code, run.output]
                else:
                    command = evaltape(Path(folder), *args)
                    answer = [command.exit_code, command.output + command.errors]
                json.dump(answer, stream)

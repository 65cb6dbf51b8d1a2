"""The processes that a run starts itself, its workers and its recorder, forked from the imports that the run was forked from.

A worker that starts from nothing takes a second of imports, more than all else that a run does. A helper, forked before
the run begins, forks them: it has no thread and nothing of the run's in it. They are the run's own children, as if it had
started them: it waits for them, kills them, and hears of their ends. Other commands are started as ever.

Where a test shortens the recorder's waits, the recorder imports this project's modules anew: a constant is changed before any
other module takes it.
"""

import ctypes
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

NAMES = {"exec(eval(": "worker", "boot.py": "recorder"}
"""The names that `ps` shows as the commands of these processes, by a part of the command that would start them."""
LARGEST = 1 << 20
SET_NAME, SET_CHILD_SUBREAPER = 15, 36


def fork_children() -> None:
    """From now on fork this process's workers and its recorder from what is imported now."""
    if sys.platform == "linux":
        subprocess.Popen = forking(fork_helper(), name_of)  # type: ignore[assignment,misc]


def fork_helper(prepare: Callable[[str], None] = lambda name: None, begin: Callable[[], None] = lambda: None) -> socket.socket:
    """Fork a helper from what is imported now; return the socket that it is asked by.

    It calls `begin` first. Each process that it forks calls `prepare` with its name before it becomes what it was asked for.
    """
    control(SET_CHILD_SUBREAPER, 1)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        here.close()
        begin()
        fork_on_request(there, prepare)
    there.close()
    return here


def forking(helper: socket.socket, name_of: Callable[[Any], str | None]) -> type["subprocess.Popen[Any]"]:
    """Return a Popen that asks a helper for the processes that have a name by their command, and starts all others."""
    lock = threading.Lock()

    class Popen(subprocess.Popen[Any]):
        def _execute_child(self, args: Any, *more: Any) -> None:
            name = name_of(args)
            if name is None:
                super()._execute_child(args, *more)  # type: ignore[misc]
                return
            pipes = more[9:15]  # (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
            streams = [own if given == -1 else given for own, given in enumerate((pipes[0], pipes[3], pipes[5]))]
            folder, environment, leads = more[4], more[5], more[20]  # (cwd, env, start_new_session)
            ignores = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            request = [
                name,
                list(map(str, args)),
                str(folder or os.getcwd()),
                dict(os.environ if environment is None else environment),
            ]
            with lock:
                socket.send_fds(helper, [json.dumps([*request, ignores, leads]).encode()], streams)
                self.pid = int(helper.recv(LARGEST))
            self._child_created = True
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    return Popen


def name_of(args: Any) -> str | None:
    """The name of a process of ours, by its command; None for any other."""
    words = args if isinstance(args, list) else []
    return next((name for part, name in NAMES.items() if any(part in str(word) for word in words)), None)


def fork_on_request(requests: socket.socket, prepare: Callable[[str], None]) -> NoReturn:
    """Fork a process for each request, until the process that asks has ended."""
    control(SET_NAME, b"helper")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        request, streams, _, _ = socket.recv_fds(requests, LARGEST, 3)
        if not request:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child == 0:
                os.close(reading)
                os.close(writing)
                requests.close()
                _become(prepare, streams, *json.loads(request))
            os.write(writing, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)  # From here on its child is that of the process that asks.
        requests.send(os.read(reading, 32))
        for descriptor in (reading, writing, *streams):
            os.close(descriptor)


def _become(
    prepare: Callable[[str], None],
    streams: list[int],
    name: str,
    args: list[str],
    folder: str,
    environment: dict[str, str],
    ignores_interrupts: bool,
    leads_session: bool,
) -> NoReturn:
    """Be what `python ARGS` would be."""
    code = 1
    try:
        if leads_session:
            os.setsid()
        control(SET_NAME, name.encode())
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignores_interrupts else signal.default_int_handler)
        for target, descriptor in enumerate(streams):
            os.dup2(descriptor, target)
        for descriptor in streams:
            if descriptor > 2:
                os.close(descriptor)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout, sys.stderr = (open(stream, "w", buffering=1, closefd=False) for stream in (1, 2))  # noqa: SIM115
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        prepare(name)
        _run(args)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(args: list[str]) -> None:
    sys.orig_argv[:] = args
    for folder in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if folder:
            sys.path.insert(0, folder)
        if folder and (Path(folder) / "sitecustomize.py").exists():
            if any(word.endswith("boot.py") for word in args):
                forget("evaltape")
            runpy.run_path(str(Path(folder) / "sitecustomize.py"))
    if "-c" in args:
        sys.argv[:] = args[args.index("-c") :][:1]
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(args[args.index("-c") + 1], main.__dict__)
    elif "-m" in args:
        module = args.index("-m") + 1
        sys.argv[:] = args[module:]
        runpy.run_module(args[module], run_name="__main__", alter_sys=True)
    else:
        script = next(number for number, word in enumerate(args) if word.endswith(".py"))
        sys.argv[:] = args[script:]
        runpy.run_path(args[script], run_name="__main__")


def forget(*packages: str) -> None:
    """Let modules of these packages be imported anew."""
    for name in [name for name in sys.modules if name.split(".")[0] in packages]:
        del sys.modules[name]


def control(option: int, value: int | bytes) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")

"""Single keys from a terminal, without Enter; where the input is no terminal, the first letter of each line."""

import sys


def read_key() -> str:
    """Return one key; `q` at the end of the input. Raises `KeyboardInterrupt` for Ctrl-C."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1] or "\n" if line else "q"
    key = _from_terminal()
    if key == "\x03":
        raise KeyboardInterrupt
    return "q" if key in ("", "\x04") else key


def _from_terminal() -> str:
    try:
        import termios
        import tty
    except ImportError:  # Windows.
        return _from_windows()
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        return sys.stdin.read(1)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _from_windows() -> str:
    import importlib

    key: str = importlib.import_module("msvcrt").getwch()
    return key

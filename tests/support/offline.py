"""A plugin for runs in a project (`-p offline`): every attempt to reach the network is noted in a file, and fails."""

import sys
from pathlib import Path

TRIED = Path(__file__).with_name("tried-to-connect.txt")
EVENTS = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def _refuse(event: str, details: tuple[object, ...]) -> None:
    if event in EVENTS:
        with TRIED.open("a") as file:
            file.write(f"{event} {details}\n")
        raise OSError("this run is offline")


sys.addaudithook(_refuse)

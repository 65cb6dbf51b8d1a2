"""A git repository in a temporary folder, as a user has it."""

import os
import subprocess
from pathlib import Path

SETTINGS = {"user.name": "Ann", "user.email": "ann@example.org", "commit.gpgsign": "false", "init.defaultBranch": "main"}
ENVIRONMENT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *args: str) -> str:
    """Run git in a folder and return what it prints."""
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(["git", *settings, *args], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"git {' '.join(args)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit everything in a folder, which becomes a repository if it isn't one, and return the commit's id."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")

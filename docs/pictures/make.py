"""Makes the pictures of README and the documentation: the report, and a pull request's comment as GitHub shows it.

    python docs/pictures/make.py

It copies this repository's recordings to a folder of their own and makes one change there, as a limit on the answers' length
would: many answers of the tuned model end after a few words. Then it runs `pytest evals --against HEAD --report --comment` in
it, and takes pictures of both files with Chromium. It calls no API.
"""

import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from markdown_it import MarkdownIt

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
PARTS = ("conftest.py", "pytest.ini", "evals", "cassettes")
CUT, WORDS = 90, 5
"""How many recorded answers are cut, and to how many words."""
LARGEST = 150_000
"""Bytes of a picture."""
STYLE = """
body { margin: 0; padding: 24px; background: #fff; color: #1f2328;
  font: 13px/1.45 system-ui, "Segoe UI", "Noto Sans", sans-serif; }
.box { border: 1px solid #d1d9e0; border-radius: 6px; max-width: 860px; }
.who { padding: 8px 16px; background: #f6f8fa; border-bottom: 1px solid #d1d9e0; color: #59636e; }
.who b { color: #1f2328; }
.body { padding: 4px 16px 16px; }
h2 { font-size: 1.4em; border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; } h3 { font-size: 1.2em; }
table { border-collapse: collapse; margin: 12px 0; display: block; } th, td { border: 1px solid #d1d9e0; padding: 5px 11px; }
tr:nth-child(even) td { background: #f6f8fa; } code { font: 85% ui-monospace, monospace; }
pre { background: #f6f8fa; padding: 12px; border-radius: 6px; overflow: hidden; } p, ul { margin: 8px 0; }
b.passed, b.failed, b.open { display: inline-block; width: 1.3em; border-radius: 3px; color: #fff;
  text-align: center; line-height: 1.3; }
b.passed { background: #2da44e; } b.failed { background: #cf222e; } b.open { background: #8c959f; }
"""


SIGNS = {"✅": ("✓", "passed"), "❌": ("✗", "failed"), "❔": ("?", "open")}


def main() -> None:
    """Make both pictures beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        make_change(root)
        command = [sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:xdist", "--against", "HEAD"]
        subprocess.run([*command, "--report", "report.html", "--comment", "comment.md"], cwd=root, capture_output=True)
        take(root / "report.html", HERE / "report.png", 1040, 860)
        page = root / "comment.html"
        page.write_text(as_github_shows(root / "comment.md"), encoding="utf-8")
        take(page, HERE / "comment.png", 920, 860)


def make_change(root: Path) -> None:
    """Copy the repository, commit it, and cut some recorded answers of the tuned model."""
    for name in PARTS:
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        root.mkdir(exist_ok=True)
        copy(source, root / name)
    suite = root / "evals/suites/chats.toml"
    suite.write_text(suite.read_text(encoding="utf-8") + "\n[against]\nmax_drop = { rougeL = 0.02 }\n", encoding="utf-8")
    git = ["git", "-c", "user.name=Evaltape", "-c", "user.email=evaltape@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Recordings"]):
        subprocess.run([*git, *words], cwd=root, check=True)
    for path in sorted((root / "cassettes/chats/smollm2-chats").glob("c*.yaml"))[:CUT]:
        path.write_text(cut_answer(path.read_text(encoding="utf-8")), encoding="utf-8")


def cut_answer(cassette: str) -> str:
    """Return a cassette whose answer has its first words alone."""
    answer = re.compile(r'("role": ?"assistant",\s*"content": ?"|"content": ?")((?:[^"\\]|\\.)*)(")')
    *_, last = answer.finditer(cassette)
    words = " ".join(last[2].split(" ")[:WORDS])
    return f"{cassette[: last.start(2)]}{words}{cassette[last.end(2) :]}"


def as_github_shows(comment: Path) -> str:
    """Return a comment as a page like GitHub's."""
    body = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(comment.read_text(encoding="utf-8"))
    for sign, (shown, kind) in SIGNS.items():  # Not every machine has a font with these.
        body = body.replace(sign, f"<b class={kind}>{shown}</b>")
    head = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>"
    return f"{head}<div class=box><div class=who><b>github-actions</b> bot commented</div><div class=body>{body}</div></div>"


def take(page: Path, picture: Path, width: int, height: int) -> None:
    """Take a picture of a page's upper part, in few colours: it is text."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium isn't installed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--no-sandbox",
            "--headless=new",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-lcd-text",
        ]
        options += [f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={picture}"]
        subprocess.run([chromium, *options, page.as_uri()], check=True, capture_output=True)
    picture.write_bytes(smaller(picture.read_bytes()))
    size = picture.stat().st_size
    print(f"{picture.name}: {size:,} bytes")
    if size > LARGEST:
        sys.exit(f"{picture.name} is larger than {LARGEST:,} bytes")


def smaller(png: bytes) -> bytes:
    """Return the same picture, packed as well as zlib can; what isn't pixels is left out."""
    parts, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        parts.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    pixels = zlib.compress(zlib.decompress(b"".join(data for kind, data in parts if kind == b"IDAT")), 9)
    kept = [next(part for part in parts if part[0] == b"IHDR"), (b"IDAT", pixels), (b"IEND", b"")]
    return png[:8] + b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in kept)


if __name__ == "__main__":
    main()

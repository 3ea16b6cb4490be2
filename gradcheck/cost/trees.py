"""Versions of the code to measure: what lies here, another revision of it, what another Python has installed."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


@dataclass(frozen=True)
class Tree:
    """A version of the code: the folder to run in, where to import from, and the Python that runs it.

    Where there is a ``root``, the measured code must lie in it: the installed one must not pass for a revision.
    """

    name: str
    folder: Path
    path: tuple[str, ...] = ()
    python: str = sys.executable
    root: Path | None = None


def here(folder: Path | None = None) -> Tree:
    """The code as it lies in this folder, the current one by default."""
    folder = folder or Path.cwd()
    return Tree("head", folder, (str(folder), *_inside(folder)))


@contextmanager
def base(named: str, folder: Path | None = None) -> Iterator[Tree]:
    """A revision of the git repository in this folder, or what the Python of this path has installed.

    The revision is unpacked into a temporary folder; the repository is left alone. Raises ValueError where the name is
    neither.
    """
    folder = folder or Path.cwd()
    if python := shutil.which(named):
        yield Tree(f"base ({named})", folder, (), python)
        return
    root = _git(folder, "rev-parse", "--show-toplevel")
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{named}^{{commit}}")
    if root.returncode or commit.returncode:
        why = f"{folder.name} is in no git repository" if root.returncode else "the repository has no such revision"
        raise ValueError(f"cannot compare with {named!r}: {why}; name a revision, or the python of another environment")
    top = Path(root.stdout.decode().strip())
    archive = _git(top, "archive", commit.stdout.decode().strip())
    if archive.returncode:
        raise ValueError(f"cannot unpack {named!r}: {archive.stderr.decode().strip()}")
    with TemporaryDirectory() as unpacked:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(unpacked, filter="data")
        there = Path(unpacked)
        # What is importable from inside the repository, `src` say, is so from the same place of the revision.
        path = [str(there / Path(entry).relative_to(top)) for entry in _inside(top)]
        within = there / folder.resolve().relative_to(top.resolve())
        yield Tree(f"base ({named})", within, (str(within), *filter(os.path.isdir, path)), root=there)


def _inside(folder: Path) -> list[str]:
    """The entries of sys.path inside a folder, but for installed packages."""
    entries = [Path(entry) for entry in sys.path if entry]
    return [str(entry) for entry in entries if folder in entry.parents and "site-packages" not in entry.parts]


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise ValueError("git is not installed: only the python of another environment can be compared with") from error

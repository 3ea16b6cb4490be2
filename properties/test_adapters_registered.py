"""An adapter of another package is found by its entry point: the README's ten lines, installed and used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from properties.test_readme import BLOCKS

USE = """
import numpy as np, gradcheck
class Cube:
    def __init__(self, factor): self.factor = factor
    def up(self, x): return x**3
    def down(self, x, dy): return self.factor * x**2 * dy
for factor in (3, 6):
    print(gradcheck.check(Cube(factor), np.array([0.5, -2.0])).headline())
"""


def installed(folder: Path, adapter: str) -> Path:
    """The block as a package on a path of its own, with the entry point that its first lines tell of."""
    (name,) = re.findall(r"^# ([\w.]+), in a package", adapter)
    (folder / name).write_text(adapter, encoding="utf-8")
    toml = re.findall(r"^#   (.*)$", adapter, re.MULTILINE)
    group, (key, module) = re.findall(r'"(.*)"', toml[0])[0], re.findall(r'(\w+) = "(.*)"', toml[1])[0]
    info = folder / "mylib-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mylib\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{key} = {module}\n", encoding="utf-8")
    return folder


def judged(folder: Path) -> subprocess.CompletedProcess[str]:
    """What a process prints that has the folder on its path and knows nothing of the adapter."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{USE}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


ADAPTER = next(block for language, block in BLOCKS if language == "python" and "gradcheck.adapters" in block)


def test_the_readmes_adapter_is_found_and_used(tmp_path):
    """Objects of a convention that gradcheck does not know are judged, right and wrong."""
    done = judged(installed(tmp_path, ADAPTER))
    assert done.returncode == 0, done.stderr
    right, wrong = done.stdout.splitlines()
    assert right.startswith("Cube: backward agrees with the finite differences")
    assert wrong == "Cube: backward of x is 2× the finite difference, everywhere"


def test_the_readmes_adapter_is_ten_lines():
    """Comments and blank lines aside."""
    assert len([line for line in ADAPTER.splitlines() if line.strip() and not line.startswith("#")]) <= 10


def test_without_its_entry_point_the_object_is_refused(tmp_path):
    """It is the entry point that does it."""
    done = judged(tmp_path)
    assert done.returncode == 1
    assert "cannot make a target of Cube" in done.stderr


@pytest.mark.parametrize("missing", ["recognises", "adapt"])
def test_an_incomplete_adapter_is_named_with_what_it_lacks(tmp_path, missing):
    """The entry point, the object it gives and the function it has not."""
    done = judged(installed(tmp_path, ADAPTER.replace(f"def {missing}", f"def not_{missing}")))
    assert done.returncode == 1
    assert "the entry point 'mylib' of group 'gradcheck.adapters' gives module" in done.stderr
    assert f"which has no function {missing}" in done.stderr

"""Environment: what a verdict was reached with, for the record: versions, BLAS, machine and commit."""

import functools
import os
import platform
import subprocess
import sys
from typing import Any

import gradcheck

_TOLD = ("numpy", "scipy", "hypothesis", "torch", "jax", "autograd", "tensorflow", "ml_dtypes")


@functools.cache
def environment() -> dict[str, Any]:
    """Versions of gradcheck, Python and what is loaded of NumPy and the frameworks; BLAS, platform, cores, commit.

    >>> sorted(environment())[:3]
    ['blas', 'commit', 'cores']
    """
    loaded = {name: sys.modules[name] for name in _TOLD if name in sys.modules}
    versions = {name: str(getattr(module, "__version__", "?")) for name, module in loaded.items()}
    return {
        "gradcheck": gradcheck.__version__,
        "python": platform.python_version(),
        **versions,
        "blas": _blas(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "commit": _commit(),
    }


def _blas() -> str:
    """The name and version of what NumPy multiplies matrices with: results differ from one to the other by rounding."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return ""
    build = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{build.get('name', '')} {build.get('version', '')}".strip()


def _commit() -> str:
    """The commit of the directory that the command runs in, + where files differ from it; empty without git."""
    described = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(described, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

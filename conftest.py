"""What every test may ask for: a framework that is not one of gradcheck's dependencies."""

import importlib
import os
from collections.abc import Callable
from types import ModuleType

import pytest

pytest_plugins = ("pytester",)  # runs pytest on files that a test writes: how the plugin is tested

FRAMEWORK_OF = {"torch_.py": "torch", "jax_.py": "jax", "autograd_.py": "autograd", "tapes.py": "mygrad"}
"""Modules whose doctests show a framework."""


def framework(name: str) -> ModuleType:
    """Import a framework by name; where it is missing skip the test, or fail it if GRADCHECK_REQUIRE_ALL=1 (CI)."""
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        if os.environ.get("GRADCHECK_REQUIRE_ALL") == "1":
            pytest.fail(f"GRADCHECK_REQUIRE_ALL=1 but {name} cannot be imported: {missing}")
        pytest.skip(f"needs {name}, which is not installed: {missing}")


@pytest.fixture(scope="session")
def require() -> Callable[[str], ModuleType]:
    """Import a framework by name, or skip, or fail: see `framework`."""
    return framework


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A doctest of an adapter needs its framework as a test does."""
    if isinstance(item, pytest.DoctestItem) and item.path.name in FRAMEWORK_OF:
        framework(FRAMEWORK_OF[item.path.name])

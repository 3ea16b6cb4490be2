"""What every test may ask for: a framework that is not one of gradcheck's dependencies."""

import importlib
import os
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def require() -> Callable[[str], ModuleType]:
    """Import a framework by name; where it is missing skip the test, or fail it if GRADCHECK_REQUIRE_ALL=1 (CI)."""

    def framework(name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ImportError as missing:
            if os.environ.get("GRADCHECK_REQUIRE_ALL") == "1":
                pytest.fail(f"GRADCHECK_REQUIRE_ALL=1 but {name} cannot be imported: {missing}")
            pytest.skip(f"needs {name}, which is not installed: {missing}")

    return framework

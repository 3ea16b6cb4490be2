"""The hooks that gradcheck's plugin calls: implement them in a conftest.py or a plugin of your own."""

from typing import Any

import pytest


def pytest_gradcheck_targets(config: pytest.Config) -> Any:
    """Return targets to check besides those of the command line, or of the ini file where it names none.

    A mapping of id to layer, or a list of "module:attr". A layer is whatever `gradcheck.as_target` understands; its
    attribute `gradcheck_shapes` says what inputs to draw. Called once, before the first test that asks for
    `gradcheck_target` is collected.
    """


def pytest_gradcheck_record(record: dict[str, Any], item: pytest.Item, report: Any) -> None:
    """See one verdict before it is written; `record` may be changed in place, and must stay JSON.

    Called once for each target that a test judged, after the test ran, in the process that ran it. `report` is the
    `gradcheck.Report`.
    """

"""The options and ini keys that pytest knows of on every run; `reading` reads them, where a run says anything."""

import pytest

SUFFIXES = (".html", ".jsonl")
INI = {"targets": "linelist", "dtypes": "args", "strict": "bool", "report": "string", "xfails": "string"}


def add(parser: pytest.Parser) -> None:
    """Add them to pytest's."""
    group = parser.getgroup("gradcheck", "gradients")
    for name, action, metavar, text in (
        ("target", "append", "MODULE:ATTR", "a layer to check, or a list or dict of them, with --pyargs "
         "gradcheck.suite or with tests of yours that take gradcheck_target; repeatable"),
        ("shapes", "append", '"x: n,k; w: k,m"', "the inputs of those layers: equal letters are equal sizes, a number "
         "is a fixed one; found by trying where not given"),
        ("dtype", "append", "DTYPE", "of the inputs that are drawn; repeatable"),
        ("report", "store", "PATH", f"write the verdicts to PATH, {' or '.join(SUFFIXES)}"),
        ("xfails", "store", "FILE", "expect the tests listed in FILE to fail, one id a line, a reason after #"),
        ("shard", "store", "I/N", "run the I-th of N parts of the tests"),
    ):  # fmt: skip
        group.addoption(f"--gradcheck-{name}", action=action, metavar=metavar, help=text)
    group.addoption("--gradcheck-plot", action="store_true", help="draw the V-curve and the wrong entries of a failure")
    group.addoption("--gradcheck-strict", action="store_true", default=None, help="fail where nothing could be told")
    for name, kind in INI.items():
        relative = "; relative to the ini file" if kind == "string" else ""
        option = name if kind == "string" else name.removesuffix("s")
        parser.addini(f"gradcheck_{name}", f"see --gradcheck-{option}{relative}", type=kind, default=None)  # type: ignore[arg-type]


def given(config: pytest.Config) -> bool:
    """Does the command line or the ini file say anything to gradcheck?"""
    said = [value for name, value in vars(config.option).items() if name.startswith("gradcheck_")]
    said += [config.getini(f"gradcheck_{name}") for name in INI]
    return any(value is not None and value is not False for value in said)

"""What the commands' arguments are read with; an error is one line, and pytest's code for it."""

import argparse
import math
import sys
from typing import NoReturn, TypeAlias

OK, WRONG, BROKEN, USAGE = 0, 1, 3, 4
"""The exit codes of pytest that the commands end with."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors exit with pytest's code for them, 4, where argparse has 2."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message on stderr, and leave."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # argparse has no public name for it


def whole(text: str) -> int:
    """Any whole number; raises argparse.ArgumentTypeError for anything else, as all here do.

    >>> whole("3.5")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: '3.5' is no whole number
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def count(text: str) -> int:
    """A whole number of at least 1."""
    return _at_least(1, text)


def seed(text: str) -> int:
    """A whole number of at least 0."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if (number := whole(text)) < least:
        raise argparse.ArgumentTypeError(f"{number} is below {least}")
    return number


def real(text: str) -> float:
    """Any number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def positive(text: str) -> float:
    """A finite number above 0."""
    number = real(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no positive number")
    return number


def shard(text: str) -> tuple[int, int]:
    """The I-th of N parts."""
    from gradcheck.plugin.selection import parse_shard

    try:
        return parse_shard(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def several(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them.

    >>> several("3,2")
    (3, 2)
    """
    return tuple(whole(part) for part in text.split(","))


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(part.strip() for part in text.split(","))

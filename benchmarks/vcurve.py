"""The V-curve of docs/verdict.md, drawn from a real sweep: `python -m benchmarks.vcurve`.

Each row is a rung: its step, how far the central difference is from the claim, the noise bar of the judge, and the
same distance as a bar on a logarithmic scale from 1e-13 to 1.
"""

import math

import numpy as np

from gradcheck.judge.bench import Bench
from gradcheck.judge.moves import Line
from gradcheck.judge.probe import Prober
from gradcheck.judge.sweep import SAFETY
from gradcheck.target import from_pair

STEPS = 10.0 ** np.arange(-11, 0.5)


def curve(wrong: float = 0.0) -> list[tuple[float, float, float]]:
    """(step, |numeric − claimed|, noise bar) of exp at 0.7 with a claim off by the relative error `wrong`."""
    target = from_pair(np.exp, lambda inputs, g: (g * np.exp(inputs[0]),))
    bench = Bench(target, [np.array([0.7])])
    origin = bench.value()
    prober = Prober(bench, origin)
    line = Line(0, np.array([0.7]), np.ones((1, 1)), [np.exp([0.7]) * (1 + wrong)])
    sigma = SAFETY * np.finfo(float).eps * 0.5 * float(origin[0])
    rows = []
    for step in STEPS:
        right, left = prober.glimpse(line, float(step)), prober.glimpse(line, -float(step))
        assert right is not None
        assert left is not None
        rows.append((float(step), abs(float(right.residual[0] - left.residual[0])) / (2 * step), sigma / step))
    return rows


def main() -> None:
    """Print the right claim's V and the plateau of a claim that is off by 1e-6."""
    for title, wrong in (("right claim", 0.0), ("claim off by 1e-6", 1e-6)):
        print(f"{title}\n{'step':>8}  {'residual':>8}  {'noise bar':>9}")
        for step, residual, noise in curve(wrong):
            length = max(0, round(3 * (math.log10(max(residual, 1e-13)) + 13)))
            print(f"{step:8.0e}  {residual:8.1e}  {noise:9.1e}  {'#' * length}")
        print()


if __name__ == "__main__":
    main()

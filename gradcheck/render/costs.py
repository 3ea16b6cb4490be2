"""Costs: how a backward pass grows with its size, as a record beside those of verdicts."""

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.render.records import Record, jsonable, signed

if TYPE_CHECKING:
    from gradcheck.cost.curve import Curve

POINTS = 40
"""Of the fitted line, evenly spaced in the logarithm of the size."""


def cost_record(curve: "Curve", *, target_ref: str) -> Record:
    """The record of a `gradcheck.cost.curve.Curve`. target_ref: a target that ``gradcheck cost`` takes, or a test's id.

    >>> from gradcheck.cost.curve import cost_curve
    >>> curve = cost_curve(lambda x: (x, lambda g: (g * 1.0,)), (10, 20, 50, 100, 200), x=("n",))
    >>> from gradcheck.render.records import cost_of
    >>> cost_of(cost_record(curve, target_ref="layers:same")).sizes
    (10.0, 20.0, 50.0, 100.0, 200.0)
    """
    dense = np.geomspace(curve.sizes[0], curve.sizes[-1], POINTS)
    fitted, half = curve.time.at(dense)
    fixed, linear, _ = curve.time.coefficients
    straight = fixed + linear * (dense / curve.time.largest) ** curve.time.order
    points = zip(dense, fitted, half, straight, strict=True)
    share = curve.time.share
    return signed(
        {
            "verdict": curve.verdict.value,
            "target": curve.name,
            "ref": target_ref,
            "headline": curve.headline(),
            "cost": {
                "per": curve.per,
                "sizes": list(curve.sizes),
                "seconds": curve.seconds.tolist(),
                "fit": jsonable([[float(f"{n:.6g}") for n in point] for point in points]),
                "share": jsonable([share.low, share.value, share.high]),
                "said": str(curve),
            },
        }
    )

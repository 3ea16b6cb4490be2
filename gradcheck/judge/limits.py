"""Limits: whether claims at a kink, outside the one-sided slopes there, are some that gradients nearby tend to.

The middle one of three equal entries of a sort moves nothing either way by itself, yet the gradients around, where the
tie is broken, are ones and zeros, and each of them is a right claim (Clarke, Optimization and Nonsmooth Analysis,
1983). A backward that serves two tied maxima in full claims what no point nearby has.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from gradcheck.judge.moves import Blocks, each
from gradcheck.judge.probe import Prober
from gradcheck.judge.reals import Array, as_real

CLOSE = 1e-3
"""Of a claim's size, how far from a slope it may be: more than what changes over the steps around the point."""
_WALK = 257
"""Points of a walk across the kinks: dense about its middle, where most of them are met."""
_WALKS = 12
_FAR = 4096
"""How far a walk goes, over how far aside of the point it passes: kinks that lie more nearly along it are not met, and
matter no more than CLOSE.
"""


class Limits:
    """Slopes around a point along a direction of one block, or of several, and what is claimed of some outputs there.

    rows: (outputs, entries of the block), a claimed gradient each. told: the smallest step that tells the disagreement
    from noise; nearer by there is nothing to see.
    """

    def __init__(
        self,
        prober: Prober,
        rng: "np.random.Generator",
        position: Blocks,
        direction: Array,
        outputs: Array,
        rows: Array,
        told: float,
    ) -> None:
        self.prober, self.rng = prober, rng
        self.position, self.direction, self.outputs = position, direction, outputs
        self.step = 3 * max(prober.scale(position).small, told)
        self.claims = rows @ direction
        self.rests = np.any(rows != 0, axis=0)
        self.sizes = np.abs(rows) @ np.abs(direction)

    def hold(self) -> bool:
        """Whether every output whose slope at the point disagrees has such a claim."""
        here = self._slopes(np.zeros_like(self.direction), self.step)
        if here is None:
            return False
        self.sizes = self.sizes + np.abs(here)
        differs = np.abs(self.claims - here) > CLOSE * self.sizes
        return bool(differs.any()) and (self._sampled(differs) or self._crossed(differs))

    def _sampled(self, differs: Array) -> bool:
        """Whether they lie between the slopes at points around, which closer by are no closer to each other."""
        reach = 10 * self.step * self.prober.unit(self.position)
        # half of the points keep what the claims rest on in the midst of the rest, where such a claim is made
        rests = np.where(self.rests, 0.1, 1.0)
        seen: dict[int, list[Array]] = {1: [], 8: []}
        ties = _ties([self.prober.bench.primals[p] for p in each(self.position)])
        # Of two ties both orders are met; the extreme of many may not be among the samples.
        loose = max(CLOSE, 300 * self.prober.scale(self.position).eps / self.step) if ties < 3 else 0.05
        for n in range(48 + 16 * ties):
            shrink = 8 if n % 2 else 1
            aside = reach * self.rng.uniform(-1.0, 1.0, reach.size) * (rests if n % 4 > 1 else 1.0) / shrink
            slopes = self._slopes(aside, 0.1 * self.step)
            if slopes is None:
                continue
            seen[shrink].append(slopes)
            if n < 15 or n % 2 == 0:
                continue
            far, near = np.array(seen[1]), np.array(seen[8])
            spread = np.ptp(near, axis=0)
            kinked = spread > np.maximum(0.3 * np.ptp(far, axis=0), 0.01 * self.sizes)
            low, high = (np.minimum(far.min(0), near.min(0)), np.maximum(far.max(0), near.max(0)))
            between = kinked & (low - loose * spread <= self.claims) & (self.claims <= high + loose * spread)
            if between[differs].all():
                return True
            if n >= max(47, 8 * ties) and not kinked[differs].all():
                return False  # smooth hereabouts: closer by, slopes are closer too, and there is but one right claim
        return False

    def _crossed(self, differs: Array) -> bool:
        """Whether they take a side of each kink by itself, where several meet in one output.

        The loss of a ReLU network is a sum of kinks at weights of 0, some opening and some closing along any direction;
        0 for each is right, and between no slopes. A walk past the point, aside in all blocks, crosses one kink after
        the other: a claim may have each jump of the slope, or not.
        """
        least, most = np.full_like(self.claims, np.inf), np.full_like(self.claims, -np.inf)
        for low, high in self._walks():
            least, most = np.minimum(least, low), np.maximum(most, high)
            allowed = CLOSE * np.maximum(self.sizes, most - least)
            if ((least - allowed <= self.claims) & (self.claims <= most + allowed))[differs].all():
                return True
        return False

    def _walks(self) -> Iterator[tuple[Array, Array]]:
        """The least and the most of each output's slope with any of the kinks crossed, walk by walk: two kinks that one
        meets in the same stride may hide each other.
        """
        everything = tuple(self.prober.bench.blocks)
        unit = self.prober.unit(everything)
        sizes = [as_real(self.prober.bench.primals[p]).size for p in everything]
        own = np.repeat([p in each(self.position) for p in everything], sizes)
        along = np.zeros(unit.size)
        along[own] = self.direction
        depth = np.arcsinh(_FAR)
        for n in range(_WALKS):
            far = min((_FAR if n % 2 else 64) * self.step, 0.03)  # where noise is least, or what is smooth bends least
            near = far / _FAR
            steps = near * np.sinh(np.linspace(-depth, depth, _WALK))
            apart = np.repeat(8.0 ** self.rng.uniform(-1.0, 1.0, len(sizes)), sizes)  # weights and biases as unlike
            aside = near * unit * apart * self.rng.uniform(-1.0, 1.0, unit.size)
            if n % 3 == 2:  # aside in the others alone, or far more in this block, meets two kinks in one stride
                aside = np.where(own, 0.0, aside + 0.5 * near * unit * apart * np.sign(aside))
            path = [self.prober.at(everything, aside + t * along, 1.0) for t in steps]
            if any(point is None for point in path):
                continue
            values = np.array([point[1][self.outputs] for point in path if point is not None], dtype=float)
            lengths = np.diff(steps)[:, None]
            slopes = np.diff(values, axis=0) / lengths
            jumps = np.diff(slopes, axis=0)
            # what is smooth bends by about the same everywhere, and noise is as large: a kink stands out of both;
            # bends are looked at where strides are long, and noise where they are short
            bends, noises = lengths[1:] + lengths[:-1], 1 / lengths[1:] + 1 / lengths[:-1]
            short = np.abs(np.arange(_WALK - 2) - _WALK // 2 + 1) < _WALK // 8
            usual = [
                np.median(np.abs(jumps[where]) / size[where], axis=0) * size
                for where, size in ((~short, bends), (short, noises))
            ]
            rounded = self.prober.scale(self.position).eps * (np.abs(values).max(axis=0) + self.sizes) * noises
            jumps = np.where(np.abs(jumps) > np.maximum(16 * np.maximum(*usual), 4 * rounded), jumps, 0.0)
            crossed = np.concatenate([np.zeros((1, self.outputs.size)), np.cumsum(jumps, axis=0)])
            crossed -= crossed[_WALK // 2]
            base = np.sum((slopes - crossed) * lengths, axis=0) / lengths.sum()
            jumps[: _WALK // 2] *= -1  # met on the way back
            yield base + np.minimum(jumps, 0).sum(axis=0), base + np.maximum(jumps, 0).sum(axis=0)

    def _slopes(self, aside: Array, step: float) -> Array | None:
        """The slopes of the outputs along the direction, at a point a little aside."""
        right = self.prober.at(self.position, aside + step * self.direction, 1.0)
        left = self.prober.at(self.position, aside - step * self.direction, 1.0)
        if right is None or left is None:
            return None
        return np.asarray((right[1] - left[1])[self.outputs] / (2 * step), dtype=float)


def _ties(primals: Sequence[Array]) -> int:
    """How many entries are equal at the most: which of them comes first nearby is chance, one in so many."""
    values = np.concatenate([as_real(primal).astype(float) for primal in primals])
    return int(min(64, np.unique(values, return_counts=True)[1].max()))

"""Summary: what was recognised of a layer, and what is not judged, in sentences."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradcheck.adapters.assignment import Leaf
from gradcheck.adapters.methods import bound, input_names, spell, written
from gradcheck.adapters.naming import KEPT
from gradcheck.adapters.passes import is_label
from gradcheck.adapters.walk import spelled
from gradcheck.adapters.wording import last_return, tree_of

if TYPE_CHECKING:
    from gradcheck.adapters.recognise import Recognised


def in_words(found: "Recognised", leaves: Sequence[Leaf]) -> str:
    """What was recognised, in one sentence."""
    passes, done = found.observed.passes, found.done
    forward = f"{spell(passes.forward)}({', '.join(input_names(bound(done.layer, passes.forward)))})"
    returned = {i: path[0].key != "layer" for i, path in found.places.of_inputs.items()}
    kept = {name or f"input {i}": found.places.of_inputs[i] for i, name, _ in leaves if returned.get(i) is False}
    gradients = (found.places.of_parameters | kept).items()
    where = ", ".join(f"{name} in {spelled(path).replace('layer.', 'self.', 1)}" for name, path in gradients)
    inputs = ", ".join(f"d{name or i}" for i, name, _ in leaves if returned.get(i))
    parts = [f"recognised: {forward}", f"{spell(passes.backward)} returns {inputs or 'no gradient of an input'}"]
    if last_return(tree_of(written(done.layer, passes.forward))) is None:  # it leaves its value under a name
        own = [name for name in KEPT if done.outcome is getattr(done.layer, name, None)]
        parts[1:1] = [f"leaves its value in self.{name}" for name in own[:1]]
    if done.spare is not None:
        parts.insert(1, "returns (value, cache)")
    if where:
        parts.append(f"gradients: {where}")
    return "; ".join(parts)


def held_fixed(found: "Recognised", leaves: Sequence[Leaf], frozen: Sequence[int | str]) -> Iterable[str]:
    """What is not judged, and why."""
    if found.given is None:
        for name in found.observed.parameters:
            if name not in found.places.of_parameters and name not in frozen:
                yield f"{name} alters the value and no gradient of it was found: held fixed, not judged"
    for i, label, _ in leaves:
        told = i in frozen or label in frozen or is_label(label, [name for _, name, _ in leaves])
        if i not in found.places.of_inputs and not told:
            yield f"backward returns no gradient of {label or f'input {i}'}: held fixed, not judged"

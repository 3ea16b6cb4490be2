"""TensorFlow: functions of tensors, tf.custom_gradient and Keras layers as targets."""

import importlib
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters.derivatives import Back, Pushforward, bound, derivative, unbound
from gradcheck.adapters.flat import Array, away_from_constants, flattened, framework
from gradcheck.adapters.holdings import held_by
from gradcheck.adapters.trees import leaves
from gradcheck.floats import differentiable
from gradcheck.target import Target, name_of, names_of

_FORWARD_SEED, _BACKWARD_SEED = 0, 1
"""Not the same: a backward that draws its mask anew, rather than remember it, has to be caught."""


def recognises(obj: Any) -> bool:
    """Whether an object is TensorFlow's or Keras': a layer, a tf.function, a custom_gradient; imports neither."""
    if "tensorflow" not in sys.modules or isinstance(obj, type) or not callable(obj):
        return False
    homes = {str(getattr(kind, "__module__", "")).split(".")[0] for kind in (obj, *type(obj).__mro__)}
    return bool(homes & {"tensorflow", "keras", "tf_keras"}) or hasattr(obj, "_tf_decorator")


def adapt(obj: Any, **options: Any) -> Target:
    """The entry of this adapter for `as_target`: `from_tensorflow`."""
    return from_tensorflow(obj, **options)


def from_tensorflow(
    function: Any, *, name: str | None = None, frozen: Iterable[int | str] = (), training: bool | None = None
) -> Target:
    """A target from a function of TensorFlow's tensors or a Keras layer, whose trainable variables are judged.

    Inputs are NumPy arrays or tensors, nested or not. A Keras layer computes in its own dtype, float32 unless it was
    made with another: `Dense(3, dtype="float64")` is judged more sharply. training: what it is told of that name; Keras
    takes None for inference, where dropout and batch norm are no such thing. State that a layer keeps starts from the
    same for every call, and so do random numbers; both are put back.
    Raises TypeError for what cannot be called. Source: Abadi et al., TensorFlow, OSDI 2016.
    """
    framework("tensorflow", "from_tensorflow")
    label = derivative(name or name_of(function), 1, "reverse")
    if not callable(function):
        raise TypeError(f"from_tensorflow takes a function of tensors or a Keras layer, got {function!r:.60}")
    names = names_of(getattr(function, "call", function))

    def bind(*inputs: Any) -> tuple[Target, tuple[Any, ...]]:
        flat = flattened(inputs, names, _is_array, frozen, label)
        arrays = [np.array(leaf) for leaf in flat.originals]
        moving = [differentiable(a) and i not in flat.frozen for i, a in enumerate(arrays)]
        told = {} if training is None else {"training": training}

        def run(values: Sequence[Any]) -> Any:
            return function(*flat.rebuilt(values), **told)

        if not getattr(function, "built", True):
            _build(run, arrays)
        trained = {_label(v): _variable(v) for v in getattr(function, "trainable_variables", ())}
        parameters, notes = away_from_constants({k: np.array(v.numpy()) for k, v in trained.items()})
        call = Call(run, [*trained.values()], _state(function), moving + [True] * len(trained))
        with suppress(Exception):
            call.watch([*arrays, *parameters.values()])
        if call.draws:
            notes.append("random numbers are drawn: TensorFlow's are seeded before every call")
        return bound(label, call, call.moving, (*flat.names, *parameters), parameters, notes, "reverse"), tuple(arrays)

    return unbound(label, names, bind)


@dataclass
class Call:
    """run: from input tensors to outputs. variables: the parameters, last among the inputs. kept: all that is put back.

    `draws`: random numbers are drawn from TensorFlow's global stream, which is seeded for every call: 14 ms each.
    """

    run: Callable[[Sequence[Any]], Any]
    variables: Sequence[Any]
    kept: Sequence[Any]
    moving: Sequence[bool]
    draws: bool = False

    def watch(self, arrays: Sequence[Array]) -> None:
        """Find out whether random numbers are drawn: two calls differ, or the stream has moved."""
        with _seeded(_FORWARD_SEED) as stream:
            before = stream.getstate()
            first, second = self.outputs(arrays), self.outputs(arrays)
            alike = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True))
            self.draws = not alike or stream.getstate() != before

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """The float outputs, copied."""
        with self._recorded(arrays) as (_, _, outputs):
            return [np.array(o) for o in outputs]

    def linearize(self, arrays: Sequence[Array]) -> Back:
        """A persistent tape, gone back through as often as asked."""
        tensorflow: Any = sys.modules["tensorflow"]
        with self._recorded(arrays) as (tape, values, outputs):
            sources = [v for v, moves in zip(values, self.moving, strict=True) if moves]

        def back(cotangents: tuple[Array, ...]) -> list[Array]:
            seeds = [tensorflow.constant(np.array(c), o.dtype) for c, o in zip(cotangents, outputs, strict=True)]
            zero = tensorflow.UnconnectedGradients.ZERO
            with self._seeded(_BACKWARD_SEED):
                found = tape.gradient(outputs, sources, seeds, unconnected_gradients=zero)
            return [np.array(tensorflow.convert_to_tensor(g)) for g in found]

        return back

    def pushforward(self, arrays: Sequence[Array]) -> Pushforward:
        """Not offered."""
        raise NotImplementedError("from_tensorflow judges the backward pass only")

    @contextmanager
    def _recorded(self, arrays: Sequence[Array]) -> Iterator[tuple[Any, list[Any], list[Any]]]:
        """A tape, the inputs and the float outputs; the layer's variables hold the parameters for so long."""
        tensorflow: Any = sys.modules["tensorflow"]
        count = len(arrays) - len(self.variables)
        state = [(v, np.array(v.numpy())) for v in self.kept]
        try:
            for variable, array in zip(self.variables, arrays[count:], strict=True):
                variable.assign(array.astype(variable.numpy().dtype))
            tensors = _tensors(arrays[:count])
            with self._seeded(_FORWARD_SEED), tensorflow.GradientTape(persistent=True) as tape:
                tape.watch([t for t, moves in zip(tensors, self.moving, strict=False) if moves])
                outputs = [leaf for _, leaf in leaves(self.run(tensors))]
            found = [o for o in outputs if tensorflow.is_tensor(o) and (o.dtype.is_floating or o.dtype.is_complex)]
            yield tape, [*tensors, *self.variables], found
        finally:
            for variable, before in state:
                variable.assign(before)

    def _seeded(self, seed: int) -> AbstractContextManager[Any]:
        return _seeded(seed) if self.draws else nullcontext()


@contextmanager
def _seeded(seed: int) -> Iterator[random.Random]:
    """TensorFlow seeded; afterwards the global seed and the stream of ops' seeds are as they were: no public way to."""
    context = vars(importlib.import_module("tensorflow.python.eager.context").context())
    before = {name: context[name] for name in ("_seed", "_rng") if name in context}
    try:
        sys.modules["tensorflow"].random.set_seed(seed)  # makes another stream, and leaves the one there is alone
        yield context["_rng"]
    finally:
        context.pop("_rng", None)
        context.update(before)


def _build(run: Callable[[Sequence[Any]], Any], arrays: Sequence[Array]) -> None:
    """A Keras layer makes its variables when first called: with symbols, so that no statistics are updated yet."""
    keras: Any = sys.modules["tensorflow"].keras
    with suppress(Exception):  # an older Keras has none
        run([keras.KerasTensor(a.shape, a.dtype.name) for a in arrays])
        return
    with suppress(Exception):  # the judge meets it again, and says so
        run(_tensors(arrays))


def _state(function: Any) -> list[Any]:
    """The variables of a layer, and of what a function holds: weights, statistics, states of generators."""
    tensorflow: Any = sys.modules["tensorflow"]
    found: list[Any] = []
    for owner in held_by(function):
        found += [owner] if isinstance(owner, tensorflow.Variable) else getattr(owner, "variables", ())
        found += [owner.state] if isinstance(owner, tensorflow.random.Generator) else []
    return list({id(v): v for v in map(_variable, found)}.values())


def _tensors(arrays: Sequence[Array]) -> list[Any]:
    tensorflow: Any = sys.modules["tensorflow"]
    return [tensorflow.constant(np.array(a)) for a in arrays]


def _variable(variable: Any) -> Any:
    """The tf.Variable itself, which a Keras 3 variable holds as its value."""
    value = getattr(variable, "value", None)
    return variable if value is None or callable(value) else value


def _label(variable: Any) -> str:
    return str(getattr(variable, "path", None) or variable.name)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | np.generic) or bool(sys.modules["tensorflow"].is_tensor(leaf))

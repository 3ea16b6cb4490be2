"""Cases: the inputs behind a verdict as JSON, exact to the last bit, and back. Data only: nothing in it is executed.

Every value is an object: {"array": {dtype, shape, data}}, with "framework" where it was no NumPy array, {"number": …},
{"none": true}, {"tuple": […]}, {"list": […]} or {"dict": {…}}. Floats are JSON numbers, which Python writes so that
they read back as the same float64; what JSON has no number for (nan, inf, longdouble) is a string, and a complex
number a pair. The payload of a NaN is not kept. Text is refused: no gradient needs it, and a target that is handed
a string by somebody's file may do anything with it.
"""

import importlib
import math
import sys
from collections.abc import Iterator
from typing import Any

LARGEST = 1 << 16
"""Entries of an array up to which it is recorded: 65,536 float64 make a line of about 1.3 MB."""

LONGEST = 1500
"""Characters of a case as Python: shrunk ones have some 100, and a scroll-back ends where arrays are printed."""

_NUMPY = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "longdouble", "complex64", "complex128", "clongdouble",
)  # fmt: skip
_ML_DTYPES = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
_FRAMEWORKS = {"torch": "torch", "jax": "jax.numpy"}


def shown(case: object) -> str:
    """A case as Python, or the shapes of its inputs where that would take more than `LONGEST` characters.

    >>> import numpy as np
    >>> from gradcheck.judge.case import Case
    >>> shown(Case((np.array([0.5]),)))
    'Case((np.array([0.5]),))'
    >>> shown(Case((np.zeros((1000, 1000)), np.zeros(7))))
    'inputs of shapes (1000, 1000), (7,): 1000007 entries, too many to print'
    """
    shapes = list(_shapes(tuple(getattr(case, "inputs", ()))))
    entries = sum(map(math.prod, shapes))
    spelled = repr(case) if 2 * entries < LONGEST else ""  # an entry takes two characters or more
    if shapes and not 0 < len(spelled) <= LONGEST:
        listed = ", ".join(map(str, shapes[:8])) + (", …" if len(shapes) > 8 else "")
        return f"inputs of shapes {listed}: {entries} entries, too many to print"
    more = len(spelled) - LONGEST
    return spelled if more <= 0 else f"{spelled[:LONGEST]}… and {more} characters more"


def _shapes(value: Any) -> Iterator[tuple[int, ...]]:
    """The shapes of all arrays in a value."""
    if isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _shapes(part)
    elif hasattr(value, "dtype") and (shape := tuple(getattr(value, "shape", ()))):
        yield shape


def encode(value: Any) -> dict[str, Any]:
    """One input as JSON data. Raises TypeError for what is no data (text, objects) and for arrays above `LARGEST`.

    >>> encode(1.5), encode(float("nan"))
    ({'number': 1.5}, {'number': 'nan'})
    >>> import numpy as np
    >>> encode(np.array([1, -0.0], dtype=np.float32))
    {'array': {'dtype': 'float32', 'shape': [2], 'data': [1.0, -0.0]}}
    """
    if value is None:
        return {"none": True}
    if isinstance(value, bool | int | float | complex) and type(value).__module__ == "builtins":
        return {"number": _number(value)}
    if isinstance(value, tuple | list):
        return {type(value).__name__ if type(value) is list else "tuple": [encode(part) for part in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: encode(part) for key, part in value.items()}}
    if isinstance(value, str | bytes) or not hasattr(value, "dtype"):
        given = f"{type(value).__name__} {value!r:.60}"
        raise TypeError(f"a case holds arrays, numbers and containers of them, not {given}")
    framework = type(value).__module__.split(".")[0].removesuffix("lib")
    if framework == "torch":
        return {"array": _tensor(value), "framework": "torch"}
    array = {"array": _array(value)}
    return array | {"framework": "jax"} if framework == "jax" else array


def decode(data: Any) -> Any:
    """The value that `encode` made this of. Raises ValueError, with what is wrong, for anything else.

    >>> decode({"array": {"dtype": "float16", "shape": [1, 2], "data": [0.5, "inf"]}})
    array([[0.5, inf]], dtype=float16)
    """
    match data:
        case {"none": True}:
            return None
        case {"number": bool() | int() | float() | str() | [_, _] as number}:
            return _read(number)
        case {"tuple": list() as parts}:
            return tuple(decode(part) for part in parts)
        case {"list": list() as parts}:
            return [decode(part) for part in parts]
        case {"dict": dict() as parts}:
            return {key: decode(part) for key, part in parts.items()}
        case {"array": {"dtype": str() as dtype, "shape": list() as shape, "data": list() as entries}}:
            if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) != len(entries):
                raise ValueError(f"an array of shape {shape} cannot have {len(entries)} entries")
            return _of(dtype, shape, entries, data.get("framework"))
    raise ValueError(f"{data!r:.60} is no value of a case")


def _array(value: Any) -> dict[str, Any]:
    import numpy as np

    array = np.asarray(value)
    name = {"g": "longdouble", "G": "clongdouble"}.get(array.dtype.char, array.dtype.name)
    if name not in _NUMPY + _ML_DTYPES:
        raise TypeError(f"a case holds arrays of numbers, not of dtype {array.dtype}")
    _refuse_large(array.size, array.shape)
    flat = array.reshape(-1)
    if name in _ML_DTYPES:
        flat = flat.astype(np.float64)
    if name == "longdouble":
        data: list[Any] = [str(entry) for entry in flat]  # the shortest text that reads back the same
    elif name == "clongdouble":
        data = [[str(entry.real), str(entry.imag)] for entry in flat]
    else:
        data = [_number(entry) for entry in flat.tolist()]
    return {"dtype": name, "shape": list(array.shape), "data": data}


def _tensor(value: Any) -> dict[str, Any]:
    """A tensor of torch: by way of float64, which holds every float that torch has."""
    torch = sys.modules["torch"]
    _refuse_large(value.numel(), tuple(value.shape))
    flat = value.detach().cpu().reshape(-1)
    if flat.is_floating_point():
        flat = flat.to(torch.float64)
    name = str(value.dtype).removeprefix("torch.")
    return {"dtype": name, "shape": list(value.shape), "data": [_number(entry) for entry in flat.tolist()]}


def _refuse_large(size: int, shape: tuple[int, ...]) -> None:
    if size > LARGEST:
        raise TypeError(f"an array of shape {shape} has {size} entries; up to {LARGEST} are recorded")


def _number(value: complex) -> Any:
    """A number as JSON has it; a string or a pair where it has none."""
    if isinstance(value, complex):
        return [_number(value.real), _number(value.imag)]
    return value if isinstance(value, int) or math.isfinite(value) else str(value)


def _read(number: Any) -> Any:
    if isinstance(number, list):
        return complex(_read(number[0]), _read(number[1]))
    return float(number) if isinstance(number, str) else number


def _of(dtype: str, shape: list[int], entries: list[Any], framework: str | None) -> Any:
    """An array of this framework, NumPy's where there is none, of this dtype by name."""
    if framework is not None and framework not in _FRAMEWORKS:
        raise ValueError(f"framework {framework!r} is not one of {', '.join(_FRAMEWORKS)}")
    if dtype not in _NUMPY + _ML_DTYPES:
        raise ValueError(f"dtype {dtype!r} is not one of {', '.join(_NUMPY + _ML_DTYPES)}")
    if framework == "torch":
        torch = importlib.import_module("torch")
        return torch.tensor([_read(entry) for entry in entries], dtype=getattr(torch, dtype)).reshape(shape)
    import numpy as np

    try:
        if dtype == "longdouble":
            array = np.array([np.longdouble(entry) for entry in entries], dtype=np.longdouble)
        elif dtype == "clongdouble":
            array = np.array([np.longdouble(re) + 1j * np.longdouble(im) for re, im in entries], dtype=np.clongdouble)
        elif dtype.startswith(("int", "uint", "bool")):  # as they are: float64 has no integers above 2⁵³
            array = np.array(entries, dtype=dtype)
        else:
            kind: Any = getattr(importlib.import_module("ml_dtypes"), dtype) if dtype in _ML_DTYPES else dtype
            work = np.complex128 if dtype.startswith("complex") else np.float64
            with np.errstate(over="ignore"):
                array = np.array([_read(entry) for entry in entries], dtype=work).astype(kind)
    except (TypeError, OverflowError, IndexError) as error:
        raise ValueError(f"an array of {dtype} cannot hold its data: {error}") from error
    array = array.reshape(shape)
    return array if framework is None else importlib.import_module(_FRAMEWORKS[framework]).asarray(array)

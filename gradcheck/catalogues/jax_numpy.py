"""jax.numpy with its linalg and fft as targets: `gradcheck run gradcheck.catalogues.jax_numpy:TARGETS`."""

import inspect
from collections.abc import Iterable
from functools import reduce
from typing import Any

import numpy as np

from gradcheck.adapters.flat import framework
from gradcheck.adapters.jax_ import from_jax
from gradcheck.catalogues.catalogue import Args, By, Catalogue

_LIST = By("of two", lambda f: lambda *arrays: f(arrays))
_MOMENTS = (Args(), Args(axis=0), Args(axis=1, keepdims=True))


def _of_list(*positional: Any, **named: Any) -> By:
    return By(Args(*positional, **named).label, lambda f: lambda *arrays: f(list(arrays), *positional, **named))


def _then(*positional: Any) -> By:
    """The arguments before the array: a condition, a subscript."""
    return By(Args(*positional).label, lambda f: lambda *arrays: f(*positional, *arrays))


def _projectors(f: Any) -> Any:
    """Eigenvectors and singular vectors have a sign of their own, so what is judged is squares of them."""
    return lambda a: [part if part.ndim < 2 else abs(part) ** 2 for part in f(a)]


def _parts(f: Any) -> Any:
    """Real and imaginary part: conventions differ in whether the cotangent of complex outputs is conjugated."""
    return lambda x: (f(x).real, f(x).imag)


# Sizes are fixed and few: JAX compiles anew for every shape, which takes longer than judging does.
ROWS: list[tuple[Any, ...]] = [
    ("abs absolute fabs negative positive square cos sin arctan atan tanh arcsinh asinh sinc", "real(3,4)"),
    ("real conj conjugate copy nan_to_num deg2rad degrees rad2deg radians cbrt", "real(3,4)"),
    ("exp exp2 expm1 sinh cosh i0", "small(3,4)"),
    ("log log2 log10 log1p sqrt", "positive(3,4)"),
    ("reciprocal", "nonzero(3,4)"),
    ("tan", "within(3,4)"),
    ("arccos acos arcsin asin arctanh atanh", "within(3,4)"),
    ("arccosh acosh", "above_one(3,4)"),
    ("real imag conj conjugate square exp sin cos tanh abs absolute sinh cosh", "complex(3,2)"),
    ("angle", "complex(3,2)"),
    ("add subtract multiply maximum minimum fmax fmin logaddexp logaddexp2", "real(3,4) real(4)"),
    ("divide true_divide", "real(3,4) nonzero(4)"),
    ("arctan2 atan2 hypot", "nonzero(3,4) nonzero(4)"),
    ("mod remainder fmod", "real(3,4) nonzero(4)"),
    ("divmod", "real(3,4) nonzero(4)"),
    ("power pow float_power", "positive(3,4) within(4)"),
    ("power pow float_power", "real(3,4)", Args(3), Args(2.0)),
    ("copysign", "nonzero(3,4) ~nonzero(4)"),
    ("ldexp", "real(3,4) below3(4)"),
    ("modf", "real(3,4)"),
    ("frexp", "nonzero(3,4)"),
    ("clip", "real(3,4)", Args(-0.5, 0.7)),
    ("clip", "real(3,4) real(3,1) above_one(4)"),
    ("sum mean var std", "spread(3,4)", *_MOMENTS),
    ("nansum nanmean nanvar nanstd", "spread(3,4)", *_MOMENTS),
    ("sum mean", "real(3,4) bits(3,4)", By("where", lambda f: lambda x, m: f(x, axis=1, where=m.at[:, 0].set(True)))),
    ("var std nanvar nanstd", "spread(3,4)", Args(axis=1, ddof=1)),
    ("prod nanprod", "real(3,2)", Args(), Args(axis=0)),
    ("prod", "nonzero(3,2)", Args(axis=1)),
    ("max min amax amin nanmax nanmin ptp", "real(3,4)", Args(), Args(axis=0)),
    ("median nanmedian", "real(3,4)", Args(), Args(axis=0), Args(axis=1, keepdims=True)),
    ("quantile nanquantile", "real(3,4)", Args(0.3), Args(0.5, axis=0), Args(0.7, axis=1, method="lower")),
    ("quantile nanquantile", "spread(5) unit(2)"),
    ("percentile nanpercentile", "real(3,4)", Args(30.0), Args(60.0, axis=0), Args(70.0, axis=1, method="midpoint")),
    ("average", "real(3,4)"),
    ("average", "real(3,4) sized(4)", By("weights", lambda f: lambda x, w: f(x, axis=1, weights=w))),
    ("cumsum nancumsum cumulative_sum", "real(3,4)", Args(axis=1)),
    ("cumprod nancumprod cumulative_prod", "real(3,4)", Args(axis=1)),
    ("cumulative_sum", "real(4)", Args(include_initial=True)),
    ("cumulative_prod", "nonzero(4)", Args(include_initial=True)),
    ("diff", "real(3,4)", Args(), Args(2), Args(axis=0)),
    ("ediff1d", "real(4)"),
    ("gradient", "real(4)", Args(), Args(0.5)),
    ("gradient", "real(3,4)", Args(axis=0)),
    ("trapezoid", "real(3,4)", Args(), Args(dx=0.5, axis=0)),
    ("trapezoid", "real(4) real(4)"),
    ("cov", "spread(3,4)", Args(), Args(rowvar=False), Args(ddof=0)),
    ("corrcoef", "ascending(3,4)"),
    ("cov", "real(4) real(4)"),
    ("sort", "real(3,4)", Args(), Args(axis=0)),
    ("sort_complex", "spread(4)"),
    ("partition", "real(3,4)", Args(1), Args(2, axis=0)),
    ("dot", "real(3,4) real(4,2)"),
    ("dot", "real(4) real(4)"),
    ("dot", "real(2,3,4) real(4)"),
    ("matmul", "real(3,4) real(4,2)"),
    ("matmul", "real(2,3,4) real(4)"),
    ("matmul", "real(4) real(2,4,3)"),
    ("matmul", "complex(2,3) complex(3,2)"),
    ("inner", "real(3,4) real(2,4)"),
    ("outer", "real(3) real(4)"),
    ("vdot", "real(3,2) real(3,2)"),
    ("kron", "real(2,3) real(2,2)"),
    ("vecdot", "real(3,4) real(4)"),
    ("matvec", "real(2,3,4) real(4)"),
    ("vecmat", "real(3) real(2,3,4)"),
    ("cross", "real(2,3) real(2,3)"),
    ("cross", "real(3,2) real(3)", Args()),
    ("tensordot", "real(3,4) real(4,2)", Args(1)),
    ("tensordot", "real(2,3,4) real(4,3)", Args(((1, 2), (1, 0)))),
    ("trace diagonal", "real(3,4)", Args(), Args(1)),
    ("einsum", "real(3,4) real(4,2)", _then("ij,jk->ik"), _then("ij,jk->")),
    ("einsum", "real(3,3)", _then("ii->i")),
    ("convolve correlate", "real(5) real(3)", Args(), Args(mode="same"), Args(mode="valid")),
    ("linspace", "real(3) real(3)", Args(4), Args(4, endpoint=False, axis=1)),
    ("logspace", "within(3) within(3)", Args(4)),
    ("geomspace", "positive(3) positive(3)", Args(4)),
    ("interp", "within(4) ascending(3) real(3)"),
    ("unwrap", "real(3,4)"),
    ("heaviside", "nonzero(3,4) real(4)"),
    ("polyval", "real(3) real(4)"),
    ("polyadd polysub polymul", "real(3) real(4)"),
    ("polyder", "real(4)", Args(), Args(2)),
    ("polyint", "real(4)", Args(), Args(2)),
    ("polydiv", "real(4) above_one(2)"),
    ("polyfit", "ascending(5) real(5)", Args(2)),
    ("poly", "real(3)"),
    ("poly", "invertible(3,3)"),
    ("vander", "small(3)", Args(), Args(4, increasing=True)),
    ("roots", "ascending(3)", By("unstripped, sizes", lambda f: lambda p: abs(f(p, strip_zeros=False)))),
    # places, not values: a wrong index in the backward pass is a wrong gradient as much as a wrong factor
    (
        "array asarray ravel squeeze flip fliplr flipud atleast_1d atleast_2d atleast_3d transpose matrix_transpose "
        "diag",
        "real(3,4)",
    ),
    ("permute_dims", "real(3,4)", Args((1, 0))),
    ("diag diagflat", "real(3)", Args(), Args(-1)),
    ("tril triu", "real(3,4)", Args(), Args(1)),
    ("tril triu", "real(2,3,3)"),
    ("reshape", "real(3,4)", Args((2, 6)), Args(-1)),
    ("resize", "real(3,4)", Args((5, 4))),
    ("expand_dims", "real(3,4)", Args(1)),
    ("squeeze", "real(3,1,4)", Args(1)),
    ("broadcast_to", "real(3,1)", Args((2, 3, 4))),
    ("broadcast_arrays", "real(3,1) real(4)"),
    ("swapaxes moveaxis rollaxis", "real(2,3,4)", Args(2, 0)),
    ("transpose", "real(2,3,4)", Args((1, 2, 0))),
    ("rot90", "real(3,4)", Args(), Args(2)),
    ("roll", "real(3,4)", Args(2), Args((1, -1), (0, 1))),
    ("flip", "real(3,4)", Args(0)),
    ("repeat", "real(3,4)", Args(2), Args(2, axis=1)),
    ("tile", "real(3,4)", Args(2), Args((2, 1, 3))),
    ("astype", "real(3,4)", By("same", lambda f: lambda x: f(x, x.dtype))),
    (
        "pad",
        "real(3,4)",
        Args((1, 2)),
        Args((1, 2), "edge"),
        Args((1, 2), "reflect"),
        Args((1, 2), "symmetric"),
        Args((1, 2), "wrap"),
        Args((1, 2), "mean"),
        Args((1, 2), "maximum"),
        Args((1, 2), "linear_ramp"),
    ),
    ("append", "real(3,4) real(2,4)", Args(axis=0)),
    ("concat concatenate", "real(3,4) real(2,4)", _of_list()),
    ("concat concatenate", "real(3,4) real(3,2)", _of_list(axis=1)),
    ("stack", "real(3,4) real(3,4)", _of_list(), _of_list(axis=1)),
    ("hstack", "real(3,4) real(3,2)", _LIST),
    ("vstack", "real(3,4) real(2,4)", _LIST),
    ("dstack column_stack", "real(3,4) real(3,4)", _LIST),
    ("block", "real(3,4) real(3,2)", _of_list()),
    ("split array_split", "real(3,4)", Args(2, 1)),
    ("hsplit", "real(3,4)", Args(2)),
    ("vsplit", "real(4,3)", Args(2)),
    ("dsplit", "real(2,3,4)", Args(2)),
    ("array_split", "real(5)", Args(2)),
    ("unstack", "real(3,4)", Args(), Args(axis=1)),
    ("meshgrid", "real(3) real(4)", Args(), Args(indexing="ij")),
    ("take", "real(3,4) below12(5)"),
    ("take", "real(3,4) below4(2,2)", Args(1)),
    ("take_along_axis", "real(3,4) below4(3,2)", Args(1)),
    ("put", "real(3,4) below12(2) real(2)", Args(inplace=False)),
    (
        "put_along_axis",
        "real(3,4) below4(3,1) real(3,1)",
        By("1", lambda f: lambda x, i, v: f(x, i, v, 1, inplace=False)),
    ),
    ("insert", "real(4) real(2)", By("at 1, 3", lambda f: lambda x, v: f(x, np.array([1, 3]), v))),
    ("delete", "real(3,4)", Args(1, axis=1)),
    ("fill_diagonal", "real(3,3) real(3)", Args(inplace=False)),
    ("place", "real(3,4) real(2)", By("where even", lambda f: lambda x, v: f(x, _even(x), v, inplace=False))),
    ("where", "bits(3,4) real(3,4) real(4)"),
    ("select", "real(3,4) real(3,4)", By("two", lambda f: lambda x, y: f([_even(x), ~_even(x)], [x, y]))),
    ("choose", "below2(3,4) real(3,4) real(3,4)", By("two", lambda f: lambda i, x, y: f(i, [x, y]))),
    ("compress", "real(3,4)", By("axis 0", lambda f: lambda x: f(np.array([True, False, True]), x, axis=0))),
    ("extract", "real(4)", By("three", lambda f: lambda x: f(_even(x), x, size=3))),
    (
        "piecewise",
        "real(3,4)",
        By("square or double", lambda f: lambda x: f(x, [_even(x)], [lambda t: t * t, lambda t: 2 * t])),
    ),
    ("apply_along_axis", "real(3,4)", By("cumsum", lambda f: lambda x: f(lambda row: row.cumsum(), 1, x))),
    ("apply_over_axes", "real(2,3,4)", By("sum", lambda f: lambda x: f(lambda a, axis: a.sum(axis), x, (0, 2)))),
    ("vectorize", "real(3,4)", By("square", lambda f: lambda x: f(lambda t: t * t)(x))),
    ("full_like", "real(3,4) real()"),
    ("full", "real(4)", _then((3, 4))),
    ("unique unique_values", "spread(4)", Args(size=4)),
    ("union1d setxor1d", "spread(2) above_one(1)", By("size=3", lambda f: lambda x, y: f(x, -y, size=3))),
    ("setdiff1d", "spread(3) above_one(2)", By("size=3", lambda f: lambda x, y: f(x, -y, size=3))),
    ("histogram_bin_edges", "real(5)", Args(3)),
    ("histogram", "~real(5) real(5)", By("weights", lambda f: lambda x, w: f(x, 3, weights=w)[0])),
    ("histogram2d", "~real(5) ~real(5) real(5)", By("weights", lambda f: lambda x, y, w: f(x, y, 2, weights=w)[0])),
    ("histogramdd", "~real(5,2) real(5)", By("weights", lambda f: lambda x, w: f(x, 2, weights=w)[0])),
    ("bincount", "below4(5) real(5)", By("weights", lambda f: lambda i, w: f(i, w, length=4))),
    ("kaiser", "sized()", _then(5)),
    ("trim_zeros", "nonzero(4)"),
    (
        "frompyfunc",
        "real(3,4) real(4)",
        By("add", lambda f: lambda x, y: f(lambda a, b: a + b, 2, 1, identity=0)(x, y)),
    ),
    ("fromfunction", "real(4)", By("column", lambda f: lambda x: f(lambda i: x * i, (4,)))),
    ("linalg.cholesky", "definite(3,3)"),
    ("linalg.det linalg.inv linalg.slogdet", "invertible(3,3)"),
    ("linalg.inv linalg.det", "invertible(2,2,2)"),
    ("linalg.pinv", "ranked(3,3)"),
    ("linalg.pinv", "ranked(4,3)"),
    ("linalg.pinv", "ranked(2,3)"),
    ("linalg.solve", "invertible(3,3) real(3)"),
    ("linalg.solve", "invertible(3,3) real(3,2)"),
    ("linalg.eigh", "definite(3,3)", By("sizes", _projectors)),
    ("linalg.eigvalsh", "definite(3,3)"),
    ("linalg.eigvals", "definite(3,3)"),
    ("linalg.svd", "ranked(3,3)", By("sizes", _projectors)),
    ("linalg.svd", "ranked(4,3)", By("thin, sizes", lambda f: _projectors(lambda a: f(a, full_matrices=False)))),
    ("linalg.svdvals", "ranked(3,4)"),
    ("linalg.qr", "ranked(3,3)", By("sizes", _projectors)),
    ("linalg.qr", "ranked(4,3)", By("sizes", _projectors)),
    (
        "linalg.norm",
        "spread(3,4)",
        Args(),
        Args(axis=1),
        Args(ord=1, axis=0),
        Args(ord=3, axis=1),
        Args(ord="nuc"),
        Args(ord=2),
        Args(ord=float("inf")),
    ),
    ("linalg.matrix_norm", "ranked(3,4)", Args(), Args(ord="nuc"), Args(ord=2)),
    ("linalg.vector_norm", "spread(3,4)", Args(), Args(axis=1, ord=3)),
    ("linalg.cond", "ranked(3,3)"),
    ("linalg.lstsq", "ranked(4,3) real(4)", By("solution", lambda f: lambda a, b: f(a, b)[0])),
    ("linalg.matrix_power", "invertible(3,3)", Args(3), Args(-2)),
    ("linalg.multi_dot", "real(2,3) real(3,4) real(4,2)", _LIST),
    ("linalg.tensorinv", "invertible(6,6)", By("2, 3", lambda f: lambda a: f(a.reshape(2, 3, 6), 2))),
    ("linalg.tensorsolve", "invertible(6,6) real(6)"),
    ("linalg.matmul", "real(3,4) real(4,2)"),
    ("linalg.outer", "real(3) real(4)"),
    ("linalg.vecdot", "real(3,4) real(4)"),
    ("linalg.cross", "real(2,3) real(2,3)"),
    ("linalg.tensordot", "real(3,4) real(4,2)", Args(axes=1)),
    ("linalg.trace linalg.diagonal", "real(2,3,4)", Args(), Args(offset=1)),
    ("linalg.matrix_transpose", "real(2,3,4)"),
    ("fft.fft fft.ifft", "complex(3,4)", Args(), Args(axis=0), Args(n=3), Args(n=6, norm="ortho")),
    (
        "fft.rfft fft.ihfft",
        "real(3,4)",
        By("parts", _parts),
        By("n=5, parts", lambda f: _parts(lambda x: f(x, n=5))),
        By("axis=0, norm=forward, parts", lambda f: _parts(lambda x: f(x, axis=0, norm="forward"))),
    ),
    ("fft.irfft fft.hfft", "complex(2,3)", Args(), Args(n=5), Args(axis=0, norm="ortho")),
    ("fft.fft2 fft.ifft2 fft.fftn fft.ifftn", "complex(3,4)"),
    ("fft.fftn fft.ifftn", "complex(2,3,2)", Args(axes=(0, 2))),
    ("fft.rfft2 fft.rfftn", "real(3,4)", By("parts", _parts)),
    ("fft.irfft2 fft.irfftn", "complex(2,3)"),
    ("fft.fftshift fft.ifftshift", "real(3,4)", Args(), Args(axes=1)),
]

CONSTANT = {
    "truth values":
        "all any allclose array_equal array_equiv equal greater greater_equal isclose iscomplex iscomplexobj "
        "isfinite isin isinf isnan isneginf isposinf isreal isrealobj isscalar issubdtype iterable less "
        "less_equal logical_and logical_not logical_or logical_xor not_equal signbit can_cast isdtype",
    "integers":
        "argmax argmin argpartition argsort argwhere bitwise_and bitwise_count bitwise_invert bitwise_left_shift "
        "bitwise_not bitwise_or bitwise_right_shift bitwise_xor count_nonzero diag_indices diag_indices_from "
        "digitize flatnonzero gcd indices invert ix_ lcm left_shift lexsort mask_indices nanargmax nanargmin ndim "
        "nonzero packbits ravel_multi_index right_shift searchsorted shape size tril_indices tril_indices_from "
        "triu_indices triu_indices_from unpackbits unravel_index linalg.matrix_rank broadcast_shapes",
    "piecewise constant: the gradient is zero, or there is none":
        "around ceil floor floor_divide rint round sign trunc nextafter spacing",
    "of sizes alone":
        "arange bartlett blackman empty empty_like eye hamming hanning identity ones ones_like tri zeros "
        "zeros_like fft.fftfreq fft.rfftfreq",
    "files, text, types and settings":
        "array_repr array_str einsum_path from_dlpack frombuffer fromfile fromiter fromstring get_printoptions "
        "load printoptions promote_types result_type save savez set_printoptions",
}
EXCEPTIONS = {
    "the derivative of eigenvectors that are not orthogonal is not implemented, and JAX says so": "linalg.eig",
    "values that two arrays share are exact ties, and a step ends the tie": "intersect1d",
    "return indices or counts beside the values of unique, which is covered": "unique_all unique_counts unique_inverse",
}


def _even(x: Any) -> Any:
    """A mask of every other entry."""
    numpy = framework("jax.numpy", "this catalogue", "jax")
    return (numpy.arange(x.size) % 2 == 0).reshape(x.shape)


def public() -> Iterable[str]:
    """The functions of jax.numpy, of its linalg and of its fft; the last two with that before the name."""
    numpy = framework("jax.numpy", "this catalogue", "jax")
    places = {"": numpy, "linalg.": numpy.linalg, "fft.": numpy.fft}
    return [
        before + name
        for before, place in places.items()
        for name, value in vars(place).items()
        if not name.startswith("_") and callable(value) and (not inspect.isclass(value) or name == "vectorize")
        and not _is_dtype(value)
    ]  # fmt: skip


def _is_dtype(value: Any) -> bool:
    return hasattr(value, "dtype")


CATALOGUE = Catalogue(
    "jax.numpy",
    public,
    lambda name: reduce(getattr, name.split("."), framework("jax.numpy", "this catalogue", "jax")),
    from_jax,
    ROWS,
    CONSTANT,
    EXCEPTIONS,
)
TARGETS = CATALOGUE.targets()
"""Every entry by name and settings."""

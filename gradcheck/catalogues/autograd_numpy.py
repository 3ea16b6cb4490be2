"""HIPS autograd's numpy as targets: `gradcheck run gradcheck.catalogues.autograd_numpy:TARGETS`."""

from collections.abc import Iterable
from functools import reduce
from typing import Any

from gradcheck.adapters.autograd_ import from_autograd
from gradcheck.adapters.flat import framework
from gradcheck.catalogues.catalogue import Args, By, Catalogue

_LIST = By("of two", lambda f: lambda *arrays: f(list(arrays)))
_MOMENTS = (Args(), Args(axis=0), Args(axis=1, keepdims=True))


def _of_list(**named: Any) -> By:
    return By(Args(**named).label, lambda f: lambda *arrays: f(list(arrays), **named))


def _then(*positional: Any) -> By:
    """The arguments before the array: a subscript, a shape."""
    return By(Args(*positional).label, lambda f: lambda *arrays: f(*positional, *arrays))


def _symmetric(f: Any) -> Any:
    """The derivative of a function of symmetric matrices is defined for what stays symmetric."""
    return lambda a: f((a + framework("autograd.numpy", "this catalogue", "autograd").swapaxes(a, -1, -2)) / 2)


def _sizes(f: Any) -> Any:
    """Eigenvectors and singular vectors have a sign of their own, so what is judged is squares of them."""

    def sized(a: Any) -> Any:
        parts = f(a)
        numpy = framework("autograd.numpy", "this catalogue", "autograd")
        return [parts[i] if numpy.ndim(parts[i]) < 2 else numpy.abs(parts[i]) ** 2 for i in range(len(parts))]

    return sized


def _parts(f: Any) -> Any:
    """Real and imaginary part: conventions differ in whether the cotangent of complex outputs is conjugated."""

    def parted(x: Any) -> Any:
        numpy = framework("autograd.numpy", "this catalogue", "autograd")
        return numpy.real(f(x)), numpy.imag(f(x))

    return parted


ROWS: list[tuple[Any, ...]] = [
    ("abs absolute fabs negative square cos sin arctan atan tanh arcsinh asinh sinc", "real(n,k)"),
    ("real conj conjugate nan_to_num deg2rad degrees rad2deg radians real_if_close", "real(n,k)"),
    ("exp exp2 expm1 sinh cosh", "small(n,k)"),
    ("log log2 log10 log1p sqrt", "positive(n,k)"),
    ("reciprocal", "nonzero(n,k)"),
    ("tan", "within(n,k)"),
    ("arccos acos arcsin asin arctanh atanh", "within(n,k)"),
    ("arccosh acosh", "above_one(n,k)"),
    ("real imag conj conjugate square exp sin cos tanh abs absolute sinh cosh", "complex(3,2)"),
    ("angle", "complex(3,2)"),
    ("add subtract multiply maximum minimum fmax fmin logaddexp logaddexp2", "real(n,k) real(k)"),
    ("add multiply maximum", "real(n,1) real(k)"),
    ("divide true_divide", "real(n,k) nonzero(k)"),
    ("arctan2 atan2 hypot", "nonzero(n,k) nonzero(k)"),
    ("mod remainder", "real(n,k) nonzero(k)"),
    ("power pow", "positive(n,k) within(k)"),
    ("power pow", "real(n,k)", Args(3), Args(2.0)),
    ("clip", "real(n,k)", Args(-0.5, 0.7)),
    ("sum mean var std", "spread(3,4)", *_MOMENTS),
    ("var std", "spread(3,4)", Args(axis=1, ddof=1)),
    ("sum mean", "real(2,3,2)", Args(axis=(0, 2))),
    ("prod", "real(3,2)", Args(), Args(axis=0)),
    ("prod", "nonzero(3,2)", Args(), Args(axis=1)),
    ("max min amax amin", "real(3,4)", *_MOMENTS),
    ("cumsum", "real(3,4)", Args(), Args(1)),
    ("diff", "real(3,4)", Args(), Args(2), Args(axis=0)),
    ("gradient", "real(4)"),
    ("gradient", "real(3,4)", Args(axis=0)),
    ("sort", "real(4)"),
    ("partition", "real(4)", Args(1)),
    ("dot", "real(n,k) real(k,m)"),
    ("dot", "real(n) real(n)"),
    ("dot", "real(2,3,4) real(4)"),
    ("dot", "real(n,k) real()"),
    ("matmul", "real(n,k) real(k,m)"),
    ("matmul", "real(2,3,4) real(4)"),
    ("matmul", "real(4) real(2,4,3)"),
    ("matmul", "real(2,3,4) real(4,2)"),
    ("inner", "real(n,k) real(m,k)"),
    ("outer", "real(n) real(k)"),
    ("kron", "real(2,3) real(2,2)"),
    ("cross", "real(2,3) real(2,3)"),
    ("tensordot", "real(3,4) real(4,2)", Args(1)),
    ("tensordot", "real(2,3,4) real(4,3)", Args(((1, 2), (1, 0)))),
    ("trace", "real(3,3)", Args(), Args(1)),
    ("trace", "real(3,4)"),
    ("diagonal", "real(2,3,3)", Args(0, -1, -2)),
    ("einsum", "real(3,4) real(4,2)", _then("ij,jk->ik"), _then("ij,jk->")),
    ("einsum", "real(n,3,k) real(n,k)", _then("nik,nk->i")),
    ("linspace", "real() real()", Args(4)),
    ("ravel squeeze fliplr flipud atleast_1d atleast_2d atleast_3d transpose diag", "real(3,4)"),
    ("diag", "real(3,3)"),
    ("permute_dims", "real(3,4)", Args((1, 0))),
    ("diag", "real(3)", Args(), Args(-1)),
    ("make_diagonal", "real(2,3)", Args(axis1=-1, axis2=-2)),
    ("tril triu", "real(3,4)", Args(), Args(1)),
    ("reshape", "real(3,4)", Args((2, 6)), Args(-1)),
    ("expand_dims", "real(3,4)", Args(1)),
    ("squeeze", "real(3,1,4)", Args(1)),
    ("broadcast_to", "real(3,1)", Args((3, 4))),
    ("swapaxes moveaxis rollaxis", "real(2,3,4)", Args(2, 0)),
    ("transpose", "real(2,3,4)", Args((1, 2, 0))),
    ("rot90", "real(3,4)", Args(), Args(2)),
    ("roll", "real(3,4)", Args(2), Args(1, axis=1)),
    ("repeat", "real(3,4)", Args(2), Args(2, axis=1)),
    ("tile", "real(3,4)", Args(2), Args((2, 1, 3))),
    ("astype", "real(3,4)", Args(float)),
    ("pad", "real(3,4)", Args(((1, 2), (0, 1)), "constant")),
    ("append", "real(3,4) real(2,4)", Args(axis=0)),
    ("concatenate", "real(3,4) real(2,4)", _of_list()),
    ("concatenate", "real(3,4) real(3,2)", _of_list(axis=1)),
    ("concatenate_args", "real(3,4) real(2,4)", _then(0)),
    ("array_from_args", "real(3) real(3)", _then((), {})),
    ("array", "real(3) real(3)", _LIST),
    ("stack", "real(3,4) real(3,4)", _of_list(), _of_list(axis=1)),
    ("hstack", "real(3,4) real(3,2)", _LIST),
    ("vstack row_stack", "real(3,4) real(2,4)", _LIST),
    ("column_stack", "real(3,4) real(3,4)", _LIST),
    ("split array_split", "real(3,4)", Args(2, 1)),
    ("hsplit", "real(3,4)", Args(2)),
    ("vsplit", "real(4,3)", Args(2)),
    ("dsplit", "real(2,3,4)", Args(2)),
    ("where", "bits(3,4) real(3,4) real(3,4)"),
    ("where", "bits(3,4) real(3,4) real(4)"),
    ("select", "bits(3) real(3) real(3)", By("two", lambda f: lambda m, x, y: f([m, ~m], [x, y]))),
    ("full", "real()", _then((2, 3))),
    ("linalg.cholesky", "definite(3,3)", By("symmetric", _symmetric)),
    ("linalg.det linalg.inv linalg.slogdet", "invertible(3,3)"),
    ("linalg.inv linalg.det", "invertible(2,2,2)"),
    ("linalg.pinv", "ranked(3,3)"),
    ("linalg.pinv", "ranked(4,3)"),
    ("linalg.solve", "invertible(3,3) real(3,2)"),
    ("linalg.eigh", "definite(3,3)", By("symmetric, sizes", lambda f: _sizes(_symmetric(f)))),
    ("linalg.eig", "definite(3,3)", By("values", lambda f: lambda a: f(a)[0])),
    ("linalg.svd", "ranked(3,3)", By("values", lambda f: lambda a: f(a, compute_uv=False))),
    ("linalg.svd", "ranked(4,3)", By("thin, sizes", lambda f: _sizes(lambda a: f(a, full_matrices=False)))),
    ("linalg.norm", "spread(3,4)", Args(), Args(axis=1), Args(3, 1), Args("nuc", (0, 1)), Args("fro", (0, 1))),
    ("fft.fft fft.ifft", "complex(3,4)", Args(), Args(axis=0), Args(n=6)),
    ("fft.fft2 fft.ifft2 fft.fftn fft.ifftn", "complex(3,4)"),
    ("fft.rfft", "real(3,4)", By("parts", _parts), By("n=6, parts", lambda f: _parts(lambda x: f(x, n=6)))),
    ("fft.rfft2 fft.rfftn", "real(3,4)", By("parts", _parts)),
    ("fft.irfft", "complex(3,3)"),
    ("fft.irfft2 fft.irfftn", "complex(4,3)"),
    ("fft.fftshift fft.ifftshift", "real(3,4)"),
    ("fft.fftshift fft.ifftshift", "real(3,5)", Args(axes=1)),
    ("fft.truncate_pad", "real(3,4)", Args((2, 6))),
]

CONSTANT: dict[str, str] = {}
EXCEPTIONS: dict[str, str] = {}

_COMPOSITE = "append array column_stack concatenate hstack mean row_stack select stack std var vstack where linalg.norm"
"""Those that call primitives, or are primitives in some of autograd's versions."""


def public() -> Iterable[str]:
    """The functions of autograd.numpy, its linalg and its fft that have a vjp, or are written in terms of such.

    All others of autograd.numpy are wrapped without a vjp, and raise NotImplementedError when asked for a gradient.
    """
    numpy, core = (framework(name, "this catalogue", "autograd") for name in ("autograd.numpy", "autograd.core"))
    places = {"": numpy, "linalg.": numpy.linalg, "fft.": numpy.fft}
    primitives = [
        before + name
        for before, place in places.items()
        for name, value in vars(place).items()
        if not name.startswith("_") and callable(value) and value in core.primitive_vjps
    ]
    return [*primitives, *(name for name in _COMPOSITE.split() if _found(numpy, name))]


def _found(place: Any, path: str) -> bool:
    names = path.split(".")
    return all(hasattr(reduce(getattr, names[:n], place), name) for n, name in enumerate(names))


CATALOGUE = Catalogue(
    "autograd.numpy",
    public,
    lambda name: reduce(getattr, name.split("."), framework("autograd.numpy", "this catalogue", "autograd")),
    from_autograd,
    ROWS,
    CONSTANT,
    EXCEPTIONS,
)
TARGETS = CATALOGUE.targets()
"""Every entry by name and settings."""

"""Tensors: NumPy arrays as torch tensors and back, with the strides they have, bfloat16 included."""

import sys
from typing import Any

import numpy as np

from gradcheck.adapters.flat import Array, framework


def bfloat16() -> Any:
    """NumPy's bfloat16, which ml_dtypes has."""
    return np.dtype(framework("ml_dtypes", "bfloat16", "torch").bfloat16)


def tensor_of(array: Array, device: Any) -> Any:
    """A tensor with the memory and strides of an array, so that whoever writes into the one is seen in the other.

    An array that torch cannot hold (read-only, strides that are negative or no multiple of the entry) is copied.
    """
    torch: Any = sys.modules["torch"]
    if not array.flags.writeable or not array.flags.aligned or any(s % array.itemsize for s in array.strides):
        array = _writable(array)
    if any(s < 0 for s in array.strides) or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), order="C")
    if array.dtype.kind == "V" and array.dtype.name == "bfloat16":  # a name takes 40 us to be found
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


def array_of(tensor: Any) -> Array:
    """A NumPy array of its own with the values of a tensor, whatever its device, layout, dtype and history."""
    torch: Any = sys.modules["torch"]
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:  # an embedding with sparse=True has a sparse gradient
        tensor = tensor.to_dense()
    if tensor._is_zerotensor():  # what forward mode has for a tangent that nothing leads to; it has no memory
        tensor = torch.zeros(tensor.shape, dtype=tensor.dtype)
    tensor = tensor.resolve_conj().resolve_neg().cpu()
    if tensor.dtype is torch.bfloat16:
        return np.array(tensor.contiguous().view(torch.int16).numpy().view(bfloat16()))
    return np.array(tensor.numpy())


def _writable(array: Array) -> Array:
    """The same values with the same strides in memory that may be written to; zero strides stay zero."""
    if not array.size or any(s < 0 or s % array.itemsize for s in array.strides):
        return array.copy()
    extent = sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)) + array.itemsize
    room: Array = np.ndarray(array.shape, array.dtype, bytearray(extent), strides=array.strides)
    room[...] = array
    return room

"""Trees: nested lists, tuples, mappings and dataclasses, walked leaf by leaf and rebuilt in their own shape."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


def mapped(tree: Any, f: Callable[[str, Any], Any], path: str = "") -> Any:
    """The same tree with f(path, leaf) in the place of every leaf; whatever is no container is a leaf.

    A path is spelled as one would reach the leaf in Python. Containers keep their type (a mapping of another class is
    copied, then filled); the tree given is not touched.

    >>> mapped({"a": [1, 2], "b": ()}, lambda path, leaf: (path, leaf + 10), "batch")
    {'a': [("batch['a'][0]", 11), ("batch['a'][1]", 12)], 'b': ()}
    """
    if isinstance(tree, Mapping):
        items = {key: mapped(value, f, f"{path}[{key!r}]") for key, value in tree.items()}
        if type(tree) is dict:
            return items
        like: Any = copy.copy(tree)
        for key, value in items.items():
            like[key] = value
        return like
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(value, f, f"{path}.{name}") for name, value in zip(tree._fields, tree, strict=True)))
    if isinstance(tree, tuple | list):
        return type(tree)([mapped(value, f, f"{path}[{i}]") for i, value in enumerate(tree)])
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        like = copy.copy(tree)
        for field in dataclasses.fields(tree):
            value = mapped(getattr(tree, field.name), f, f"{path}.{field.name}")
            object.__setattr__(like, field.name, value)  # a frozen one, too
        return like
    return f(path, tree)


def leaves(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every leaf with its path, in order.

    >>> leaves(({"w": 1}, 2), "x")
    [("x[0]['w']", 1), ('x[1]', 2)]
    """
    found: list[tuple[str, Any]] = []
    mapped(tree, lambda path, leaf: found.append((path, leaf)), path)
    return found

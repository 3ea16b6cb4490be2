"""The two ways in which a graph can be wrong: its shapes do not fit, or it is no graph."""


from typing import Any


class ShapeError(ValueError):
    """Shapes that do not fit, with the op or layer, the shapes, the rule they break and the remedy.

    >>> print(ShapeError("matmul", [(5, 3), (2, 4)], "the inner sizes 3 and 2 must be equal", "transpose one of them"))
    matmul: shapes (5, 3) and (2, 4) do not fit: the inner sizes 3 and 2 must be equal; transpose one of them
    """

    def __init__(self, op: str, shapes: Any, rule: str, remedy: str) -> None:
        self.op, self.shapes, self.rule, self.remedy = op, tuple(shapes), rule, remedy
        listed = " and ".join(str(shape) for shape in self.shapes)
        noun, verb = ("shape", "does") if len(self.shapes) == 1 else ("shapes", "do")
        super().__init__(f"{op}: {noun} {listed} {verb} not fit: {rule}; {remedy}")

    def __reduce__(self) -> Any:
        return type(self), (self.op, self.shapes, self.rule, self.remedy)


class GraphError(ValueError):
    """Something that is not a graph to differentiate: empty, cyclic, with an unknown op, or given the wrong inputs."""

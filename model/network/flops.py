"""Count the floating-point operations of a JAX program: the only counter in the project."""

from __future__ import annotations

import math
from typing import Any


def count_flops(jaxpr: Any) -> float:
    """Count the floating-point operations of the matrix products and convolutions of a program.

    Additions and elementary functions do not count, nor do products with the zeros that the
    gradient of a strided convolution inserts. This is the work of the network, whatever the backend
    makes of it, as usual for model FLOPs utilisation (PaLM, arXiv 2204.02311, appendix B), but for
    attention maps that the backward pass computes again (6 % of the published network's step).

    Args:
        jaxpr: a jaxpr, such as `jax.make_jaxpr(function)(*arguments)`, with abstract or real
            arguments. Nothing is computed.

    Returns:
        Operations on all devices together; a multiplication and an addition count two.
    """
    return sum(_equation_flops(equation) for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns)


def _equation_flops(equation: Any) -> float:
    """Count one equation: a product, a convolution, or a call of inner programs."""
    name, parameters = equation.primitive.name, equation.params
    if name == "dot_general":
        return _product_flops(equation)
    if name == "conv_general_dilated":
        return _convolution_flops(equation)
    inner = [count_flops(part) for part in _inner_programs(parameters)]
    if name == "cond":
        return max(inner)
    if name == "scan":
        return parameters["length"] * sum(inner)
    if name == "shard_map":
        return parameters["mesh"].size * sum(inner)
    return sum(inner)


def _product_flops(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2.0 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)


def _convolution_flops(equation: Any) -> float:
    kernel = equation.invars[1].aval
    output_channels = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
    inserted_zeros = math.prod(equation.params["lhs_dilation"])
    per_output = 2.0 * (kernel.size // output_channels)
    return equation.outvars[0].aval.size * per_output / inserted_zeros


def _inner_programs(parameters: dict[str, Any]) -> list[Any]:
    """List the jaxprs among the parameters of an equation, such as the body of a loop."""
    programs = []
    for value in parameters.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                programs.append(part)
    return programs

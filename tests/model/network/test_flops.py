"""Floating-point operations of small programs, counted by hand."""

import jax
import pytest

from model.network.flops import count_flops

FORWARD = 2 * (5 * 4 * 4) * (3 * 3 * 3)


def strided_convolution(image, kernel):
    """Sum of a convolution [1, 3, 8, 8] → [1, 5, 4, 4] with kernels [5, 3, 3, 3]."""
    return jax.lax.conv_general_dilated(image, kernel, (2, 2), "SAME").sum()


@pytest.fixture(scope="module")
def arguments():
    return jax.numpy.ones((1, 3, 8, 8)), jax.numpy.ones((5, 3, 3, 3))


def test_convolution(arguments):
    assert count_flops(jax.make_jaxpr(strided_convolution)(*arguments)) == FORWARD


def test_gradient_of_a_strided_convolution_skips_the_inserted_zeros(arguments):
    gradient = jax.grad(strided_convolution, (0, 1))
    assert count_flops(jax.make_jaxpr(gradient)(*arguments)) == 3 * FORWARD


def test_loop_counts_each_iteration():
    looped = jax.make_jaxpr(lambda x: jax.lax.scan(lambda c, _: (c @ c, None), x, None, 7)[0])
    assert count_flops(looped(jax.numpy.ones((4, 4)))) == 7 * 2 * 4**3


def test_conditional_counts_its_most_expensive_branch():
    conditional = jax.make_jaxpr(
        lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: x @ x @ x, x)
    )
    assert count_flops(conditional(jax.numpy.ones((4, 4)))) == 2 * 2 * 4**3

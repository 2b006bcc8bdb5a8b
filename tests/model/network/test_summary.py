"""Sizes of networks, counted by hand."""

import dataclasses

import pytest
from click.testing import CliRunner
from training import MODEL

import configs
from model.__main__ import main
from model.network.summary import summarise

CELLS = 32
TOKENS = 2 * CELLS**2  # of both images


@pytest.fixture(scope="module")
def tiny():
    return summarise(MODEL)


@pytest.fixture(scope="module")
def paper():
    return summarise(configs.load().model)


def test_backbone_of_a_tiny_network(tiny):
    """Kernels, scale and bias of every norm per channel; equal channels need no shortcut."""
    stem = 8 * 8 * 8 + 2 * 8
    block = 2 * (3 * 3 * 8 * 8 + 2 * 8)
    assert tiny.parameters_by_module["backbone"] == stem + 2 * block + 8 * 16


def test_refiner_of_a_tiny_network(tiny):
    """Both features and nine similarities in, two coordinates out."""
    assert tiny.parameters_by_module["refiner"] == (2 * 16 + 9 + 1) * 16 + (16 + 1) * 2


def test_layers_come_in_pairs(tiny):
    """Query, key, value and merge, the perceptron's two, two norms: for self and for cross."""
    layer = 4 * 16 * 16 + 2 * 16 * 16 + 2 * 2 * 16
    deeper = summarise(dataclasses.replace(MODEL, layers=3))
    assert (
        deeper.parameters_by_module["transformer"] - tiny.parameters_by_module["transformer"]
        == 2 * 2 * layer
    )
    assert deeper.parameters_by_module["backbone"] == tiny.parameters_by_module["backbone"]
    assert deeper.flops > tiny.flops


def test_parameters_are_the_sum_over_modules(tiny):
    assert tiny.parameters == sum(tiny.parameters_by_module.values())
    assert tiny.parameters_by_module.keys() == {"backbone", "transformer", "matcher", "refiner"}


def test_orientations_multiply_the_channels(tiny):
    """All kernels but the first, which reads an image, read every orientation."""
    equivariant = summarise(dataclasses.replace(MODEL, rotations=4)).parameters_by_module
    kernels = 4 * 3 * 3 * 8 * 8 + 8 * 16
    assert equivariant["backbone"] - tiny.parameters_by_module["backbone"] == 3 * kernels


def test_paper_is_a_resnet18_and_four_layers_of_width_256(paper):
    """ResNet-18 has 11.2 M parameters without its classifier, the fusion's come on top."""
    assert paper.parameters_by_module["backbone"] == pytest.approx(
        11.2e6 + (128 + 256 + 512) * 256, rel=0.01
    )
    layer = 4 * 256**2 + 2 * 256 * 1024
    assert paper.parameters_by_module["transformer"] == pytest.approx(4 * 2 * layer, rel=0.01)
    assert paper.cells == CELLS


def test_flops_of_a_pair_are_those_of_its_products(paper):
    """Multiply-adds count two: convolutions by their area, layers by tokens, attention by N²."""
    stage = [64 * 64 * 9 * 4] + [(2 * 9 + 4 * 9 * 3 + 2) * c**2 for c in (64, 128, 256)]
    area = [4 * CELLS**2, CELLS**2, CELLS**2 / 4, CELLS**2 / 16]
    backbone = sum(a * b for a, b in zip(stage, area, strict=True))
    layers = paper.parameters_by_module["transformer"] * TOKENS
    attention = 8 * 2 * TOKENS * CELLS**2 * 256
    expected = 2 * (2 * backbone + layers + attention)
    assert paper.flops == pytest.approx(expected, rel=0.05)


def test_table(tiny):
    rows = str(tiny).splitlines()
    assert rows[0].split() == ["backbone", f"{tiny.parameters_by_module['backbone']:,}"]
    assert any(row.split() == ["parameters", f"{tiny.parameters:,}"] for row in rows)
    assert "GFLOP" in rows[-2] and "8 × 8 cells" in rows[-1]


def test_command(paper):
    """It prints the table of the paper's network, and of that with other settings."""
    shown = CliRunner().invoke(main, ["summary"])
    assert (shown.exit_code, shown.output) == (0, f"{paper}\n")
    other = CliRunner().invoke(main, ["summary", "--set", "model.layers=2"])
    shallow = summarise(dataclasses.replace(configs.load().model, layers=2))
    assert other.output == f"{shallow}\n" != shown.output

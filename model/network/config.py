"""Settings of the network. Does not import jax, so that a config can be read without it."""

from __future__ import annotations

from dataclasses import dataclass, fields

ROTATIONS = (1, 4, 8)  # which a square kernel can be rotated by
ATTENTIONS = ("softmax", "linear")
DTYPES = ("float32", "bfloat16")
LARGEST_NUMBER_OF_STAGES = 8  # the last of 8 stages halves the image 8 times or more


@dataclass(frozen=True)
class ModelLimits:
    """Upper bounds of `ModelConfig`, chosen: 8 times the published network's or more."""

    image_size: int = 2048  # px
    stride: int = 2048  # px
    stem_stride: int = 2048  # px
    stem_channels: int = 1024
    stage_channels: int = 4096  # each
    blocks: int = 64
    width: int = 4096
    layers: int = 64
    heads: int = 256
    mlp: int = 16384


LIMITS = ModelLimits()


@dataclass(frozen=True)
class ModelConfig:
    """Settings of the network; the defaults are the published one.

    IFViT (arXiv 2404.08237), first module: a ResNet (basic blocks, He et al. 2016) with top-down
    fusion to `stride`, a transformer of alternating self- and cross-attention (LoFTR, arXiv
    2104.00680) and dual-softmax matching.

    Raises:
        ValueError: a network with these settings cannot be built.
    """

    image_size: int = 128  # px, side of the input
    stride: int = 4  # px, side of a matching cell; image_size // stride cells per side
    contrast_window: float = 0.0  # px, deviation of local contrast normalisation; 0 is off
    rotations: int = 1  # orientations of a rotation-equivariant backbone; 1 is plain
    stem_channels: int = 64  # this and stage_channels count for each orientation
    stem_stride: int = 2  # px
    stage_channels: tuple[int, ...] = (64, 128, 256, 512)  # stage k has stride stem_stride · 2^k
    blocks: int = 2  # residual blocks per stage: 2 is ResNet-18
    width: int = 256  # channels of the transformer
    layers: int = 4  # pairs of a self- and a cross-attention layer
    heads: int = 8  # of the attention
    mlp: int = 1024  # channels of the hidden layer in the transformer
    attention: str = "softmax"  # or "linear" (LoFTR's elu + 1), which is faster on CPUs
    compute_dtype: str = "float32"  # or "bfloat16"; parameters and loss stay float32

    def __post_init__(self) -> None:
        """Check the settings."""
        sizes = ("image_size", "stride", "stem_channels", "stem_stride")
        for name in (*sizes, "blocks", "width", "heads", "mlp"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if min(self.stage_channels, default=0) < 1:
            raise ValueError(f"stage_channels is {self.stage_channels}, expected 1 or more each")
        if self.layers < 0:
            raise ValueError(f"layers is {self.layers}, expected 0 or more")
        self._check_limits()
        if not 0 <= self.contrast_window <= self.image_size:
            expected = f"0 to image_size {self.image_size}"
            raise ValueError(f"contrast_window is {self.contrast_window}, expected {expected}")
        self._check_strides()
        if self.width % (4 * self.heads):
            expected = f"a multiple of 4 · heads = {4 * self.heads}"
            raise ValueError(f"width is {self.width}, expected {expected}")
        if self.rotations not in ROTATIONS:
            raise ValueError(f"rotations is {self.rotations}, expected one of {ROTATIONS}")
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention is {self.attention!r}, expected one of {ATTENTIONS}")
        if self.compute_dtype not in DTYPES:
            raise ValueError(f"compute_dtype is {self.compute_dtype!r}, expected one of {DTYPES}")

    def _check_limits(self) -> None:
        """Check that the network is not absurdly large, before anything is built."""
        for limit in fields(LIMITS):
            largest = getattr(LIMITS, limit.name)
            value = getattr(self, limit.name)
            values = value if isinstance(value, tuple) else (value,)
            if max(values, default=0) > largest:
                raise ValueError(f"{limit.name} is {value}, expected at most {largest}")
        if len(self.stage_channels) > LARGEST_NUMBER_OF_STAGES:
            expected = f"at most {LARGEST_NUMBER_OF_STAGES} stages"
            raise ValueError(f"stage_channels is {self.stage_channels}, expected {expected}")

    def _check_strides(self) -> None:
        """Check that the matching cells are those of a stage, and that the image divides."""
        strides = [self.stem_stride * 2**k for k in range(len(self.stage_channels))]
        if self.stride not in strides:
            raise ValueError(f"stride is {self.stride}, expected one of the stages' {strides}")
        if self.image_size % self.coarsest:
            expected = f"a multiple of {self.coarsest}"
            raise ValueError(f"image_size is {self.image_size}, expected {expected}")

    @property
    def coarsest(self) -> int:
        """Stride of the last stage, px; the side of an image is a multiple of it."""
        return self.stem_stride * 2 ** (len(self.stage_channels) - 1)

    @property
    def cells(self) -> int:
        """Cells per side of the matching grid (G)."""
        return self.image_size // self.stride

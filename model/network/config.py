"""Settings of the network; free of jax, so that a config can be read without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """The published network (IFViT, arXiv 2404.08237, first module) by default.

    A ResNet (basic blocks, He et al. 2016) with top-down fusion to `stride`, a transformer
    of alternating self- and cross-attention (LoFTR, arXiv 2104.00680) and dual-softmax matching.
    """

    image_size: int = 128  # px, side of the input
    stride: int = 4  # px, side of a matching cell; image_size // stride cells along a side
    contrast_window: float = 0.0  # px, deviation of local contrast normalisation; 0 is off
    rotations: int = 1  # orientations of a rotation-equivariant backbone; 1 is plain
    stem_channels: int = 64  # this and stage_channels count for each orientation
    stem_stride: int = 2
    stage_channels: tuple[int, ...] = (64, 128, 256, 512)  # stage k works at stem_stride · 2^k
    blocks: int = 2  # residual blocks a stage: 2 is ResNet-18
    width: int = 256  # of the transformer
    layers: int = 4  # pairs of a self- and a cross-attention layer
    heads: int = 8
    mlp: int = 1024
    attention: str = "softmax"  # or "linear" (LoFTR's elu + 1), which two CPU cores want
    compute_dtype: str = "float32"  # or "bfloat16"; parameters and loss stay float32

    def __post_init__(self) -> None:
        """Refuse what cannot be built, with a ValueError that says why."""
        counts = (
            "image_size",
            "stride",
            "stem_channels",
            "stem_stride",
            "blocks",
            "width",
            "heads",
        )
        for name in (*counts, "mlp"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is below 1")
        if min(self.stage_channels, default=0) < 1:
            raise ValueError(
                f"stage_channels {self.stage_channels}: expected one or more of 1 and up"
            )
        if self.layers < 0 or not 0 <= self.contrast_window <= self.image_size:
            raise ValueError(f"layers {self.layers}, contrast_window {self.contrast_window}")
        strides = [self.stem_stride * 2**k for k in range(len(self.stage_channels))]
        if self.stride not in strides:
            raise ValueError(f"stride {self.stride} is none of the stages' strides {strides}")
        if self.image_size % self.coarsest:
            raise ValueError(f"image_size {self.image_size} is no multiple of {self.coarsest}")
        if self.width % (4 * self.heads):
            raise ValueError(f"width {self.width} is no multiple of 4 · heads = {4 * self.heads}")
        if self.rotations not in (1, 4, 8):
            raise ValueError(f"rotations {self.rotations}: 1, 4 or 8, which a square grid can turn")
        if self.attention not in ("softmax", "linear"):
            raise ValueError(f"attention {self.attention!r} is neither 'softmax' nor 'linear'")
        if self.compute_dtype not in ("float32", "bfloat16"):
            raise ValueError(f"compute_dtype {self.compute_dtype!r}: 'float32' or 'bfloat16'")

    @property
    def coarsest(self) -> int:
        """The last stage's stride in px, of which an image's side is a multiple."""
        return self.stem_stride * 2 ** (len(self.stage_channels) - 1)

    @property
    def cells(self) -> int:
        """Cells along a side of the matching grid."""
        return self.image_size // self.stride

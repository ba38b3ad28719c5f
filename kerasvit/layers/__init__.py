"""Layers that ViT, CaiT and XCiT are made of, each a registered Keras layer."""

from kerasvit.layers.attention.class_attention import ClassAttention as ClassAttention
from kerasvit.layers.attention.cross_covariance import (
    CrossCovarianceAttention as CrossCovarianceAttention,
)
from kerasvit.layers.attention.differential import DifferentialAttention as DifferentialAttention
from kerasvit.layers.attention.pooling import AttentionPooling as AttentionPooling
from kerasvit.layers.attention.relative_bias import RelativePositionBias as RelativePositionBias
from kerasvit.layers.attention.self_attention import SelfAttention as SelfAttention
from kerasvit.layers.attention.talking_heads import TalkingHeadsAttention as TalkingHeadsAttention
from kerasvit.layers.blocks.cait import ClassAttentionBlock as ClassAttentionBlock
from kerasvit.layers.blocks.cait import LayerScaleBlock as LayerScaleBlock
from kerasvit.layers.blocks.encoder import EncoderBlock as EncoderBlock
from kerasvit.layers.blocks.encoder import PostNormBlock as PostNormBlock
from kerasvit.layers.blocks.parallel import BranchedBlock as BranchedBlock
from kerasvit.layers.blocks.parallel import ParallelBlock as ParallelBlock
from kerasvit.layers.blocks.xcit import CrossCovarianceBlock as CrossCovarianceBlock
from kerasvit.layers.blocks.xcit import XCiTClassBlock as XCiTClassBlock
from kerasvit.layers.fourier_positions import FourierPositions as FourierPositions
from kerasvit.layers.local_interaction import LocalInteraction as LocalInteraction
from kerasvit.layers.mlp import MLP as MLP
from kerasvit.layers.mlp import GatedMLP as GatedMLP
from kerasvit.layers.regularization import LayerScale as LayerScale
from kerasvit.layers.regularization import StochasticDepth as StochasticDepth
from kerasvit.layers.rotary.embedding import RotaryEmbedding as RotaryEmbedding
from kerasvit.layers.stem import ConvolutionalStem as ConvolutionalStem
from kerasvit.layers.tokens import LearnedTokens as LearnedTokens
from kerasvit.layers.tokens import PatchEmbedding as PatchEmbedding
from kerasvit.layers.tokens import PositionEmbedding as PositionEmbedding

"""Layers that ViT and CaiT are made of, each a registered Keras layer."""

from kerasvit.layers.attention import SelfAttention as SelfAttention
from kerasvit.layers.attention_pooling import AttentionPooling as AttentionPooling
from kerasvit.layers.cait_blocks import ClassAttentionBlock as ClassAttentionBlock
from kerasvit.layers.cait_blocks import LayerScaleBlock as LayerScaleBlock
from kerasvit.layers.class_attention import ClassAttention as ClassAttention
from kerasvit.layers.differential_attention import DifferentialAttention as DifferentialAttention
from kerasvit.layers.encoder_blocks import EncoderBlock as EncoderBlock
from kerasvit.layers.encoder_blocks import PostNormBlock as PostNormBlock
from kerasvit.layers.mlp import MLP as MLP
from kerasvit.layers.mlp import GatedMLP as GatedMLP
from kerasvit.layers.parallel_blocks import BranchedBlock as BranchedBlock
from kerasvit.layers.parallel_blocks import ParallelBlock as ParallelBlock
from kerasvit.layers.regularization import LayerScale as LayerScale
from kerasvit.layers.regularization import StochasticDepth as StochasticDepth
from kerasvit.layers.talking_heads_attention import TalkingHeadsAttention as TalkingHeadsAttention
from kerasvit.layers.tokens import LearnedTokens as LearnedTokens
from kerasvit.layers.tokens import PatchEmbedding as PatchEmbedding
from kerasvit.layers.tokens import PositionEmbedding as PositionEmbedding

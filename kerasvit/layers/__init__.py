"""Layers that ViT and CaiT are made of, each a registered Keras layer."""

from kerasvit.layers.attention import ClassAttention as ClassAttention
from kerasvit.layers.attention import SelfAttention as SelfAttention
from kerasvit.layers.attention import TalkingHeadsAttention as TalkingHeadsAttention
from kerasvit.layers.blocks import ClassAttentionBlock as ClassAttentionBlock
from kerasvit.layers.blocks import EncoderBlock as EncoderBlock
from kerasvit.layers.blocks import LayerScaleBlock as LayerScaleBlock
from kerasvit.layers.mlp import MLP as MLP
from kerasvit.layers.mlp import GatedMLP as GatedMLP
from kerasvit.layers.regularization import LayerScale as LayerScale
from kerasvit.layers.regularization import StochasticDepth as StochasticDepth
from kerasvit.layers.tokens import LearnedTokens as LearnedTokens
from kerasvit.layers.tokens import PatchEmbedding as PatchEmbedding
from kerasvit.layers.tokens import PositionEmbedding as PositionEmbedding

"""Layers that heads and backbones are made of, usable in any Keras model."""

from mtlkit.layers.attention_pooling import AttentionPooling
from mtlkit.layers.circular_conv import CircularConv2D
from mtlkit.layers.feature_pooling import FeaturePooling
from mtlkit.layers.gradient_gates import GradientReversal, GradientScale, GradientStop
from mtlkit.layers.input_normalization import InputNormalization
from mtlkit.layers.polar import PolarResample
from mtlkit.layers.reproducible_dropout import ReproducibleDropout

__all__ = [
    "AttentionPooling",
    "CircularConv2D",
    "FeaturePooling",
    "GradientReversal",
    "GradientScale",
    "GradientStop",
    "InputNormalization",
    "PolarResample",
    "ReproducibleDropout",
]

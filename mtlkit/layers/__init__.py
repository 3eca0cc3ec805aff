"""Layers that heads and backbones are made of, usable in any Keras model."""

from mtlkit.layers.attention_pooling import AttentionPooling
from mtlkit.layers.circular_conv import CircularConv2D
from mtlkit.layers.coordinates import AddCoordinates
from mtlkit.layers.feature_pooling import FeaturePooling
from mtlkit.layers.gradient_gates import GradientReversal, GradientScale, GradientStop
from mtlkit.layers.gradient_histogram import GradientHistogram
from mtlkit.layers.input_normalization import InputNormalization
from mtlkit.layers.polar import PolarResample
from mtlkit.layers.reproducible_dropout import ReproducibleDropout
from mtlkit.layers.rotation_orbit import RotationOrbit
from mtlkit.layers.spatial_softmax import SpatialSoftmax

__all__ = [
    "AddCoordinates",
    "AttentionPooling",
    "CircularConv2D",
    "FeaturePooling",
    "GradientHistogram",
    "GradientReversal",
    "GradientScale",
    "GradientStop",
    "InputNormalization",
    "PolarResample",
    "ReproducibleDropout",
    "RotationOrbit",
    "SpatialSoftmax",
]

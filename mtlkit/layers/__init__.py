"""Layers that heads and backbones are made of, usable in any Keras model."""

from mtlkit.layers.attention_pooling import AttentionPooling
from mtlkit.layers.circular_conv import CircularConv2D
from mtlkit.layers.conditioning import (
    BilinearConditioning,
    ConcatConditioning,
    ExpertMixtureConditioning,
    FiLM,
    GatedConditioning,
    SpatialDistillation,
)
from mtlkit.layers.coordinates import AddCoordinates
from mtlkit.layers.cross_stitch_unit import CrossStitchUnit
from mtlkit.layers.expert_gate import ExpertGate
from mtlkit.layers.feature_pooling import FeaturePooling
from mtlkit.layers.gradient_gates import GradientReversal, GradientScale, GradientStop
from mtlkit.layers.gradient_histogram import GradientHistogram
from mtlkit.layers.imagenet_preprocessing import ImageNetPreprocessing
from mtlkit.layers.input_normalization import InputNormalization
from mtlkit.layers.polar import PolarResample
from mtlkit.layers.proxies import CosineProxies, PrototypeDistances
from mtlkit.layers.reproducible_dropout import ReproducibleDropout
from mtlkit.layers.rotation_orbit import RotationOrbit
from mtlkit.layers.spatial_softmax import SpatialSoftmax
from mtlkit.layers.task_attention import TaskAttention
from mtlkit.layers.unit_norm import UnitNorm

__all__ = [
    "AddCoordinates",
    "AttentionPooling",
    "BilinearConditioning",
    "CircularConv2D",
    "ConcatConditioning",
    "CosineProxies",
    "CrossStitchUnit",
    "ExpertGate",
    "ExpertMixtureConditioning",
    "FeaturePooling",
    "FiLM",
    "GatedConditioning",
    "GradientHistogram",
    "GradientReversal",
    "GradientScale",
    "GradientStop",
    "ImageNetPreprocessing",
    "InputNormalization",
    "PolarResample",
    "PrototypeDistances",
    "ReproducibleDropout",
    "RotationOrbit",
    "SpatialDistillation",
    "SpatialSoftmax",
    "TaskAttention",
    "UnitNorm",
]

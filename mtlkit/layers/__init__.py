from mtlkit.layers.polar import PolarResample
from mtlkit.layers.circular_conv import CircularConv2D

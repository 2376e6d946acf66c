"""dlib's face recognition ResNet (29 convolutions, CC0) as an ONNX graph.

The architecture is the one of dlib's `dnn_face_recognition_ex.cpp`; the file gives the parameters
from input to output. Each affine layer is folded into the convolution before it. A convolution of
stride 1 is padded by 1, one of stride 2 is not padded. A block that halves adds the average pool
(2x2) of its input to its own output, and the smaller of the two is padded with zeros: in channels,
and below and to the right (dlib's `add_prev`).

Input `chips`: uint8, count x 150 x 150 x 3, RGB. Output `embeddings`: float32, count x 128.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.vision.convert.dlib_file import DlibFile, Floats, damaged
from gateway.vision.convert.onnx_file import Graph, Kind

SIDE = 150
MEAN = (122.782, 117.001, 104.298)
SCALE = 256.0
STEM = 32
# channels of each block, and whether it halves the picture: levels 4, 3, 2, 1, 0 of dlib's source
BLOCKS = (
    *((32, False),) * 3,
    *((64, True), *((64, False),) * 3),
    *((128, True), *((128, False),) * 2),
    *((256, True), *((256, False),) * 2),
    (256, True),
)


@dataclass
class _Net:
    """The graph so far: the name, channels and side of its last value."""

    graph: Graph
    layers: list[tuple[str, Floats]]
    last: str
    channels: int
    side: int

    def take(self, kind: str, size: int) -> Floats:
        if not self.layers or self.layers[0][0] != kind or self.layers[0][1].size != size:
            raise damaged()
        return self.layers.pop(0)[1]

    def convolve(self, channels: int, kernel: int, stride: int) -> None:
        """A convolution with the affine layer that follows it."""
        size = channels * self.channels * kernel * kernel
        parameters, affine = self.take("con_4", size + channels), self.take("affine_", 2 * channels)
        gamma, beta = affine[:channels], affine[channels:]
        weights = parameters[:size].reshape(channels, self.channels, kernel, kernel) * gamma[:, None, None, None]
        bias = parameters[size:] * gamma + beta
        pad = kernel // 2 if stride == 1 else 0
        self.last = self.graph.node(
            "Conv",
            self.last,
            self.graph.constant(weights),
            self.graph.constant(bias),
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(pad,) * 4,
        )
        self.channels, self.side = channels, (self.side + 2 * pad - kernel) // stride + 1

    def relu(self) -> None:
        self.last = self.graph.node("Relu", self.last)

    def pool(self, kind: str, kernel: int) -> None:
        self.last = self.graph.node(kind, self.last, kernel_shape=(kernel, kernel), strides=(2, 2))
        self.side = (self.side - kernel) // 2 + 1

    def padded(self, channels: int, side: int) -> str:
        if (channels, side) == (self.channels, self.side):
            return self.last
        ends = (0, channels - self.channels, side - self.side, side - self.side)
        pads = self.graph.constant((0, 0, 0, 0, *ends), Kind.INT64)
        return self.graph.node("Pad", self.last, pads)

    def block(self, channels: int, *, halves: bool) -> None:
        before = _Net(self.graph, [], self.last, self.channels, self.side)
        self.convolve(channels, 3, 2 if halves else 1)
        self.relu()
        self.convolve(channels, 3, 1)
        if halves:
            before.pool("AveragePool", 2)
        side = max(self.side, before.side)
        self.last = self.graph.node("Add", self.padded(channels, side), before.padded(channels, side))
        self.side = side
        self.relu()


def convert(data: bytes) -> bytes:
    """The ONNX file for dlib's `dlib_face_recognition_resnet_model_v1.dat`. Raises ModelError."""
    layers = list(DlibFile(data).layers({"con_4": 0, "affine_": 0, "fc_2": 2}))
    graph = Graph("dlib_face_recognition_resnet_model_v1")
    numbers = graph.node("Cast", "chips", to=int(Kind.FLOAT))
    centred = graph.node("Sub", numbers, graph.constant(np.array(MEAN, np.float32)))
    scaled = graph.node("Mul", centred, graph.constant(np.float32(1 / SCALE)))
    net = _Net(graph, layers, graph.node("Transpose", scaled, perm=(0, 3, 1, 2)), 3, SIDE)
    net.convolve(STEM, 7, 2)
    net.relu()
    net.pool("MaxPool", 3)
    for channels, halves in BLOCKS:
        net.block(channels, halves=halves)
    flat = graph.node("Flatten", graph.node("GlobalAveragePool", net.last), axis=1)
    weights = net.take("fc_2", net.channels * 128).reshape(net.channels, 128)
    graph.node("MatMul", flat, graph.constant(weights), output="embeddings")
    if net.layers:
        raise damaged()
    return graph.encode(("chips", Kind.UINT8, ("count", SIDE, SIDE, 3)), ("embeddings", Kind.FLOAT, ("count", 128)))

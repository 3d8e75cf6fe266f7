"""Writes the tiny models of this folder: `python make.py` (needs the `onnx` package)."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
FLOAT, INT64, BOOL, HALF = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT16


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def save(file, nodes, inputs, outputs, constants=(), ir=8, check=True, domains=()):
    graph = helper.make_graph(nodes, Path(file).stem, inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="")
    if check:
        onnx.checker.check_model(model, full_check=True)
    onnx.save(model, HERE / file)


node = helper.make_node

# y = 2 x + 1, every size fixed.
save(
    "affine.onnx",
    [node("Mul", ["x", "two"], ["twice"]), node("Add", ["twice", "one"], ["y"])],
    [value("x", FLOAT, [1, 3])],
    [value("y", FLOAT, [1, 3])],
    [constant("two", np.float32(2)), constant("one", np.float32(1))],
)

# Two inputs, three outputs of three kinds whose order is not that of the nodes; free batch.
save(
    "several.onnx",
    [
        node("Add", ["a", "b"], ["sum"]),
        node("ArgMax", ["sum"], ["best"], axis=1, keepdims=0),
        node("Greater", ["a", "b"], ["larger"]),
    ],
    [value("a", FLOAT, ["N", 4]), value("b", FLOAT, ["N", 4])],
    [value("larger", BOOL, ["N", 4]), value("best", INT64, ["N"]), value("sum", FLOAT, ["N", 4])],
)

# int64 in, int64 out: y = the rows of a table, and the batch read off by Shape.
save(
    "rows.onnx",
    [
        node("Gather", ["table", "index"], ["row"], axis=0),
        node("Shape", ["index"], ["shape"]),
    ],
    [value("index", INT64, ["N"])],
    [value("row", FLOAT, ["N", 2]), value("shape", INT64, [1])],
    [constant("table", np.arange(6, dtype=np.float32).reshape(3, 2))],
)

# A small network with a free batch: Conv, Relu, GlobalAveragePool, Flatten by Shape-Gather-Concat, Gemm.
rng = np.random.default_rng(7)
save(
    "network.onnx",
    [
        node("Conv", ["image", "w"], ["conv"], pads=[1, 1, 1, 1]),
        node("Relu", ["conv"], ["activation"]),
        node("GlobalAveragePool", ["activation"], ["pooled"]),
        node("Shape", ["pooled"], ["size"]),
        node("Gather", ["size", "zero"], ["batch"], axis=0),
        node("Unsqueeze", ["batch", "zeros"], ["batch1"]),
        node("Concat", ["batch1", "rest"], ["flat_shape"], axis=0),
        node("Reshape", ["pooled", "flat_shape"], ["flat"]),
        node("Gemm", ["flat", "fc", "bias"], ["score"], transB=1),
    ],
    [value("image", FLOAT, ["N", 3, 8, 8])],
    [value("score", FLOAT, ["N", 5])],
    [
        constant("w", rng.standard_normal((4, 3, 3, 3), dtype=np.float32)),
        constant("fc", rng.standard_normal((5, 4), dtype=np.float32)),
        constant("bias", rng.standard_normal(5, dtype=np.float32)),
        constant("zero", np.int64(0)),
        constant("zeros", np.array([0], dtype=np.int64)),
        constant("rest", np.array([-1], dtype=np.int64)),
    ],
)

# float16 through and through.
save(
    "half.onnx",
    [node("Mul", ["x", "two"], ["y"])],
    [value("x", HALF, [2])],
    [value("y", HALF, [2])],
    [constant("two", np.float16(2))],
)

# Initialisers listed as inputs too: all are in IR version 3, and from 4 on those that may be replaced
# at run time. Two of them are equal.
for file, ir in [("defaults.onnx", 3), ("replaceable.onnx", 8)]:
    save(
        file,
        [node("Mul", ["x", "scale"], ["scaled"]), node("Mul", ["scaled", "again"], ["y"])],
        [value("x", FLOAT, [2]), value("scale", FLOAT, [1]), value("again", FLOAT, [1])],
        [value("y", FLOAT, [2])],
        [constant(name, np.array([2], np.float32)) for name in ("scale", "again")],
        ir=ir,
    )

# Negative pads crop; tract 0.23 by itself panics on them.
save(
    "crop.onnx",
    [node("Pad", ["x", "pads"], ["y"])],
    [value("x", FLOAT, [1, 4])],
    [value("y", FLOAT, [1, 2])],
    [constant("pads", np.array([0, -1, 0, -1], dtype=np.int64))],
)

# tract 0.23 panics on an index beyond the depth, of which ONNX says that nothing is hot.
save(
    "panics.onnx",
    [node("OneHot", ["index", "depth", "values"], ["hot"], name="beyond"), node("Add", ["x", "hot"], ["y"])],
    [value("x", FLOAT, [1, 4])],
    [value("y", FLOAT, [1, 4])],
    [
        constant("index", np.array([5], dtype=np.int64)),
        constant("depth", np.array(4, dtype=np.int64)),
        constant("values", np.array([0, 1], dtype=np.float32)),
    ],
)

# An operator of somebody else's that happens to be named as one of ONNX's own.
save(
    "foreign.onnx",
    [node("Relu", ["x"], ["y"], domain="com.example", name="theirs")],
    [value("x", FLOAT, [2])],
    [value("y", FLOAT, [2])],
    check=False,
    domains=["com.example"],
)

# Inner sizes that do not fit.
save(
    "misfit.onnx",
    [node("MatMul", ["x", "w"], ["y"])],
    [value("x", FLOAT, [1, 3])],
    [value("y", FLOAT, [1, 2])],
    [constant("w", np.ones((4, 2), np.float32))],
    check=False,
)

# An output that nothing makes.
save(
    "nowhere.onnx",
    [node("Relu", ["x"], ["y"])],
    [value("x", FLOAT, [1, 3])],
    [value("z", FLOAT, [1, 3])],
    check=False,
)

"""What hirescam is compared with: each entry is a call from tensor to map, as the library's own documentation writes it."""

from __future__ import annotations

import copy
import functools
import unittest.mock
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from captum.attr import LayerGradientXActivation
from pytorch_grad_cam import AblationCAM, HiResCAM, ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import GradCAM

Call = Callable[[], np.ndarray]


def raw(library_class):
    """The class, with the map before rectifying, scaling and resizing kept in `raw`: the library gives it to nobody."""

    class Raw(library_class):
        def get_cam_image(self, *arguments, **named):
            self.raw = super().get_cam_image(*arguments, **named)
            return self.raw

    return Raw


def pytorch_grad_cam(net: nn.Module, layer: str, x: torch.Tensor, method=HiResCAM, classes: list[int] | None = None) -> Call:
    """Forward and backward for each class; without classes, for the best of each image."""
    net = copy.deepcopy(net)
    cam = raw(method)(net, [net.get_submodule(layer)])

    def call() -> np.ndarray:
        if classes is None:
            cam(x, targets=None)
            return cam.raw
        maps = []
        for number in classes:
            cam(x, targets=[ClassifierOutputTarget(number)])
            maps.append(cam.raw)
        return np.stack(maps, axis=1)

    return call


def pytorch_grad_cam_score_cam(net: nn.Module, layer: str, x: torch.Tensor) -> Call:
    """Its Score-CAM, with masks and image put edge on edge, as ours: it puts the outermost cells' centres on corners. That costs the same."""
    call = pytorch_grad_cam(net, layer, x, ScoreCAM)
    edges = functools.partial(nn.Upsample, mode="bilinear", align_corners=False)

    def with_edges() -> np.ndarray:
        with unittest.mock.patch.object(nn, "UpsamplingBilinear2d", edges):
            return call()

    return with_edges


def torch_cam(net: nn.Module, layer: str, x: torch.Tensor) -> Call:
    """torch-cam has no HiResCAM; its Grad-CAM costs the same. Rectified."""
    net = copy.deepcopy(net)
    cam = GradCAM(net, layer)

    def call() -> np.ndarray:
        scores = net(x)
        return cam(scores.argmax(1).tolist(), scores, normalized=False)[0].cpu().numpy()

    return call


def captum(net: nn.Module, layer: str, x: torch.Tensor) -> Call:
    """Gradient × activation, summed by the user. It is told the class: to find that out would be another forward pass."""
    net = copy.deepcopy(net)
    method = LayerGradientXActivation(net, net.get_submodule(layer))
    with torch.no_grad():
        best = net(x).argmax(1)
    return lambda: method.attribute(x, target=best).sum(1).detach().cpu().numpy()


def torch_inference(net: nn.Module, x: torch.Tensor) -> Call:
    def call() -> np.ndarray:
        with torch.inference_mode():
            return net(x).cpu().numpy()

    return call


def onnx_ad(file: str, value: str, image: np.ndarray, threads: int, device: str) -> Call:
    """The file cut at the layer by hand, and the head differentiated by onnx-ad; ONNX Runtime runs body, head and gradient."""
    import onnx_ad
    from onnx.utils import Extractor

    model = shaped(file, len(image))
    score = model.graph.output[0].name
    extractor = Extractor(model)
    body, head = extractor.extract_model([model.graph.input[0].name], [value]), extractor.extract_model([value], [score])
    adjoint = onnx_ad.reverse(head, layout="onnx")
    run = [session(part, threads, device) for part in (body, head, adjoint)]
    seed = f"adj_{score}"
    gradient = [o.name for o in adjoint.graph.output if o.name.startswith("adj_")][0]

    def call() -> np.ndarray:
        (activation,) = run[0].run([value], {model.graph.input[0].name: image})
        (scores,) = run[1].run([score], {value: activation})
        hot = np.zeros((*scores.shape, 1), np.float32)
        hot[np.arange(len(scores)), scores.argmax(1), 0] = 1
        (g,) = run[2].run([gradient], {value: activation, seed: hot})
        return (g[..., 0] * activation).sum(1)

    return call


def onnx_ad_whole(file: str, image: np.ndarray, threads: int, device: str) -> Call:
    """The whole file differentiated, as onnx-ad's documentation does it: that gives the gradient at the image alone. It is told the classes."""
    import onnx_ad

    model = shaped(file, len(image))
    name, score = model.graph.input[0].name, model.graph.output[0].name
    (scores,) = session(model, threads, device).run([score], {name: image})
    hot = np.zeros((*scores.shape, 1), np.float32)
    hot[np.arange(len(scores)), scores.argmax(1), 0] = 1
    adjoint = session(onnx_ad.reverse(model, layout="onnx"), threads, device)
    wanted = [score, f"adj_{name}"]
    return lambda: (adjoint.run(wanted, {name: image, f"adj_{score}": hot})[1][..., 0] * image).sum(1)


def shaped(file: str, batch: int) -> onnx.ModelProto:
    """The file for one size of batch, with the shapes of all values written down: onnx-ad needs them."""
    model = onnx.load(file)
    for value in (model.graph.input[0], *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return onnx.shape_inference.infer_shapes(model)


def session(model: onnx.ModelProto | str, threads: int, device: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = model if isinstance(model, str) else model.SerializeToString()
    provider = ("CUDAExecutionProvider", {"use_tf32": 0}) if device == "cuda" else "CPUExecutionProvider"
    return onnxruntime.InferenceSession(source, options, providers=[provider])


def layer_value(net: nn.Module, layer: str, x: torch.Tensor, file: str, candidates: list[str]) -> str:
    """The name in the file of what the module `layer` makes, found by its numbers."""
    kept = []
    handle = net.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.append(output.detach().cpu().numpy().copy()))
    with torch.no_grad():
        net(x)
    handle.remove()
    model = onnx.load(file)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in candidates)
    values = session(model, 1, "cpu").run(candidates, {model.graph.input[0].name: x.cpu().numpy()})
    off = {n: np.abs(v - kept[0]).max() for n, v in zip(candidates, values) if v.shape == kept[0].shape}
    best = min(off, key=off.get)
    if off[best] > 1e-3 * np.abs(kept[0]).max():
        raise LookupError(f"no value of {file} is what {layer} makes")
    return best

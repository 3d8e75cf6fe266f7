"""The interface of pytorch-grad-cam. Without PyTorch these tests are skipped; without that library, those that compare with it."""

from __future__ import annotations

import importlib
from typing import Any

import hirescam
import numpy as np
import pytest

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
ours: Any = importlib.import_module("hirescam.compat.pytorch_grad_cam")
image: Any = importlib.import_module("hirescam.compat.pytorch_grad_cam.utils.image")
targets: Any = importlib.import_module("hirescam.compat.pytorch_grad_cam.utils.model_targets")
pytestmark = pytest.mark.filterwarnings("ignore")

METHODS = """GradCAM HiResCAM GradCAMElementWise GradCAMPlusPlus XGradCAM LayerCAM EigenCAM EigenGradCAM SegEigenCAM KPCA_CAM FEM RandomCAM ScoreCAM AblationCAM
FullGrad FinerCAM RefineCAM""".split()


def peer() -> Any:
    """The library itself."""
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam, the library that this stands for, is not installed")
    return importlib.import_module("pytorch_grad_cam")


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 12, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(48, 10),
        torch.nn.ReLU(),
        torch.nn.Linear(10, 5),
    ).eval()


@pytest.fixture
def x() -> Any:
    torch.manual_seed(1)
    return torch.randn(2, 3, 24, 20)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_the_library(model: Any, x: Any, method: str, given: bool, several: bool) -> None:
    made = []
    for library in (peer(), ours):
        np.random.seed(0)
        cam = getattr(library, method)(model=model, target_layers=[model[2], model[4]] if several else [model[4]])
        wanted = [library.utils.model_targets.ClassifierOutputTarget(c) for c in (3, 1)] if given else None
        made.append(cam(input_tensor=x, targets=wanted))
    assert made[1].shape == (2, 24, 20) and made[1].dtype == made[0].dtype == np.float32
    # FullGrad stretches each channel to its own range: what rounding makes of a channel without evidence counts as much as any.
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=5e-3 if method == "FullGrad" else 1e-4)


@pytest.mark.parametrize("smooth", [{"aug_smooth": True}, {"eigen_smooth": True}])
def test_smoothed_maps_are_those_of_the_library(model: Any, x: Any, smooth: dict[str, bool]) -> None:
    made = [library.GradCAM(model, [model[4]])(x, None, **smooth) for library in (peer(), ours)]
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-5)


def test_targets_can_be_any_function_of_the_scores(model: Any, x: Any) -> None:
    kinds: list[Any] = [lambda y: y[1] * y[2], lambda y: y.softmax(-1)[0] + y.logsumexp(-1)]
    for target in kinds:
        made = [library.GradCAM(model, [model[4]])(x, [target, target]) for library in (peer(), ours)]
        np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-5)
    for name in ("ClassifierOutputSoftmaxTarget", "ClassifierOutputReST"):
        of = [[getattr(library.utils.model_targets, name)(2)] * 2 for library in (peer(), ours)]
        made = [library.HiResCAM(model, [model[4]])(x, t) for library, t in zip((peer(), ours), of)]
        np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-5)


def test_the_call_in_the_readme_works(model: Any, x: Any) -> None:
    with ours.GradCAM(model=model, target_layers=[model[4]]) as cam:
        grayscale = cam(input_tensor=x, targets=[targets.ClassifierOutputTarget(3)] * 2)[0, :]
        assert torch.allclose(cam.outputs, model(x), atol=1e-5)
    picture = image.show_cam_on_image(np.random.default_rng(0).random((24, 20, 3)), grayscale, use_rgb=True)
    assert picture.shape == (24, 20, 3) and picture.dtype == np.uint8


def test_a_method_of_ones_own_gets_activation_and_gradient(model: Any, x: Any) -> None:
    class Own(ours.BaseCAM):  # type: ignore[misc,name-defined,unused-ignore]
        def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
            return grads.mean((2, 3))

    np.testing.assert_array_equal(Own(model, [model[4]])(x), ours.GradCAM(model, [model[4]])(x))


def test_the_model_is_left_alone_and_followed(model: Any, x: Any) -> None:
    model.train()
    cam = ours.GradCAM(model, [model[4]])
    first = cam(x)
    assert model.training and not any(part._forward_hooks for part in model.modules()) and model[0].weight.grad is None
    with torch.no_grad():
        model[3].weight.data.neg_()
    assert np.abs(cam(x) - first).max() > 1e-3


def test_mistakes_are_told(model: Any, x: Any) -> None:
    cam = ours.GradCAM(model, [model[4]])
    with pytest.raises(hirescam.ArgumentError, match="targets= has 1, and there are 2 images"):
        cam(x, [targets.ClassifierOutputTarget(0)])
    with pytest.raises(hirescam.ArgumentError, match="no part of the model"):
        ours.GradCAM(model, [torch.nn.ReLU()])
    for missing in ("ShapleyCAM", "GuidedBackpropReLUModel", "SESS", "DeepFeatureFactorization"):
        with pytest.raises(hirescam.UnsupportedError, match=missing):
            getattr(ours, missing)(model, [model[4]])


def test_images_are_resized_as_by_opencv() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    rng = np.random.default_rng(0)
    for of, to in (((7, 7), (224, 224)), ((7, 9), (33, 40)), ((1, 1), (5, 6)), ((30, 20), (7, 9))):
        cam = rng.random((1, *of), dtype=np.float32)
        level = (cam[0] - cam.min()) / (1e-7 + (cam - cam.min()).max())
        np.testing.assert_allclose(image.scale_cam_image(cam, to)[0], cv2.resize(level, to), rtol=0, atol=1e-6)
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0]
    np.testing.assert_array_equal(image.JET[:, ::-1], colours)

"""The interface of pytorch-grad-cam. Without PyTorch these tests are skipped; without that library, those that compare with it."""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import inspect
import pkgutil
import random
import re
from typing import Any

import hirescam
import numpy as np
import pytest

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
ours: Any = importlib.import_module("hirescam.compat.pytorch_grad_cam")
image: Any = importlib.import_module("hirescam.compat.pytorch_grad_cam.utils.image")
targets: Any = importlib.import_module("hirescam.compat.pytorch_grad_cam.utils.model_targets")
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = ours.__name__
LEFT_OUT = {
    "ablation_cam_multilayer": "it is not imported there, and its calls fail",
    "sobel_cam": "edges of a picture: cv2.Sobel",
}
"""Modules of that library that are not here, and why."""

METHODS = """GradCAM HiResCAM GradCAMElementWise GradCAMPlusPlus XGradCAM LayerCAM EigenCAM EigenGradCAM SegEigenCAM KPCA_CAM FEM RandomCAM ScoreCAM AblationCAM
FullGrad FinerCAM RefineCAM ShapleyCAM SESS""".split()


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
    if method == "ShapleyCAM" and several:
        pytest.skip("that library's fails with several layers")
    made = []
    for library in (peer(), ours):
        np.random.seed(0)
        cam = getattr(library, method)(model=model, target_layers=[model[2], model[4]] if several else [model[4]])
        wanted = [library.utils.model_targets.ClassifierOutputTarget(c) for c in (3, 1)] if given else None
        made.append(cam(input_tensor=x, targets=wanted))
    assert made[1].shape == (2, 24, 20) and made[1].dtype == made[0].dtype == np.float32
    # FullGrad hangs on the gradient at the image, which jumps where the input of a ReLU is 0 up to rounding.
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=5e-3 if method == "FullGrad" else 1e-4)


def test_the_image_of_full_gradients_is_not_laid_out_as_layers_are(model: Any, x: Any) -> None:
    def turned(tensor: Any) -> Any:
        assert tensor.shape[1] != 3
        return tensor.flip(-1)

    made = [library.FullGrad(model, [], turned)(x, None) for library in (peer(), ours)]
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=5e-3)


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


def test_the_example_in_its_readme_runs_with_another_import() -> None:
    peer()
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    blocks = re.findall(r"```python\n(.*?)```", str(importlib.metadata.metadata("grad-cam").get_payload()), re.DOTALL)
    example = next(block for block in blocks if "with GradCAM(" in block)
    # Trained weights would have to be downloaded, and which image it is the example leaves open.
    assert "weights=ResNet50_Weights.DEFAULT" in example and "input_tensor = #" in example
    example = example.replace("weights=ResNet50_Weights.DEFAULT", "weights=None").replace("input_tensor = #", "input_tensor = given #")
    made = []
    for root in ("pytorch_grad_cam", ROOT):
        torch.manual_seed(0)
        given = torch.randn(1, 3, 64, 64)
        names: dict[str, Any] = {"given": given, "rgb_img": np.random.default_rng(0).random((64, 64, 3), np.float32)}
        exec(example.replace("pytorch_grad_cam", root), names)
        made.append(names)
    for name, tolerance in {"grayscale_cam": 1e-4, "visualization": 1, "model_outputs": 1e-4}.items():
        theirs, mine = (np.asarray(torch.as_tensor(of[name]).detach(), np.float64) for of in made)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance)
    assert all(isinstance(of["visualization"], np.ndarray) and of["visualization"].dtype == np.uint8 for of in made)


def modules() -> dict[str, Any]:
    """The modules of the library, by their names in it."""
    library = peer()
    names = [found.name.removeprefix("pytorch_grad_cam.") for found in pkgutil.walk_packages(library.__path__, "pytorch_grad_cam.")]
    return {name: importlib.import_module(f"pytorch_grad_cam.{name}") for name in names if name not in LEFT_OUT}


def test_what_can_be_imported_there_can_be_here() -> None:
    missing = []
    for name, theirs in {"": peer(), **modules()}.items():
        mine = importlib.import_module(f"{ROOT}.{name}".rstrip("."))
        own = [n for n, what in vars(theirs).items() if getattr(what, "__module__", None) == theirs.__name__ and not n.startswith("_")]
        missing += [f"{name}.{n}" for n in (own if name else vars(theirs)) if not n.startswith("_") and n != "pytorch_grad_cam" and not hasattr(mine, n)]
    # How a GuidedBackpropReLUModel works inside, and the linear system of an imputer.
    inside = {"guided_backprop.GuidedBackpropReLU", "guided_backprop.GuidedBackpropReLUasModule", "sess.sliding_window", *LEFT_OUT}
    assert set(missing) - inside == set()


def test_calls_take_what_they_take_there() -> None:
    different = []
    for name, theirs in modules().items():
        mine = importlib.import_module(f"{ROOT}.{name}")
        for n, what in vars(theirs).items():
            if getattr(what, "__module__", None) != theirs.__name__ or n.startswith("_") or not hasattr(mine, n):
                continue
            calls = [(what, getattr(mine, n))]
            if isinstance(what, type):
                calls = [(getattr(what, call), getattr(getattr(mine, n), call)) for call in ("__init__", "__call__") if call in vars(what)]
            for there, here in calls:
                wants, has = inspect.signature(there).parameters, inspect.signature(here).parameters
                taken = [parameter for parameter in wants if parameter != "self"]
                open_ = [p for p in (*wants.values(), *has.values()) if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
                if not open_ and [parameter for parameter in has if parameter != "self"][: len(taken)] != taken:
                    different.append((name, n, taken, list(has)))
    assert different == []


def test_a_method_of_ones_own_gets_activation_and_gradient(model: Any, x: Any) -> None:
    class Own(ours.BaseCAM):  # type: ignore[misc,name-defined,unused-ignore]
        def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
            return grads.mean((2, 3))

    np.testing.assert_array_equal(Own(model, [model[4]])(x), ours.GradCAM(model, [model[4]])(x))


def test_second_derivatives_are_those_of_the_library(x: Any) -> None:
    torch.manual_seed(0)
    smooth = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, stride=2),
        torch.nn.SiLU(),
        torch.nn.Conv2d(6, 8, 3, padding=1),
        torch.nn.Sigmoid(),
        torch.nn.BatchNorm2d(8),
        torch.nn.Conv2d(8, 5, 3),
        torch.nn.GELU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Softplus(),
        torch.nn.Linear(5, 4),
    ).eval()
    for kind in ("ClassifierOutputTarget", "ClassifierOutputSoftmaxTarget", "ClassifierOutputReST"):
        for layers in ([smooth[2]], [smooth[3]]):
            made = []
            for library in (peer(), ours):
                of = [getattr(library.utils.model_targets, kind)(c) for c in (0, 2)]
                made.append(library.ShapleyCAM(smooth, layers)(x, of))
            np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-4)
            first = ours.GradCAM(smooth, layers)(x, [getattr(targets, kind)(c) for c in (0, 2)])
            assert np.abs(made[1] - first).max() > 1e-3


def test_concepts_and_guided_backpropagation_are_those_of_the_library(model: Any, x: Any) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    made = []
    for library, model in ((peer(), copy.deepcopy(model)), (ours, model)):
        # Theirs puts one ReLU in the place of all others.
        factorised = library.DeepFeatureFactorization(model, model[4], computation_on_concepts=lambda concepts: concepts.sum(1))
        concepts, maps, computed = factorised(x, 3)
        guided = library.GuidedBackpropReLUModel(model, device="cpu")
        made.append((concepts, np.array(maps), computed, guided(x[:1].clone(), 2), guided(x[:1].clone())))
    for theirs, mine in zip(*made):
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-3)


def test_a_picture_of_concepts_is_that_of_the_library() -> None:
    of = [importlib.import_module(f"{root}.utils.image") for root in (peer().__name__, ROOT)]
    rng = np.random.default_rng(0)
    picture, maps, colours = rng.random((20, 30, 3)), rng.random((3, 20, 30)), rng.random((3, 3))
    made = [library.show_factorization_on_image(picture, maps.copy(), colours, 0.4).astype(int) for library in of]
    assert np.abs(made[0] - made[1]).max() <= 3
    shown = of[1].show_factorization_on_image(picture, maps, concept_labels=["a", "b", "c"])
    assert shown.shape == (20, 60, 3) and shown[:, 30:].std() > 0
    scores, labels = rng.random((3, 5)), ["one, uno, un, eins", "b", "c", "d", "e"]
    assert of[0].create_labels_legend(scores, labels) == of[1].create_labels_legend(scores, labels)


@pytest.mark.parametrize("name", ["CamMultImageConfidenceChange", "DropInConfidence", "IncreaseInConfidence"])
def test_metrics_of_multiplied_images_are_those_of_the_library(model: Any, x: Any, name: str) -> None:
    peer()
    made = []
    for root in ("pytorch_grad_cam", ROOT):
        metric = getattr(importlib.import_module(f"{root}.metrics.cam_mult_image"), name)()
        made.append(metric(x, ours.GradCAM(model, [model[4]])(x), [targets.ClassifierOutputSoftmaxTarget(1)] * 2, model))
    assert made[1].shape == (2,)
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-6)


def test_road_and_arcc_are_those_of_the_library(model: Any, x: Any) -> None:
    peer()
    made = []
    cam = ours.GradCAM(model, [model[2]])
    of = (x, cam(x), [targets.ClassifierOutputSoftmaxTarget(1)] * 2, model)
    for root in ("pytorch_grad_cam", ROOT):
        road, arcc = (importlib.import_module(f"{root}.metrics.{name}") for name in ("road", "arcc"))
        torch.manual_seed(0)
        one, images = road.ROADMostRelevantFirst(60)(*of, return_visualization=True)
        auto = road.ROADMostRelevantFirst("auto")(*of, return_diff=False)
        # Of a map that is 0 nearly everywhere all places are as relevant as any.
        _, gone = road.ROADMostRelevantFirst(20)(x, np.eye(24, 20, dtype=np.float32)[None].repeat(2, 0), *of[2:], return_visualization=True)
        assert gone.abs().max() < 0.1
        made.append((one, images.numpy(), gone.numpy(), auto, road.ROADLeastRelevantFirst(40)(*of), road.ROADCombined([20, 50])(*of), arcc.ARCC(cam)(*of)))
    for theirs, mine in zip(*made):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)


def test_the_model_is_left_alone(model: Any, x: Any) -> None:
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    of = [targets.ClassifierOutputTarget(1)] * 2
    cam = ours.GradCAM(model, [model[4]])
    maps = cam(x, of)
    ours.ShapleyCAM(model, [model[4]])(x, of)
    ours.GuidedBackpropReLUModel(model)(x)
    importlib.import_module(f"{ROOT}.metrics.cam_mult_image").DropInConfidence()(x, maps, of, model)
    assert all(part.training for part in model.modules()) and not any(part._forward_hooks for part in model.modules())
    assert all(value.grad is None for value in model.parameters()) and not x.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(states[0], torch.get_rng_state()) and random.getstate() == states[2]
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])


def test_what_changes_of_the_model_is_followed(model: Any, x: Any) -> None:
    def one_weight() -> None:
        # Past autograd's book-keeping, and where no sample of the numbers would look.
        model[7].weight.data[1, 13] += 30

    def attribute() -> None:
        model[3].dilation, model[3].padding = (2, 2), (2, 2)

    def hook() -> None:
        model[4].register_forward_hook(lambda part, args, output: output * torch.linspace(0, 5, output.shape[-1]))

    cam = ours.GradCAM(model, [model[2]])
    before = cam(x)
    np.testing.assert_array_equal(cam(x), before)
    for change in (one_weight, attribute, hook):
        change()
        made = cam(x)
        assert np.abs(made - before).max() > 1e-3, change.__name__
        np.testing.assert_allclose(cam.outputs, model(x).detach(), rtol=1e-4, atol=1e-4)
        before = made


def test_a_model_without_numbers_is_refused(model: Any, x: Any) -> None:
    with pytest.raises(hirescam.ArgumentError, match="meta"):
        ours.GradCAM(model.to("meta"), [model[4]]).activations_and_grads(x)


def test_mistakes_are_told(model: Any, x: Any) -> None:
    cam = ours.GradCAM(model, [model[4]])
    with pytest.raises(hirescam.ArgumentError, match="targets= has 1, and there are 2 images"):
        cam(x, [targets.ClassifierOutputTarget(0)])
    with pytest.raises(hirescam.ArgumentError, match="no part of the model"):
        ours.GradCAM(model, [torch.nn.ReLU()])
    with pytest.raises(hirescam.UnsupportedError, match="AblationLayerFasterRCNN"):
        ours.AblationLayerFasterRCNN()
    with pytest.raises(hirescam.ArgumentError, match="pool='middle'"):
        ours.SESS(model, [model[4]], pool="middle")


def test_images_are_resized_as_by_opencv() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    rng = np.random.default_rng(0)
    for of, to in (((7, 7), (224, 224)), ((7, 9), (33, 40)), ((1, 1), (5, 6)), ((30, 20), (7, 9))):
        cam = rng.random((1, *of), dtype=np.float32)
        level = (cam[0] - cam.min()) / (1e-7 + (cam - cam.min()).max())
        np.testing.assert_allclose(image.scale_cam_image(cam, to)[0], cv2.resize(level, to), rtol=0, atol=1e-6)
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0]
    np.testing.assert_array_equal(image.JET[:, ::-1], colours)

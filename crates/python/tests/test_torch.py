"""Modules of PyTorch. Without PyTorch these tests are skipped."""

from __future__ import annotations

import importlib.util
import logging
import pickle
from dataclasses import dataclass
from typing import Any

import hirescam
import numpy as np
import pytest

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


def block(channels: int) -> Any:
    return torch.nn.Sequential(torch.nn.Conv2d(channels, channels, 3, padding=1), torch.nn.BatchNorm2d(channels), torch.nn.ReLU(inplace=True))


class Residual(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
    """A network with a part that is called twice, one that is never called, and one that hands on what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=2)
        self.layers = torch.nn.Sequential(block(8), block(8))
        self.relu = torch.nn.ReLU()
        self.dropout = torch.nn.Dropout()
        self.unused = torch.nn.Linear(2, 2)
        self.fc = torch.nn.Linear(8, 5)

    def forward(self, image: Any) -> Any:
        a = self.relu(self.stem(image))
        a = self.relu(a + self.layers(a))
        return self.fc(self.dropout(a.mean((2, 3))))


class Giving(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
    """A network inside another module, which makes something of its scores."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.model, self.make = Residual(), make

    def forward(self, image: Any) -> Any:
        return self.make(self.model(image))


@dataclass
class Output:
    logits: Any
    hidden: Any = None


@pytest.fixture
def module() -> Any:
    torch.manual_seed(0)
    return Residual().eval()


@pytest.fixture
def image() -> Any:
    torch.manual_seed(1)
    return torch.randn(2, 3, 24, 24)


def product(module: Any, part: Any, image: Any, call: int = 0) -> Any:
    """HiResCAM by PyTorch's own derivatives."""
    kept: list[Any] = []
    handle = part.register_forward_hook(lambda _, __, made: kept.append(made))
    scores = module(image)
    handle.remove()
    gradient = torch.autograd.grad(scores.max(dim=1).values.sum(), kept[call])[0]
    return (gradient * kept[call]).sum(1).detach().numpy()


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_layers_are_named_as_the_modules_are(module: Any, image: Any, exporter: str) -> None:
    if exporter == "dynamo":
        pytest.importorskip("onnxscript", reason="the newer exporter needs onnxscript, which is not installed")
    net = hirescam.from_torch(module, image, exporter=exporter)
    assert net.exporter == exporter and net.difference < 1e-5
    parts = [(module.stem, "stem"), (module.layers[0][0], "layers.0.0"), (module.layers[1][1], "layers.1.1")]
    for part, path in parts:
        expected = product(module, part, image)
        for layer in (part, path):
            for e, of_torch in zip(net.explain(image, layer=layer), expected):
                assert e.layer == path
                np.testing.assert_allclose(e.map, of_torch, rtol=0, atol=1e-5 * np.abs(of_torch).max())


def test_what_hands_on_the_same_value_has_the_name_of_the_outermost(module: Any, image: Any) -> None:
    net = hirescam.from_torch(module, image)
    assert [e.layer for e in net.explain(image, layer=module.layers[1])] == ["layers", "layers"]
    assert net.layer("layers.1.2") == net.layer(module.layers) == "layers"


def test_a_part_that_is_called_twice_has_two_names(module: Any, image: Any) -> None:
    net = hirescam.from_torch(module, image)
    with pytest.raises(hirescam.ArgumentError, match="called 2 times.*relu#1, relu#2"):
        net.explain(image, layer=module.relu)
    for number in (1, 2):
        expected = product(module, module.relu, image, number - 1)
        made = np.stack([e.map for e in net.explain(image, layer=f"relu#{number}")])
        np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_layers_that_are_none_say_why(module: Any, image: Any) -> None:
    net = hirescam.from_torch(module, image)
    with pytest.raises(hirescam.NotFoundError, match="'unused' is not called"):
        net.explain(image, layer=module.unused)
    with pytest.raises(hirescam.ArgumentError, match="no part of it"):
        net.explain(image, layer=torch.nn.ReLU())
    with pytest.raises(hirescam.NotFoundError) as caught:
        net.explain(image, layer="layers.0.9")
    assert any(name.startswith("layers.") for name in caught.value.near)


def test_the_module_is_left_as_it_was(image: Any, caplog: pytest.LogCaptureFixture) -> None:
    module = Residual()
    module.layers[0].eval()
    module.fc.weight.grad = torch.ones_like(module.fc.weight)
    seen: list[Any] = []
    module.stem.register_forward_hook(lambda *_: seen.append(1))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes, state = [part.training for part in module.modules()], torch.random.get_rng_state()
    with caplog.at_level(logging.WARNING, "hirescam"):
        hirescam.from_torch(module, image)
    assert "training mode" in caplog.text
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(module.fc.weight.grad, torch.ones_like(module.fc.weight)) and module.stem.weight.grad is None
    assert torch.equal(torch.random.get_rng_state(), state)
    assert len(seen) == 1 and len(module.stem._forward_hooks) == 1 and not module.fc._forward_hooks


def test_hooks_that_change_the_scores_count(module: Any, image: Any) -> None:
    without = hirescam.from_torch(module, image).explain(image[:1], class_=0)[0].score
    module.fc.register_forward_hook(lambda _, __, made: 2 * made)
    assert hirescam.from_torch(module, image).explain(image[:1], class_=0)[0].score == pytest.approx(2 * without)


@pytest.mark.parametrize(
    "make, output",
    [
        (lambda y: {"loss": y.sum(), "hidden": y[:, :2], "logits": y}, None),
        (lambda y: Output(y), None),
        (lambda y: (y[:, :2], y), 1),
        (lambda y: [y], None),
        (lambda y: {"a": {"b": (y, y * 2)}}, lambda given: given["a"]["b"][0]),
    ],
)
def test_scores_are_found_in_what_modules_give(make: Any, output: Any, image: Any) -> None:
    module = Giving(make).eval()
    net = hirescam.from_torch(module, image, output=output)
    assert [e.score for e in net.explain(image)] == pytest.approx(module.model(image).max(dim=1).values.tolist(), rel=1e-4)
    assert net.explain(image, layer="model.layers")[0].layer == "model.layers"


def test_where_the_scores_are_has_to_be_said_where_it_is_open(image: Any) -> None:
    with pytest.raises(hirescam.ArgumentError, match=r"tuple of 0: tensor \[2, 2\], 1: tensor \[2, 5\].*output="):
        hirescam.from_torch(Giving(lambda y: (y[:, :2], y)), image)
    with pytest.raises(hirescam.ArgumentError, match="output=7"):
        hirescam.from_torch(Giving(lambda y: (y[:, :2], y)), image, output=7)


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float64"])
def test_other_precisions_are_explained_in_float32(image: Any, precision: str, caplog: pytest.LogCaptureFixture) -> None:
    dtype = getattr(torch, precision)
    module = Residual().eval().to(dtype)
    with caplog.at_level(logging.INFO, "hirescam"):
        net = hirescam.from_torch(module, image.to(dtype))
    assert module.fc.weight.dtype == dtype and net.image.dtype == "float32"
    assert net.explain(image, layer=module.layers)[0].layer == "layers"
    # Only of float64 digits are lost.
    [level] = [record.levelname for record in caplog.records if "float32" in record.message]
    assert level == ("WARNING" if precision == "float64" else "INFO")


@pytest.mark.parametrize("given", ["float32", "float64"])
def test_float64_is_explained_in_all_its_digits_where_it_is_asked_for(module: Any, image: Any, given: str, caplog: pytest.LogCaptureFixture) -> None:
    given = module.to(getattr(torch, given))
    net = pickle.loads(pickle.dumps(hirescam.from_torch(given, image, precision="float64")))
    assert net.image.dtype == "float64" and net.difference < 1e-12 and not any(record.levelname == "WARNING" for record in caplog.records)
    exact, x = module.double(), image.double()
    wanted = product(exact, exact.layers, x)
    for e, map, score in zip(net.explain(x, layer="layers"), wanted, exact(x).max(1).values.tolist()):
        assert e.score == pytest.approx(score, rel=1e-12)
        np.testing.assert_allclose(e.map, map, rtol=0, atol=1e-7 * np.abs(map).max())
    with pytest.raises(hirescam.ArgumentError, match="precision='float16': it takes 'float32' or 'float64'"):
        hirescam.from_torch(given, image, precision="float16")


def test_modules_that_cannot_be_explained_say_what_to_do(image: Any) -> None:
    with torch.device("meta"):
        meta = Residual()
    with pytest.raises(hirescam.ArgumentError, match="meta.*load_state_dict"):
        hirescam.from_torch(meta, image)
    with pytest.raises(hirescam.ArgumentError, match="state dictionary"):
        hirescam.from_torch(Residual().state_dict(), image)
    with pytest.raises(hirescam.ArgumentError, match="does not take the example"):
        hirescam.from_torch(Residual(), image[:, :2])
    with pytest.raises(hirescam.ArgumentError, match="exporter"):
        hirescam.from_torch(Residual(), image, exporter="other")
    with pytest.raises(hirescam.ArgumentError, match="lazy"):
        hirescam.from_torch(torch.nn.Sequential(torch.nn.LazyConv2d(3, 3)), image)


def test_both_exporters_errors_are_shown(image: Any) -> None:
    class Unknown(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def forward(self, image: Any) -> Any:
            return torch.linalg.svd(image.mean(1))[1]

    with pytest.raises(hirescam.UnsupportedError, match=r"(?s)- torchscript: .*- dynamo: "):
        hirescam.from_torch(Unknown(), image)


def test_a_batch_that_is_fixed_in_the_module_is_fixed_in_the_network(image: Any) -> None:
    class Fixed(Residual):
        def forward(self, image: Any) -> Any:
            return super().forward(image.reshape(2, 3, 24, 24))

    net = hirescam.from_torch(Fixed().eval(), image, exporter="torchscript")
    assert net.image.shape == (2, 3, 24, 24)


def test_further_inputs_are_given_by_position_or_by_name(image: Any) -> None:
    class Aged(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(9, 4)

        def forward(self, image: Any, age: Any) -> Any:
            return self.fc(torch.cat([self.conv(image).relu().mean((2, 3)), age], 1))

    module, age = Aged().eval(), torch.ones(2, 1)
    for example in ((image, age), {"age": age, "image": image}):
        net = hirescam.from_torch(module, example)
        assert net.image.name == "image"
        e = net.explain(image, input={"age": age}, class_=0)
        assert [one.score for one in e] == pytest.approx(module(image, age)[:, 0].tolist(), rel=1e-4)


def test_it_is_pickled_with_its_names(module: Any, image: Any) -> None:
    made = hirescam.from_torch(module, image)
    net = pickle.loads(pickle.dumps(made))
    assert (net.exporter, net.difference) == (made.exporter, made.difference) and net.difference > 0
    assert net.explain(image, layer="layers.1")[0].layer == "layers"


def test_an_export_that_gives_no_numbers_is_refused(module: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ready, batches = hirescam._hirescam.Session, []

    class Session:
        """Runs a model, which gives NaN for other batches than the example's."""

        def __init__(self, content: bytes, spec: Any) -> None:
            self.ready = ready(content, spec)
            self.inputs = self.ready.inputs

        def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            batches.append(len(inputs["image"]))
            found = self.ready.run(inputs)
            return found if batches[-1] == len(image) else {name: array * np.float32("nan") for name, array in found.items()}

    monkeypatch.setattr(hirescam._hirescam, "Session", Session)
    net = hirescam.from_torch(module, image, exporter="torchscript")
    assert batches[:2] == [2, 3] and net.image.shape[0] == 2, "what it gives for two images alone is right"


def test_exporting_prints_nothing(image: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxscript", reason="the newer exporter needs onnxscript, which is not installed")
    # The older exporter refuses a size that does not go up in the given one.
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=12), torch.nn.AdaptiveAvgPool2d(7), torch.nn.Flatten(), torch.nn.Linear(196, 5))
    assert hirescam.from_torch(module.eval(), image).exporter == "dynamo"
    assert capfd.readouterr() == ("", "")


def test_scores_that_are_no_numbers_are_said_to_be_none(image: Any) -> None:
    with pytest.raises(hirescam.ArgumentError, match="not all finite: give another"):
        hirescam.from_torch(Giving(lambda y: y / 0).eval(), image)


def test_buffers_are_what_and_where_they_were(image: Any) -> None:
    class Counting(Residual):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.tensor([float("nan"), 0.0]))
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("longer", torch.zeros(1))
            self.register_buffer("none", None)

        def forward(self, image: Any) -> Any:
            self.seen.nan_to_num_(1.0).add_(1)
            self.mean = image.mean((0, 2, 3))
            self.longer.resize_(len(self.longer) + 1)
            self.none = torch.ones(1)
            return super().forward(image)

    module = Counting().eval()
    before = dict(module.named_buffers())
    hirescam.from_torch(module, image)
    assert all(before[name] is buffer for name, buffer in module.named_buffers()) and module.none is None
    assert str(module.seen.tolist()) == "[nan, 0.0]" and module.mean.tolist() == [0, 0, 0] and module.longer.tolist() == [0]


def test_random_numbers_of_all_devices_are_kept(module: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: kept.append(device))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: kept.append((device, state)))
    hirescam.from_torch(module, image)
    assert kept == [0, 1, (0, None), (1, None)]


def wrapped() -> list[Any]:
    """Ways of wrapping a network: what it is wrapped in."""

    def fabric(module: Any) -> Any:
        class Fabric(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
            def __init__(self) -> None:
                super().__init__()
                self._forward_module = self._original_module = module

        return Fabric()

    def lightning(module: Any) -> Any:
        class Module(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
            def __init__(self) -> None:
                super().__init__()
                self.model, self.head = torch.compile(module), torch.nn.Linear(5, 3)
                self.head.compile()

            def forward(self, image: Any) -> Any:
                return self.head(self.model(image))

        return Module().eval()

    parallel = torch.nn.DataParallel
    return [parallel, torch.compile, fabric, lightning, lambda m: torch.compile(parallel(m)), lambda m: parallel(torch.compile(m))]


def test_a_module_of_lightning_is_explained_after_its_training(image: Any) -> None:
    lightning = pytest.importorskip("pytorch_lightning", reason="pytorch-lightning is not installed")

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = Residual()

        def forward(self, image: Any) -> Any:
            return self.model(image)

        def training_step(self, batch: Any, _: int) -> Any:
            return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    module = Module()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", **quiet)
    trainer.fit(module, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(image, torch.tensor([0, 1])), 2))
    module.train()
    net = hirescam.from_torch(module, image)
    assert module.training and module.model.fc.training
    wanted = product(module.eval(), module.model.layers, image)
    for e, map in zip(net.explain(image, layer=module.model.layers), wanted):
        assert e.layer == "model.layers"
        np.testing.assert_allclose(e.map, map, rtol=0, atol=1e-5 * np.abs(map).max())


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("wrap", wrapped(), ids=["parallel", "compiled", "fabric", "inside", "compiled-parallel", "parallel-compiled"])
def test_a_wrapped_modules_parts_are_layers(wrap: Any, half: bool, image: Any) -> None:
    torch.manual_seed(0)
    module = Residual().eval()
    whole = wrap(module)
    if half:
        whole, image = whole.half(), image.half()
    net = hirescam.from_torch(whole, image)
    for part in (module.stem, module.layers[0][0]):
        [layer] = {e.layer for e in net.explain(image, layer=part)}
        assert layer.removeprefix("model.") == next(path for path, one in module.named_modules() if one is part)
    if not half:
        assert [e.score for e in net.explain(image)] == pytest.approx(getattr(whole, "head", torch.nn.Identity())(module(image)).max(1).values.tolist(), rel=1e-4)


def test_layers_of_a_spec_are_named_as_the_modules_are(module: Any, image: Any) -> None:
    net = hirescam.from_torch(module, image)
    [wanted] = {e.layer for e in net.explain(image, layer="layers.1.2")}
    spec = hirescam.Spec(layer="layers.1.2")
    assert net.spec(spec).layer == net.spec(layer=module.layers[1][2]).layer == [wanted]
    assert net.spec(net.spec(spec)).layer == [wanted] and net.spec(spec, layer="stem").layer == ["stem"]
    assert net.explain(image, spec=spec)[0].layer == net.explainer(spec=spec).explain(image)[0].layer == wanted
    with pytest.raises(hirescam.NotFoundError, match="not called"):
        net.explainer(spec=hirescam.Spec(layer="unused"))
    if importlib.util.find_spec("pyarrow"):
        import pyarrow
        from hirescam import arrow

        batch = pyarrow.RecordBatch.from_pydict({"image": [image[0].ravel().tolist()]})
        for given in (spec, {"layer": "layers.1.2"}, {"layer": module.layers[1][2]}):
            assert arrow.explain(batch, given, model=net, shape=(3, 24, 24))["layer"].to_pylist() == [wanted]

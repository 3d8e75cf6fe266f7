"""Threads, forks, signals, memory, and what is said where."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hirescam
import numpy as np
import pytest

SEVEN = "photos/seven.png"
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork there")


def test_threads_share_an_explainer(net: hirescam.Network, engine: str) -> None:
    explainer = net.explainer(engine=engine)
    wanted = explainer.explain(SEVEN).map
    with ThreadPoolExecutor(4) as threads:
        maps = list(threads.map(lambda _: explainer.explain(SEVEN).map, range(40)))
    assert all(np.array_equal(map, wanted) for map in maps)


def test_other_threads_go_on_meanwhile(net: hirescam.Network) -> None:
    explainer = net.explainer(method="rise", samples=1_000, engine="tract")
    done, counted = threading.Event(), 0

    def work() -> None:
        explainer.explain(SEVEN)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.wait(0.001):
        counted += 1
    thread.join()
    assert counted > 5


def _in_child(explainer: hirescam.Explainer, net: hirescam.Network, answers: multiprocessing.Queue) -> None:
    both = [explainer.explain([SEVEN] * 3), net.explain([SEVEN] * 3)]
    answers.put([e.map.copy() for of in both for e in of])


@UNIX
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_goes_on(net: hirescam.Network, engine: str) -> None:
    explainer = net.explainer(engine=engine)
    wanted = explainer.explain([SEVEN] * 3)[0].map
    net.explain(SEVEN, engine=engine)
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=_in_child, args=(explainer, net, answers))
    child.start()
    maps = answers.get(timeout=60)
    child.join(30)
    assert child.exitcode == 0 and len(maps) == 6
    assert all(np.allclose(map, wanted, atol=1e-5) for map in maps)
    assert np.array_equal(explainer.explain(SEVEN).map, wanted)


@UNIX
def test_an_interrupt_stops_a_long_run() -> None:
    program = f"""
import os, signal, threading, time, hirescam
explainer = hirescam.Network("efficientnet-lite0.onnx").explainer(method="rise", samples=1_000_000)
# Whoever runs the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    explainer.explain("photos/chelsea.png")
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - start < 20)
print(hirescam.Network("digits-cnn.onnx").explain("{SEVEN}").class_)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n")[:2] == ["interrupted True", "7"], done.stderr


def test_nothing_is_printed_and_logs_go_to_their_logger(
    net: hirescam.Network, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hirescam"):
        net.explain([SEVEN] * 3)
        net.compile()
        net.layers()
    assert capfd.readouterr() == ("", "")
    assert any("added" in record.message for record in caplog.records)
    assert all(record.name == "hirescam" for record in caplog.records)


def test_many_calls_take_no_more_memory(net: hirescam.Network) -> None:
    resource = pytest.importorskip("resource", reason="memory is counted otherwise there")
    explainer = net.explainer(threads=1)
    image = np.zeros((1, 28, 28), np.float32)

    def most() -> int:
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def calls(n: int) -> None:
        for i in range(n):
            e = explainer.explain(image)
            e.map.sum(), e.certificate.words, e.record
            if i % 100 == 0:
                with pytest.raises(hirescam.Error):
                    explainer.explain(image[0, 0])

    calls(300)
    before = most()
    calls(2000)
    assert most() - before < 4096, "KiB"


def test_python_copies_no_batch() -> None:
    batch = np.random.default_rng(0).random((28, 64, 28, 1), np.float32)
    every = [batch.transpose(1, 3, 0, 2), batch.transpose(1, 3, 2, 0)[:, :, ::-1, ::2], batch.transpose(1, 3, 0, 2).copy()]
    for tensor in every:
        taker = hirescam._images.Taker((None, *tensor.shape[1:]), "float32", None)
        tracemalloc.start()
        images, many = taker.take(tensor)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert many and len(images) == 1 and most < tensor.nbytes / 10


def test_a_batch_is_read_however_it_lies_in_memory(net: hirescam.Network) -> None:
    explainer, straight = net.explainer(), np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    wanted = [e.map for e in explainer.explain(straight)]
    moved = np.ascontiguousarray(straight.transpose(3, 0, 2, 1)[::-1])[::-1].transpose(1, 3, 2, 0)
    wider = np.zeros((3, 1, 56, 28), np.float32)
    wider[:, :, ::2] = straight
    for tensor in (moved, wider[:, :, ::2], straight.astype(">f4"), np.asfortranarray(straight)):
        assert np.array_equal(tensor, straight) and all(np.array_equal(e.map, map) for e, map in zip(explainer.explain(tensor), wanted))


def test_every_way_to_an_engine_knows_where_onnxruntime_is() -> None:
    pytest.importorskip("onnxruntime")
    program = "import hirescam; print(hirescam._hirescam.Session(open('digits-cnn.onnx', 'rb').read(), hirescam.Spec(engine='onnxruntime')).inputs)"
    # No other interpreter can be asked.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PATH": ""})
    assert done.stdout.strip() == "['input']", done


def test_importing_loads_no_framework() -> None:
    program = "import sys, hirescam; print(sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1:])))"
    frameworks = ["torch", "tensorflow", "PIL", "matplotlib", "pandas", "tqdm", "onnxruntime", "onnx", "pyarrow"]
    done = subprocess.run([sys.executable, "-c", program, *frameworks], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done


def test_a_bar_is_shown_where_it_is_asked_for(net: hirescam.Network, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    net.explain([SEVEN] * 3, progress=True)
    assert "image" in capfd.readouterr().err
    net.explain(SEVEN, method="rise", samples=64, progress=True)
    assert "pass" in capfd.readouterr().err

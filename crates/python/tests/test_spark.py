"""Explanations of the images in a data frame of Spark."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hirescam
import hirescam.arrow
import hirescam.batch
import hirescam.spark
import pytest
from conftest import FIXTURES

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pytest.importorskip("pyspark", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="there is no Java"),
]

MODEL = str(FIXTURES / "digits-cnn.onnx")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
    session = builder.config("spark.driver.host", "127.0.0.1").config("spark.sql.shuffle.partitions", "2").getOrCreate()
    yield session
    session.stop()


def test_files_become_rows_and_a_data_set(spark: Any, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(12):
        shutil.copy(FIXTURES / "photos" / f"{('seven', 'three')[n % 2]}.png", photos / f"{n:02}.png")
    (photos / "12.png").write_bytes(b"no image")
    frame = spark.read.format("binaryFile").load(f"{photos}/*.png").select("path", "content").repartition(3)
    out = str(tmp_path / "maps")
    hirescam.spark.explain(frame, MODEL, {"engine": "tract", "top": 2}, image="content").write.parquet(out)
    made = sorted((row.asDict() for row in spark.read.parquet(out).collect()), key=lambda row: (row["path"], row["number"] or 0))
    assert len(made) == 12 * 2 + 1 and made[-1]["error_kind"] is not None and made[-1]["map"] is None
    batch = pa.RecordBatch.from_pydict({"content": [(photos / f"{n:02}.png").read_bytes() for n in range(12)]})
    wanted = hirescam.arrow.explain(batch, {"engine": "tract", "top": 2}, model=MODEL, image="content").to_pylist()
    for row, own in zip(made, wanted):
        for name in ("class", "label", "score", "residual", "verdict", "map", "map_shape"):
            assert row[name] == own[name], name


def test_shards_of_a_job_are_placed(spark: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    hirescam.batch.plan(model=MODEL, inputs=FIXTURES / "photos" / "*.png", out=out, shard_size=1, spec={"engine": "tract"})
    missing = hirescam.batch.missing(out)
    spark.sparkContext.parallelize(missing, len(missing)).foreach(lambda shard: hirescam.batch.run(out, shard, threads=1))
    verified = hirescam.batch.verify(out)
    assert (verified["missing"], verified["problems"]) == (0, [])


def test_what_is_wrong_is_said_before_spark_works(spark: Any) -> None:
    frame = spark.createDataFrame([("photos/seven.png",)], "image string")
    with pytest.raises(hirescam.NotFoundError, match="layer"):
        hirescam.spark.explain(frame, MODEL, {"layer": "none"})
    with pytest.raises(hirescam.ArgumentError, match="no column 'photo'"):
        hirescam.spark.explain(frame, MODEL, image="photo")

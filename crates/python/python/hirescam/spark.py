"""Explanations of the images in a data frame of Spark, by the function of `hirescam.arrow`. It needs `pip install 'pyspark[sql]>=4'`, and Java.

Each Python worker makes the network ready once. Spark runs a task again that failed, and commits what it writes: `explain(…).write.parquet(url)`
is there as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import arrow
from ._hirescam import Spec

__all__ = ["explain"]


def explain(
    frame: Any,
    model: Any,
    spec: Spec | Mapping[str, Any] | None = None,
    *,
    image: str = "image",
    array: str | None = None,
    prefix: str = "",
) -> Any:
    """The frame with a row for each map in the place of the images: the columns of `hirescam.arrow`, where `map` is an array of float.

    `frame` has a column `image` of images: the bytes of files (as `spark.read.format("binaryFile")` calls them, `content`), their paths, or numbers. All its other columns come
    through. `model` is a path that the workers can read, or bytes. What is wrong with the network or the options is raised here, before Spark is asked for anything.

    ```python
    frame = spark.read.format("binaryFile").load("s3a://bucket/photos/*.jpg").select("path", "content")
    hirescam.spark.explain(frame, "network.onnx", {"method": "hirescam"}, image="content").write.parquet("s3a://bucket/maps")
    ```
    """
    try:
        from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    except ImportError as error:
        raise ImportError("hirescam.spark works on data frames of pyspark, which is not installed: pip install 'pyspark[sql]>=4'") from error
    options = {"model": model, "image": image, "prefix": prefix, "fixed": False}
    # The JVM knows no lists of fixed size.
    schema = from_arrow_schema(arrow.schema(to_arrow_schema(frame.schema), spec, **options))

    def explained(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield arrow.explain(batch, spec, array=array, **options)

    return frame.mapInArrow(explained, schema)

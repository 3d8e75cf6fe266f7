"""What can go wrong: one class a kind, so that each can be caught by itself."""

from __future__ import annotations

from collections.abc import Sequence


class Error(Exception):
    """What hirescam refuses, and why. Beside its text it carries what the text speaks of, where there is something of the kind.

    >>> try:
    ...     hirescam.Network("digits-cnn.onnx").explain("photos/seven.png", method="hirescan")
    ... except hirescam.NotFoundError as error:
    ...     print(error.sought, error.name, error.near[0])
    method hirescan hirescam
    """

    kind: str = "error"
    """The kind of error, in a word."""
    node: str | None
    """The node of the network, or the part of the file, that it is about."""
    path: str | None
    """The file."""
    input: str | None
    """The network's input."""
    sought: str | None
    """What was looked for by a name: a layer, class, output, method, option, preset …"""
    name: str | None
    """That name."""
    near: tuple[str, ...]
    """Names that there are and that look alike, the nearest first."""
    image: int | None
    """Which of several images it is about, from 0."""

    def __init__(
        self,
        text: str = "",
        *,
        node: str | None = None,
        path: str | None = None,
        input: str | None = None,
        sought: str | None = None,
        name: str | None = None,
        near: Sequence[str] = (),
    ) -> None:
        super().__init__(text)
        self.node, self.path, self.input = node, path, input
        self.sought, self.name, self.near = sought, name, tuple(near)
        self.image = None

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    @property
    def layer(self) -> str | None:
        """The layer, where one of that name was looked for."""
        return self.name if self.sought == "layer" else None


class ArgumentError(Error, ValueError):
    """The arguments do not go together, or do not fit the network."""

    kind = "argument"


class NotFoundError(ArgumentError, LookupError):
    """There is nothing of that name; `near` has names that look alike."""

    kind = "not-found"


class PreprocessError(ArgumentError):
    """The preprocessing is none, or does not fit the photo or the network."""

    kind = "preprocess"


class LabelsError(ArgumentError):
    """The labels are none, or do not fit the network; or a class is asked for by its label, and there are none."""

    kind = "labels"


class PictureError(ArgumentError):
    """The picture cannot be drawn."""

    kind = "picture"


class FileError(Error, OSError):
    """A file cannot be read or written."""

    kind = "file"


class MissingFileError(FileError, FileNotFoundError):
    """There is no such file."""

    kind = "missing-file"


class ExistsError(FileError):
    """A result would replace what it must not."""

    kind = "exists"


class StoreError(FileError):
    """An object store or a folder of jobs cannot be reached, or refuses. What was finished is kept."""

    kind = "store"


class FullError(StoreError):
    """There is no room left where rows go. What was finished is kept."""

    kind = "full"


class DamagedError(FileError):
    """A file of a job is not what it was written as."""

    kind = "damaged"


class ChangedError(ArgumentError):
    """What decides the rows of a job is other than when it was planned: the text says what."""

    kind = "changed"


class TooManyErrors(Error, RuntimeError):
    """More images of a job failed than were allowed to."""

    kind = "too-many-errors"


class ModelError(Error, ValueError):
    """The network's file is damaged, or breaks ONNX's own rules; `node` says where."""

    kind = "model"


class UnsupportedError(Error, NotImplementedError):
    """The network is right, and something that it needs is missing here; `node` says where."""

    kind = "unsupported"


class MemoryLimitError(UnsupportedError, MemoryError):
    """Running the network would take more memory than it is allowed."""

    kind = "memory"


class EngineError(Error, RuntimeError):
    """The engine is not there, or failed."""

    kind = "engine"


class NotFiniteError(Error, ArithmeticError):
    """The image, the scores or the map hold NaN or an infinity."""

    kind = "not-finite"


class UndefinedError(Error, ArithmeticError):
    """The metric has no value for this map or truth: a map of zeros, an object without cells. Another map may well have one."""

    kind = "undefined"


class CancelledError(Error):
    """The work was stopped before its end."""

    kind = "cancelled"


class InternalError(Error, RuntimeError):
    """hirescam itself broke: a report is welcome."""

    kind = "internal"


def _all(of: type[Error]) -> list[type[Error]]:
    return [of, *(each for kind in of.__subclasses__() for each in _all(kind))]


BY_KIND: dict[str, type[Error]] = {each.kind: each for each in _all(Error)}

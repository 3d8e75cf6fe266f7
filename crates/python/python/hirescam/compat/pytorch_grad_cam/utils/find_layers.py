"""Parts of a module."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch


def find_layer_predicate_recursive(model: torch.nn.Module, predicate: Callable[[torch.nn.Module], bool]) -> list[torch.nn.Module]:
    """The parts for which the predicate holds, a part before its own parts."""
    found = []
    for part in model.children():
        if predicate(part):
            found.append(part)
        found.extend(find_layer_predicate_recursive(part, predicate))
    return found


def find_layer_types_recursive(model: torch.nn.Module, layer_types: Collection[type]) -> list[torch.nn.Module]:
    """The parts of just these types."""
    return find_layer_predicate_recursive(model, lambda part: type(part) in layer_types)


def replace_layer_recursive(model: torch.nn.Module, old_layer: Any, new_layer: Any) -> bool:
    """Puts a layer in the place of another; whether it was there."""
    for name, part in model.named_children():
        if part is old_layer:
            setattr(model, name, new_layer)
            return True
        if replace_layer_recursive(part, old_layer, new_layer):
            return True
    return False


def replace_all_layer_type_recursive(model: torch.nn.Module, old_layer_type: type, new_layer: Any) -> None:
    """Puts a layer in the place of all of a type."""
    for name, part in model.named_children():
        if isinstance(part, old_layer_type):
            setattr(model, name, new_layer)
        replace_all_layer_type_recursive(part, old_layer_type, new_layer)

"""What is not here, at the place where that library has it."""

from .missing import ShapleyCAM

__all__ = ["ShapleyCAM"]

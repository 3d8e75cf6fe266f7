"""What is not here, at the place where that library has it."""

from .missing import SESS

__all__ = ["SESS"]

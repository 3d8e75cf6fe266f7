"""What is not here, at the place where that library has it."""

from ..missing import DeepFeatureFactorization, run_dff_on_image

__all__ = ["DeepFeatureFactorization", "run_dff_on_image"]

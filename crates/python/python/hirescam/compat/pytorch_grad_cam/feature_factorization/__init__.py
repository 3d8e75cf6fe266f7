"""Activations as few concepts."""

"""Compiled loops of the camera solver; the tensor operations that they stand in for are their specification."""

"""Losses, one method a file. Each is a function of tensors; those with weights are modules."""

"""Drawn people that nobody has to ask: seeded scenes, their pictures and their exact labels.

What lives here: one head, its parameters, a rasteriser for the CPU, and labels that come from the
geometry itself. What does not: photographs, and anything learned.
"""

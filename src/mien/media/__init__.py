"""Pictures and films, read safely: limits before decoding, typed errors, honest notes.

Everything that comes from outside the process enters through this floor and leaves it as RGB uint8
arrays. Nothing here knows what a face is, and nothing here draws.
"""

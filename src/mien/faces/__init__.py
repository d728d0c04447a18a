"""Faces in pictures: detection, alignment, quality, head pose, embedding, tracking.

What is *known* about people lives one floor up, in `mien.gallery`.
"""

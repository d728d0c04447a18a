"""Error rates and their uncertainty, from scores and labels alone.

Verification, identification and clustering each have a file. Scores are similarities: higher
means more alike. Nothing here knows an image, a network or a gallery, or needs more than numpy.
"""

"""``mien watch``"""


def watch() -> None:
    """Later"""

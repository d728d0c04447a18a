"""``mien cluster``"""


def cluster() -> None:
    """Later"""

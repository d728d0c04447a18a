"""How large a picture may be. The checks run on sizes alone, before anything is decoded.

The reader asks here twice: with the byte count before it looks at a file, and with the width and
height that the header states before it makes room for pixels. No file is opened in this module.
"""

from dataclasses import dataclass

from mien.core.errors import ConfigError, MediaError


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds on a picture. The defaults let a 50-megapixel photo pass and stop a 100-megapixel one.

    Attributes:
        max_bytes: Largest encoded size in bytes.
        max_pixels: Largest width times height. While a picture is being converted, memory peaks
            at roughly 15 bytes a pixel.
        min_side: Smallest width and height in pixels.

    Raises:
        ConfigError: If a bound is below 1.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 80_000_000
    min_side: int = 1

    def __post_init__(self) -> None:
        """Check the bounds themselves."""
        for name in ("max_bytes", "max_pixels", "min_side"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    what=f"ImageLimits.{name} is {getattr(self, name)}",
                    why="with a bound below 1 no picture could be read",
                    mend="pass 1 or more",
                )

    def check_bytes(self, count: int, source: str) -> None:
        """Raise if an encoded picture is empty or has too many bytes.

        Args:
            count: Its size in bytes.
            source: How to call it in the message.

        Raises:
            MediaError: If it is empty or too large.
        """
        if count == 0:
            raise MediaError(
                what=f"{source} is empty (0 bytes)",
                why="there is no picture in it",
                mend="copy or export the picture again",
            )
        if count > self.max_bytes:
            raise MediaError(
                what=f"{source} has more than {self.max_bytes:,} bytes",
                why="that is above the limit max_bytes, which keeps memory bounded",
                mend="shrink the file, or pass ImageLimits(max_bytes=...) if you trust it",
                limit=self.max_bytes,
            )

    def check_size(self, width: int, height: int, source: str) -> None:
        """Raise if a picture has too many pixels, or too few.

        Args:
            width: Width in pixels, as the header states it.
            height: Height in pixels.
            source: How to call it in the message.

        Raises:
            MediaError: If it lies outside the bounds.
        """
        if width * height > self.max_pixels:
            raise MediaError(
                what=f"{source} has too many pixels: {width} x {height} = {width * height:,}",
                why=f"the limit max_pixels is {self.max_pixels:,}",
                mend="shrink the picture, or pass ImageLimits(max_pixels=...) if you trust it",
                width=width,
                height=height,
                limit=self.max_pixels,
            )
        if min(width, height) < self.min_side:
            raise MediaError(
                what=f"{source} is {width} x {height} pixels",
                why=f"each side needs at least {self.min_side}",
                mend="pass a larger picture",
                width=width,
                height=height,
            )

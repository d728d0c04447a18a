"""What every engine can do."""

from typing import Protocol

from mien.core.types import Float32


class Engine(Protocol):
    """A network with one image input, ready to run. Safe to call from several threads at once."""

    @property
    def provider(self) -> str:
        """Name of the provider, one of `PROVIDERS`."""

    @property
    def threads(self) -> int:
        """Threads that one call may use."""

    def run(self, batch: Float32) -> dict[str, Float32]:
        """Run the network.

        Args:
            batch: Input, shape (b, 3, h, w), float32; b, h and w may change from call to call
                where the network allows it.

        Returns:
            Output arrays by name, batch first.
        """

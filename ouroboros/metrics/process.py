"""What the engine's own process costs right now."""

import msgspec
import psutil


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory in bytes; CPU in percent of one core since the last sample."""

    rss_bytes: int
    cpu_percent: float


class ProcessSampler:
    """Samples one process; the first sample's CPU is 0 by definition."""

    def __init__(self, pid: int | None = None) -> None:
        self._process = psutil.Process(pid)
        self._process.cpu_percent(None)

    def sample(self) -> ProcessSample:
        """Return memory and CPU."""
        with self._process.oneshot():
            return ProcessSample(
                rss_bytes=self._process.memory_info().rss,
                cpu_percent=self._process.cpu_percent(None),
            )

"""How often an address may be wrong: a bucket of failures that empties with time.

There is nothing to guess in 256 random bits. This keeps a client that is configured wrongly, or a
scanner, from filling the log and the processor. Pure: the clock arrives as an argument.
"""

from collections import OrderedDict

ADDRESSES = 1024
"""How many are remembered; the one that was wrong longest ago is forgotten first."""


class Throttle:
    """Counts failures by address."""

    def __init__(self, *, failures: int, forgive_s: float) -> None:
        """Take how many are free, and how many seconds forgive one."""
        self._failures = failures
        self._forgive_s = forgive_s
        self._until: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: str, now_s: float) -> float:
        """Return for how many seconds an address has to wait; 0: not at all."""
        until = self._until.get(address, 0.0)
        return max(0.0, until - now_s - self._failures * self._forgive_s)

    def failed(self, address: str, now_s: float) -> float:
        """Count a failure; return for how many seconds the address has to wait from here on.

        Failures while it waits do not make it longer: who is locked out by somebody else behind
        the same address gets in again.
        """
        waits = self.wait(address, now_s)
        if waits > 0:
            return waits
        before = max(self._until.pop(address, 0.0), now_s)
        self._until[address] = before + self._forgive_s
        while len(self._until) > ADDRESSES:
            self._until.popitem(last=False)
        return self.wait(address, now_s)

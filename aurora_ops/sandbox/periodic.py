"""A thread that looks around every so many seconds until it is stopped: what alarms, logs, pauses and recoveries have in common."""

import threading


class Rounds:
    """Subclasses say in `look` what a round does, and start by `super().__init__` when they are ready for the first."""

    def __init__(self, name: str, seconds: float) -> None:
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def look(self) -> None:
        """One round. What it raises ends the thread, so a round catches what one of many may do wrong."""
        raise NotImplementedError

    def stop(self, seconds: float = 30) -> None:
        """End the thread, after a round that is at work; wait for it no longer than this."""
        self._stopping.set()
        self._thread.join(timeout=seconds)

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self.look()

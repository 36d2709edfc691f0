"""A thread that does the same every few seconds until it is stopped: alarms, logs, pauses, crash recovery and retention are such."""

import threading


class PeriodicThread:
    """Subclasses say in `run_once` what is done, and start by `super().__init__` when they are ready for the first time."""

    def __init__(self, name: str, seconds: float) -> None:
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run_once(self) -> None:
        """What is done each time. An exception ends the thread, so catch what may fail for one of many."""
        raise NotImplementedError

    def stop(self, seconds: float = 30) -> None:
        """End the thread, after the current run; wait for it no longer than this."""
        self._stopping.set()
        self._thread.join(timeout=seconds)

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self.run_once()

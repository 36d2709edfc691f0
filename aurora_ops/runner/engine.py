"""A papermill engine whose record is true and whose clean-up runs, whatever ends the notebook.

Stock papermill dies of SIGTERM without letting the cell clean up, cuts a `finally` after 2.5 seconds on Ctrl-C, and
then records every cell as completed. With `papermill --engine aurora-ops`, and in our own runner:

* The first SIGINT, SIGTERM or SIGHUP becomes exactly one SIGINT to the kernel's process and nothing else: a terraform
  that is interrupted twice abandons its lock. Repeats are ignored. The cell may take as long as it needs to finish.
* The remaining cells are `skipped`, except those tagged `always`, which run. If the kernel is dead, they run in a fresh
  one with the parameters replayed, so they may rely on parameters, `AURORA_OPS_RUN_ID`, journal and tags only.
* A timeout interrupts once, in the same way. Nothing interrupts an `always` cell or the parameters that it needs.
* With a deadline for the whole run, work ends a reserve before it, as by a signal, and the clean-up has the reserve.
* The process exits with 128 + signal number. A dead kernel and a failed cell raise what papermill always raises.
* A kernel that does not start is ended and tried once more. One that hangs in its end, as ipykernel now and then does
  when it closes its sockets, is killed, but never before its exit handlers have run: they stop a kernel's own sandbox.

Not a subclass of papermill's `Engine` but the methods that papermill calls: papermill imports this module while it is
being imported itself, and every papermill on the machine pays for what stands at the top here.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_markdown_cell, new_output

from aurora_ops.core import journal
from aurora_ops.runner.kernels import forked, provisioner
from aurora_ops.runner.kernels.manager import Manager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SKIPPED = "skipped"
STARTS = 2  # how often a kernel is tried before the run gives up
REPLY_SECONDS = 15  # after an interrupted kernel is idle again; its reply was sent before it said so
MESSAGE_SECONDS = 60  # a busy machine's kernel may tell late that its cell has ended; nbclient's 4 are not enough
EXIT_SECONDS = 120  # for the exit handlers of a kernel
HANG_SECONDS = 10  # for what Python and ipykernel do after those
RESERVE, MOST_RESERVE_SECONDS = 0.2, 600  # of a deadline, for the clean-up
_SOCKET_PATH_BYTES = 100  # what fits into a socket's address on every system, less the number that is added
_PARAMETERS = {"parameters", "injected-parameters"}
_UNCONDITIONAL = {"always"} | _PARAMETERS  # a clean-up with the default parameters would look in the wrong place


class RunInterrupted(SystemExit):
    """A signal ended the run after the clean-up; the process is to exit with 128 + signal number."""


class DeadlineError(Exception):
    """A run's work was not done when the time for its clean-up began."""


class AuroraOpsEngine:
    """What papermill looks up under the name `aurora-ops`."""

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """The kernel to use."""
        return name or nb.metadata.get("kernelspec", {}).get("name", "python3")

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """The language that parameters are written in."""
        return language or nb.metadata.get("kernelspec", {}).get("language", "python")

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, *, progress_bar: Any = True,
        log_output: bool = False, autosave_cell_every: int = 30, start_timeout: int = 60,
        execution_timeout: float | None = None, stdout_file: Any = None, stderr_file: Any = None,
        environment: dict[str, str] | None = None, deadline: float | None = None, **_: Any,
    ) -> Any:  # fmt: skip
        """Execute `nb` and return it. `environment` is added to the kernel's; `deadline` is in seconds; the rest is papermill's."""
        from papermill.engines import NotebookExecutionManager

        from aurora_ops.core import places
        from aurora_ops.runner import parameters
        from aurora_ops.runner.parameter_types import ParameterError

        places.make_whole()
        try:
            parameters.check_injected(nb)
        except ParameterError as error:
            raise _refusal(str(error)) from None
        for path in ("input_path", "output_path"):  # where a machine keeps its files is not evidence
            nb.metadata.papermill[path] = os.path.basename(str(nb.metadata.papermill.get(path) or "")) or None
        manager = NotebookExecutionManager(nb, output_path, log_output, progress_bar, autosave_cell_every)
        manager.notebook_start()
        files = {"stdout": stdout_file, "stderr": stderr_file}
        client = _Client(manager, files, execution_timeout, kernel_name=kernel_name, startup_timeout=start_timeout)
        try:
            client.run(environment or {}, deadline)
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
        return manager.nb


def _refusal(text: str) -> Exception:
    """A refusal that papermill's command line shows as the sentence that it is, and not as a page of traceback."""
    from click import ClickException

    from aurora_ops.runner.parameter_types import ParameterError

    def show(self: Exception, file: Any = None) -> None:
        print(f"{ParameterError.label}: {self}", file=sys.stderr)  # noqa: T201 - what click calls

    refusal: type[Exception] = type("ParameterError", (ParameterError, ClickException), {"show": show, "message": text})
    return refusal(text)


class _Client(NotebookClient):
    def __init__(self, manager: Any, files: dict[str, Any], cell_timeout: float | None, **options: Any) -> None:
        # No history file: its default, memory, lets one kernel in seven hang for 2.5 seconds at its end.
        options |= {"ipython_hist_file": "", "raise_on_iopub_timeout": True, "iopub_timeout": MESSAGE_SECONDS}
        super().__init__(manager.nb, kernel_manager_class=Manager, **options)
        self.manager, self.files, self.cell_timeout = manager, files, cell_timeout
        self.signum: int | None = None
        self.executing = False  # a SIGINT would reach the cell
        self.protected = False  # inside a cell that runs unconditionally
        self.interrupt_wanted = self.interrupt_sent = False
        self.deadline: DeadlineError | None = None  # once it is reached
        self.disk_error: OSError | None = None
        self.kernels = 0  # how many were tried; numbers what belongs to one of them

    def run(self, environment: dict[str, str], deadline_seconds: float | None = None) -> None:
        run_id = environment.get(journal.RUN_ID) or os.environ.get(journal.RUN_ID) or journal.new_run_id()
        with (
            tempfile.TemporaryDirectory(prefix="aurora-ops-", dir=forked.private_folder()) as folder,
            self._signals_caught(),
        ):
            self.folder = Path(folder)
            self.environment = os.environ | environment | {journal.RUN_ID: run_id, "IPYTHONDIR": folder}
            clock = threading.Timer(_work_seconds(deadline_seconds), self._reach_deadline, [deadline_seconds])
            clock.daemon = True
            if deadline_seconds:
                clock.start()
            try:
                ended = self._run_cells()
            finally:
                clock.cancel()
                self._stop_kernel()
        if self.signum is not None:
            self._banner(
                f"{signal.Signals(self.signum).name} ended this run: later cells were skipped, cells tagged `always` were run."
            )
            raise RunInterrupted(128 + self.signum)
        if ended is not None and not isinstance(ended, CellExecutionError):
            self._banner(
                f"{type(ended).__name__} ended this run: later cells were skipped, cells tagged `always` were run."
            )
            raise ended
        if self.disk_error:
            raise self.disk_error

    def _run_cells(self) -> Exception | None:
        ended: Exception | None = None
        for index, cell in enumerate(self.nb.cells):
            self.protected = bool(_UNCONDITIONAL & set(cell.metadata.get("tags", [])))
            if not self.protected:
                ended = ended or self.deadline
            if (ended or self.signum) and not self.protected:
                cell.metadata.papermill["status"] = SKIPPED
                continue
            self._record(self.manager.cell_start, cell, index)
            try:
                if cell.cell_type == "code":
                    self._ready_kernel(index)
                    self._execute(cell, index)
                if not self.protected:
                    ended = ended or self.deadline  # of a cell that made as if nothing had happened
            except Exception as raised:  # whatever it was, the clean-up runs
                error = self.deadline if self.deadline and not self.protected else raised  # the interrupt was its
                if not isinstance(error, CellExecutionError):
                    cell.outputs.append(_error_output(error))
                if isinstance(error, DeadKernelError):
                    self._stop_kernel()
                self.manager.cell_exception(cell, cell_index=index, exception=error)
                # The first end decides; only that a kernel died is not hidden behind a cell that failed before.
                ended = error if ended is None or isinstance(error, DeadKernelError) else ended
            self._record(self.manager.cell_complete, cell, index)
        return ended

    def _execute(self, cell: Any, index: int) -> None:
        timed_out = threading.Event()
        # nbclient's own timeout would interrupt again and again, and so cut a `finally` longer than the timeout.
        timer = threading.Timer(self.cell_timeout or 0, self._time_out, [timed_out])
        if self.cell_timeout and not self.protected:
            timer.start()
        try:
            self.execute_cell(cell, index)
        finally:
            timer.cancel()
            self.executing = False
            error = CellTimeoutError(
                f"cell {cell.id!r} (number {index + 1}) was interrupted after {self.cell_timeout or 0:g} seconds, the longest time allowed for "
                "a cell. Allow more (--cell-timeout; under papermill --execution-timeout), or see in the page what the cell waited for"
            )
            if timed_out.is_set():
                cell.outputs.append(_error_output(error))
        if timed_out.is_set():  # and the cell made as if nothing had happened
            raise CellExecutionError("", "CellTimeoutError", str(error))

    def _reach_deadline(self, seconds: float) -> None:
        left = seconds - _work_seconds(seconds)
        self.deadline = DeadlineError(
            f"the work was not done {left:g} seconds before the deadline of {seconds:g} (--deadline), which are the clean-up's. Allow more, "
            "or see in the page what it waited for"
        )
        self._interrupt()

    def _time_out(self, timed_out: threading.Event) -> None:
        timed_out.set()
        self._interrupt()

    @property
    def _kernel(self) -> Any:
        """The manager of the kernel that runs now. Its provisioner has a process id, which the base class does not declare."""
        if self.km is None:
            raise DeadKernelError("there is no kernel")
        return self.km

    def _interrupt(self) -> None:
        self.interrupt_wanted = True
        if self.executing and not self.interrupt_sent and not self.protected:
            self.interrupt_sent = True
            # Not km.interrupt_kernel(): that signals the whole process group.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._kernel.provisioner.pid, signal.SIGINT)

    async def _async_poll_for_reply(
        self, msg_id: str, cell: Any, timeout: int | None, task_poll_output_msg: Any, task_poll_kernel_alive: Any
    ) -> dict[str, Any]:
        """As nbclient's, but for a reply that never comes.

        Where an interrupt falls between the kernel's own lines, it drops the request (ipykernel, "KeyboardInterrupt caught in kernel") and is idle:
        nbclient would wait without end. What the cell had done is unknown then, so it counts as interrupted.
        """
        output = task_poll_output_msg
        reply = asyncio.ensure_future(
            super()._async_poll_for_reply(msg_id, cell, timeout, output, task_poll_kernel_alive)
        )
        try:
            await asyncio.wait({reply, output}, return_when=asyncio.FIRST_COMPLETED)
            if reply.done() or not self.interrupt_sent or output.cancelled() or output.exception():
                return await reply
            await asyncio.wait({reply}, timeout=REPLY_SECONDS)
            if reply.done():
                return await reply
        finally:
            reply.cancel()  # does nothing where it is done
        task_poll_kernel_alive.cancel()
        error = KeyboardInterrupt("the kernel dropped this cell's reply")
        cell.outputs.append(_error_output(error))
        return {"content": {"status": "error", "ename": "KeyboardInterrupt", "evalue": str(error), "traceback": []}}

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] == "execute_input":  # before this the kernel ignores SIGINT, and an interrupt would be lost
            self.executing = True
            if self.interrupt_wanted:
                self._interrupt()
        output = super().process_message(msg, cell, cell_index)
        self._record(self.manager.autosave_cell)
        if output is not None:
            self._log(output)
        return output

    def _log(self, output: Any) -> None:
        text = output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        if output.output_type == "stream" and (file := self.files.get(output.name)):
            file.write(text)
            file.flush()
        if self.manager.log_output and text:
            from papermill.log import logger

            logger.info(text)

    def _ready_kernel(self, index: int) -> None:
        if self.km is not None:
            return
        self._start_kernel()
        # The first to be registered is the last to be called. Where this file lies, the exit handlers have run.
        self._run_silently(f"__import__('atexit').register(__import__('pathlib').Path({str(self._exited)!r}).touch)")
        for cell in self.nb.cells[:index]:  # a first kernel has none before its first cell
            if cell.cell_type == "code" and _PARAMETERS & set(cell.metadata.get("tags", [])):
                self._run_silently(cell.source)

    def _run_silently(self, source: str) -> None:
        client: Any = self.kc
        self.wait_for_reply(client.execute(source, silent=True))

    def _start_kernel(self) -> None:
        for tries_left in reversed(range(STARTS)):
            self.kernels += 1
            self.km = self.create_kernel_manager()
            self._kernel.connection_file = str(self.folder / f"connection-{self.kernels}.json")
            self._choose_transport()
            if tries_left:
                provisioner.use(self.km)
            self.km.shutdown_wait_time = 2  # until a cell has run there is nothing that an end could cut
            try:
                self.start_new_kernel(env=self.environment)
                self.start_new_kernel_client()  # ends the kernel if it fails
            except Exception as error:
                self.km = self.kc = None
                if not isinstance(error, RuntimeError):
                    raise  # no such kernel: a second try would not find it either
                if not tries_left:
                    raise DeadKernelError(f"the kernel did not start, {STARTS} times: {error}") from error
            else:
                self.km.shutdown_wait_time = (
                    2 * EXIT_SECONDS
                )  # SIGTERM, which cuts exit handlers, comes after half of it
                return

    def _choose_transport(self) -> None:
        # Sockets in our private folder. TCP ports are chosen here and bound by the kernel a second later: where another
        # process takes one of them meanwhile, the kernel does not start and, in ipykernel 7, does not end either.
        path = self.folder / f"kernel-{self.kernels}"
        if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
            self._kernel.transport, self._kernel.ip = "ipc", str(path)
        else:
            self._kernel.transport_encryption = "auto"  # any user of this machine can connect to a port

    @property
    def _exited(self) -> Path:
        return self.folder / f"exited-{self.kernels}"

    def _stop_kernel(self) -> None:
        if self.km is not None:
            self._cleanup_kernel()

    async def _async_cleanup_kernel(self) -> None:
        watch = asyncio.ensure_future(self._kill_what_hangs(getattr(self._kernel.provisioner, "process", None)))
        try:
            await super()._async_cleanup_kernel()
        finally:
            watch.cancel()

    _cleanup_kernel = run_sync(_async_cleanup_kernel)

    async def _kill_what_hangs(self, process: Any) -> None:
        while not self._exited.exists():
            await asyncio.sleep(0.1)
        await asyncio.sleep(HANG_SECONDS)
        process.kill()  # does nothing if it has ended

    def _record(self, method: Any, *arguments: Any) -> None:
        try:
            method(*arguments)
        except OSError as error:  # a full disk must not keep the clean-up from running; it is raised after that
            self.disk_error = error

    def _banner(self, text: str) -> None:
        from papermill.execute import ERROR_MARKER_TAG, ERROR_STYLE

        cell = new_markdown_cell(f"<span {ERROR_STYLE}>{text}</span>", metadata={"tags": [ERROR_MARKER_TAG]})
        cell.metadata.papermill = {"status": "completed", "exception": None, "start_time": None, "end_time": None}
        self.nb.cells.insert(0, cell)
        self.nb.metadata.papermill["exception"] = True

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[None]:
        def on_signal(signum: int, _: Any) -> None:
            if self.signum is None:
                self.signum = signum
                name = signal.Signals(signum).name
                text = f"\n{name}: ending the current cell, then cleaning up. Repeats are ignored.\n"
                os.write(2, text.encode())  # print is not safe inside a signal handler
                self._interrupt()

        previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            # A signal that the parent process ignores, as nohup does, stays ignored.
            previous = {s: signal.signal(s, on_signal) for s in SIGNALS if signal.getsignal(s) != signal.SIG_IGN}
        try:
            yield
        finally:
            if self.signum is None:  # else the process is on its way out, and repeats stay ignored
                for signum, handler in previous.items():
                    signal.signal(signum, handler)


def _work_seconds(deadline_seconds: float | None) -> float:
    """How long cells may work before the clean-up begins."""
    return (deadline_seconds or 0) - min((deadline_seconds or 0) * RESERVE, MOST_RESERVE_SECONDS)


def _error_output(error: BaseException) -> Any:
    name, text = type(error).__name__, str(error)
    if text == "Kernel died":
        text = "the kernel died in this cell: it was killed, or out of memory"
    return new_output("error", ename=name, evalue=text, traceback=[f"error: {name}", text])

"""The engine's manager and client of a kernel do without Jupyter's fixed waits, and miss nothing by it."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from jupyter_core.utils import run_sync

from aurora_ops.runner.kernels import forked, provisioner
from aurora_ops.runner.kernels.manager import Manager


@contextmanager
def kernel(folder, delay_seconds=0.0):
    """A manager and a client that asks at once, while the kernel starts `delay_seconds` later."""
    manager = Manager(transport="ipc", ip=str(folder / "socket"))
    provisioner.use(manager)
    if delay_seconds:
        late = f"import runpy, time; time.sleep({delay_seconds}); runpy.run_module('ipykernel_launcher', run_name='__main__')"
        manager.kernel_spec.argv = [sys.executable, "-c", late, "-f", "{connection_file}"]
    run_sync(manager.start_kernel)()
    client = manager.client()
    client.start_channels()
    try:
        yield manager, client
    finally:
        client.stop_channels()
        run_sync(manager.shutdown_kernel)()


def heard(client, source):
    """What a cell prints, its first word too."""
    found = []
    run_sync(client.execute_interactive)(source, timeout=60, output_hook=lambda one: found.append(one["content"]))
    return "".join(content.get("text", "") for content in found)


@pytest.mark.parametrize("delay_seconds", [0.0, 2.5])
def test_what_the_first_cell_says_is_heard_however_late_the_kernel_comes(tmp_path, delay_seconds):
    with kernel(tmp_path, delay_seconds) as (_, client):
        run_sync(client.wait_for_ready)(timeout=60)

        assert "first\n" == heard(client, "print('first')")


def test_a_kernel_that_died_is_not_waited_for(tmp_path):
    with kernel(tmp_path, delay_seconds=600) as (manager, client), ThreadPoolExecutor(1) as later:
        later.submit(lambda: (time.sleep(0.5), manager.provisioner.process.kill()))
        with pytest.raises(RuntimeError, match="died before replying"):
            run_sync(client.wait_for_ready)(timeout=60)


def test_a_kernel_that_says_nothing_is_waited_for_as_long_as_was_asked(tmp_path):
    with kernel(tmp_path, delay_seconds=600) as (manager, client):
        with pytest.raises(RuntimeError, match="didn't respond in 1 seconds"):
            run_sync(client.wait_for_ready)(timeout=1)
        manager.provisioner.process.kill()


def test_a_forked_kernel_ends_its_threads_and_then_runs_its_exit_handlers(tmp_path):
    """It is not taken down as Python ends, which would visit all that its starter has imported."""
    said = tmp_path / "said"
    note = f"note = lambda word: open({str(said)!r}, 'a').write(word + ' ')"
    with forked.served("numpy"), kernel(tmp_path) as (manager, client):
        run_sync(client.wait_for_ready)(timeout=60)
        assert isinstance(manager.provisioner.process, forked.Kernel)
        heard(client, f"import atexit, threading, time\n{note}\natexit.register(note, 'handler')")
        heard(client, "threading.Thread(target=lambda: (time.sleep(0.5), note('thread'))).start()")

    assert "thread handler " == said.read_text()

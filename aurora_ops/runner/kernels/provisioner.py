"""What Jupyter calls to start a kernel, for a manager that was told so by `use`."""

import os
from importlib.metadata import EntryPoint
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from aurora_ops.runner.kernels import forked

_NAME = "aurora-ops-forked"


def use(manager: Any) -> None:
    """Have the kernel of a manager forked, where there is a process that has the imports."""
    if os.environ.get(forked.SOCKET):
        manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": register()}


def register() -> str:
    """Make the provisioner known to Jupyter in this process, by the name that is returned."""
    where = EntryPoint(_NAME, f"{__name__}:{ForkedProvisioner.__name__}", KernelProvisionerFactory.GROUP_NAME)
    KernelProvisionerFactory.provisioners[_NAME] = where
    return _NAME


class ForkedProvisioner(LocalProvisioner):
    """Jupyter's own provisioner, whose kernels are forked where they can be."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork the kernel, or start it as ever."""
        folder = str(kwargs.get("cwd") or os.getcwd())
        kernel = forked.fork(cmd, kwargs.get("env", os.environ), folder)
        if kernel is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = kernel  # type: ignore[assignment]
        self.pid = self.pgid = kernel.pid
        self.cwd = folder
        return self.connection_info

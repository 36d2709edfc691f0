"""JupyterLab as `make lab` starts it: on its start page, without news, as root in a container too, and saving leaves no diff."""

import os

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import stored


def _before_save(model, **_kwargs):  # type: ignore[no-untyped-def]
    if model["type"] == "notebook" and isinstance(model["content"], dict):
        stored.without_kernel(model["content"])


c = get_config()  # type: ignore[name-defined]  # noqa: F821 - Jupyter reads this file so
c.ServerApp.allow_root = os.geteuid() == 0
c.ServerApp.root_dir = str(PROJECT_ROOT)
c.FileContentsManager.pre_save_hook = _before_save
c.LabApp.default_url = "/lab/tree/docs/start.md"
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"

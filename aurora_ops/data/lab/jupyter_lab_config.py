"""JupyterLab as `make lab` starts it: on its start page, without news, as root in a container too; saving leaves no diff, and charts
are dark in a dark theme."""

import os

from jupyter_core.paths import jupyter_config_dir

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
# Charts are drawn on white: custom.css turns them dark with the theme. A person's own one takes its place.
c.LabApp.custom_css = True
c.ServerApp.tornado_settings = {
    "static_custom_path": [
        os.path.join(jupyter_config_dir(), "custom"),
        os.path.join(os.path.dirname(__file__), "custom"),
    ]
}
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"

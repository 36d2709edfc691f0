"""`make site`: README, documents and pages as a site, by Zensical, from the files as they are.

It wants all of them in one folder, so they are gathered in one first; a notebook becomes Markdown with its pictures beside it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nbconvert import MarkdownExporter

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection

SITE = PROJECT_ROOT / "site"
FOLDERS = ("docs", "sql", "terraform")  # with what their documents lead to
SINGLE = ("README.md", "README.ja.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE")
_IGNORED = shutil.ignore_patterns(".terraform*", "__pycache__", "*.tfstate*")
_TO_A_PAGE = re.compile(r"(?<=\]\()([^)\s]*)\.ipynb")


def gather(folder: Path) -> None:
    """Copy what the site consists of into a folder, links to notebooks changed into links to their pages."""
    for name in FOLDERS:
        shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=_IGNORED)
    for name in SINGLE:
        shutil.copy(PROJECT_ROOT / name, folder / name)
    for entry in collection.collection():
        text, resources = MarkdownExporter().from_filename(str(entry.path))
        there = folder / entry.folder / entry.path.with_suffix(".md").name
        there.parent.mkdir(exist_ok=True)
        for name, content in resources["outputs"].items():
            own = f"{entry.path.stem}-{name}"
            (there.parent / own).write_bytes(content)
            text = text.replace(f"({name})", f"({own})")
        there.write_text(text, encoding="utf-8")
    for path in folder.rglob("*.md"):
        path.write_text(_TO_A_PAGE.sub(r"\1.md", path.read_text(encoding="utf-8")), encoding="utf-8")


def build(site: Path = SITE) -> None:
    """Build it. A warning is an error.

    Raises
    ------
    SystemExit
        A link leads nowhere, or the configuration is wrong; with Zensical's words.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "content").mkdir()
        gather(folder / "content")
        settings = (PROJECT_ROOT / "mkdocs.yml").read_text(encoding="utf-8")
        (folder / "mkdocs.yml").write_text(f"{settings}docs_dir: content\nsite_dir: site\n", encoding="utf-8")
        words = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", "mkdocs.yml"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
        if done.returncode:
            raise SystemExit(re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr))
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(folder / "site", site)


if __name__ == "__main__":
    build()

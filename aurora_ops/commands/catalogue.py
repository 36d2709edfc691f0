"""The catalogue of pages in README.md and README.ja.md: one table in two languages, from docs/catalogue.toml."""

import re
import tomllib
from typing import Any

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import InputError
from aurora_ops.runner import collection

SOURCE = "docs/catalogue.toml"
# Of each README: the table's head, and what its keys end in.
READMES = {
    "README.md": ("| I want to … | page | changes | interrupts | costs at AWS |", ""),
    "README.ja.md": ("| したいこと | ページ | 変更するもの | 止まるもの | AWS での費用 |", "_ja"),
}
_KEYS = ("want", "changes", "interrupts", "costs")
_MARKED = re.compile(r"(<!-- catalogue: .*? -->\n).*?(<!-- end of the catalogue -->)", re.DOTALL)


class CatalogueError(InputError):
    """The catalogue does not say what it should of each page, so no README was written."""


def tables() -> dict[str, str]:
    """The text of each README, by its name, with the table as it is to be.

    Raises
    ------
    CatalogueError
        A page has no entry, an entry has no page, or does not say what the page changes.
    """
    found = tomllib.loads((PROJECT_ROOT / SOURCE).read_text(encoding="utf-8"))
    pages = {entry.name: f"{entry.folder}/{entry.path.name}" for entry in collection.collection()}
    named = {*found, *(also for words in found.values() for also in words.get("also", ()))}
    if other := sorted(named ^ pages.keys()):
        raise CatalogueError(
            f"{SOURCE} has no entry [{other[0]}], and there is such a page. Write one"
            if other[0] in pages
            else f"{SOURCE} has an entry [{other[0]}], and there is no such page. Remove it"
        )
    for name, words in found.items():
        if unsaid := [key for key in _KEYS if not words.get(key)]:
            raise CatalogueError(f"{SOURCE} does not say of {name}: {', '.join(unsaid)}")
    return {readme: _with_table(readme, head, suffix, found, pages) for readme, (head, suffix) in READMES.items()}


def _with_table(readme: str, head: str, suffix: str, found: dict[str, dict[str, Any]], pages: dict[str, str]) -> str:
    rows = [head, "|---|---|---|---|---|"]
    for name, words in found.items():
        want, changes, interrupts, costs = (words.get(key + suffix) or words[key] for key in _KEYS)
        also = (", " if not suffix else "・").join(
            f"[{one.removeprefix('alarm-')}]({pages[one]})" for one in words.get("also", ())
        )
        lead = words.get(f"lead{suffix}", words.get("lead", "")) if also else ""
        rows.append(f"| {want} | [{name}]({pages[name]}){lead}{also} | {changes} | {interrupts} | {costs} |")
    text = (PROJECT_ROOT / readme).read_text(encoding="utf-8")
    written, count = _MARKED.subn(lambda marks: marks[1] + "\n".join([*rows, ""]) + marks[2], text)
    if count != 1:
        raise CatalogueError(f"{readme} has {count} places between the catalogue's two comments, and is to have one")
    return written


def write() -> list[str]:
    """Write the tables; names of the files that this changed."""
    changed = []
    for readme, text in tables().items():
        path = PROJECT_ROOT / readme
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            changed.append(readme)
    return changed

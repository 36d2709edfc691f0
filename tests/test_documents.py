"""What the documents say: their links lead somewhere, their words are explained, their commands are those of the program."""

import re
import shlex
from pathlib import Path

import documentation
import nbformat
import pytest
from click.testing import CliRunner

from aurora_ops.__main__ import cli
from aurora_ops.commands.run import run
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection, parameters

FOLDERS = ("docs", "notebooks", "runbooks", "sql", "terraform")
DOCUMENTS = [
    *sorted(PROJECT_ROOT.glob("*.md")),
    *(path for folder in FOLDERS for path in sorted((PROJECT_ROOT / folder).rglob("*.md")) if ".terraform" not in path.parts),
]  # fmt: skip
READMES = ("README.md", "README.ja.md")
# Words that a reader of these pages brings along: the field's, SQL's, and verdicts.
KNOWN = {
    "API", "AWS", "CA", "CI", "CLI", "CPU", "CSV", "DBA", "ECS", "GB", "HTML", "IAM", "ID", "JSON", "MIT", "S3", "SHA", "SQL", "TCP", "USD",
    "UTC", "ACT", "BUILD", "UNDERSTAND", "ALARM", "ALTER", "ANALYZE", "COMMIT", "CREATE", "EXPLAIN", "INDEX", "OK", "TABLE", "VACUUM", "DELETE", "DROP", "INSERT", "ROLLBACK", "SELECT", "TRUNCATE", "UPDATE", "WHERE", "DRY", "ERROR", "FAIL", "FAILED", "INT", "PASS", "README", "REFUSED", "RUN", "SUCCESSFUL",
    "APPLIED", "COST", "FROM", "LOAD", "SET", "SIMULATED", "UPGRADED",  # as the results that stand under a page's title print them
}  # fmt: skip


def lines_of(page):
    """Its commands: lines of a console block that begin with a dollar sign, without their comments."""
    text = (PROJECT_ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [re.sub(r"\s+#.*", "", line[2:]) for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def headings(path):
    """A document's anchors, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.replace("`", "").lower()).replace(" ", "-") for one in found}


def glossary():
    """Each word of docs/glossary.md."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (PROJECT_ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    return rows[1:]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT_ROOT).as_posix())
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(document):
    """Links to other hosts are not tried."""
    lost = []
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (document.parent / path) if path else document
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in headings(there)):
            lost.append(target)

    assert [] == lost


def test_the_words_stand_in_the_order_of_the_alphabet_and_once():
    words = [one.lower() for one in glossary()]

    assert sorted(set(words)) == words


@pytest.mark.parametrize("document", ["README.md", *(f"{e.folder}/{e.path.name}" for e in collection.collection())])
def test_an_abbreviation_is_explained(document):
    """In the list of words, or in the page itself: `… (RTO)`."""
    path = PROJECT_ROOT / document
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(c.source for c in nbformat.reads(text, 4).cells if c.cell_type == "markdown")
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|<!--.*?-->", " ", text, flags=re.DOTALL)
    explained = {word.strip() for one in glossary() for word in one.split(",")} | KNOWN

    assert [] == sorted(set(re.findall(r"\b[A-Z][A-Z0-9]+\b", prose)) - explained)


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_one_of_the_program(readme):
    """Each group, command and option of `aurora-ops` exists; each page and parameter of `run` too."""
    asked = [words for line in lines_of(readme) for words in _of_program(line)]
    assert len(asked) > 8

    for words in asked:
        command, left = cli, list(words)
        while hasattr(command, "commands") and left:
            assert left[0] in command.commands, words
            command = command.commands[left.pop(0)]
        options = {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)}
        assert [] == [one for one in left if one.startswith("-") and one not in options | {"--help", "-p"}], words
        if command is run:
            pages = [one for one in left if one in {entry.name for entry in collection.collection()}]
            assert pages, words
            given = [left[at + 1].partition("=")[0] for at, one in enumerate(left) if one == "-p"]
            assert [] == [(page, name) for page in pages for name in given if name not in parameters.read(collection.find(page).path)]  # fmt: skip


def _of_program(line):
    """The arguments of each `aurora-ops` in a line of a shell."""
    for found in re.findall(r"aurora-ops ([^$\")|;]*)", line):
        yield shlex.split(found)


@pytest.mark.parametrize("readme", READMES)
def test_every_target_of_make_is_one_of_the_makefile(readme):
    named = {line.split()[1] for line in lines_of(readme) if line.startswith("make ")}
    there = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {"rehearse", "lab", "check", "test"} <= named
    assert set() == named - {one for names in there for one in names.split()}


def test_each_chapter_of_the_specification_leads_to_its_page():
    """In README.ja.md, as the specification is Japanese."""
    text = (PROJECT_ROOT / "README.ja.md").read_text(encoding="utf-8")
    table = text[text.index("## 仕様書の章から探す") :].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]

    for chapter in ("機能", "データベーススキーマ", "入力変数", "接続方法", "セキュリティ考慮事項", "モニタリング", "Performance Insights",
                    "バックアップとリストア", "コスト最適化", "接続できない", "パフォーマンスが遅い", "ライセンス"):  # fmt: skip
        (row,) = (one for one in rows if chapter in one.split("|")[1])
        assert "](" in row.split("|")[2]


def test_help_of_the_program_names_every_command_that_the_readme_shows():
    shown = CliRunner().invoke(cli, ["--help"]).stdout

    for line in lines_of("README.md"):
        for words in _of_program(line):
            assert f"  {words[0]} " in shown, words


def test_each_document_is_reached_from_the_readme():
    """Through any number of links."""
    seen: set[Path] = set()
    todo = [PROJECT_ROOT / "README.md"]
    while todo:
        path = todo.pop().resolve()
        if path in seen or path.suffix != ".md" or not path.is_file():
            continue
        seen.add(path)
        todo += [path.parent / one.partition("#")[0] for one in re.findall(r"\]\(([^)\s]+)\)", path.read_text()) if "://" not in one]  # fmt: skip

    docs = {path.resolve() for path in DOCUMENTS if path.is_relative_to(PROJECT_ROOT / "docs")}
    assert [] == sorted(path.name for path in docs - seen)


def test_the_site_is_built_from_the_same_files_and_asks_no_other_host(tmp_path):
    """Every page is in it, with its pictures; a link that leads nowhere would end it."""
    pytest.importorskip("zensical", reason="`make site` installs it")
    documentation.build(tmp_path / "site")

    for entry in collection.collection():
        page = (tmp_path / "site" / entry.folder / f"{entry.path.stem}.html").read_text(encoding="utf-8")
        assert entry.title in page
        pictures = re.findall(r'<img[^>]* src="([^"]+)"', page)
        stored = [o for c in entry.read().cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
        assert len(stored) == len([one for one in pictures if (tmp_path / "site" / entry.folder / one).is_file()])
    loaded = re.compile(
        r'<(?:script|img|iframe)[^>]* src="https?://|<link[^>]* rel="(?:stylesheet|preload)"[^>]* href="https?://'
    )
    assert [] == [
        path.name for path in (tmp_path / "site").rglob("*.html") if loaded.search(path.read_text(encoding="utf-8"))
    ]


def test_a_link_that_leads_nowhere_ends_the_site(tmp_path, monkeypatch):
    pytest.importorskip("zensical", reason="`make site` installs it")
    gather = documentation.gather

    def spoiled(folder):
        gather(folder)
        (folder / "docs" / "new.md").write_text("# New\n\n[lost](no-such-page.md)\n")

    monkeypatch.setattr(documentation, "gather", spoiled)

    with pytest.raises(SystemExit, match=r"docs/new\.md"):
        documentation.build(tmp_path / "site")

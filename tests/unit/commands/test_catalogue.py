"""The catalogue of the READMEs: written from one file, and refused where that file and the folders differ."""

import tomllib

import pytest

from aurora_ops.commands import catalogue
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection

ONE = '[one]\nwant = "see"\nchanges = "nothing"\ninterrupts = "nobody"\ncosts = "cents"\nwant_ja = "見る"\n'
MARKS = "# Title\n<!-- catalogue: as it is written -->\nold\n<!-- end of the catalogue -->\nMore\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one page, and READMEs with an old table."""
    for folder in ("docs", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "notebooks" / "01_one.ipynb").write_text("{}")
    for name in catalogue.READMES:
        (tmp_path / name).write_text(MARKS)
    (tmp_path / catalogue.SOURCE).write_text(ONE)
    for module in (catalogue, collection):
        monkeypatch.setattr(module, "PROJECT_ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("readme", catalogue.READMES)
def test_the_catalogue_is_as_it_would_be_written(readme):
    """`aurora-ops notebooks catalogue` writes it."""
    assert (PROJECT_ROOT / readme).read_text(encoding="utf-8") == catalogue.tables()[readme]


def test_every_page_has_its_japanese_words():
    found = tomllib.loads((PROJECT_ROOT / catalogue.SOURCE).read_text(encoding="utf-8"))

    words = ("want", "changes", "interrupts", "costs", "lead")
    assert [] == [
        (name, one) for name, said in found.items() for one in words if one in said and f"{one}_ja" not in said
    ]


def test_only_what_is_between_the_marks_is_written_and_once(project):
    assert ["README.md", "README.ja.md"] == catalogue.write()
    assert [] == catalogue.write()

    assert (project / "README.md").read_text() == MARKS.replace(
        "old", "| I want to … | page | changes | interrupts | costs at AWS |\n|---|---|---|---|---|\n| see | [one](notebooks/01_one.ipynb) | nothing | nobody | cents |"
    )  # fmt: skip
    assert (
        "| 見る | [one](notebooks/01_one.ipynb) | nothing | nobody | cents |" in (project / "README.ja.md").read_text()
    )


def test_pages_of_one_kind_share_a_row(project):
    (project / "notebooks" / "02_alarm-two.ipynb").write_text("{}")
    (project / catalogue.SOURCE).write_text(f'{ONE}lead = ", or: "\nalso = ["alarm-two"]\n')
    catalogue.write()

    assert (
        "| [one](notebooks/01_one.ipynb), or: [two](notebooks/02_alarm-two.ipynb) | nothing |"
        in (project / "README.md").read_text()
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"has no entry \[one\], and there is such a page"),
        (ONE + ONE.replace("one", "two"), r"has an entry \[two\], and there is no such page"),
        (ONE.replace('changes = "nothing"', ""), "does not say of one: changes"),
    ],
)
def test_a_catalogue_that_is_not_the_folders_is_refused(project, text, said):
    (project / catalogue.SOURCE).write_text(text)

    with pytest.raises(catalogue.CatalogueError, match=said):
        catalogue.write()
    assert MARKS == (project / "README.md").read_text()


def test_a_readme_that_lost_its_marks_is_refused(project):
    (project / "README.ja.md").write_text("no marks")

    with pytest.raises(catalogue.CatalogueError, match=r"README\.ja\.md has 0 places"):
        catalogue.write()

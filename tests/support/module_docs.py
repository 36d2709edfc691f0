"""The tables and examples of the Terraform module's READMEs, made from its source and from terraform/examples: `make terraform-docs`.

variables.tf and outputs.tf are English and make the English table whole. The Japanese descriptions stand where they are
read, in README.ja.md itself: the other cells of a row are made anew, and a row without a description is refused.
"""

import json
import re
from pathlib import Path

from module_source import MODULE, REQUIRED, TERRAFORM, Input, inputs, outputs

ENGLISH, JAPANESE = READMES = (MODULE / "README.md", MODULE / "README.ja.md")
EFFECTS_IN_JAPANESE = {
    "nothing": "なし",
    "in place": "稼働したまま変更",
    "restart": "再起動",
    "replacement": "**作り直し（データ消失）**",
}


def told(readme: str) -> dict[str, str]:
    """Description by name of input and output, as a README has them: the second cell of each row."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", readme, re.M))


def _shown_default(one: Input, required: str) -> str:
    return required if one.default is REQUIRED else f"`{json.dumps(one.default)}`"


def _shown_type(one: Input) -> str:
    return f"`{one.type.split('({')[0]}`"  # of an object, its description names the parts


def _english() -> dict[str, list[str]]:
    def cells(one: Input) -> str:
        description, _, edit = one.description.partition(" Edit: ")
        bold = f"**{one.effect}**" if one.effect == "replacement" else one.effect
        edit = edit.replace(one.effect or "", bold or "", 1).rstrip(".")
        return f"| `{one.name}` | {description} | {_shown_type(one)} | {_shown_default(one, 'required')} | {edit} |"

    return {
        "inputs": ["| Input | What it is | Type | Default | Edit |", "|---|---|---|---|---|", *map(cells, inputs())],
        "outputs": ["| Output | What it is |", "|---|---|", *(f"| `{n}` | {d} |" for n, d in outputs().items())],
    }


def _japanese(texts: dict[str, str]) -> dict[str, list[str]]:
    def cells(one: Input) -> str:
        effect = EFFECTS_IN_JAPANESE[one.effect or ""]
        return f"| `{one.name}` | {texts[one.name]} | {_shown_type(one)} | {_shown_default(one, '必須')} | {effect} |"

    untold = [name for name in (*(one.name for one in inputs()), *outputs()) if not texts.get(name)]
    if untold:
        raise SystemExit(
            f"{JAPANESE.name} says nothing about {', '.join(untold)}. Add a row | `name` | 説明 | for each, then run this again."
        )
    return {
        "inputs": ["| 変数名 | 説明 | 型 | デフォルト | 変更の影響 |", "|---|---|---|---|---|", *map(cells, inputs())],
        "outputs": ["| 出力名 | 説明 |", "|---|---|", *(f"| `{name}` | {texts[name]} |" for name in outputs())],
    }


def _examples(text: str) -> dict[str, list[str]]:
    """What stands between `<!-- example NAME -->` and its end: the main.tf that a test plans."""
    names = re.findall(r"^<!-- (example [\w-]+) -->$", text, re.M)
    code = {name: (TERRAFORM / "examples" / name.split()[1] / "main.tf").read_text(encoding="utf-8") for name in names}
    return {name: ["```hcl", code[name].rstrip("\n"), "```"] for name in names}


def written(readme: Path) -> str:
    """The README with its tables and examples as the source makes them; what stands outside of the marks stays."""
    text = readme.read_text(encoding="utf-8")
    tables = (_english() if readme == ENGLISH else _japanese(told(text))) | _examples(text)
    for name, rows in tables.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + "\n".join(rows) + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    for path in READMES:
        path.write_text(written(path), encoding="utf-8")

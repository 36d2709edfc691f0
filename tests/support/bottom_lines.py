"""What a reader has to take in of a bottom line: its sentences, their words, and its numbers."""

import re

MOST_SENTENCES, MOST_NUMBERS, MOST_WORDS = 2, 6, 32


def sentences(text: str) -> list[str]:
    """Each sentence; a point inside a number or a name ends none."""
    return [one for one in re.split(r"(?<=[.!?])\s+", text.strip()) if one]


def numbers(text: str) -> list[str]:
    """Each figure. A name that has digits, such as ap-northeast-1 or db.r6g.large, is none; a range is two."""
    words = (word for word in text.split() if not re.search("[A-Za-z]", word))
    return [number for word in words for number in re.findall(r"\d[\d,]*(?:\.\d+)?", word)]


def too_long(text: str) -> list[str]:
    """What breaks the rule; nothing where it is kept."""
    found = []
    if len(sentences(text)) > MOST_SENTENCES:
        found.append(f"{len(sentences(text))} sentences")
    if len(numbers(text)) > MOST_NUMBERS:
        found.append(f"{len(numbers(text))} numbers")
    found += [f"{len(one.split())} words: {one}" for one in sentences(text) if len(one.split()) > MOST_WORDS]
    return found

"""`python -m rules` beside it, or `make rules`: write the page."""

from rules.page import PAGE, text

PAGE.write_text(text(), encoding="utf-8")

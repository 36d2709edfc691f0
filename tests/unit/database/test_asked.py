"""What was asked is kept while many connections ask at once."""

import threading
from types import SimpleNamespace

from aurora_ops.database import asked


def test_what_others_ask_meanwhile_neither_ends_the_reading_nor_is_lost(monkeypatch):
    """Rows are compared on many connections; one that begins to ask while the statements are read was an error once."""
    monkeypatch.setattr(asked, "statements", type(asked.statements)())
    connection = SimpleNamespace(info=SimpleNamespace(host="h", port=5432, dbname="d"))
    over, numbers = threading.Event(), (1, 2, 3)

    def ask(number):
        for turn in range(800):
            asked._keep(connection, f"SELECT {number}, {turn}")
        over.set()

    threads = [threading.Thread(target=ask, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    while not over.is_set():
        asked.kept()
    for thread in threads:
        thread.join()

    assert (2400, {1}) == (len(asked.kept()), {number for _, number in asked.kept()})

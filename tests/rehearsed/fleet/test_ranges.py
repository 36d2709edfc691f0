"""Ranges over a fleet's histories: the same to the last bit on workers and without, and with a worker that is lost on the way."""

import os
import signal

import duckdb
import numpy as np
import pytest

from aurora_ops.fleet import engine
from aurora_ops.fleet.figures import ranges
from aurora_ops.fleet.figures.ranges import HistoriesError

MINUTES = 1440 * 7
TOLERANCE = ("ap-northeast-1", 60.0, 600.0)


@pytest.fixture(scope="module")
def histories(tmp_path_factory):
    """Six clusters' weeks, each drawn from its own seed."""
    folder = tmp_path_factory.mktemp("histories")
    for number in range(6):
        random = np.random.default_rng(number)
        minute = np.arange(MINUTES)
        acu = np.clip((1 + number) * (1 + np.sin(minute / 1440 * 2 * np.pi)) + random.gamma(1, 1, MINUTES), 0.5, 64)
        with duckdb.connect() as connection:
            connection.register("drawn", {"capacity_acu": acu})
            connection.sql("FROM drawn").write_parquet(str(folder / f"cluster-{number}.parquet"))
    return ranges.files(folder)


def test_on_workers_the_result_is_that_of_one_machine_to_the_last_bit(histories):
    """All numbers of six clusters, 182 ranges each; also with a worker that is killed while it computes."""
    alone = ranges.fits(histories, *TOLERANCE)
    with engine.cluster("", 2) as client:
        spread = ranges.fits(histories, *TOLERANCE, client)
        (victim, *_) = client.run(os.getpid).values()
        futures = client.map(lambda path: ranges.fit(path, *TOLERANCE, 1), [str(one) for one in histories], pure=False)
        os.kill(victim, signal.SIGKILL)
        survived = client.gather(futures)

    assert 182 == len(ranges.grid())
    assert [f"cluster-{number}" for number in range(6)] == [one.cluster for one in alone]
    assert len({(one.floor_acu, one.ceiling_acu) for one in alone}) > 3
    assert alone == spread == survived


def test_a_history_with_a_gap_and_a_file_of_something_else_are_refused(tmp_path):
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT unnest([1.0, NULL]) AS capacity_acu) TO '{tmp_path}/gap.parquet' (FORMAT parquet)"
        )
        connection.execute(f"COPY (SELECT 1 AS other) TO '{tmp_path}/other.parquet' (FORMAT parquet)")

    for name, said in (("gap", "minutes without a value"), ("other", "needs a column capacity_acu")):
        with pytest.raises(HistoriesError, match=said):
            ranges.fits([tmp_path / f"{name}.parquet"], *TOLERANCE)
    with pytest.raises(HistoriesError, match=r"holds no \.parquet file"):
        ranges.files(tmp_path / "nothing")

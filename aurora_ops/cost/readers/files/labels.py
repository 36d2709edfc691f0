"""What the label of a series says: which metric, of which instance, by which statistic.

Every tool builds labels of its own from the same words: `ServerlessDatabaseCapacity writer` (Grafana), `aws_rds_serverless_database_capacity_average`
(Prometheus), `prod-writer ServerlessDatabaseCapacity` (CloudWatch).
"""

import re
from typing import NamedTuple

CAPACITY, UTILIZATION, CONNECTIONS = "ServerlessDatabaseCapacity", "ACUUtilization", "DatabaseConnections"
AVERAGE = "Average"
# Others of Aurora that may stand beside or instead.
_OTHERS = (
    "CPUUtilization", "FreeableMemory", "FreeLocalStorage", "DBLoadCPU", "DBLoadNonCPU", "DBLoad", "ReadIOPS", "WriteIOPS", "VolumeBytesUsed",
    "VolumeReadIOPs", "VolumeWriteIOPs", "ReadLatency", "WriteLatency", "CommitLatency", "CommitThroughput", "BufferCacheHitRatio", "Deadlocks",
    "NetworkReceiveThroughput", "NetworkTransmitThroughput", "NetworkThroughput", "AuroraReplicaLag", "SwapUsage", "TempStorageIOPS",
    "TempStorageThroughput", "MaximumUsedTransactionIDs", "EngineUptime", "StorageNetworkThroughput", "DiskQueueDepth", "TransactionLogsDiskUsage",
)  # fmt: skip
_STATISTICS = {
    "average": AVERAGE, "avg": AVERAGE, "mean": AVERAGE, "sum": "Sum", "total": "Sum", "maximum": "Maximum", "max": "Maximum",
    "minimum": "Minimum", "min": "Minimum", "samplecount": "SampleCount", "count": "SampleCount",
}  # fmt: skip
_PERCENTILE = re.compile(r"(p|tm|wm|tc|ts)\d{1,2}(\.\d+)?", re.IGNORECASE)
# Names that people give to a column of capacity.
_PLAIN = {
    "capacityacu",
    "capacity",
    "acu",
    "acus",
    "acucapacity",
    "serverlesscapacity",
    "averageacu",
    "avgacu",
    "meanacu",
}
_NAMED = re.compile(r"""db[ _]?(?:instance|cluster)[ _]?identifier["']?\s*[=:]\s*["']?([\w.-]+)""", re.IGNORECASE)
_NOISE = {"aws", "rds", "acu", "unit", "count", "none", "percent", "%"}


class Label(NamedTuple):
    """What was read from a label; empty where it does not say."""

    metric: str = ""
    instance: str = ""
    statistic: str = ""


def _spelt(metric: str) -> re.Pattern[str]:
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+s?$|[A-Z]?[a-z]+|[A-Z]+", metric)
    return re.compile("[ _]?".join(words).replace("Utilization", "Utili[sz]ation"), re.IGNORECASE)


_METRICS = {metric: _spelt(metric) for metric in (CAPACITY, UTILIZATION, CONNECTIONS, *_OTHERS)}


def plain(name: str) -> str:
    """A name without case, spaces and marks.

    >>> plain("Capacity (ACU)")
    'capacityacu'
    """
    return re.sub(r"[\W_]+", "", name).lower()


def read(label: str) -> Label:
    """What a label says.

    >>> read("aws_rds_serverless_database_capacity_maximum")
    Label(metric='ServerlessDatabaseCapacity', instance='', statistic='Maximum')
    >>> read("ServerlessDatabaseCapacity prod-writer")
    Label(metric='ServerlessDatabaseCapacity', instance='prod-writer', statistic='')
    """
    if plain(label) in _PLAIN:
        return Label(CAPACITY)
    if plain(label) == "connections":
        return Label(CONNECTIONS)
    named = _NAMED.search(label)
    rest = _NAMED.sub(" ", label)
    metric = next((name for name, pattern in _METRICS.items() if pattern.search(rest)), "")
    if metric:
        rest = _METRICS[metric].sub(" ", rest)
    statistic, words = "", []
    for word in re.split(r"[\s,;|:/(){}\[\]\"'=]+", rest.replace("_", " ") if metric else rest):
        if found := statistic_of(word):
            statistic = statistic or found
        elif word.strip("-.") and not set(word.lower().strip("-.").split(".")) <= _NOISE:
            words.append(word.strip("."))
    instance = named[1] if named else " ".join(words) if metric else ""
    return Label(metric, instance, statistic)


def statistic_of(word: str) -> str:
    """The statistic that a word names, as CloudWatch writes it; empty if it names none.

    >>> [statistic_of(word) for word in ("avg", "p99", "writer")]
    ['Average', 'p99', '']
    """
    return _STATISTICS.get(plain(word), word.lower() if _PERCENTILE.fullmatch(word) else "")

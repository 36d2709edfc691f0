"""The versions of the one engine of this sandbox. No import of moto here: the data plane uses them too."""

# What can be created, as us-east-1 listed it on 2026-06-01 (aws/aws-cdk#38053). 15.4 was withdrawn in 2025.
ENGINE_VERSIONS = (
    "14.15", "14.17", "14.18",
    "15.8", "15.10", "15.12", "15.13", "15.14", "15.15", "15.17",
    "16.4", "16.6", "16.8", "16.9", "16.10", "17.4", "17.5", "17.7",
)  # fmt: skip
DEFAULT_VERSION = "15.10"
# Provisioned classes that can be created beside db.serverless: vCPU and memory in GiB, by "Hardware specifications for DB instance
# classes for Aurora". Those that the price book prices.
PROVISIONED_CLASSES = {
    "db.t4g.medium": (2, 4), "db.r6g.large": (2, 16), "db.r6g.xlarge": (4, 32), "db.r6g.2xlarge": (8, 64), "db.r7g.large": (2, 16), "db.r7g.xlarge": (4, 32),
}  # fmt: skip
GIB_PER_ACU = 2


def memory_acu(instance_class: str) -> float:
    """The ACU that have a provisioned class's memory: what is computed from an instance's memory is computed from ACU."""
    return PROVISIONED_CLASSES[instance_class][1] / GIB_PER_ACU

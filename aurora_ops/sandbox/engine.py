"""The versions of the one engine of this sandbox. No import of moto here: the data plane uses them too."""

# What can be created, as us-east-1 listed it on 2026-06-01 (aws/aws-cdk#38053), and the newest of each major since: 14.22, 16.13 and
# 17.9 of 2026-04-06, 18.3 of 2026-06-11. 15.4 was withdrawn in 2025.
ENGINE_VERSIONS = (
    "14.15", "14.17", "14.18", "14.22",
    "15.8", "15.10", "15.12", "15.13", "15.14", "15.15", "15.17",
    "16.4", "16.6", "16.8", "16.9", "16.10", "16.13", "17.4", "17.5", "17.7", "17.9", "18.3",
)  # fmt: skip
DEFAULT_VERSION = "15.10"
# Serverless v2's platform versions: whether it is known to be in use, and AWS's words for it where we have them (the AWS CLI's example of
# 3; 4 is the default of new clusters since 2026-08, to which those of 1 and 2 upgrade).
PLATFORM_VERSIONS = {
    "1": (False, ""),
    "2": (False, ""),
    "3": (
        True,
        "Version 3 offering scaling up to 256 ACUs, and performance improvement up to 30% compared to version 2",
    ),
    "4": (True, ""),
}
DEFAULT_PLATFORM = "4"
PLATFORM_LIMITS = (0.0, 256.0)  # ACU, of 3 and 4
# Provisioned classes that can be created beside db.serverless: vCPU and memory in GiB, by "Hardware specifications for DB instance
# classes for Aurora". Those that the price book prices.
PROVISIONED_CLASSES = {
    "db.t4g.medium": (2, 4), "db.r6g.large": (2, 16), "db.r6g.xlarge": (4, 32), "db.r6g.2xlarge": (8, 64), "db.r7g.large": (2, 16), "db.r7g.xlarge": (4, 32),
}  # fmt: skip
GIB_PER_ACU = 2


def memory_acu(instance_class: str) -> float:
    """The ACU that have a provisioned class's memory: what is computed from an instance's memory is computed from ACU."""
    return PROVISIONED_CLASSES[instance_class][1] / GIB_PER_ACU

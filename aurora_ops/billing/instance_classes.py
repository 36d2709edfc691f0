"""Provisioned instance classes that a serverless cluster is compared with."""

# (vCPU, GiB, baseline share of each vCPU; None where it does not burst). AWS's instance type pages.
INSTANCE_CLASSES: dict[str, tuple[int, float, float | None]] = {
    "db.t4g.medium": (2, 4.0, 0.2),
    "db.t4g.large": (2, 8.0, 0.3),
    "db.r6g.large": (2, 16.0, None),
    "db.r6g.xlarge": (4, 32.0, None),
    "db.r6g.2xlarge": (8, 64.0, None),
    "db.r7g.large": (2, 16.0, None),
    "db.r7g.xlarge": (4, 32.0, None),
}

"""The versions of the one engine of this sandbox. No import of moto here: the data plane uses them too."""

# What can be created, as us-east-1 listed it on 2026-06-01 (aws/aws-cdk#38053). 15.4 was withdrawn in 2025.
ENGINE_VERSIONS = (
    "14.15", "14.17", "14.18",
    "15.8", "15.10", "15.12", "15.13", "15.14", "15.15", "15.17",
    "16.4", "16.6", "16.8", "16.9", "16.10", "17.4", "17.5", "17.7",
)  # fmt: skip
DEFAULT_VERSION = "15.10"

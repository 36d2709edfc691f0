"""Where the clone is, and what may lie beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"  # facts, traces and cases of the team; a user's clone has none

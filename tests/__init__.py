"""All tests: `builders` make what goes in, `fakes` stand in for others, `harness` runs ours."""

from pathlib import Path

ROOT = Path(__file__).parents[1]

"""docs/coverage.md is made of the rules and their samples, and claims nothing that a sample does not show."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

from daswatch.detections.detection import Detection
from daswatch.detections.samples import Sample, samples_of
from daswatch.detections.sigma import compile_all
from tools import coverage_page
from tools.coverage_page import ENGINES, PAGE, TACTICS, matrix, overview, read_attack, shown, with_tables


@cache
def corpus() -> dict[str, Detection]:
    return {detection.name: detection for detection in compile_all()}


def test_page_shows_the_rules_and_samples() -> None:
    page = PAGE.read_text("utf-8")

    assert with_tables(page) == page, "run python -m tools.coverage_page"
    assert f"version {read_attack().version}" in page


def test_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_tables("# Coverage")


def test_page_claims_only_what_a_sample_shows() -> None:
    for line in PAGE.read_text("utf-8").splitlines():
        if not line.startswith("| [T"):
            continue
        technique, *cells = line.strip("| ").split(" | ")
        for engine, cell in zip(ENGINES, cells, strict=False):
            for name in re.findall(r"\[([\w-]+)\]", cell):
                matching = [one for one in samples_of(name) if one.expected == "match" and one.engine == engine]
                assert matching, f"{technique}: {name}: {engine}"


def test_every_technique_of_a_rule_is_shown_by_a_sample() -> None:
    attack = read_attack()
    for one in shown(corpus().values(), attack):
        tagged = {tag.upper() for tag in one.detection.attack} & {*attack.techniques}
        if samples_of(one.detection.name):
            assert {name for names in one.techniques.values() for name in names} == tagged, one.detection.name


def test_near_misses_and_other_engines_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    attack, detection = read_attack(), replace(corpus()["os-exec"], attack=("execution", "t1059", "t1648"))
    samples = [
        Sample("os-exec", "match", "a program is run", "postgresql", (), ("t1059",)),
        Sample("os-exec", "ignore", "a name alone", "mysql", ()),
        Sample("os-exec", "match", "both", "oracle", ()),
    ]
    monkeypatch.setattr(coverage_page, "samples_of", lambda name: samples)

    (row,) = shown([detection], attack)

    assert row.techniques == {"postgresql": {"T1059"}, "oracle": {"T1059", "T1648"}}
    assert "| [Execution](#execution) | ■ | · | ■ | · | · |" in overview([row], attack)
    line = next(one for one in matrix([row], attack).splitlines() if one.startswith("| [T1648]"))
    assert line.endswith("|  |  | [os-exec](../detections/os-exec/rule.yml) |  |  |")


def test_technique_stands_below_its_own_tactics() -> None:
    """A rule with two tactics does not put each of its techniques below both."""
    attack = read_attack()
    (row,) = shown([corpus()["bruteforce-success"]], attack)

    assert set(TACTICS) == {tactic for names in attack.tactics.values() for tactic in names}
    assert row.of("credential-access", "mysql", attack) == {"T1110"}
    assert row.of("initial-access", "mysql", attack) == {"T1078"}
    assert not row.of("persistence", "mysql", attack)

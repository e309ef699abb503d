"""What the search benchmark asks: every recipe of the page, with other values, in the page's own words."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from demo.indexed import documents_of
from demo.traffic import produce
from tools.benchmarks.questions import QUESTIONS, Asked, Harvest
from tools.benchmarks.recipes import Recipe, recipes
from tools.benchmarks.sample import MAPPING

RECIPES = recipes()
START = datetime(2031, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def harvest() -> Harvest:
    documents = documents_of(produce(5, START, 3_000), "das-bench")
    return Harvest([one.source for one in documents], Random(5))


def test_every_recipe_is_asked_in_the_pages_order() -> None:
    assert list(QUESTIONS) == [recipe.question for recipe in RECIPES]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe.question))
def test_a_recipe_is_asked_for_other_values(recipe: Recipe, harvest: Harvest) -> None:
    question = QUESTIONS[recipe.question]
    asked = [question(harvest) for _ in range(30)]

    bodies = [one.body(recipe) for one in asked]

    assert bodies[0].keys() == recipe.body.keys()
    assert (len({str(body) for body in bodies}) > 1) is bool(asked[0].values)
    assert len({one.over_sample is None for one in asked}) == 1


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe.question))
def test_the_sample_is_asked_for_its_own_fields_alone(recipe: Recipe, harvest: Harvest) -> None:
    over_sample = QUESTIONS[recipe.question](harvest).over_sample

    fields = set(fields_of(over_sample))

    assert {field.partition(".")[0] for field in fields} <= {
        *MAPPING["mappings"]["properties"],
        "engineNativeAuditFields",
    }
    assert bool(fields) is bool(over_sample)


def fields_of(node: object) -> list[str]:
    """The fields that a body of `_search` names."""
    found: list[str] = []
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("term", "terms", "prefix", "wildcard", "range") and isinstance(value, dict):
                found += [value["field"]] if "field" in value else list(value)
            elif key == "field":
                found.append(value)
            found += fields_of(value)
    elif isinstance(node, list):
        found += [field for item in node for field in fields_of(item)]
    return found


def test_a_piece_of_a_statement_is_never_asked_for_twice(harvest: Harvest) -> None:
    fragments = [harvest.fragment() for _ in range(200)]

    assert len(set(fragments)) == 200
    assert all(8 <= len(fragment) <= 16 for fragment in fragments)


def test_values_that_the_recipe_does_not_have_are_an_error() -> None:
    with pytest.raises(ValueError, match="no such table"):
        Asked({"no such table": "x"}).body(RECIPES[0])


def test_a_number_takes_the_place_of_a_number_alone() -> None:
    recipe = Recipe("How?", (), (), ('{"query": {"range": {"rowCount10": {"gte": 10}}}, "size": 100}',))

    assert Asked({10: 7}).body(recipe) == {"query": {"range": {"rowCount10": {"gte": 7}}}, "size": 100}


def test_a_page_in_another_language_is_an_error() -> None:
    with pytest.raises(ValueError, match="no search is written in sql"):
        recipes("# Who?\n```sql\nselect 1\n```\n")

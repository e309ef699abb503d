"""Indices for each hour: the time of an event alone decides, so nothing is ever written to two."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.hourly_indices import DAILY, HourlyIndices

DAYS = st.dates(date(2020, 1, 1), date(2021, 1, 1))


@st.composite
def spans(draw: st.DrawFn) -> HourlyIndices:
    edges = sorted(draw(st.sets(DAYS, max_size=8)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    texts = [f"{first}/{last}" for first, last in pairs]
    if draw(st.booleans()):
        texts.append("2021-06-01/..")
    return HourlyIndices.parse(",".join(texts))


@given(spans())
def test_what_is_written_is_read_again(hourly: HourlyIndices) -> None:
    assert HourlyIndices.parse(str(hourly)) == hourly


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-15",
        "2027-01-15/2027-01-14",
        "tomorrow/..",
        "2027-02-30/..",
        "/..",
        "2027-01-01/2027-01-31,2027-01-31/..",
        "2027-01-01/..,2027-02-01/..",
        "2027-02-01/2027-02-02,2027-01-01/2027-01-02",
    ],
)
def test_days_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"FIRST|order|format|range|month"):
        HourlyIndices.parse(text)


@pytest.mark.parametrize(
    ("timestamp", "suffix"),
    [
        ("2027-01-14T23:59:59.999Z", "2027.01.14"),
        ("2027-01-15T00:00:00.000Z", "2027.01.15.00"),
        ("2027-01-31T23:59:59.999999999Z", "2027.01.31.23"),
        ("2027-02-01T00:00:00.000Z", "2027.02.01"),
        ("2028-05-01T07:30:00.000Z", "2028.05.01.07"),
    ],
)
def test_the_time_of_an_event_names_its_index(timestamp: str, suffix: str) -> None:
    hourly = HourlyIndices.parse("2027-01-15/2027-01-31, 2028-05-01/..")

    assert hourly.suffix(timestamp) == suffix
    assert DAILY.suffix(timestamp) == suffix[:10]


@given(spans(), spans())
def test_the_first_day_of_another_index_is_found(one: HourlyIndices, other: HourlyIndices) -> None:
    first = one.first_difference(other)

    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(600)]
    differing = [day for day in days if (day.isoformat() in one) != (day.isoformat() in other)]
    assert first == (differing[0] if differing else None)
    assert other.first_difference(one) == first

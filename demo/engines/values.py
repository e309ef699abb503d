"""The values that vary from one execution of a statement to the next: ids, names, dates, amounts.

A slot takes the source of random numbers (`Random.random`, bound) and gives a value. Names come from small
pools, since people and products come back in life as they do in traffic; addresses are of the reserved
example domains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

Draw = Callable[[], float]
Slot = Callable[[Draw], object]

_GIVEN = (
    "Amina",
    "Björn", "Chiara", "Dmitri", "Élodie", "Farid", "Grace", "Håkon", "Ines", "Jürgen", "Keiko", "Łucja",
    "Mateo",
    "Nadia", "Olu", "Priya", "Quentin", "Rosa", "Søren", "Tomás", "Uma", "Václav", "Wen", "Ximena", "Yusuf",
    "Zoë", "小雨", "さくら",
)  # fmt: skip
_FAMILY = (
    "Abe",
    "Brontë",
    "Castro", "Dąbrowski", "Eriksen", "Fischer", "García", "Hughes", "Ivanova", "Jansen", "Kowalski",
    "Lindqvist",
    "Müller", "Nguyễn", "O'Brien", "Petrov", "Quispe", "Rossi", "Şahin", "Tanaka", "Urbán", "Vasquez",
    "Weiß", "Yamada", "Zhang", "D'Angelo",
)  # fmt: skip
_CITIES = (
    "Århus",
    "Bogotá", "Córdoba", "Dublin", "Essen", "Fès", "Göteborg", "Hanoi", "İzmir", "Jaén", "Kraków", "Lyon",
    "München",
    "Nîmes", "Osaka", "Porto", "Québec", "Reykjavík", "São Paulo", "Tromsø", "Utrecht", "Vilnius", "東京",
)  # fmt: skip
_NOTES = (
    "deliver to the neighbour", "second attempt", "gift wrapped 🎁", "paid by transfer", "call before noon",
    "see ticket 4711",
    "nachträglich geändert", "réglé en deux fois", "customer asked for an invoice", "-", "no comment",
    "corrected after review; totals checked by hand",
    "prière de sonner", "問い合わせ済み", "duplicate of an earlier one",
)  # fmt: skip
_AIRPORTS = (
    "AMS",
    "ARN",
    "BCN",
    "CDG",
    "CPH",
    "DUB",
    "FRA",
    "HEL",
    "KEF",
    "LIS",
    "MUC",
    "NRT",
    "OSL",
    "PRG",
    "WAW",
)
_DEPARTMENTS = ("4100", "4110", "4200", "4310", "4400", "5100", "5200", "6010")
_STATUSES = ("new", "open", "paid", "packed", "shipped", "returned", "closed")
_CURRENCIES = ("EUR", "GBP", "USD", "SEK", "JPY", "PLN")

_FIRST_DAY = date(2030, 1, 1)
_DAYS = tuple((_FIRST_DAY + timedelta(days=day)).isoformat() for day in range(730))
_MONTHS = tuple(f"{year}-{month:02d}" for year in (2030, 2031) for month in range(1, 13))
_NAMES = tuple(f"{given} {family}" for given in _GIVEN for family in _FAMILY)
_EMAILS = tuple(
    f"{word}.{number}@example.{ending}"
    for word in (
        "amina",
        "bjorn",
        "chiara",
        "dmitri",
        "elodie",
        "farid",
        "grace",
        "hakon",
        "ines",
        "keiko",
        "rosa",
    )
    for number, ending in ((7, "com"), (19, "org"), (23, "net"), (88, "com"), (104, "org"), (310, "com"))
)


def integer(low: int, high: int) -> Slot:
    """An integer from `low` to `high`, both included."""
    span = high - low + 1
    return lambda draw: low + int(draw() * span)


def one_of(values: Sequence[object]) -> Slot:
    count = len(values)
    return lambda draw: values[int(draw() * count)]


def amount(low: int, high: int) -> Slot:
    """A sum of money with two decimals."""
    cents = (high - low) * 100
    return lambda draw: f"{low + int(draw() * cents) / 100:.2f}"


def digits_of_hex(count: int) -> Slot:
    limit = 16**count if count <= 12 else 16**12
    if count <= 12:
        return lambda draw: f"{int(draw() * limit):0{count}x}"
    repeats = -(-count // 12)
    return lambda draw: "".join(f"{int(draw() * limit):012x}" for _ in range(repeats))[:count]


def _uuid(draw: Draw) -> str:
    high, low = int(draw() * 16**12), int(draw() * 16**12)
    return f"{high & 0xFFFFFFFF:08x}-{high >> 32:04x}-4{low & 0xFFF:03x}-a{low >> 36:03x}-{low:012x}"


def many_ids(low: int, high: int) -> Slot:
    """An IN list of `low` to `high` ids, such as object mappers write: the statements of a few KB."""
    span = high - low + 1

    def ids(draw: Draw) -> str:
        first = 1 + int(draw() * 8_000_000)
        step = 1 + int(draw() * 40)
        return ", ".join(map(str, range(first, first + step * (low + int(draw() * span)), step)))

    return ids


def many_rows(low: int, high: int) -> Slot:
    """The VALUES of a multi-row insert."""
    span = high - low + 1

    def rows(draw: Draw) -> str:
        first = 1 + int(draw() * 9_000_000)
        day = _DAYS[int(draw() * len(_DAYS))]
        city = _CITIES[int(draw() * len(_CITIES))]
        return ", ".join(f"({first + n}, {n * 7 % 31}, '{day}', '{city}')" for n in range(low + int(draw() * span)))

    return rows


def _time_of_day(draw: Draw) -> str:
    minute = int(draw() * 1440)
    return f"{minute // 60:02d}:{minute % 60:02d}:00"


SLOTS: dict[str, Slot] = {
    "id": integer(1, 9_999_999),
    "customer": integer(10_000, 480_000),
    "product": integer(100, 9_800),
    "employee": integer(2_000, 9_400),
    "account": integer(100_000, 899_999),
    "batch": integer(1, 640),
    "few": integer(1, 9),
    "page": one_of((10, 20, 25, 50, 100)),
    "offset": integer(0, 40),
    "hours": integer(1, 48),
    "amount": amount(1, 900),
    "salary": amount(1_800, 9_600),
    "rate": amount(0, 3),
    "email": one_of(_EMAILS),
    # In SQL text a quote is doubled; as a bind value it is not.
    "name": one_of(tuple(name.replace("'", "''") for name in _NAMES)),
    "plain_name": one_of(_NAMES),
    "city": one_of(_CITIES),
    "note": one_of(_NOTES),
    "status": one_of(_STATUSES),
    "currency": one_of(_CURRENCIES),
    "department": one_of(_DEPARTMENTS),
    "airport": one_of(_AIRPORTS),
    "other_airport": one_of(_AIRPORTS[::-1]),
    "day": one_of(_DAYS),
    "month": one_of(_MONTHS),
    "time": _time_of_day,
    "token": digits_of_hex(32),
    "hex8": digits_of_hex(8),
    "uuid": _uuid,
    "ids": many_ids(80, 540),
    "some_ids": many_ids(3, 24),
    "rows": many_rows(40, 120),
    "some_rows": many_rows(2, 8),
}

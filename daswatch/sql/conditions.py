"""Whether a shape holds an UPDATE or DELETE that takes every row: without a condition, or with one that is always true.

Expressions cannot distinguish a statement's own WHERE from that of a subquery, so this is code: one pass over the
words, with parentheses as single items. A condition counts as always true where the shape shows it (`1=1`, `true`, a
key that is not null or above zero, `x=x`), also as one side of an OR. An inner join narrows; so does a LIMIT in MySQL
that takes one end of an order, as queues do. Rows in portions (TOP, LIMIT, ROWNUM) without an order are all rows, in
the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

CHANGING_WORDS = frozenset({"update", "delete", "merge"})  # one of them is in each such shape

_TOKEN = re.compile(r"[\w?$#@.]++|<>|[<>]=|[^\s]")
_LITERALS = frozenset({"?", "0", "1"})
_DEEPEST = 20  # parentheses in a condition
# What an UPDATE or DELETE stands behind where it is not a statement.
_NOT_BEFORE = frozenset(
    {"for", "on", "or", "of", "after", "before", "key", "grant", "deny", "revoke", "audit", "noaudit", "actions", "by"}
    | {"privileges", ",", "instead", "."}
)
_NOT_BEHIND = frozenset({"on", "of", "or", "to", "any", "set", "statistics", ",", ")", ";", "where", "cascade", "when"})
_MODIFIERS = frozenset({"low_priority", "quick", "ignore", "only", "from", "top", "percent"})
_BEHIND_CONDITION = frozenset({"order", "limit", "returning", "option", "output", "log"})
_OUTER = frozenset({"left", "full", "cross"})
_JOIN_WORDS = frozenset(
    {"left", "right", "full", "cross", "inner", "outer", "natural", "join", "straight_join", "apply"}
)
# In SQL Server a statement ends where the next one begins.
_BEGINNINGS = frozenset(
    {
        "select",
        "insert",
        "exec",
        "execute",
        "if",
        "while",
        "declare",
        "print",
        "begin",
        "return",
        "break",
        "continue",
        "drop",
    }
    | {
        "truncate",
        "commit",
        "rollback",
        "waitfor",
        "raiserror",
        "throw",
        "create",
        "alter",
        "kill",
        "backup",
        "grant",
        "deny",
        "revoke",
        "go",
    }
)
_KEYS = frozenset({"id", "_id", "uuid", "guid", "pk", "rowid", "ctid", "oid", "rownum", "_rowid"})
_LENGTHS = frozenset({"length", "len", "char_length", "octet_length", "datalength", "abs"})

# By far the most: a table's rows by values.
_VALUE = r"(?:[?$]|@[\w$#@]++)"
_BY_VALUES = re.compile(
    rf"(?:delete from [\w$.]++|update [\w$.]++ set [\w$.]++={_VALUE}(?:,[\w$.]++={_VALUE})*+) where"
    rf" [a-z_][\w$.]*+={_VALUE}(?: and [a-z_][\w$.]*+={_VALUE})*+"
)

_ALWAYS = ""  # nothing in the raw text is to be looked for
_NEGATIVE = r"(?:[<>]=?|!=)\s{0,9}[('\"]{0,3}\s{0,9}-\s{0,9}\d"
_EMPTY = r"(?:<>|!=|>)\s{0,9}n?(?:\\?'\\?'|\\?\"\\?\")"
_ANYTHING = r"\blike\s{0,9}[bn]?\\?['\"]%{1,9}\\?['\"]"


@dataclass(slots=True, eq=False)
class _Group:
    """What stands between two parentheses."""

    items: list[str | _Group] = field(default_factory=list)


_Items = Sequence["str | _Group"]


def unconditional_changes(shape: str, engine: str) -> frozenset[str]:
    """For each change of all rows what the text must match, in lower case, for it to be one: `""` if nothing."""
    if _BY_VALUES.fullmatch(shape):
        return frozenset()
    found: set[str] = set()
    pending: list[_Group] = [_parsed(shape)]
    whole = pending[0]
    common = _common_tables(whole.items) if engine == "sqlserver" else {}
    while pending:
        items = pending.pop().items
        pending += [item for item in items if isinstance(item, _Group)]
        for number, item in enumerate(items):
            if item in ("update", "delete") and _is_statement(items, number, engine):
                found |= _change(items, number, engine, common)
            elif item == "merge":
                found |= _merge(items, number)
    return frozenset(found)


def _parsed(shape: str) -> _Group:
    group = whole = _Group()
    around: list[_Group] = []
    for token in _TOKEN.findall(shape):
        if token == "(":
            inner = _Group()
            group.items.append(inner)
            around.append(group)
            group = inner
        elif token == ")":
            group = around.pop() if around else group
        else:
            group.items.append(token)
    return whole


def _common_tables(items: _Items) -> dict[str, _Group]:
    """Common table expressions by name: through them SQL Server changes the table behind."""
    return {
        name: group
        for name, as_, group in zip(items, items[1:], items[2:], strict=False)
        if as_ == "as" and isinstance(name, str) and isinstance(group, _Group)
    }


def _is_statement(items: _Items, number: int, engine: str) -> bool:
    before = items[number - 1] if number else ";"
    behind = items[number + 1] if number + 1 < len(items) else ";"
    if before in _NOT_BEFORE or isinstance(behind, _Group) or behind in _NOT_BEHIND:
        return False
    if items[number] == "delete" and before == "then" and behind != "from":
        return False
    return behind == "from" or items[number] == "update" or engine != "postgresql"


def _change(items: _Items, number: int, engine: str, common: dict[str, _Group]) -> set[str]:
    own = _statement(items, number, engine)
    if items[number] == "update" and "set" not in own:
        return set()
    if engine == "mysql" and items[number] == "delete" and "from" not in own:
        return set()
    tables = _tables(own)
    if not tables or tables[0].startswith("@") or "readpast" in _words_inside(own):
        return set()
    if tables[0] in common:
        inner = common[tables[0]].items
        if "where" in inner or "order" in inner or "join" in inner:
            return set()
    if not all(
        _is_wide(own, place, tables) for place, item in enumerate(own) if item in ("join", "straight_join", "apply")
    ):
        return set()
    if "where" in own:
        start = own.index("where") + 1
        end = next((place for place in range(start, len(own)) if own[place] in _BEHIND_CONDITION), len(own))
        return _always_true(own[start:end], tables, 0)
    return set() if "limit" in own and "order" in own else {_ALWAYS}


def _statement(items: _Items, number: int, engine: str) -> list[str | _Group]:
    """The items of one statement behind its verb."""
    own: list[str | _Group] = []
    cases = 0
    seen_set = items[number] == "delete"
    for place in range(number + 1, len(items)):
        item = items[place]
        if item == ";" or (item in ("update", "delete", "merge", "insert") and place > number + 1):
            break
        if engine == "sqlserver" and isinstance(item, str):
            cases += item == "case"
            if item in ("end", "else") and not cases:
                break
            cases -= item == "end"
            named = items[place + 1] if place + 1 < len(items) else ""
            if item in _BEGINNINGS and own and own[-1] != "," and named not in ("=", ",", "."):
                break
            if item == "set" and seen_set:
                break
            seen_set = seen_set or item == "set"
        own.append(item)
    return own


def _tables(own: _Items) -> list[str]:
    """The table that is changed, or its alias, then those behind FROM and JOIN."""
    names: list[str] = []
    for number, item in enumerate(own):
        first = not names and item not in _MODIFIERS
        if isinstance(item, str) and (first or (number and own[number - 1] in ("from", "join", "using"))):
            names.append(item)
    return names


def _words_inside(own: _Items) -> set[str]:
    """The words of a statement's hints: of its own parentheses, not of those within."""
    return {word for item in own if isinstance(item, _Group) for word in item.items if isinstance(word, str)}


def _is_wide(own: _Items, place: int, tables: list[str]) -> bool:
    """Whether a join leaves every row in."""
    before = [item for item in own[max(place - 2, 0) : place] if item in _JOIN_WORDS]
    if own[place] != "apply" and any(item in _OUTER for item in before):
        return True
    behind = own[place + 1 : place + 40]
    if "on" not in behind:
        return False
    start = behind.index("on") + 1
    ends = (*_JOIN_WORDS, *_BEHIND_CONDITION, "where", "set")
    end = next((number for number in range(start, len(behind)) if behind[number] in ends), len(behind))
    return _ALWAYS in _always_true(behind[start:end], tables, 0)


def _merge(items: _Items, number: int) -> set[str]:
    """MERGE … ON a comparison of constants: every row is matched, or none and then every row is not."""
    own = [item for item in items[number + 1 : number + 200] if item != ";"]
    if "on" not in own or "when" not in own:
        return set()
    condition = own[own.index("on") + 1 : own.index("when")]
    while len(condition) == 1 and isinstance(condition[0], _Group):
        condition = condition[0].items
    constant = len(condition) == 3 and condition[0] in _LITERALS and condition[2] in _LITERALS
    return {_ALWAYS} if constant and ("update" in own or "delete" in own) else set()


def _always_true(condition: _Items, tables: list[str], depth: int) -> set[str]:
    """What the text must match for a condition to hold for every row; empty if it does not."""
    found: set[str] = set()
    if depth > _DEEPEST:
        return found
    alternatives = _split(condition, "or")
    absent = {term[0] for term in alternatives if term[1:] == ["is", "null"] and isinstance(term[0], str)}
    if any(term[1:] == ["is", "not", "null"] and term[0] in absent for term in alternatives):
        return {_ALWAYS}
    for alternative in alternatives:
        parts = [_term(term, tables, depth) for term in _split(alternative, "and")]
        if parts and all(parts):
            needed = [part for part in parts if _ALWAYS not in part]
            found |= needed[0] if needed else {_ALWAYS}
    return found


def _split(condition: _Items, word: str) -> list[list[str | _Group]]:
    parts: list[list[str | _Group]] = [[]]
    between = False
    for item in condition:
        if item == word and not (word == "and" and between):
            parts.append([])
            continue
        between = item == "between" or (between and item != "and")
        parts[-1].append(item)
    return parts


def _term(term: _Items, tables: list[str], depth: int) -> set[str]:
    match term:
        case [_Group(["select", "true" | "1" | "?"])]:
            return {_ALWAYS}
        case [_Group() as inner]:
            return _always_true(inner.items, tables, depth + 1)
        case (
            ["true" | "1" | "?"]
            | ["not", "false" | "0"]
            | ["?" | "0" | "1", "is", "not", "null"]
            | ["null", "is", "null"]
        ):
            return {_ALWAYS}
        case ["?" | "0" | "1", "in", _Group()] | ["?", "between", "?", "and", "?"]:
            return {_ALWAYS}
        case ["not", "exists", _]:
            return set()
        case [
            ("?" | "0" | "1") as left,
            ("=" | "<>" | "<" | ">" | "<=" | ">=" | "like") as sign,
            ("?" | "0" | "1") as right,
        ]:
            return {_ALWAYS} if _compared(left, sign, right) else set()
        case [str() as left, "=" | "<=" | ">=" | "like", str() as right] if left == right and left not in ("$", "null"):
            return {_ALWAYS}
        case [str() as name, "is", "not", "null"] if _is_key(name, tables):
            return {_ALWAYS}
        case [str() as name, ("<" | "<="), "?" | "$" | "1"] if name.rpartition(".")[2] == "rownum":
            return {_ALWAYS}
        case [str() as name, (">" | ">=" | "<>") as sign, ("?" | "0" | "1") as bound] if _is_key(name, tables):
            return _above(sign, bound)
        case ["0" as bound, ("<" | "<=" | "<>"), str() as name] if _is_key(name, tables):
            return {_ALWAYS}
        case [str() as name, _Group(), ">=", "0"] if name in _LENGTHS:
            return {_ALWAYS}
        case [str(), "like", "?"]:
            return {_ANYTHING}
        case ["exists", _Group() as inner]:
            rest = inner.items[1:]
            return {_ALWAYS} if "where" not in rest and ("from" not in rest or rest[-1:] == ["dual"]) else set()
        case [str() as name, "in", _Group() as inner] if _is_key(name, tables):
            return _from_itself(inner.items, tables)
        case [str() as name, "=", "any" | "some", _Group() as inner] if _is_key(name, tables):
            return _from_itself(inner.items, tables)
        case _:
            return set()


def _compared(left: str, sign: str, right: str) -> bool:
    if "?" in (left, right):
        return True  # for all that a shape shows
    return {"=": left == right, "like": left == right, "<>": left != right}.get(
        sign, (left < right and "<" in sign) or (left > right and ">" in sign) or (left == right and "=" in sign)
    )


def _above(sign: str, bound: str) -> set[str]:
    """A key is above what no key is below."""
    if bound == "0" or (bound == "1" and sign == ">="):
        return {_ALWAYS}
    if bound == "?":
        return {rf"{_NEGATIVE}|{_EMPTY}"}
    return set()


def _from_itself(items: _Items, tables: list[str]) -> set[str]:
    """A key is among the keys of its own table."""
    if len(items) == 2 and items[0] == "array" and isinstance(items[1], _Group):
        items = items[1].items
    names = [name.rpartition(".")[2] for name in tables]
    match items:
        case ["select", str(), "from", str() as table, *rest] if table.rpartition(".")[2] in names:
            return set() if "where" in rest or "join" in rest or "order" in rest else {_ALWAYS}
        case _:
            return set()


def _is_key(name: str, tables: list[str]) -> bool:
    """Whether a column is a table's key: `id`, or one that is called like the table: `order_id` of `orders`."""
    column = name.rpartition(".")[2]
    if column in _KEYS:
        return True
    return column.endswith(("id", "_no", "_key", "_pk")) and any(
        column[:3] == table.rpartition(".")[2][:3] for table in tables
    )

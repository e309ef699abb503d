"""DQL as the search bar of OpenSearch Dashboards understands it: text -> query DSL.

Dashboards translates DQL in the browser, so no node can check whether a recipe is right. Written after its
grammar and its rules (src/plugins/data/common/opensearch_query/kuery in opensearch-project/OpenSearch-Dashboards).
Left out is what our index has no use for: nested fields, scripted fields, time zones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Query: TypeAlias = dict[str, Any]

_SPACE = " \t\r\n"
_SPECIAL = '\\():<>"*{}'
_ESCAPED_SPACE = {"t": "\t", "r": "\r", "n": "\n"}
_CONJUNCTION = {word: re.compile(rf"[{_SPACE}]+{word}[{_SPACE}]+", re.IGNORECASE) for word in ("or", "and")}
_NOT = re.compile(rf"not[{_SPACE}]+", re.IGNORECASE)
_KEYWORD = re.compile(rf"[{_SPACE}]+(?:or|and)[{_SPACE}]+|not[{_SPACE}]+", re.IGNORECASE)
_ESCAPED_KEYWORD = re.compile(r"\\(or|and|not)", re.IGNORECASE)
_RANGE = {"<=": "lte", ">=": "gte", "<": "lt", ">": "gt"}
_NUMBER = re.compile(r"-?[1-9]\d*(?:\.\d+)?|-?0\.\d*[1-9]|0|0.0|\.\d+", re.ASCII)
_RESERVED = re.compile(r'[+\-=&|><!(){}\[\]^"~*?:\\/]')  # of query_string
_CONSTANTS: dict[str, bool | None] = {"null": None, "true": True, "false": False}


class DqlError(ValueError):
    """Text that Dashboards refuses; says where."""


@dataclass(frozen=True, slots=True)
class _Value:
    """What stands for a field or a value. `parts` are what stands between its wildcards."""

    parts: tuple[str, ...]
    quoted: bool

    @property
    def has_wildcard(self) -> bool:
        return len(self.parts) > 1

    @property
    def text(self) -> str:
        return "*".join(self.parts)

    @property
    def query_string(self) -> str:
        return "*".join(_RESERVED.sub(r"\\\g<0>", part) for part in self.parts)

    @property
    def literal(self) -> str | int | float | bool | None:
        if self.quoted:
            return self.text
        if self.text in _CONSTANTS:
            return _CONSTANTS[self.text]
        if _NUMBER.fullmatch(self.text):
            return float(self.text) if "." in self.text else int(self.text)
        return self.text

    def names(self, field: str) -> bool:
        return re.fullmatch(r"[\s\S]*".join(map(re.escape, self.parts)), field) is not None


def to_query(text: str, fields: Mapping[str, str]) -> Query:
    """The query DSL that Dashboards sends for a line of DQL.

    `fields` are those of the index pattern with their types as Dashboards groups them (string, number, date, ip …).
    Raises DqlError for text that is no DQL.
    """
    return _Parser(text, fields).parse()


class _Parser:
    """The grammar's rules, each a method that either moves on or leaves the position where it was."""

    def __init__(self, text: str, fields: Mapping[str, str]) -> None:
        self._text = text
        self._at = 0
        self._fields = fields

    def parse(self) -> Query:
        self._spaces()
        if self._at == len(self._text):
            return {"match_all": {}}
        query = self._either(self._expression)
        self._spaces()
        if self._at < len(self._text):
            raise self._error("nothing more")
        return query

    def _either(self, one: Callable[[], Query]) -> Query:
        """Alternatives of conjunctions: of expressions, and within a list of values of one field."""
        queries = list(self._joined("or", lambda: self._all_of(one)))
        return queries[0] if len(queries) == 1 else {"bool": {"should": queries, "minimum_should_match": 1}}

    def _all_of(self, one: Callable[[], Query]) -> Query:
        queries = list(self._joined("and", lambda: self._perhaps_not(one)))
        return queries[0] if len(queries) == 1 else {"bool": {"filter": queries}}

    def _joined(self, word: Literal["or", "and"], one: Callable[[], Query]) -> Iterator[Query]:
        yield one()
        while found := _CONJUNCTION[word].match(self._text, self._at):
            self._at = found.end()
            yield one()

    def _perhaps_not(self, one: Callable[[], Query]) -> Query:
        if found := _NOT.match(self._text, self._at):
            self._at = found.end()
            return {"bool": {"must_not": self._grouped(one)}}
        return self._grouped(one)

    def _grouped(self, one: Callable[[], Query]) -> Query:
        if not self._take("("):
            return one()
        self._spaces()
        query = self._either(one)
        self._spaces()
        if not self._take(")"):
            raise self._error("a closing parenthesis")
        return query

    def _expression(self) -> Query:
        first = self._value()
        after_first = self._at
        self._spaces()
        for operator, bound in _RANGE.items():
            if self._take(operator):
                self._spaces()
                return self._range(first, bound, self._value())
        if self._take(":"):
            self._spaces()
            return self._grouped(lambda: self._is(first, self._value()))
        self._at = after_first
        return self._anywhere(first)

    def _anywhere(self, value: _Value) -> Query:
        """A value without a field: looked for in the index's default fields."""
        if value.has_wildcard:
            return {"query_string": {"query": value.query_string}}
        kind = "phrase" if value.quoted else "best_fields"
        return {"multi_match": {"type": kind, "query": value.literal, "lenient": True}}

    def _is(self, field: _Value, value: _Value) -> Query:
        if value.text == "*" and value.has_wildcard and field.text == "*":
            return {"match_all": {}}
        return self._in_any(field, lambda name, kind: _condition(name, kind, value))

    def _range(self, field: _Value, bound: str, value: _Value) -> Query:
        return self._in_any(field, lambda name, kind: {"range": {name: {bound: value.literal}}})

    def _in_any(self, field: _Value, condition: Callable[[str, str], Query]) -> Query:
        """A field that the index pattern does not know is sent as it is: so do the keys of a flat_object."""
        names = [name for name in self._fields if field.names(name)] or [field.text]
        queries = [condition(name, self._fields.get(name, "")) for name in names]
        return {"bool": {"should": queries, "minimum_should_match": 1}}

    def _value(self) -> _Value:
        return self._quoted() if self._take('"') else self._unquoted()

    def _quoted(self) -> _Value:
        characters: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            following = self._text[self._at + 1 : self._at + 2]
            if character == '"':
                self._at += 1
                return _Value(("".join(characters),), quoted=True)
            if character == "\\" and following in ("\\", '"', *_ESCAPED_SPACE):
                characters.append(_ESCAPED_SPACE.get(following, following))
                self._at += 2
            else:
                characters.append(character)
                self._at += 1
        raise self._error("a closing quote")

    def _unquoted(self) -> _Value:
        """Letters and spaces up to a character or a word that means something; escaped ones mean nothing."""
        parts: list[list[str]] = [[]]
        begun = self._at
        while self._at < len(self._text):
            character = self._text[self._at]
            following = self._text[self._at + 1 : self._at + 2]
            if character == "*":
                parts.append([])
                self._at += 1
            elif character == "\\" and following in _ESCAPED_SPACE:
                parts[-1].append(_ESCAPED_SPACE[following])
                self._at += 2
            elif character == "\\" and following and following in _SPECIAL:
                parts[-1].append(following)
                self._at += 2
            elif keyword := _ESCAPED_KEYWORD.match(self._text, self._at):
                parts[-1].append(keyword[1])
                self._at = keyword.end()
            elif character in _SPECIAL or _KEYWORD.match(self._text, self._at):
                break
            else:
                parts[-1].append(character)
                self._at += 1
        if self._at == begun:
            raise self._error("a field or a value")
        texts = ["".join(part) for part in parts]
        texts[0], texts[-1] = texts[0].lstrip(), texts[-1].rstrip()
        return _Value(tuple(texts), quoted=False)

    def _spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def _take(self, sign: str) -> bool:
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) * found
        return found

    def _error(self, expected: str) -> DqlError:
        return DqlError(f"expected {expected} at {self._text[self._at :] or 'the end'!r} of {self._text!r}")


def _condition(name: str, kind: str, value: _Value) -> Query:
    if value.has_wildcard:
        if value.text == "*":
            return {"exists": {"field": name}}
        return {"query_string": {"fields": [name], "query": value.query_string}}
    if kind == "date":
        return {"range": {name: {"gte": value.literal, "lte": value.literal}}}
    return {"match_phrase" if value.quoted else "match": {name: value.literal}}

"""SQL text -> the texts that it executes as SQL, put together from constants as far as that is certain.

EXECUTE IMMEDIATE, EXEC(), sp_executesql's first argument, PREPARE … FROM, and the functions that run a text or keep it
for later (dblink, cron.schedule, actions of jobs). Concatenation, CHR and CHAR, hexadecimal digits, REPLACE, REVERSE,
format() and the like are computed; a variable has the constant that the same text sets it to. What cannot be known is
`UNKNOWN`, a name, so that `'drop table ' || t` still shows what it does.

A text is read once. How deep, how many and how long is bounded, so that no text grows.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from daswatch.sql.shapes import SCANNERS_OF_CODE
from daswatch.sql.statements import Patterns, code_positions, known_engine, readable, without_backslashes, word_set

UNKNOWN = "unknown_"

_MOST_TOKENS = 8_000
_MOST_STEPS = 60_000  # looks at a token
_MOST_TEXTS = 50
_LONGEST = 16_384  # characters of a text that is put together
_DEEPEST = 30  # expressions within each other
_BODIES = 3  # dollar quotes within each other


# Functions and procedures that run a text among their arguments, by their last name.
_RUNNING = {
    "postgresql": word_set(
        "dblink dblink_exec dblink_open dblink_send_query query_to_xml query_to_xml_and_xmlschema query_to_xmlschema"
        " schedule schedule_in_database alter_job query_export_to_s3 run_command_on_workers run_command_on_shards"
        " run_command_on_placements run_command_on_all_nodes master_run_on_worker crosstab ts_stat connectby"
        " create_distributed_function launch task exec_sql"
    ),
    "mysql": frozenset(),
    "oracle": word_set(
        "parse parse_as_user create_job create_program submit isubmit what exec_ddl_statement getxml newcontext"
        " newcontextfromhierarchy add_policy create_function validate run_in_parallel create_task fire_trigger"
        " set_attribute change do_sql translate_sql sqltext"
    ),
    "sqlserver": word_set(
        "sp_executesql openquery openrowset sp_add_jobstep sp_update_jobstep sp_send_dbmail sp_prepare sp_prepexec"
        " sp_cursoropen sp_cursorprepexec sp_msforeachtable sp_msforeachdb sp_execute_external_script sp_execute_remote"
        " sp_tables_ex sp_addextendedproc xp_execresultset sp_execresultset"
    ),
}
# Whose first argument alone is a statement: the rest are values.
_FIRST_ONLY = frozenset({"sp_executesql", "query_to_xml", "exec_ddl_statement", "query_export_to_s3"})
# What else a shape holds where its text executes another.
_EXECUTING = Patterns(
    {
        "postgresql": r"(?<!\A)\bexecute\b|\bdo \?|\b(?:function|procedure) .{1,2000}\bas \?",
        "mysql": r"\bprepare [\w$?]{1,64} from\b|\bexecute immediate\b|\bset @|:=",
        "oracle": r"\bexecute immediate\b|\bopen [\w$#.]{1,130} for\b",
        "sqlserver": r"\bexec(?:ute)? ?[(@]",
    }
)
_CODE = re.compile(r"[^\W\d][\w$#@]*+|@@?+[\w$#@]++|:=|\|\||\+=|=>|::|\d[\w.]*+|\S")
_HEXADECIMAL = re.compile(r"0[xX]([0-9A-Fa-f]++)")
_STATEMENT_ENDS = frozenset({";", "begin", "declare", "is", "as", "then", "else", "loop"})
_ASSIGNED_WITHIN = 8  # tokens: `v_text varchar2 ( 4000 char ) :=`


@dataclass(frozen=True, slots=True)
class ExecutedText:
    """A text that is executed; `assembled` says whether it is put together of parts or encoded."""

    text: str
    assembled: bool


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # literal, encoded (a literal that is not readable), number, name, code
    text: str  # of a literal what it means; of code in lower case


@dataclass(frozen=True, slots=True)
class _Value:
    """What an expression comes to."""

    text: str
    known: bool = True  # a part of it at least
    assembled: bool = False
    number: bool = False


_LITERALS = frozenset({"literal", "encoded"})
_UNKNOWN = _Value(UNKNOWN, known=False)


def executes_text(shape: str, words: Set[str], engine: str) -> bool:
    """Whether a statement with this shape, and these words in it, may execute a text."""
    return not words.isdisjoint(_RUNNING[engine]) or _EXECUTING[engine].search(shape) is not None


def executed_texts(text: str, engine: str) -> list[ExecutedText]:
    """The texts that a statement executes, or leaves to be executed, in their order."""
    engine = known_engine(engine)
    reader = _Reader(list(_tokens(readable(text, engine), engine)), engine)
    reader.read()
    return reader.found


def _tokens(text: str, engine: str, depth: int = 0) -> Iterator[_Token]:
    code = code_positions(text) if engine == "postgresql" and "$" in text and depth < _BODIES else frozenset()
    position = count = 0
    scanner = SCANNERS_OF_CODE[engine]
    matches = scanner.finditer(text)
    for match in matches:
        gap, position = text[position : match.start()], match.end()
        gap, prefix = _without_prefix(gap) if match.lastgroup == "literal" else (gap, "")
        for found in _CODE.finditer(gap):
            yield _Token("code", found[0].lower())
            count += 1
        kind = match.lastgroup
        if kind == "literal":
            yield _literal(match[0], prefix, engine)
        elif kind == "dollar":
            if match.start() in code:
                yield from _tokens(match["body"], engine, depth + 1)
            else:
                yield _Token("literal", match["body"])
        elif kind != "comment":
            yield _Token("name", match[0][1:-1])
        count += 1
        if count > _MOST_TOKENS:
            return
    for found in _CODE.finditer(text[position : position + _MOST_TOKENS]):
        yield _Token("code", found[0].lower())


_PREFIX = re.compile(r"(?<![\w$#@])(?:[eEnNxXbBqQ]|[nN][qQ]|[uU]&|_\w{1,20})\Z")


def _without_prefix(gap: str) -> tuple[str, str]:
    """What stands before a quote without the letters that belong to the literal, and those."""
    found = _PREFIX.search(gap[-24:])
    return (gap[: len(gap) - len(found[0])], found[0].lower()) if found else (gap, "")


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "Z": "\x1a"}
_CODES = re.compile(r"\\[xuU0-7]")
_BACKSLASH = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]))")


def _literal(quoted: str, prefix: str, engine: str) -> _Token:
    first = quoted[0]
    if first not in "'\"":
        hexadecimal = _HEXADECIMAL.fullmatch(quoted)
        return _Token(
            "encoded" if hexadecimal else "number", _of_hexadecimal(hexadecimal[1]) if hexadecimal else quoted
        )
    if prefix in ("q", "nq"):
        return _Token("literal", quoted[2:].removesuffix("'")[:-1])
    content = quoted[1:].removesuffix(first).replace(first * 2, first)
    if prefix == "x":
        return _Token("encoded", _of_hexadecimal(content))
    kind = "literal"
    if prefix == "e":
        content, encoded = _BACKSLASH.subn(_of_backslash, content)
        kind = "encoded" if encoded and _CODES.search(quoted) else kind
    elif prefix == "u&":
        kind = "encoded"
        content = re.sub(
            r"\\(?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))", lambda m: _of_code(int(m[1] or m[2], 16)), content
        )
    elif engine == "mysql" and "\\" in content:
        content = without_backslashes(content)
    return _Token(kind, content)


def _of_backslash(match: re.Match[str]) -> str:
    if match[5]:
        return _ESCAPES.get(match[5], match[5])
    return _of_code(int(match[2], 8) if match[2] else int(match[1] or match[3] or match[4], 16))


def _of_code(code: int) -> str:
    return chr(code) if 0 < code < 0x110000 else ""


def _of_hexadecimal(digits: str) -> str:
    """The text of hexadecimal digits: in two bytes each, as SQL Server has it, or in one."""
    try:
        content = bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")
    except ValueError:
        return ""
    return content.replace(b"\0", b"").decode("utf-8", "replace")


@dataclass(slots=True)
class _Reader:
    """Goes through the tokens once, remembers what variables are set to, and collects what is executed."""

    tokens: Sequence[_Token]
    engine: str
    found: list[ExecutedText] = field(default_factory=list)
    variables: dict[str, _Value] = field(default_factory=dict)
    position: int = 0
    steps: int = 0
    ends: dict[int, int] = field(default_factory=dict)  # of parentheses: what stands behind each, by where it opens

    def __post_init__(self) -> None:
        opened: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.kind == "code" and token.text == "(":
                opened.append(index)
            elif token.kind == "code" and token.text == ")" and opened:
                self.ends[opened.pop()] = index + 1

    def read(self) -> None:
        running = _RUNNING[self.engine]
        while self.position < len(self.tokens) and len(self.found) < _MOST_TEXTS:
            token = self.tokens[self.position]
            self.position += 1
            if token.kind not in ("code", "name"):
                continue
            word = token.text.lower()
            if word in (":=", "=", "+=") and token.kind == "code":
                self._assignment(word)
            elif word in ("exec", "execute"):
                self._execution()
            elif word in running:
                self._call(word)
            elif (word, self._before(2)) in (("from", "prepare"), ("for", "open")):
                self._take(self._expression())
            elif word in ("do", "as") and self.engine == "postgresql" and self._is_literal():
                self._routine(word)

    def _before(self, count: int) -> str:
        """The token so many in front of the one that was read last."""
        index = self.position - 1 - count
        return self.tokens[index].text.lower() if index >= 0 else ""

    def _peek(self) -> str:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            self.position = len(self.tokens)
        if self.position >= len(self.tokens):
            return ""
        token = self.tokens[self.position]
        return token.text.lower() if token.kind in ("code", "name") else "?"

    def _is_literal(self) -> bool:
        return self.position < len(self.tokens) and self.tokens[self.position].kind in _LITERALS

    def _skip(self, *words: str) -> bool:
        if self._peek() in words:
            self.position += 1
            return True
        return False

    def _take(self, value: _Value) -> None:
        if value.known and not value.number and (" " in value.text.strip() or _may_be_statement(value.text)):
            self.found.append(ExecutedText(value.text, value.assembled))

    def _routine(self, word: str) -> None:
        """The body of a DO or a function in single quotes."""
        if word == "as" and not any(
            token.text in ("function", "procedure") for token in self.tokens[max(self.position - 60, 0) : self.position]
        ):
            return
        self._take(self._expression())

    def _assignment(self, operator: str) -> None:
        start = self.position
        first = max(start - 1 - _ASSIGNED_WITHIN, 0)
        target = ""
        for token in reversed(self.tokens[first : start - 1]):
            word = token.text.lower()
            if word in _STATEMENT_ENDS or (token.kind == "code" and word == ","):
                break
            if token.kind not in _LITERALS:
                target = word
                if word[0] == "@":
                    break
        if not target or (operator == "=" and target[0] != "@" and self.engine != "postgresql"):
            return
        value = self._expression()
        if operator == "+=":
            before = self.variables.get(target, _UNKNOWN)
            value = _joined((before, value))
        if value.known:
            self.variables[target] = value
            if self.engine == "mysql" and target[0] == "@" and value.assembled:
                self._take(value)  # a later statement may prepare it
        self.position = start  # what is within may execute too

    def _execution(self) -> None:
        start = self.position
        if self._skip("immediate"):
            self._take(self._expression())
        elif self.engine == "sqlserver":
            if self._peek() == "(":
                self.position += 1
                self._take(self._expression())
            elif self._peek()[:1] == "@":
                name = self._peek()
                value = self.variables.get(name)
                if value is not None and value.known:
                    self.found.append(ExecutedText(f"exec {value.text}", value.assembled))
        elif self.engine == "postgresql" and (
            self._is_literal() or self._peek() == "(" or self._peek() in _FUNCTIONS or self._peek() in self.variables
        ):
            self._take(self._expression())
        self.position = start

    def _call(self, name: str) -> None:
        """A call of what runs a text: with parentheses, or in SQL Server without."""
        start = self.position
        in_parentheses = self._skip("(")
        if not in_parentheses and self.engine != "sqlserver":
            return
        most = 1 if name in _FIRST_ONLY else 20
        for _ in range(most):
            self._skip_name()
            value = self._expression()
            if name != "sp_executesql" and not value.assembled and not _may_be_statement(value.text):
                value = _UNKNOWN
            self._take(value)
            while self._peek() not in (",", ")", ";", ""):
                self.position = self.ends.get(self.position, self.position + 1)
            if not self._skip(","):
                break
        self.position = start

    def _skip_name(self) -> None:
        """A parameter's name: `job_action =>`, `@stmt =`."""
        if self.position + 1 < len(self.tokens) and self.tokens[self.position + 1].text in ("=>", ":=", "="):
            self.position += 2

    def _expression(self, depth: int = 0) -> _Value:
        """The value of the longest expression that begins here."""
        values = [self._term(depth)]
        while True:
            word = self._peek()
            if self._is_literal() and self.engine in ("mysql", "postgresql"):
                values.append(self._term(depth))  # literals next to each other are one
            elif word in ("||", "+") and depth < _DEEPEST:
                self.position += 1
                values.append(self._term(depth))
            elif word == "::":
                self.position += 2
            else:
                return _joined(values)

    def _term(self, depth: int) -> _Value:
        if self.position >= len(self.tokens) or depth >= _DEEPEST:
            return _UNKNOWN
        token = self.tokens[self.position]
        self.position += 1
        if token.kind in _LITERALS:
            return _Value(token.text, assembled=token.kind == "encoded")
        if token.kind == "number" or token.text[:1].isdigit():
            return _Value(token.text, number=True)
        word = token.text.lower()
        opened = self.position - 1
        if word == "(" and token.kind == "code":
            if self._peek() == "select":
                self.position += 1
            value = self._expression(depth + 1)
            self._close(opened)
            return value
        name = word
        while self._peek() == "." and self.position + 1 < len(self.tokens):
            name = self.tokens[self.position + 1].text.lower()
            self.position += 2
        if self._peek() == "(":
            self.position += 1
            return self._function(name, depth)
        return self.variables.get(name, _UNKNOWN)

    def _function(self, name: str, depth: int) -> _Value:
        arguments: list[_Value] = []
        opened = self.position - 1
        while self._peek() not in (")", "") and len(arguments) < 400:
            arguments.append(self._expression(depth + 1))
            if self._peek() == "as":
                self.position += 2  # the type of a cast
            if not self._skip(","):
                break
        self._close(opened)
        function = _FUNCTIONS.get(name)
        if function is None or not arguments:
            return _UNKNOWN
        text = function(arguments)
        if text is None:
            return _UNKNOWN
        known = any(argument.known for argument in arguments)
        return _Value(
            text[:_LONGEST],
            known=known,
            assembled=name not in _CASTS or any(argument.assembled for argument in arguments),
        )

    def _close(self, opened: int) -> None:
        """Go behind the parenthesis that closes the one that opened there."""
        self.position = max(self.position, self.ends.get(opened, len(self.tokens)))


def _joined(values: Sequence[_Value]) -> _Value:
    if len(values) == 1:
        return values[0]
    text = "".join(value.text for value in values)[:_LONGEST]
    return _Value(text, known=any(value.known for value in values), assembled=True)


_VERBS = re.compile(
    r"[\s(;]*+(?:select|insert|update|delete|merge|create|alter|drop|truncate|grant|revoke|begin|declare|call|exec|execute"
    r"|copy|do|with|set|vacuum|reindex|backup|restore|bulk|use|if|kill|dbcc|reconfigure|deny|shutdown|replace|load)\b",
    re.IGNORECASE,
)


def _may_be_statement(text: str) -> bool:
    return _VERBS.match(text) is not None


_Function = Callable[[list[_Value]], str | None]


def _characters(arguments: list[_Value]) -> str | None:
    codes = [value.text for value in arguments]
    if not all(code.isascii() and code.isdigit() and len(code) < 8 for code in codes):
        return None
    return "".join(_of_code(int(code)) for code in codes)


def _formatted(arguments: list[_Value]) -> str:
    values = iter(arguments[1:])

    def part(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        number = match[1]
        if number:
            index = int(number[:-1])
            return arguments[index].text if 0 < index < len(arguments) else UNKNOWN
        value = next(values, _UNKNOWN)
        return f"'{value.text}'" if match[0][-1] == "L" else value.text

    return re.sub(r"%(?:(\d{1,2}\$)?+-?+\d{0,3}+[sIL]|%)", part, arguments[0].text)


def _replaced(arguments: list[_Value]) -> str | None:
    if len(arguments) < 2 or not arguments[1].text:
        return None
    text, old, *rest = (value.text for value in arguments)
    new = rest[0] if rest else ""
    if len(text) + text.count(old) * len(new) > _LONGEST:
        return None
    return text.replace(old, new)


def _translated(arguments: list[_Value]) -> str | None:
    if len(arguments) != 3:
        return None
    text, old, new = (value.text for value in arguments)
    return text.translate({ord(letter): new[at] if at < len(new) else None for at, letter in enumerate(old[:200])})


def _number(value: _Value) -> int | None:
    return int(value.text) if value.text.isascii() and value.text.isdigit() and len(value.text) < 6 else None


def _part(arguments: list[_Value]) -> str | None:
    numbers = [_number(value) for value in arguments[1:]]
    if not numbers or None in numbers:
        return None
    start = max((numbers[0] or 0) - 1, 0)
    return arguments[0].text[start : start + (numbers[1] or 0) if len(numbers) > 1 else None]


def _left(arguments: list[_Value]) -> str | None:
    count = _number(arguments[-1])
    return None if count is None else arguments[0].text[:count]


def _right(arguments: list[_Value]) -> str | None:
    count = _number(arguments[-1])
    return None if count is None else arguments[0].text[-count:] if count else ""


def _repeated(arguments: list[_Value]) -> str | None:
    count = _number(arguments[-1])
    if count is None or count * len(arguments[0].text) > _LONGEST:
        return None
    return arguments[0].text * count


def _decoded(arguments: list[_Value]) -> str | None:
    kind = arguments[-1].text.lower() if len(arguments) > 1 else "base64"
    if kind == "hex":
        return _of_hexadecimal(arguments[0].text.removeprefix("\\x"))
    if kind != "base64":
        return arguments[0].text
    try:
        return b64decode(arguments[0].text[:_LONGEST]).replace(b"\0", b"").decode("utf-8", "replace")
    except ValueError:
        return None


def _from_hexadecimal(arguments: list[_Value]) -> str:
    return _of_hexadecimal(arguments[0].text[:_LONGEST])


def _first(arguments: list[_Value]) -> str:
    return arguments[0].text


def _first_text(arguments: list[_Value]) -> str:
    return next((value.text for value in arguments if value.known and not value.number), UNKNOWN)


def _all(arguments: list[_Value]) -> str:
    return "".join(value.text for value in arguments)


# What leaves a text as it is: it is not put together by these.
_CASTS = word_set("cast convert convert_from to_char to_clob to_nchar to_nclob nvl coalesce isnull ifnull")
_FUNCTIONS: dict[str, _Function] = {
    **dict.fromkeys(("chr", "char", "nchar", "unichr"), _characters),
    "concat": _all,
    "concat_ws": lambda arguments: arguments[0].text.join(value.text for value in arguments[1:]),
    "format": _formatted,
    "replace": _replaced,
    "translate": _translated,
    "reverse": lambda arguments: arguments[0].text[::-1],
    **dict.fromkeys(("substr", "substring", "mid"), _part),
    "left": _left,
    "right": _right,
    **dict.fromkeys(("repeat", "replicate"), _repeated),
    **dict.fromkeys(("unhex", "hextoraw", "from_hex"), _from_hexadecimal),
    **dict.fromkeys(("decode", "from_base64", "base64_decode"), _decoded),
    **dict.fromkeys(
        ("cast", "nvl", "coalesce", "isnull", "ifnull", "to_char", "to_clob", "to_nchar", "to_nclob"), _first
    ),
    **dict.fromkeys(("convert_from", "cast_to_varchar2", "cast_to_nvarchar2", "upper", "lower", "trim"), _first),
    **dict.fromkeys(("ltrim", "rtrim", "btrim", "initcap", "quote_ident", "quotename", "quote_literal"), _first),
    **dict.fromkeys(("enquote_name", "simple_sql_name"), _first),
    "convert": _first_text,  # SQL Server gives the type first, MySQL the value
}

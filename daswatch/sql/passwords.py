"""Passwords out of SQL, whatever redaction is set: what sets one or proves one becomes `<REDACTED>`, as AWS writes it.

AWS and the engines mask the passwords that they recognize; this does the same for each engine's other ways of naming
one: users, roles, logins, servers, mappings, links, key stores, replication, connection strings, and statements in
strings, comments and bodies. An ordinary statement stays as it is: a column named `password` is a team's own matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from daswatch.sql.secret_locations import (
    CALLS,
    CATALOG_COLUMNS,
    COMMAND_LINES,
    CREDENTIAL_TABLES,
    EASY_CONNECT,
    EVERY_ARGUMENT,
    HARMLESS_UPDATE,
    HINTS,
    MAX_ARGUMENTS,
    NAMES_OF_SECRETS,
    PHRASES,
    SECRET_NAMES,
    SLASHED,
    Call,
)
from daswatch.sql.statements import (
    QUOTES,
    Patterns,
    contains_any,
    escaped,
    known_engine,
    replaced,
    unescaped,
    with_blank_executable_comments,
    without_backslashes,
)

REDACTED = "<REDACTED>"

_DEPTH = 3  # a statement in a string in a string in a string: what is deeper is removed whole

# Statements and clauses in which `password = 'x'` compares or stores a team's own data.
_ORDINARY = frozenset(
    {"select", "insert", "update", "delete", "merge", "values", "where", "when", "check", "having", "if", "elsif"}
    | {"while", "return", "case", "and", "or"}
)
_ADMINISTRATIVE = frozenset(
    {"create", "alter", "drop", "grant", "open", "close", "backup", "restore", "change", "start", "exec", "execute"}
    | {"call", "administer", "declare", "clone", "add", "reconfigure"}
)
_FRESH = frozenset({"begin", "then", "else", "do", "loop", ";"})  # a statement begins behind these
_BEGINNINGS = tuple(_FRESH)
_PRINCIPALS = frozenset({"role", "user", "group"})
_MASKED = ("<redacted>", "<secret>")  # by AWS, by Aurora MySQL
_CREATING = frozenset({"create", "alter"})
_COLUMNS = frozenset({"table", "global", "private", "temporary", "type"})
_CONDITIONS = frozenset({"policy", "rule"})  # of rows: USING and WITH CHECK compare
_ROUTINES = frozenset({"function", "procedure"})
_COMPARING = frozenset({"where", "and", "or", "having", "when", "if", "case", "select", "check"})
_HARMLESS_OPTIONS = frozenset({"user", "username", "user_name", "for", "server"})


# What one text may cost. Behind more words that announce a password the rest of a text is removed; behind more strings
# to look into, those strings are. No honest statement comes near.
_MAX_WORDS = 500
_MAX_INNER = 300
_MAX_ARGUMENT_TOKENS = 10_000
_MAX_STRINGS = 2_000  # of a text whose strings are all removed
_MAX_VARIABLES = 20
_MAX_OCCURRENCES = 2_000  # of those variables
_MAX_PLACES = 300_000  # of their names, within other words too
# Characters of strings and of strings in strings, and of arguments: more than a text that is one string, with others
# in it.
_INNER_FREE, _INNER_SHARE = 20_000, 1.25
_LONGEST_NAME = 130  # characters: SQL Server's 128 with their quotes


class _Kind(Enum):
    """What a word means for what stands behind it."""

    FRESH = 1
    ORDINARY = 2
    REPLACE = 3
    ADMINISTRATIVE = 4
    IDENTIFIED = 5
    OPENROWSET = 6
    CALL = 7
    SECRET = 8
    PHRASE = 9


_KINDS = {
    engine: {
        **dict.fromkeys(calls, _Kind.CALL),
        **dict.fromkeys(_FRESH, _Kind.FRESH),
        **dict.fromkeys(_ORDINARY, _Kind.ORDINARY),
        **dict.fromkeys(_ADMINISTRATIVE, _Kind.ADMINISTRATIVE),
        **dict.fromkeys(("identified", "authenticated"), _Kind.IDENTIFIED),
        "replace": _Kind.REPLACE,
        "openrowset": _Kind.OPENROWSET,
    }
    for engine, calls in CALLS.items()
}


def _any_of(words: Iterable[str]) -> str:
    """A pattern for one of these words that looks at each character once."""
    by_first: dict[str, list[str]] = {}
    for word in words:
        by_first.setdefault(word[:1], []).append(word[1:])
    ends = by_first.pop("", None) is not None
    branches = [f"{re.escape(first)}{_any_of(rest)}" for first, rest in sorted(by_first.items())]
    if not branches:
        return ""
    return f"(?:{'|'.join(branches)}){'?' if ends else ''}"


# All patterns below read a text in lower case in which literals, comments and odd names are masked.
_STRING = r"(?:(?<![\w$#@])(?:[nexb]|nq|q|u&|_\w++\s*+))?+'[^']*+'?+"
_QUOTED_NAME = {
    "postgresql": r"\"[^\"]*+\"?+",
    "mysql": r"`[^`]*+`?+",
    "oracle": r"\"[^\"]*+\"?+",
    "sqlserver": r"\"[^\"]*+\"?+|\[[^\]]*+\]?+",
}
_VALUE = {
    engine: rf"(?:{_STRING}|{name}|<(?:redacted|secret)>|[^\s,;()'\"`\[\]<>|+=]++)"
    for engine, name in _QUOTED_NAME.items()
}
_VALUES = {
    engine: re.compile(rf"{value}(?:\s*+(?:\+|\|\|)\s*+(?:\()?+{value}|\s*+{_STRING})*+")
    for engine, value in _VALUE.items()
}
# The words that mean something, and the ends of statements; the others are passed within a match, up to the text's end.
_IN_WORD = r"[\w$#@]"


def _tokens(engine: str) -> str:
    phrase = rf"(?:{'|'.join(PHRASES[engine]) or '(?!)'})(?!{_IN_WORD})"
    word = rf"{_any_of(word for word in _KINDS[engine] if word != ';')}(?!{_IN_WORD})"
    name = rf"{_IN_WORD}*?{_any_of(SECRET_NAMES)}(?!{_IN_WORD})"
    return (
        rf"(?:[^\w$#@;]++|(?!{phrase}|{word}|{name}){_IN_WORD}++)*+"
        rf"(?:(?P<phrase>{phrase})|(?P<word>{word}|{name})|(?P<end>;)[;\s]*+|\Z)"
    )


_TOKENS = Patterns({engine: _tokens(engine) for engine in _KINDS})
_CREATED = re.compile(r"\s*+(?:or\s++(?:replace|alter)\s++)?+(?P<what>[^\W\d][\w$#@]*+)(?P<mapping>\s++mapping\b)?+")
_OPTION = re.compile(rf"(?<![\w$#@\x02])(?P<name>[\w$#@\x02]++)\"?+\s*+(?P<value>{_STRING})")
_BEFORE = 60  # characters: what may stand between a keyword and the statement's beginning or a call's package
_SPACE = re.compile(r"\s*+")
_BEHIND_NAME = re.compile(r"[\"`\]]?+\s*+")
_OPERATOR = re.compile(r":=|=>|=|\bto\b(?=\s*+(?:[neu]&?)?')")
# A type is a few names. Words that this looks behind may stand in what it looks at, so that it has to end.
_TYPED = re.compile(
    r"(?:(?:as|constant|in|out|nocopy)\s++){,4}+[\w.\[\]%]{1,400}+(?:\s*+\([^()]{,40}+\))?+(?:\s++not\s++null)?+\s*+"
    r"(?::=|=(?!=)|\bdefault\b)"
)
_ASSIGNED = re.compile(rf"\s*+(?:{_TYPED.pattern}|[:+]?=(?!=)>?)\s*+")
_ASSIGNED_CLEARLY = re.compile(rf"\s*+(?:{_TYPED.pattern}|:=|=>)\s*+")
# What puts a value into a statement's text, so that no place in it says which: all strings may be that value.
_REWRITING_WORDS = (
    *("replace", "regexp_replace", "translate", "stuff", "overlay", "insert", "formatmessage", "format_message"),
    *("xp_sprintf", "string_agg", "group_concat", "listagg"),
)
_REWRITING = re.compile(rf"\b(?:{'|'.join(_REWRITING_WORDS)})\b(?:\s*+\(|\s++@)")
# What stands behind a statement in a string and holds nothing: words, and functions that pass on their argument.
_NO_VARIABLE = frozenset(
    {"null", "default", "none", "true", "false", "using", "into", "end", "print", "go", "as", "at", "if", "then", "in"}
    | {"loop", "exec", "execute", "immediate", "prepare", "from", "select", "set", "begin", "return"}
)
_PASSING = frozenset(
    {"quote", "quotename", "quote_literal", "quote_nullable", "quote_ident", "chr", "char", "nchar", "concat", "format"}
    | {"upper", "lower", "trim", "ltrim", "rtrim", "cast", "convert", "to_char", "enquote_literal", "enquote_name"}
    | {"exec", "execute", "isnull", "coalesce", "nvl", "ifnull", "concat_ws", "using", "in", "values", "sp_executesql"}
)
_UNSEEN = "\x00"  # stands for a variable that no text assigns
_READ_INTO = re.compile(r"into(?<![\w$#@]into)\s++[^;()']*+\Z")
_QUERY = re.compile(r"\(\s*+select\b[^;']{,200}\bfrom\b")
_PARAMETER = re.compile(r"\s++(?:in|out|inout|nocopy|n?varchar2?|n?char|character|text|n?clob)\b")
_CALLED = re.compile(r"(?<![\w$#@:'])([^\W\d][\w$#]*+)\s*+\(")
_SELECTED_INTO = re.compile(rf"(?P<value>{_STRING})\s++(?:into|as)\s++(?:strict\s++)?+\Z")
_SELECTING = ("into", "as", "strict")
_LONGEST_PREFIX = 40  # characters: of a string, _utf8mb4 and the like
_ASSIGNED_TO = re.compile(rf"(?<![\w$#@])(@*[^\W\d][\w$#@]*+)\s*+(?:{_TYPED.pattern}|[:+]?=)\s*+n?+\Z")
_PLACEHOLDER = re.compile(r"[$:@%][\w(]|\?|%(?=['\s])")
_VARIABLE = re.compile(r"(?<![\w$#@:'])@*[^\W\d][\w$#@]*+(?!\s*+\()")
_DOTTED_VARIABLE = re.compile(r"[^\W\d][\w$#]*+(?:\.[^\W\d][\w$#]*+)*+")
_NAMED_VARIABLE = re.compile(r"[^\W\d][\w$#]*+")
_FOR_USER = re.compile(r"for\s++[^=;]{1,300}+=")
# No server takes these, yet they are in its log.
_FOR_USER_WITHOUT_MARK = re.compile(
    r"for\s++(?:'[^']*+'|[^\s'@=;]++)\s*+(?:@\s*+(?:'[^']*+'|[^\s'=;]++)\s*+)?+(?:to\b\s*+)?+(?=')"
)
_TO = re.compile(r"to\b\s*+")
_BEHIND_IDENTIFIED = {
    "postgresql": r"by\s*+(?:values\s*+)?+",
    "mysql": (
        r"(?:(?:with|via)\s*+[^\s']*+(?:'[^']*+')?+\s*+)?+"
        r"(?:(?:by|as|using)\b\s*+(?:password\s*+)?+|=?+\s*+(?='))"
    ),
    "oracle": r"by\s*+(?:values\s*+)?+",
    "sqlserver": r"by\s*+",
}
_IDENTIFIED = {engine: re.compile(rf"\s*+{behind}") for engine, behind in _BEHIND_IDENTIFIED.items()}
_NO_PASSWORD = re.compile(r"random\s++password\b|external\s++store\b")
_NEXT_PASSWORD = re.compile(
    r"\s*+(?:replace\b|set\b(?!\s++\w++\s*+=)|or\s++\w++\s++(?:using|as)\b|,(?!\s*+[^\s,]++\s++(?:identified|as|container)\b))\s*+"
)
_REPLACES = re.compile(r"\s*+replace\b\s*+")
_CONCATENATED = re.compile(r"\s*+(?:\+|\|\|)")
_OPENROWSET = re.compile(rf"\s*+\(\s*+{_STRING}\s*+,\s*+{_STRING}\s*+;\s*+{_STRING}\s*+;\s*+")
_WRITES = re.compile(r"\b(?:insert|update|replace|merge)\b")
_ARGUMENT_TOKEN = re.compile(r"[(),;]|'[^']*+'?+|\"[^\"]*+\"?+|@?+[^\W\d][\w$#]*+(?=\s*+:?=)|:?=>?+|[^\s(),;'\"]++")

# Connection strings, in the content of a string.
_CONNECTING = (
    *("connection", "dblink", "openrowset", "opendatasource", "conninfo", "provstr", "addlinkedserver", "program"),
    *("xp_cmdshell", "create_credential", "subscription", "jobstep", "job_step", "pglogical", "scheduler"),
)
_SERVER = re.compile(r"\bserver\b")
_CONNECTION_KEY = re.compile(
    r"\b(?:host|hostaddr|dbname|user|uid|user id|server|data source|initial catalog|database|driver|dsn|service|port)"
    r"\s*+=",
    re.IGNORECASE,
)
_SQL_VERB = re.compile(
    r"\s*+(?:select|insert|update|delete|merge|with|exec|execute|if|declare|begin|alter|create)\b", re.I
)
_CONNECTION_SECRET = (
    r"(?P<head>(?<![\w-])[\w-]{,40}?(?:passw(?:or)?d|passwd|pwd|passphrase|secret|secret_?access_?key|accountkey)"
    r"\s*+=\s*+)"
)
_SEPARATED_SECRET = re.compile(
    rf"{_CONNECTION_SECRET}(?P<secret>\{{[^}}]*+\}}?+|'(?:[^'\\]|\\.|'')*+'?+|\"[^\"]*+\"?+|[^;]++)", re.IGNORECASE
)
_SPACED_SECRET = re.compile(
    rf"{_CONNECTION_SECRET}(?P<secret>'(?:[^'\\]|\\.|'')*+'?+|\"[^\"]*+\"?+|\{{[^}}]*+\}}?+|(?:\\.|[^\s;&'\"])++)",
    re.IGNORECASE,
)
_URI_SECRET = re.compile(
    r"(?P<head>(?<![\w+.-])[a-z][a-z0-9+.-]{,20}://[^\s:/@'\"]*+:)(?P<secret>[^\s/'\"]*)(?=@)", re.IGNORECASE
)
_EASY_SECRET = re.compile(rf"(?P<head>{EASY_CONNECT})(?P<secret>[^\s/'\"]{{1,200}})(?=@)", re.IGNORECASE)
# What only a connection string escapes: braces, and a backslash in front of a blank.
_ESCAPED_SECRET = re.compile(
    rf"{_CONNECTION_SECRET}(?P<secret>\{{(?:[^}}]|\}}\}})*+(?:\}}|\Z)|(?:[^\s;&'\"\\]*+\\.)++(?:\\.|[^\s;&'\"])*+"
    r"|''(?=[^'\\]*+\\)(?:[^'\\]|\\(?:''|[^']))*+''|'(?=[^'\\]++\\)(?:[^'\\]|\\.)*+')",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    rf"\b(?P<program>{_any_of(COMMAND_LINES)})(?P<suffix>1?+(?:\.exe)?+)(?=[\s\"])(?P<line>[^;|&]*+)", re.IGNORECASE
)
_ARGUMENT = r"\"[^\"]*+\"?+|'[^']*+'?+|"
_COMMAND_SECRETS = {
    program: re.compile(rf"(?P<head>{head})(?P<secret>{_ARGUMENT}[^\s'\"{'/@' if program in SLASHED else ''}]++)")
    for program, head in COMMAND_LINES.items()
}
_NET_TOKEN = re.compile(r"\"[^\"]*+\"?+|\S++")
_NET_SHARE = re.compile(r"\"?(?:\w:?\"?\Z|\*|\\\\)")
_OPTION_SECRET = re.compile(rf"(?P<head>--password[ =]\s*+)(?P<secret>{_ARGUMENT}[^\s'\"]++)", re.IGNORECASE)

# A member of JSON, whatever its depth, and an element of XML.
_MEMBER_NAME = (
    r"[\w .-]{,40}?(?:passw(?:or)?d|passwd|pwd|passphrase|secret|secret_?(?:access_?)?key|private_?key|ssl_key)"
)
# Where escapes are undone or doubled, a quote ends a value where something of JSON stands behind it.
_END_OF_VALUE = r"\s*+(?:[,}\]]|\Z)"
_JSON_SECRET = re.compile(
    rf"(?P<head>\"{_MEMBER_NAME}\\*+\"\s*+:\s*+)"
    rf"(?P<secret>\"(?:[^\"\\]|\\.)*+\"(?={_END_OF_VALUE})"
    rf"|(?P<opened>\\*+\")(?:[^\"]|\"(?!{_END_OF_VALUE}))*+\"?+|[-\d.][\w.+-]*+)",
    re.IGNORECASE,
)
_XML_SECRET = re.compile(
    rf"(?P<head><(?:\w{{1,20}}:)?{_MEMBER_NAME}(?:\s[^<>]*+)?>)(?P<secret>[^<>]++)(?=</)", re.IGNORECASE
)
# What else a string has to hold to set a password; prose does not have it.
_WORTH_READING = re.compile(
    r"[=:'\"%$?(@<`\[]|-P|\s\Z|\b(?:identified|authenticated|create|alter|set|grant|exec|execute|call|administer|net"
    r"|sqlcmd|osql|isql|bcp|mysql|mysqldump|psql|sqlplus|sshpass|curl|wget)\b",
    re.IGNORECASE,
)
_ONE_WORD = re.compile(r"[\w$#@.-]*+")


@dataclass(slots=True)
class Cleaned:
    """A text without passwords; whether it sets or proves one, with a value or a parameter."""

    text: str
    found: bool = False


@dataclass(slots=True)
class _Budget:
    """What is left of it, for a text and all that its strings hold; whether a name in quotes may be a statement."""

    characters: int
    argument_characters: int
    words: int = _MAX_WORDS
    inner: int = _MAX_INNER
    argument_tokens: int = _MAX_ARGUMENT_TOKENS
    occurrences: int = _MAX_OCCURRENCES
    places: int = _MAX_PLACES
    reads_names: bool = False

    @classmethod
    def of(cls, text: str, *, reads_names: bool = False) -> _Budget:
        characters = _INNER_FREE + int(_INNER_SHARE * len(text))
        return cls(characters, argument_characters=characters, reads_names=reads_names)


@dataclass(slots=True)
class _Edits:
    """What to replace in a text, as (start, end, by what), and what its end and its variables leave to the text around.

    A password `is_open` where it goes on behind the text, `may_be_open` where the text ends with it, and `trails` where
    the text ends with its name alone. `variables` hold a password and got their value elsewhere, as `placeholders` do.
    """

    spans: list[tuple[int, int, str]] = field(default_factory=list)
    found: bool = False
    is_open: bool = False
    may_be_open: bool = False
    trails: bool = False
    has_placeholder: bool = False
    variables: set[str] = field(default_factory=set)


def may_hold_password(text: str, engine: str) -> bool:
    """Whether a closer look is needed. It never is for most texts, so this is all that they cost."""
    return contains_any(text.lower(), HINTS[engine])


def without_passwords(text: str, engine: str) -> Cleaned:
    """A statement with `<REDACTED>` for each password."""
    engine = known_engine(engine)
    if not may_hold_password(text, engine):
        return Cleaned(text)
    readable, depth = unescaped(text) if engine == "mysql" else (text, 0)
    edits = _edits(readable, engine, 0, _Budget.of(readable))
    cleaned = _applied(readable, edits)
    if cleaned == readable:
        return Cleaned(text, edits.found)
    consistent = depth == 0 or escaped(readable, depth) == text
    return Cleaned(escaped(cleaned, depth) if consistent else cleaned, edits.found)


def fragment_without_passwords(text: str, engine: str, *, continued: bool = False) -> Cleaned:
    """A text that may begin or end anywhere in a statement: an error message, a native field, a continuation row.

    It is read twice, as if it began in a string and as if it did not. What a continuation begins with may be the end of
    a password that its statement began, or the value that `password =` in front of it waits for.
    """
    engine = known_engine(engine)
    head = _head_of_continuation(text) if continued else []
    if not head and not may_hold_password(text, engine):
        return Cleaned(text)
    budget = _Budget.of(text, reads_names=True)
    outside = _edits(text, engine, 0, budget)
    inside = _edits(f"'{text}", engine, 0, budget)
    spans = outside.spans + [(max(start - 1, 0), end - 1, by) for start, end, by in inside.spans if end > 1]
    spans += [(start, end, REDACTED) for start, end in head]
    found = outside.found or inside.found
    cleaned = _applied(text, _Edits([(start, end, REDACTED) for start, end, _ in spans]))
    structured = _without_structured_secrets(cleaned)
    return Cleaned(structured, found or structured != cleaned)


# What may stand behind a password, in CREATE and ALTER LOGIN.
_BEHIND_PASSWORD = re.compile(
    r"\s*+,?+\s*+(?:must_change|hashed|unlock|old_password|check_policy|check_expiration|default_database|sid"
    r"|default_language|default_schema|credential|encryption|decryption)\b",
    re.IGNORECASE,
)
_BARE_END = re.compile(
    rf"\s*+=?+\s*+(?P<word>[^\s,;'\"=]++)(?={_BEHIND_PASSWORD.pattern})"
    r"|\s*+=\s*+(?P<value>[^\s,;'\"=@(){}/-][^\s,;'\"=@(){}]*+)(?!['\"])",
    re.IGNORECASE,
)
# An expression or a list of arguments that began in the row before; a name in front of its `=` too.
_REST_OF_LIST = re.compile(
    r"[\s=(,+{]++|(?P<value>[nN]?'(?:[^']|'')*+'?+|\"(?:[^\"]|\"\")*+\"?+)|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)"
    r"|--[^\n]*+(?:\n|\Z)|(?:\w{1,20}+|@\w++)\s*+=|(?:[-\d.x]++|null|encrypt)(?![\w'\"])",
    re.IGNORECASE,
)
# In front of a quote that opens a string.
_OPENS = re.compile(
    r"(?:\A|[=(,+<>]\s*+|\b(?:like|in|select|values|exec|execute|print|as|then|else|when|and|or|not|between|by|return|is"
    r"|escape|case|on|from|where|union|all|set|go|begin|end|output|with|use)\s++|\{\w{1,8}\s++|\*/\s*+|[.\[])n?+\Z",
    re.IGNORECASE,
)
_OPENED_BY_COMMA = re.compile(r"[(,\s]n?\Z", re.IGNORECASE)
_BEHIND_STRING = re.compile(r"\s*+(?:[,);]|\Z)")
_CLOSING_QUOTE = re.compile(r"(?:[^'\"]|''|\"\")*+(?P<quote>['\"])")
_MAX_LIST = 1_000  # parts of a list in a row's head


def _closes(text: str, quote: int) -> bool:
    """Whether a text's first quote ends a string, as far as what stands around it shows; where in doubt, it does."""
    before = text[max(quote - 30, 0) : quote]
    if _BEHIND_PASSWORD.match(text, quote + 1) or not _OPENS.search(before):
        return True
    return _OPENED_BY_COMMA.search(before) is None and _BEHIND_STRING.match(text, quote + 1) is not None


def _head_of_continuation(text: str) -> list[tuple[int, int]]:
    """What a row may begin with that belongs to a password of the row before.

    It begins in a string, which ends; or in a comment, a list of arguments or an expression, whose strings follow.
    """
    spans: list[tuple[int, int]] = []
    bare = _BARE_END.match(text)
    if bare and bare.lastgroup:
        spans.append(bare.span(bare.lastgroup))
    closing = _CLOSING_QUOTE.match(text)
    quote = closing.start("quote") if closing else 0
    starts = [0, 1] if text[:1] in ("'", '"') else [0]
    if quote and _closes(text, quote):
        spans.append((0, quote))
        starts.append(quote + 1)
    comment, opened, line = text.find("*/"), text.find("/*"), text.find("\n")
    if comment >= 0 and (opened < 0 or comment < opened):
        starts.append(comment + 2)
    if line >= 0:
        starts.append(line + 1)
    for position in starts:
        for _ in range(_MAX_LIST):
            part = _REST_OF_LIST.match(text, position)
            if part is None:
                break
            position = part.end()
            if part.lastgroup:
                spans.append(part.span("value"))
        else:
            spans.append((position, len(text)))
    return spans


def _applied(text: str, edits: _Edits) -> str:
    if not edits.spans:
        return text
    pieces: list[str] = []
    position = 0
    for start, end, by in sorted(edits.spans):
        if end <= position:
            continue
        if start >= position:
            pieces += (text[position:start], by)
        elif not pieces or pieces[-1] != REDACTED:
            pieces.append(REDACTED)
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _edits(text: str, engine: str, depth: int, budget: _Budget) -> _Edits:
    """All edits of one text, those of the statements in its strings, comments and bodies among them."""
    code = with_blank_executable_comments(text) if engine == "mysql" else text
    inner: list[tuple[int, int, str]] = []

    def masked(match: re.Match[str]) -> str:
        content, kind = match[0], match.lastgroup or ""
        length = len(content)
        if length > _SHORTEST_INNER:
            inner.append((*match.span(), kind))
        if kind == "comment":
            return " " * length
        opening = content[0]
        if kind in ("literal", "dollar"):
            return f"'{_MASK * (length - 2)}'" if length > 1 and content[-1] == opening else f"'{_MASK * (length - 1)}"
        closed = length > 1 and content[-1] in '"`]'
        if closed and (content[1:-1].isidentifier() or _PLAIN_QUOTED.fullmatch(content)):
            return content
        if length > _LONGEST_NAME:
            return opening + _ODD_NAME * (length - 1 - closed) + content[length - closed :]
        return opening + _ODD.sub(_ODD_NAME, content[1 : length - closed]) + content[length - closed :]

    # A comment in comments is as long as what replaces it: positions stay.
    lower = _lower(replaced(code, engine, QUOTES[engine], masked))
    if engine == "mysql":
        lower = lower.replace("*/", "  ")
    walk = _Walk(text, lower, engine, _Edits(), budget, depth)
    walk.walk()
    connecting = contains_any(lower, _CONNECTING) or ("server" in lower and bool(_SERVER.search(lower)))
    for start, end, kind in inner:
        _edit_inner(walk, start, end, kind, connecting)
    walk.resolve()
    return walk.edits


_MASK, _ODD_NAME = "\x01", "\x02"
_ODD = re.compile(r"[^\w$#@ .-]")
_PLAIN_QUOTED = re.compile(r"[\"`\[][\w$#@ .-]*+[\"`\]]")
_SHORTEST_INNER = 8  # characters: no statement and no connection string is shorter


def _lower(text: str) -> str:
    """In lower case, each character where it was: `İ` alone would become two."""
    return text.replace("İ", "ı").lower()


@dataclass(slots=True)
class _Walk:
    """One pass over a text's words outside of literals, comments and names, with what the words before them mean."""

    text: str
    lower: str
    engine: str
    edits: _Edits
    budget: _Budget
    depth: int
    position: int = 0
    ordinary: bool = False
    clause: str = ""
    verb: str = ""
    created: str = ""
    # Variables that hold a secret: of this text's statements, of functions over data, of the statements in its strings.
    variables: set[str] = field(default_factory=set)
    data_variables: set[str] = field(default_factory=set)
    inner_variables: set[str] = field(default_factory=set)
    sets_within: bool = False  # whether a statement in a string sets a password
    # Where strings end that hold statements, how far a password that one leaves open was followed, and options were.
    statements: set[int] = field(default_factory=set)
    spilled_to: int = 0
    mapped_to: int = 0

    def walk(self) -> None:
        kinds, administrative, ordinary = _KINDS[self.engine], _Kind.ADMINISTRATIVE, _Kind.ORDINARY
        if "insert" in self.lower or "update" in self.lower or "replace" in self.lower or "merge" in self.lower:
            self._redact_written_credentials()
        for token in _TOKENS[self.engine].finditer(self.lower):
            group = token.lastgroup
            if group is None:
                return
            start = token.start(group)
            if start < self.position:
                continue
            if group == "phrase":
                self._phrase(token[group], token.end())
            else:
                word = token[group]
                kind = kinds.get(word, _Kind.SECRET)
                # A text may consist of these.
                if kind is administrative:
                    self._administrative(word, token.end())
                elif kind is ordinary:
                    self._ordinary(word)
                else:
                    self._step(kind, word, start, token.end())

    def _redact_written_credentials(self) -> None:
        """What an INSERT or UPDATE writes into an engine's own table of credentials, or one near it."""
        words, table = CREDENTIAL_TABLES[self.engine]
        if not any(word in self.lower for word in words) or not table.search(self.lower):
            return
        writes = {word[0] for word in _WRITES.finditer(self.lower)}
        if writes and not (writes == {"update"} and HARMLESS_UPDATE.search(self.lower)):
            self._redact_strings()

    def _ordinary(self, word: str) -> None:
        # IF EXISTS and the clauses of Oracle's key management do not begin another statement.
        self.ordinary = self.verb != "administer" and not (word == "if" and self.created)
        self.clause = word

    def _administrative(self, word: str, end: int) -> None:
        if self.verb != "administer":  # the clauses of key management are such words too
            self.verb = word
        self.ordinary = False
        self.created = self.clause = ""
        if word in _CREATING:
            self._create(end)

    def _step(self, kind: _Kind, word: str, start: int, end: int) -> None:
        if kind is _Kind.FRESH:
            self.verb, self.ordinary, self.created, self.clause = "", False, "", ""
        elif kind is _Kind.REPLACE:
            before = self.lower[max(start - _BEFORE, 0) : start].rstrip()
            self.ordinary = self.ordinary or not before or before.endswith(_BEGINNINGS)
        elif kind is _Kind.OPENROWSET:
            opening = _OPENROWSET.match(self.lower, end)
            if opening:
                self._take(opening.end())
        else:
            self.budget.words -= 1
            call = CALLS[self.engine].get(word)
            if self.budget.words < 0:
                self.redact_rest(end)
            elif kind is _Kind.IDENTIFIED:
                self._identified(end)
            elif call and (self.engine == "sqlserver" or self._is_call(end)) and self._is_in_package(call, start):
                self._call(call, end)
            elif word.endswith(SECRET_NAMES):
                self._named(word, end)

    def _create(self, end: int) -> None:
        created = _CREATED.match(self.lower, end)
        if created is None:
            return
        self.created = created["what"]
        self.ordinary = self.created in _CONDITIONS
        if created["mapping"] and self.created == "user":
            start = max(created.end(), self.mapped_to)
            self.mapped_to = self._end_of_statement(start)
            for option in _OPTION.finditer(self.lower, start, self.mapped_to):
                if option["name"] not in _HARMLESS_OPTIONS:
                    self._take(option.start("value"))

    def _phrase(self, phrase: str, end: int) -> None:
        """What stands behind a phrase; a key's algorithm stands behind ENCRYPT USING as well, in quotes."""
        value = _blank(self.lower, end)
        always = phrase.startswith("migrate")
        if always or self.engine != "oracle" or self.verb == "administer" or self.created == "pluggable":
            self.budget.words -= 1
            self._take(value)

    def _end_of_statement(self, position: int) -> int:
        end = self.lower.find(";", position)
        return end if end >= 0 else len(self.lower)

    def _is_call(self, position: int) -> bool:
        return self.lower.startswith("(", _blank(self.lower, _behind_name(self.lower, position)))

    def _is_in_package(self, call: Call, start: int) -> bool:
        if not call.package:
            return True
        packages = _PACKAGE.search(self.lower[max(start - _BEFORE, 0) : start])
        return packages is not None and packages[1].startswith(call.package)

    def _is_string(self, position: int) -> bool:
        return _MASKED_STRING.match(self.lower, position) is not None

    def redact_rest(self, position: int) -> None:
        self.edits.found = True
        self.edits.spans.append((position, len(self.lower), REDACTED))
        self.position = len(self.lower)

    def _named(self, word: str, position: int) -> None:
        """A name that is a password's: what is assigned to it, or stands directly behind it."""
        behind = _behind_name(self.lower, position)
        operator = _OPERATOR.match(self.lower, behind)
        own = word.startswith("@") or (operator is not None and operator[0] in (":=", "=>"))
        own = own or (word in CATALOG_COLUMNS and self.clause not in _COMPARING)
        if operator is None:
            typed = _TYPED.match(self.lower, behind)
            if typed and (word.startswith("@") or self._declares(typed[0])):
                self._take(_blank(self.lower, typed.end()))
                return
            if word == "password" and not self.ordinary:
                operator = _FOR_USER.match(self.lower, behind)
                if operator is None and self.engine == "mysql":
                    operator = _FOR_USER_WITHOUT_MARK.match(self.lower, behind)
            if operator is None and self.engine == "postgresql" and self.lower.endswith(f".{word}", 0, position):
                operator = _TO.match(self.lower, behind)  # of a setting: those of users have a dot
        if operator is not None:
            if own or not self.ordinary:
                value = _blank(self.lower, operator.end())
                self._take(value)
                if operator[0] in (":=", "=>"):
                    self._follow(value, self.position)
                replaces = _REPLACES.match(self.lower, self.position)
                if replaces and self.engine == "mysql":
                    self._take(replaces.end())
            return
        if self.ordinary:
            return
        administers = self.verb == "administer"
        values = (*_MASKED, '"') if word == "secret" and self.engine == "oracle" else _MASKED
        if behind >= len(self.lower):
            if self.verb:
                self.edits.found = self.edits.is_open = True
            else:
                self.edits.trails = True
        elif self._is_string(behind) or self.lower.startswith(values, behind) or (word == "secret" and administers):
            self._take(behind)
        elif _PLACEHOLDER.match(self.lower, behind) and (self.verb or not self.depth or self.lower[behind] == "%"):
            self._is_given()
        elif word == "password" and self.engine == "postgresql" and self.created in _PRINCIPALS:
            self._take(behind)

    def _follow(self, start: int, end: int) -> None:
        """Follow a secret that is a variable; in Oracle and PostgreSQL those are words."""
        value = self.lower[start : min(end, start + _LOOK_BACK)]
        if _DOTTED_VARIABLE.fullmatch(value):
            self.data_variables.update(_variables(value))

    def _declares(self, declaration: str) -> bool:
        """Whether `name type := value` declares a variable or a routine's parameter, not a column."""
        if self.created in _COLUMNS:
            return False
        if self.engine == "oracle":
            return declaration.endswith((":=", "default"))
        is_routine = self.verb == "declare" or self.created in _ROUTINES
        return self.engine == "postgresql" and (is_routine or declaration.endswith(":="))

    def _is_given(self) -> None:
        """A password that a parameter holds."""
        self.edits.found = self.edits.is_open = self.edits.has_placeholder = True

    def _identified(self, position: int) -> None:
        by = _IDENTIFIED[self.engine].match(self.lower, position)
        if by is None:
            return
        position = by.end()
        if _NO_PASSWORD.match(self.lower, position):
            return
        if (
            "as" in by[0].split()
            and self.lower.startswith("'", position)
            and self.text[position : position + 5].upper() == "'RDS'"
        ):
            return  # Aurora's IAM authentication: the plugin's argument is always this word
        value = _VALUES[self.engine].match(self.lower, position)
        if value and not self.verb and self.engine != "oracle" and value[0].isidentifier():
            return  # prose; the engines but Oracle want quotes
        self._take(position)
        while following := _NEXT_PASSWORD.match(self.lower, self.position):
            if following[0].strip() == "," and self.engine != "oracle":
                return
            if self.lower[self.position : following.end()].strip() == "set" and "keystore" not in self.lower:
                return
            if not self._take(following.end()):
                return

    def _take(self, position: int) -> bool:
        """Redact the value that stands at a position, if there is one."""
        value = _VALUES[self.engine].match(self.lower, position)
        if value is None:
            if _blank(self.lower, position) >= len(self.lower):
                self.edits.found = self.edits.is_open = True
            return False
        start, end = value.span()
        found = value[0]
        self.position = end
        if found in ("null", "default", "none"):
            return False
        if found.isidentifier() and self._is_call(end):
            self._call(EVERY_ARGUMENT, end)
            return True
        self.edits.found = True
        if found.startswith("@"):
            self.variables.update(_variables(found))
        elif found.startswith((":", "?", "$", "%")):
            self._is_given()
        elif found not in _MASKED and not _is_masked_by_engine(self.text[start:end]):
            self.edits.spans.append((start, end, REDACTED))
            if end == len(self.lower):
                quoted = found.lstrip("nexbuq_&")
                unterminated = quoted[:1] in ("'", '"') and (len(quoted) == 1 or quoted[-1] != quoted[0])
                self.edits.is_open = self.edits.is_open or unterminated
                self.edits.may_be_open = True
        return True

    def resolve(self) -> None:
        """Redact what the text's variables hold that are a password; leave the others to the text around.

        Where a statement in a string or a body takes its password from outside, and where that is assigned is not in
        sight, each literal of the text may be it.
        """
        edits = self.edits
        seen: set[str] = set()
        unknown = self._followed([*self.variables, *self.inner_variables], seen)
        # Of a function over data only the literals count: columns are not known.
        self._followed(list(self.data_variables), seen)
        dynamic = bool(self.sets_within or self.inner_variables)
        if dynamic and any(word in self.lower for word in _REWRITING_WORDS) and _REWRITING.search(self.lower):
            edits.has_placeholder = True
        if unknown and (dynamic or (not self.depth and unknown & self.inner_variables)):
            edits.has_placeholder = True
        if self.depth:
            edits.variables = unknown
        if edits.has_placeholder and self.statements:
            self._redact_strings()

    def _followed(self, waiting: list[str], seen: set[str]) -> set[str]:
        """Redact what is assigned to variables, and to those that they come from; those that get nothing in sight."""
        unknown: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen or name in _NO_VARIABLE:
                continue
            seen.add(name)
            self.budget.places -= self.lower.count(name)
            if len(seen) > _MAX_VARIABLES or len(name) > _LONGEST_NAME or self.budget.places < 0:
                self._redact_strings()
                break
            assigned, sources = self._assigned(name)
            waiting += sources
            if not assigned:
                unknown.add(name)
        return unknown

    def _assigned(self, variable: str) -> tuple[bool, list[str]]:
        """Redact what is assigned to a variable: whether anything is, and the variables that it comes from."""
        assigns = _ASSIGNED if variable.startswith("@") else _ASSIGNED_CLEARLY
        sources: list[str] = []
        assigned = False
        # The name before what must not stand around it: a search for a word is many times as fast.
        word = re.escape(variable)
        for occurrence in re.finditer(rf"{word}(?<!{_IN_WORD}{word})(?!{_IN_WORD})", self.lower):
            start, end = occurrence.span()
            self.budget.occurrences -= 1
            if self.budget.occurrences < 0:
                self.redact_rest(start)
                return True, []
            assignment = assigns.match(self.lower, end)
            if assignment:
                assigned = True
                sources += self._assigned_value(assignment.end())
            offset = max(start - _LOOK_BACK, 0)
            before = self.lower[offset:start]
            selected = None
            if before.rstrip().endswith(_SELECTING):
                opening = before.rfind("'", 0, max(before.rfind("'"), 0))
                selected = _SELECTED_INTO.search(before, max(opening - _LONGEST_PREFIX, 0))
            if selected:
                assigned = True
                self._add(offset + selected.start("value"), offset + selected.end("value"))
            elif ("into" in before and _READ_INTO.search(before)) or (
                before.endswith(("(", ",", " ")) and self._is_parameter(before, end)
            ):
                sources.append(_UNSEEN)
        return assigned, sources

    def _is_parameter(self, before: str, end: int) -> bool:
        """Whether a routine gets a variable from its caller, even if it has a default."""
        return before.rstrip().endswith(("(", ",")) and _PARAMETER.match(self.lower, end) is not None

    def _assigned_value(self, position: int) -> list[str]:
        """Redact an assigned value; the variables that it is made of."""
        value = _VALUES[self.engine].match(self.lower, position)
        if value is None:
            # A query in parentheses.
            for string in _ANY_STRING.finditer(self.lower, position, min(position + _LOOK_BACK, len(self.lower))):
                self._add(*_with_prefix(string))
            return [_UNSEEN] if _QUERY.match(self.lower, position) else []
        found = value[0]
        if found.isidentifier() and self._is_call(value.end()):
            self._call(EVERY_ARGUMENT, value.end())
            return []
        if "'" in found or '"' in found or found[0].isdigit():
            self._add(*value.span())
        return [name for name in _variables(found) if name not in ("null", "default")]

    def _add(self, start: int, end: int) -> None:
        is_empty = end - start <= 2 and self.lower[start] == "'"
        if not is_empty and end not in self.statements:
            self.edits.found = True
            self.edits.spans.append((start, end, REDACTED))

    def _redact_strings(self) -> None:
        """Redact each string that is not a statement."""
        for number, string in enumerate(_BARE_STRING.finditer(self.lower)):
            if number > _MAX_STRINGS:
                self.redact_rest(string.start())
                return
            self._add(*_with_prefix(string))

    def spill(self, start: int, position: int) -> None:
        """A password that a string leaves open goes on in the literals and variables behind it, up to a semicolon, and
        in what else is assigned to the variable that holds the string."""
        before = self.lower[max(start - _LOOK_BACK, 0) : start]
        assigns = before.rstrip().removesuffix("n").rstrip().endswith(("=", "default"))
        holder = _ASSIGNED_TO.search(before) if assigns else None
        while holder:  # `begin x :=` reads as if `x` was the type of `begin`
            self.variables.add(holder[1])
            holder = _ASSIGNED_TO.search(before, holder.end(1))
        position = max(position, self.spilled_to)
        self.spilled_to = self._end_of_statement(position)
        if self.spilled_to <= position:
            return
        for number, string in enumerate(_ANY_STRING.finditer(self.lower, position, self.spilled_to)):
            if number > _MAX_STRINGS:
                self.redact_rest(string.start())
                break
            self._add(*_with_prefix(string))
        if any(name[1] not in _PASSING for name in _CALLED.finditer(self.lower, position, self.spilled_to)):
            self.edits.has_placeholder = True  # an element of an array, or what a function makes
        for name in _VARIABLE.finditer(self.lower, position, self.spilled_to):
            if len(self.variables) > _MAX_VARIABLES:
                break
            self.variables.add(name[0])
        if self.spilled_to == len(self.lower):
            self.edits.is_open = True

    def _call(self, call: Call, position: int) -> None:
        """The secret arguments of a call, in parentheses or, in SQL Server, behind EXECUTE."""
        start = _blank(self.lower, _behind_name(self.lower, position))
        parenthesized = self.lower.startswith("(", start)
        if not parenthesized and self.engine != "sqlserver":
            return
        depth, number, name = 0, 1, ""
        first = last = -1
        is_named = False
        values: list[tuple[int, int]] = []  # named as such, in front of what they are the value of
        for token in _ARGUMENT_TOKEN.finditer(self.lower, start + parenthesized):
            text = token[0]
            self.budget.argument_tokens -= 1
            self.budget.argument_characters -= len(text)
            if self.budget.argument_tokens < 0 or self.budget.argument_characters < 0:
                self.redact_rest(start)
                return
            closes = (text == ")" and depth == 0) or (text == ";" and depth == 0)
            closes = closes or (not parenthesized and text in _ENDS_EXECUTE)
            separates = text == "," or (call.pairs and text in _MEMBER_SEPARATORS)
            if closes or (separates and depth == 0):
                if first >= 0:
                    secret = is_named or _is_secret(call, number, name)
                    if secret:
                        self._argument(call, first, last, parenthesized)
                    elif call.names_value and name.endswith("value"):
                        values.append((first, last))
                    is_named = (is_named and not call.pairs) or (call.names_value and self._names_secret(first, last))
                    while is_named and values:
                        self._argument(call, *values.pop(), parenthesized)
                number, name, first = number + 1, "", -1
                if closes or number > MAX_ARGUMENTS:
                    return
                continue
            depth += (text == "(") - (text == ")")
            if first < 0 and _ASSIGNS.match(self.lower, token.end()):
                name = text
                continue
            if first < 0 and name and not text.strip(":=>"):
                continue
            first = token.start() if first < 0 else first
            last = token.end()
        if first >= 0:
            if is_named or _is_secret(call, number, name):
                self._argument(call, first, last, parenthesized)
            if values and self._names_secret(first, last):
                for value in values:
                    self._argument(call, *value, parenthesized)

    def _names_secret(self, first: int, last: int) -> bool:
        return self.text[first:last].strip(" \t\r\n'\"").lower().endswith(NAMES_OF_SECRETS)

    def _argument(self, call: Call, first: int, last: int, parenthesized: bool) -> None:
        argument = self.lower[first:last]
        self.edits.found = True
        if _BOUND.fullmatch(argument):
            if not call.of_data:
                self.edits.has_placeholder = True
        elif argument.startswith("@") and _VARIABLE.fullmatch(argument):
            (self.data_variables if call.of_data else self.variables).add(argument)
        elif parenthesized and _NAMED_VARIABLE.fullmatch(argument):
            if argument not in ("null", "default"):
                (self.data_variables if call.of_data else self.variables).add(argument)
        elif argument != "null" and not (call.of_data and "'" not in argument and '"' not in argument):
            self.edits.spans.append((first, last, REDACTED))


def _with_prefix(string: re.Match[str]) -> tuple[int, int]:
    start, end = string.span()
    return start - _PREFIX_LENGTHS.get(string.lastgroup or "", 0), end


def _variables(expression: str) -> list[str]:
    return [name[0] for name in _VARIABLE.finditer(expression)]


def _is_secret(call: Call, number: int, name: str) -> bool:
    if name:
        return name in call.names or name.endswith(SECRET_NAMES)
    return number in call.positions


_ASSIGNS = re.compile(r"\s*+:?=")
_MEMBER_SEPARATORS = frozenset({"value", "is", ":"})  # in SQL's own JSON functions, between a name and its value
_BOUND = re.compile(r"[:$?][\w]*+")
_PACKAGE = re.compile(r"([\w$#]++)[\"`\]]?+\s*+\.\s*+[\"`\[]?+\Z")
_LOOK_BACK = 200  # characters
_MASKED_STRING = re.compile(_STRING)
# A string wherever it stands: the search is for its quote, and looks back for what belongs to it.
_PREFIXED = r"(?:(?P<two>(?<=(?<![\w$#@])(?:nq|u&)'))|(?P<one>(?<=(?<![\w$#@])[nexbq]')))?+"
_BARE_STRING = re.compile(rf"'{_PREFIXED}[^']*+'?+")
_ANY_STRING = re.compile(rf"['\"](?:(?<='){_PREFIXED}[^']*+'?+|(?<=\")[^\"]*+\"?+)")
_PREFIX_LENGTHS = {"one": 1, "two": 2}
_ENDS_EXECUTE = frozenset(
    {"select", "insert", "update", "delete", "exec", "execute", "create", "alter", "drop", "go", "if"}
)


def _behind_name(lower: str, position: int) -> int:
    match = _BEHIND_NAME.match(lower, position)
    return match.end() if match else position


def _blank(lower: str, position: int) -> int:
    match = _SPACE.match(lower, position)
    return match.end() if match else position


def _is_masked_by_engine(value: str) -> bool:
    """Oracle writes `*` for a password, SQL Server N'******'."""
    return "*" in value and not value.strip("nN'*")


def _edit_inner(walk: _Walk, start: int, end: int, kind: str, connecting: bool) -> None:
    """Passwords in what a string, a comment, a body or a name holds: a statement, a connection string, or JSON."""
    whole = walk.text[start:end]
    lower = whole.lower()
    engine, edits, budget = walk.engine, walk.edits, walk.budget
    hints = [hint for hint in HINTS[engine] if hint in lower]
    has_command = connecting and _COMMAND.search(lower) is not None
    if not hints and not has_command and not (connecting and "@" in whole):
        return
    if kind in ("name", "maybe") and not (budget.reads_names or engine == "sqlserver"):
        return
    if hints == ["://"] and walk.depth == 0 and not connecting:
        cleaned = _URI_SECRET.sub(_redacted, whole)
        if cleaned != whole:
            edits.found = True
            edits.spans.append((start, end, cleaned))
        return
    if budget.inner <= 0:
        edits.found = True
        edits.spans.append((start, end, REDACTED))
        return
    opening, original, closing = _parts(whole, kind)
    if _ONE_WORD.fullmatch(original) or not (has_command or _WORTH_READING.search(original)):
        return
    budget.inner -= 1
    budget.characters -= len(original)
    if budget.characters < 0 or walk.depth >= _DEPTH:
        edits.found = True
        edits.spans.append((start, end, REDACTED))
        return
    escapes = "\\" in original and kind == "literal" and engine in ("mysql", "postgresql")
    content = _without_structured_secrets(original)
    is_code = kind not in ("name", "comment")
    may_connect = kind != "comment" and not _SQL_VERB.match(content)
    if may_connect:  # a backslash may be the string's own or the connection's
        content = _without_escaped_secrets(content, connecting)
    decoded = plain = _decoded(content, opening, escapes)
    if may_connect:
        plain = _without_escaped_secrets(plain, connecting)
    inner = _edits(plain, engine, walk.depth + 1, budget)
    cleaned = _applied(plain, inner)
    if may_connect:
        cleaned = _without_connection_secrets(cleaned, connecting)
    if cleaned != decoded:
        content = _encoded(cleaned, opening, escapes)
    if content != original:
        edits.found = True
        edits.spans.append((start, end, f"{opening}{content}{closing}"))
    if not is_code:
        return
    edits.found = edits.found or inner.found
    walk.sets_within = walk.sets_within or (inner.found and kind != "dollar")
    if inner.found or _SQL_VERB.match(plain):
        walk.statements.add(end)
    edits.has_placeholder = edits.has_placeholder or inner.has_placeholder
    walk.inner_variables |= inner.variables
    concatenated = _CONCATENATED.match(walk.lower, end) is not None
    trails = inner.trails and plain[-1:].isspace()
    if concatenated and has_command and _ends_before_secret(plain):
        edits.found = True
        walk.spill(start, end)
    elif kind in ("literal", "maybe") and (inner.is_open or (concatenated and (inner.may_be_open or trails))):
        walk.spill(start, end)


def _parts(whole: str, kind: str) -> tuple[str, str, str]:
    if kind == "comment":
        return whole[:2], whole[2:], ""
    if kind == "dollar":
        tag = whole[: whole.index("$", 1) + 1]
        closed = whole.endswith(tag) and len(whole) >= 2 * len(tag)
        return tag, whole[len(tag) : len(whole) - len(tag) * closed], tag * closed
    closing = "]" if whole[0] == "[" else whole[0]
    closed = len(whole) > 1 and whole[-1] == closing
    return whole[0], whole[1 : len(whole) - closed], closing * closed


def _decoded(content: str, opening: str, escapes: bool) -> str:
    if escapes:
        content = without_backslashes(content)
    return content.replace(opening * 2, opening) if opening in "'\"" else content


def _encoded(content: str, opening: str, escapes: bool) -> str:
    if escapes:
        content = content.replace("\\", "\\\\")
    return content.replace(opening, opening * 2) if opening in "'\"" else content


def _redacted(secret: re.Match[str]) -> str:
    return f"{secret['head']}{REDACTED}"


def _without_escaped_secrets(content: str, connecting: bool) -> str:
    """Those values of a connection string that would end early where it is read as a statement."""
    if ("{" in content or "\\" in content) and (connecting or _CONNECTION_KEY.search(content)):
        return _ESCAPED_SECRET.sub(_redacted, content)
    return content


def _without_connection_secrets(content: str, connecting: bool) -> str:
    content = _EASY_SECRET.sub(_redacted, _URI_SECRET.sub(_redacted, content))
    if connecting or _CONNECTION_KEY.search(content):
        secret = _SEPARATED_SECRET if ";" in content else _SPACED_SECRET
        content = secret.sub(_redacted, content)
    if not connecting:
        return content
    return _OPTION_SECRET.sub(_redacted, _COMMAND.sub(_without_command_secret, content))


def _without_command_secret(command: re.Match[str]) -> str:
    program = command["program"].lower()
    line = command["line"]
    line = _without_net_secret(line) if program == "net" else _COMMAND_SECRETS[program].sub(_redacted, line)
    return f"{command['program']}{command['suffix']}{line}"


def _ends_before_secret(content: str) -> bool:
    """Whether a command line ends where a password is expected."""
    return _MASK not in _COMMAND.sub(_without_command_secret, content + _MASK)


def _without_net_secret(line: str) -> str:
    """NET USER takes a password behind the user, NET USE one that is neither a device, a share nor an option."""
    verb, passed = "", 0

    def redacted(token: re.Match[str]) -> str:
        nonlocal verb, passed
        word = token[0]
        if not verb:
            verb = word.lower()
        elif not word.startswith("/") and (
            (verb == "use" and not _NET_SHARE.match(word)) or (verb == "user" and (passed := passed + 1) > 1)
        ):
            return REDACTED
        return word

    return _NET_TOKEN.sub(redacted, line)


def _without_structured_secrets(content: str) -> str:
    """The members of JSON and the elements of XML that are named as secrets."""
    if '"' in content:
        content = _JSON_SECRET.sub(_without_member, content)
    return _XML_SECRET.sub(_redacted, content) if "</" in content else content


def _without_member(member: re.Match[str]) -> str:
    value = member["secret"]
    quote = member["opened"] or ('"' if value[0] == '"' else "")
    closing = quote if value.endswith('"') and len(value) > len(quote) else ""
    return f"{member['head']}{quote}{REDACTED}{closing}"

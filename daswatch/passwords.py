"""Passwords out of SQL, whatever redaction is set: what sets one or proves one becomes `<REDACTED>`, as AWS writes it.

AWS and the engines mask the passwords that they recognize; this does the same for each engine's other ways of naming
one: users, roles, logins, servers, mappings, links, key stores, replication, connection strings, and statements in
strings, comments and bodies. An ordinary statement stays as it is: a column named `password` is a team's own matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from daswatch.statements import QUOTES, escaped, known_engine, replaced, unescaped, with_blank_executable_comments

REDACTED = "<REDACTED>"

# Without one of these a text holds nothing to look for; most texts have none.
_HINTS = ("passw", "pwd", "identified", "secret", "credential", "passphrase", "://")
_HINTS_OF = {
    "postgresql": (*_HINTS, "mapping", "crypt"),
    "mysql": (*_HINTS, "authentication_str", "set_external", "binlog_ssl", "mysql.user", "mysql`.`user"),
    "oracle": (*_HINTS, "wallet", "authenticat", "simple_bind", "utl_smtp", "user$"),
    "sqlserver": (
        *_HINTS,
        *("approle", "srvlogin", "addlogin", "users_login", "proxy_account", "distributor"),
        *("bycert", "byasymkey", "bykeyauto", "key_source", "openrowset", "net user", "sqlcmd", "bcp "),
    ),
}
_DEPTH = 3  # a statement in a string in a string in a string: what is deeper is removed whole

_SECRET_NAMES = (
    *("password", "passwd", "passwrd", "pwd", "passphrase", "secret", "secret_key", "secret_access_key"),
    *("session_token", "authentication_string", "rolpassword", "key_source", "identity_value"),
    *("_pass", "_pw", "userpass"),
)

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
_PRINCIPALS = frozenset({"role", "user", "group"})
_MASKED = ("<redacted>", "<secret>")  # by AWS, by Aurora MySQL
_SECRET_ENDS = frozenset(name[-2:] for name in _SECRET_NAMES)
_CREATING = frozenset({"create", "alter"})
_COLUMNS = frozenset({"table", "global", "private", "temporary", "type"})
_HARMLESS_OPTIONS = frozenset({"user", "username", "user_name", "for", "server"})


@dataclass(frozen=True, slots=True)
class _Call:
    """Which arguments of a procedure or function are secret, by position, from 1, and by name."""

    positions: tuple[int, ...]
    names: frozenset[str] = frozenset()


_CALLS: dict[str, dict[str, _Call]] = {
    "postgresql": {
        "create_aws_credentials": _Call((2, 3)),
        "crypt": _Call((1,)),
        **dict.fromkeys(("pgp_sym_encrypt", "pgp_sym_decrypt", "pgp_sym_encrypt_bytea"), _Call((2,))),
        **dict.fromkeys(("pgp_sym_decrypt_bytea",), _Call((2,))),
        **dict.fromkeys(("pgp_pub_decrypt", "pgp_pub_decrypt_bytea"), _Call((2, 3))),
    },
    "mysql": {
        "password": _Call((1,)),
        "old_password": _Call((1,)),
        "rds_import_binlog_ssl_material": _Call((1,)),
        **dict.fromkeys(
            (
                "rds_set_external_master",
                "rds_set_external_master_with_auto_position",
                "rds_set_external_master_with_delay",
                "rds_set_external_source",
                "rds_set_external_source_with_auto_position",
                "rds_set_external_source_with_auto_position_for_channel",
                "rds_set_external_source_with_delay",
                "rds_set_external_source_with_delay_for_channel",
                "rds_set_external_source_for_channel",
            ),
            _Call((4,)),
        ),
    },
    "oracle": {
        "set_wallet": _Call((2,)),
        "set_authentication": _Call((3,)),
        "set_credential": _Call((3,)),
        "auth": _Call((3,)),
        "simple_bind_s": _Call((3,)),
        "create_credential": _Call((3,)),
        "update_credential": _Call((3,)),
        "secure_connection": _Call((3,)),
    },
    "sqlserver": {
        "sp_addlogin": _Call((2,)),
        "sp_password": _Call((1, 2), frozenset({"@old", "@new"})),
        "sp_addlinkedsrvlogin": _Call((5,)),
        "sp_setapprole": _Call((2,)),
        "sp_addapprole": _Call((2,)),
        "sp_approlepassword": _Call((2,), frozenset({"@newpwd"})),
        "sp_change_users_login": _Call((4,)),
        "sp_xp_cmdshell_proxy_account": _Call((2,)),
        "sp_adddistributor": _Call((3,)),
        "sp_changedistributor_password": _Call((1,)),
        "sp_control_dbmasterkey_password": _Call((2,)),
        **dict.fromkeys(("encryptbypassphrase", "decryptbypassphrase", "pwdencrypt", "pwdcompare"), _Call((1,))),
        **dict.fromkeys(("decryptbycert", "decryptbyasymkey", "signbycert", "signbyasymkey"), _Call((3,))),
        **dict.fromkeys(("decryptbykeyautocert", "decryptbykeyautoasymkey"), _Call((2,))),
    },
}
_EVERY_ARGUMENT = _Call(tuple(range(1, 25)))
_MAX_ARGUMENTS = 24

# What one text may cost. Behind more words that announce a password the rest of a text is removed; behind more strings
# to look into, those strings are. No honest statement comes near.
_MAX_WORDS = 500
_MAX_INNER = 300
_MAX_ARGUMENT_TOKENS = 20_000
_MAX_VARIABLES = 20
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
    for engine, calls in _CALLS.items()
}

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
_TOKEN = re.compile(r"@*+[^\W\d][\w$#@]*+|;[;\s]*+")
_SPACE = re.compile(r"\s*+")
_BEHIND_NAME = re.compile(r"[\"`\]]?+\s*+")
_OPERATOR = re.compile(r":=|=>|=|\bto\b(?=\s*+(?:[neu]&?)?')")
_TYPED = re.compile(r"(?:as\s++|constant\s++)?+[\w.\[\]]++(?:\s*+\([^()]{,40}+\))?+\s*+(?::=|=(?!=)|\bdefault\b)")
_FOR_USER = re.compile(r"for\s++[^=;]{1,300}+=")
_BEHIND_IDENTIFIED = {
    "postgresql": r"by\s*+(?:values\s*+)?+",
    "mysql": r"(?:(?:with|via)\s*+[^\s']*+(?:'[^']*+')?+\s*+)?+(?:by|as|using)\b\s*+(?:password\s*+)?+",
    "oracle": r"by\s*+(?:values\s*+)?+",
    "sqlserver": r"by\s*+",
}
_IDENTIFIED = {engine: re.compile(rf"\s*+{behind}") for engine, behind in _BEHIND_IDENTIFIED.items()}
_NO_PASSWORD = re.compile(r"random\s++password\b|external\s++store\b")
_NEXT_PASSWORD = re.compile(
    r"\s*+(?:replace\b|set\b(?!\s++\w++\s*+=)|,(?!\s*+[^\s,]++\s++(?:identified|as|container)\b))\s*+"
)
_REPLACES = re.compile(r"\s*+replace\b\s*+")
_CONCATENATED = re.compile(r"\s*+(?:\+|\|\|)")
_OPENROWSET = re.compile(rf"\s*+\(\s*+{_STRING}\s*+,\s*+{_STRING}\s*+;\s*+{_STRING}\s*+;\s*+")
_CREDENTIAL_TABLE = {
    "postgresql": re.compile(r"\bpg_authid\b|\bpg_shadow\b|\bpg_user_mapping\b"),
    "mysql": re.compile(r"\bmysql`?\s*+\.\s*+`?(?:user|servers|slave_master_info|slave_relay_log_info)\b"),
    "oracle": re.compile(r"\buser\$|\blink\$"),
    "sqlserver": re.compile(r"\bsys\.?(?:xlogins|logins|sql_logins|lnklgns)\b"),
}
_WRITES = re.compile(r"\b(?:insert|update|replace|merge)\b")
_ARGUMENT_TOKEN = re.compile(r"[(),;]|'[^']*+'?+|\"[^\"]*+\"?+|@\w++(?=\s*+=)|[^\s(),;'\"]++")

# Connection strings, in the content of a string.
_CONNECTING = re.compile(
    r"\bconnection\b|dblink|openrowset|opendatasource|conninfo|provstr|addlinkedserver|\bprogram\b|xp_cmdshell"
    r"|create_credential|\bserver\b|subscription"
)
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
_COMMAND_SECRET = re.compile(
    r"(?P<head>\b(?:sqlcmd|osql|isql|bcp)\b[^;|&]{,300}?\s-P\s*+|--password[ =]\s*+|\bnet\s++user\s++[^\s/]++\s++)"
    r"(?P<secret>[^\s'\"/]++)"
)


@dataclass(slots=True)
class Cleaned:
    """A text without passwords; whether it sets or proves one, with a value or a parameter."""

    text: str
    found: bool = False


@dataclass(slots=True)
class _Budget:
    """What is left of it, for a text and all that its strings hold."""

    words: int = _MAX_WORDS
    inner: int = _MAX_INNER
    argument_tokens: int = _MAX_ARGUMENT_TOKENS


@dataclass(slots=True)
class _Edits:
    """What to replace in a text, as (start, end, by what); whether a password is open at its end, or may be."""

    spans: list[tuple[int, int, str]] = field(default_factory=list)
    found: bool = False
    is_open: bool = False
    may_be_open: bool = False


def may_hold_password(text: str, engine: str) -> bool:
    """Whether a closer look is needed. It never is for most texts, so this is all that they cost."""
    lower = text.lower()
    for hint in _HINTS_OF[engine]:  # noqa: SIM110 a generator would cost as much again
        if hint in lower:
            return True
    return False


def without_passwords(text: str, engine: str) -> Cleaned:
    """A statement with `<REDACTED>` for each password."""
    engine = known_engine(engine)
    if not may_hold_password(text, engine):
        return Cleaned(text)
    readable, depth = unescaped(text) if engine == "mysql" else (text, 0)
    edits = _edits(readable, engine, 0, _Budget())
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
    head = _HEAD_OF_CONTINUATION.match(text) if continued else None
    if head is None and not may_hold_password(text, engine):
        return Cleaned(text)
    outside = _edits(text, engine, 0, _Budget())
    inside = _edits(f"'{text}", engine, 0, _Budget())
    spans = outside.spans + [(max(start - 1, 0), end - 1, by) for start, end, by in inside.spans if end > 1]
    if head:
        spans.append((*head.span("secret"), REDACTED))
    found = outside.found or inside.found
    return Cleaned(_applied(text, _Edits([(start, end, REDACTED) for start, end, _ in spans])), found)


_HEAD_OF_CONTINUATION = re.compile(
    r"(?:\s*+(?:\w{,20}+\s*+=\s*+)?+(?=[nN]?'))?+(?P<secret>[nN]?'(?:[^']|'')*+'?|[^\s']{1,128}+(?='))"
)


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
        start, end = match.span()
        kind, length = match.lastgroup or "", end - start
        content = match[0]
        if length > _SHORTEST_INNER:
            inner.append((start, end, kind))
        if kind == "comment":
            return " " * length
        if kind in ("name", "maybe"):
            closed = length > 1 and content[-1] in '"`]'
            if length > _LONGEST_NAME:
                return content[0] + "\x02" * (length - 1 - closed) + content[length - closed :]
            return content[0] + _ODD.sub("\x02", content[1 : length - closed]) + content[length - closed :]
        closed = length > 1 and content[-1] == content[0]
        return f"'{_MASK * (length - 1 - closed)}{chr(39) if closed else ''}"

    # A comment in comments is as long as what replaces it: positions stay.
    lower = _lower(replaced(code, engine, QUOTES[engine], masked))
    if engine == "mysql":
        lower = lower.replace("*/", "  ")
    edits = _Edits()
    _Walk(text, lower, engine, edits, budget).walk()
    connecting = bool(_CONNECTING.search(lower))
    for start, end, kind in inner:
        _edit_inner(text, start, end, kind, engine, connecting, edits, depth, budget)
    return edits


_MASK = "\x01"
_ODD = re.compile(r"[^\w$#@ .-]")
_SHORTEST_INNER = 8  # characters: no statement and no connection string is shorter


def _lower(text: str) -> str:
    """In lower case, each character where it was: `İ` would become two."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c if len(c.lower()) != 1 else c.lower() for c in text)


@dataclass(slots=True)
class _Walk:
    """One pass over a text's words outside of literals, comments and names, with what the words before them mean."""

    text: str
    lower: str
    engine: str
    edits: _Edits
    budget: _Budget
    position: int = 0
    ordinary: bool = False
    verb: str = ""
    created: str = ""
    mapping: bool = False
    variables: set[str] = field(default_factory=set)

    def walk(self) -> None:
        kinds = _KINDS[self.engine]
        credentials = bool(_CREDENTIAL_TABLE[self.engine].search(self.lower) and _WRITES.search(self.lower))
        if credentials:
            self._redact_strings(0, len(self.lower))
        previous = ";"
        for token in _TOKEN.finditer(self.lower):
            if token.start() < self.position:
                continue
            word = token[0] if token[0][0] != ";" else ";"
            kind = kinds.get(word)
            if kind is None and word[-2:] in _SECRET_ENDS and word.endswith(_SECRET_NAMES):
                kind = _Kind.SECRET
            if kind is not None:
                self._step(kind, word, token.end(), previous)
            if self.mapping and word not in _HARMLESS_OPTIONS and token.end() >= self.position:
                behind = _behind_name(self.lower, token.end())
                if self._is_string(behind):
                    self._take(behind)
            if previous in _CREATING and not self.created:
                self.created = word
                if word == "user" and self.lower.startswith("mapping", _blank(self.lower, token.end())):
                    self.mapping = True
            previous = word
        for variable in sorted(self.variables)[:_MAX_VARIABLES]:
            self._assigned(variable)

    def _step(self, kind: _Kind, word: str, end: int, previous: str) -> None:
        if kind is _Kind.FRESH:
            self.verb, self.ordinary, self.created, self.mapping = "", False, "", False
        elif kind is _Kind.ORDINARY:
            # IF EXISTS and the clauses of Oracle's key management do not begin another statement.
            self.ordinary = self.verb != "administer" and not (word == "if" and self.created)
        elif kind is _Kind.REPLACE:
            self.ordinary = self.ordinary or previous in _FRESH
        elif kind is _Kind.ADMINISTRATIVE:
            self.verb, self.ordinary, self.created, self.mapping = word, False, "", False
        elif kind is _Kind.OPENROWSET:
            opening = _OPENROWSET.match(self.lower, end)
            if opening:
                self._take(opening.end())
        else:
            self.budget.words -= 1
            if self.budget.words < 0:
                self._redact_rest(end)
            elif kind is _Kind.IDENTIFIED:
                self._identified(end)
            elif word in _CALLS[self.engine] and (self.engine == "sqlserver" or self._is_call(end)):
                self._call(_CALLS[self.engine][word], end)
            elif word.endswith(_SECRET_NAMES):
                self._named(word, end)

    def _is_call(self, position: int) -> bool:
        return self.lower.startswith("(", _blank(self.lower, position))

    def _is_string(self, position: int) -> bool:
        return _MASKED_STRING.match(self.lower, position) is not None

    def _redact_rest(self, position: int) -> None:
        self.edits.found = True
        self.edits.spans.append((position, len(self.lower), REDACTED))
        self.position = len(self.lower)

    def _named(self, word: str, position: int) -> None:
        """A name that is a password's: what is assigned to it, or stands directly behind it."""
        behind = _behind_name(self.lower, position)
        operator = _OPERATOR.match(self.lower, behind)
        own = word.startswith("@") or (operator is not None and operator[0] in (":=", "=>"))
        if operator is None:
            typed = _TYPED.match(self.lower, behind)
            declares = self.engine == "oracle" and self.created not in _COLUMNS
            if typed and (word.startswith("@") or (declares and typed[0].endswith((":=", "default")))):
                self._take(_blank(self.lower, typed.end()))
                return
            if word == "password" and not self.ordinary:
                operator = _FOR_USER.match(self.lower, behind)
        if operator is not None:
            if own or not self.ordinary:
                self._take(_blank(self.lower, operator.end()))
                replaces = _REPLACES.match(self.lower, self.position)
                if replaces and self.engine == "mysql":
                    self._take(replaces.end())
            return
        if self.ordinary:
            return
        values = (*_MASKED, '"') if word == "secret" and self.engine == "oracle" else _MASKED
        if behind >= len(self.lower):
            self.edits.found = self.edits.is_open = True
        elif self._is_string(behind) or self.lower.startswith(values, behind):
            self._take(behind)
        elif self.lower.startswith(("$", "?", ":", "%"), behind):
            self.edits.found = self.edits.is_open = True
        elif word == "password" and self.engine == "postgresql" and self.created in _PRINCIPALS:
            self._take(behind)

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
            self._call(_EVERY_ARGUMENT, end)
            return True
        self.edits.found = True
        if found.startswith("@"):
            self.variables.add(found)
        elif found.startswith((":", "?", "$", "%")):
            self.edits.is_open = True
        elif found not in _MASKED and not _is_masked_by_engine(self.text[start:end]):
            self.edits.spans.append((start, end, REDACTED))
            if end == len(self.lower):
                quoted = found.lstrip("nexbuq_&")
                unterminated = quoted[:1] in ("'", '"') and (len(quoted) == 1 or quoted[-1] != quoted[0])
                self.edits.is_open = self.edits.is_open or unterminated
                self.edits.may_be_open = True
        return True

    def _assigned(self, variable: str) -> None:
        """Redact what is assigned to a variable that is given as a password."""
        for match in re.finditer(rf"{re.escape(variable)}(?![\w$#@])\s*+(?:{_TYPED.pattern}|:?=)", self.lower):
            self.position = 0
            self._take_strings(_blank(self.lower, match.end()))

    def _take_strings(self, position: int) -> None:
        value = _VALUES[self.engine].match(self.lower, position)
        if value and not value[0].startswith("@"):
            self.edits.spans.append((*value.span(), REDACTED))

    def _redact_strings(self, start: int, end: int) -> None:
        for string in _MASKED_STRING.finditer(self.lower, start, end):
            self.edits.found = True
            self.edits.spans.append((*string.span(), REDACTED))

    def _call(self, call: _Call, position: int) -> None:
        """The secret arguments of a call, in parentheses or, in SQL Server, behind EXECUTE."""
        start = _blank(self.lower, _behind_name(self.lower, position))
        parenthesized = self.lower.startswith("(", start)
        if not parenthesized and self.engine != "sqlserver":
            return
        depth, number, name = 0, 1, ""
        first = last = -1
        for token in _ARGUMENT_TOKEN.finditer(self.lower, start + parenthesized):
            self.budget.argument_tokens -= 1
            text = token[0]
            if self.budget.argument_tokens < 0:
                self._redact_rest(start)
                return
            closes = (text == ")" and depth == 0) or (text == ";" and depth == 0)
            closes = closes or (not parenthesized and text in _ENDS_EXECUTE)
            if closes or (text == "," and depth == 0):
                self._argument(call, number, name, first, last)
                number, name, first = number + 1, "", -1
                if closes or number > _MAX_ARGUMENTS:
                    return
                continue
            depth += (text == "(") - (text == ")")
            if first < 0 and _ASSIGNS.match(self.lower, token.end()):
                name = text
                continue
            if first < 0 and name and not text.strip("=>"):
                continue
            first = token.start() if first < 0 else first
            last = token.end()
        self._argument(call, number, name, first, last)

    def _argument(self, call: _Call, number: int, name: str, first: int, last: int) -> None:
        secret = name in call.names or name.endswith(_SECRET_NAMES) if name else number in call.positions
        if not secret or first < 0:
            return
        argument = self.lower[first:last]
        self.edits.found = True
        if re.fullmatch(r"@[\w$#@]++", argument):
            self.variables.add(argument)
        elif argument != "null" and not re.fullmatch(r"[:$?][\w]*+", argument):
            self.edits.spans.append((first, last, REDACTED))


_ASSIGNS = re.compile(r"\s*+=")
_MASKED_STRING = re.compile(_STRING)
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


def _edit_inner(
    text: str,
    start: int,
    end: int,
    kind: str,
    engine: str,
    connecting: bool,
    edits: _Edits,
    depth: int,
    budget: _Budget,
) -> None:
    """Passwords in what a string, a comment or a body holds: a statement, or a connection string."""
    whole = text[start:end]
    lower = whole.lower()
    hints = [hint for hint in _HINTS_OF[engine] if hint in lower]
    if not hints and not (connecting and "-P" in whole):
        return
    if hints == ["://"] and depth == 0 and not connecting:
        cleaned = _URI_SECRET.sub(rf"\g<head>{REDACTED}", whole)
        if cleaned != whole:
            edits.found = True
            edits.spans.append((start, end, cleaned))
        return
    if kind in ("name", "maybe") and engine != "sqlserver":
        return
    budget.inner -= 1
    if budget.inner < 0:
        edits.found = True
        edits.spans.append((start, end, REDACTED))
        return
    opening, content, closing = _parts(whole, kind)
    escapes = "\\" in content and kind == "literal" and engine in ("mysql", "postgresql")
    plain = _decoded(content, opening, escapes)
    if depth >= _DEPTH:
        edits.spans.append((start, end, REDACTED))
        return
    inner = _edits(plain, engine, depth + 1, budget)
    cleaned = _applied(plain, inner)
    edits.found = edits.found or inner.found
    if kind != "comment" and not _SQL_VERB.match(plain):
        cleaned = _without_connection_secrets(cleaned, connecting)
    if cleaned != plain:
        edits.found = True
        edits.spans.append((start, end, f"{opening}{_encoded(cleaned, opening, escapes)}{closing}"))
    goes_on = inner.is_open or (inner.may_be_open and _CONCATENATED.match(text, end))
    if goes_on and kind in ("literal", "maybe"):
        _spill(text, end, engine, edits)


def _spill(text: str, position: int, engine: str, edits: _Edits) -> None:
    """A password that a string leaves open goes on in the literals behind it, up to the end of the statement."""
    if edits.is_open:
        return
    edits.is_open = True
    spilled = 0
    for match in QUOTES[engine].finditer(text, position):
        if ";" in text[position : match.start()]:
            return
        position = match.end()
        if match.lastgroup in ("literal", "dollar", "maybe"):
            edits.spans.append((*match.span(), REDACTED))
            spilled += 1
        if spilled > _MAX_INNER:
            edits.spans.append((position, len(text), REDACTED))
            return


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
        content = re.sub(r"\\([\s\S])", r"\1", content)
    return content.replace(opening * 2, opening) if opening in "'\"" else content


def _encoded(content: str, opening: str, escapes: bool) -> str:
    if escapes:
        content = content.replace("\\", "\\\\")
    return content.replace(opening, opening * 2) if opening in "'\"" else content


def _without_connection_secrets(content: str, connecting: bool) -> str:
    content = _URI_SECRET.sub(rf"\g<head>{REDACTED}", content)
    if connecting or _CONNECTION_KEY.search(content):
        secret = _SEPARATED_SECRET if ";" in content else _SPACED_SECRET
        content = secret.sub(rf"\g<head>{REDACTED}", content)
    return _COMMAND_SECRET.sub(rf"\g<head>{REDACTED}", content) if connecting else content

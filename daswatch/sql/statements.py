"""SQL text as far as Daswatch needs to understand it: its leading words, and itself without its literals.

No parser: four dialects, truncated texts and attackers' texts must all get an answer, in linear time. An unterminated
literal or comment therefore reaches to the end of the text. What the session's settings decide (backslashes in MySQL's
and PostgreSQL's strings, double quotes in SQL Server) is not in an event: a hash takes the default, while redaction
removes whatever any setting makes a literal (docs/decisions/0022-text.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b

# Statements repeat, so a cache spares most scans. Longer texts stay out of it: it must not grow past some 16 MiB.
CACHED_STATEMENTS = 4096
CACHED_CHARACTERS = 2048
_CACHED_SHAPES = 1024  # statements without their literals; a database has some hundreds
_CACHED_NAME = 64  # characters

ENGINES = ("postgresql", "mysql", "oracle", "sqlserver")
_OTHER_ENGINE = "postgresql"  # an engine that we do not know is read by the standard's quoting

# The scanner looks for the first character of what it replaces and then asks what stands there: a search for one set
# of characters is many times as fast as trying each alternative at each position.
_FIRST = {
    "postgresql": r"[-/'\"0-9$]",
    "mysql": r"[-/'\"0-9#?`]",
    "oracle": r"[-/'\"0-9:]",
    "sqlserver": r"[-/'\"0-9$\[]",
}
# Whatever is not ASCII is a letter to PostgreSQL: in names, in the tags of dollar quotes.
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_NOT_IN_WORD = rf"(?<![{_LETTER}0-9$#@])"
_TO_THE_END = r"(?s:.)*+"

_LINE_COMMENT = r"(?<=-)-[^\r\n]*+"
# Oracle and SQL Server do not document whether a carriage return alone ends a comment.
_UNCERTAIN_LINE_COMMENT = rf"{_LINE_COMMENT}(?:\r(?!\n){_TO_THE_END})?+"
_BLOCK_COMMENT = r"(?<=/)\*(?:[^*]++|\*(?!/))*+(?:\*/)?+"
_QUOTED = r"(?<=')(?:[^']++|'')*+'?+"
_BACKSLASHED = r"(?<={0})(?:[^{0}\\]++|\\[\s\S]|{0}{0})*+\\?+{0}?+"
# Whether a backslash escapes the quote behind it depends on the session: nothing behind it is certain.
_UNCERTAIN_QUOTED = rf"(?<={{0}})(?:[^{{0}}\\]++|{{0}}{{0}}|\\[^{{0}}])*+(?:\\{_TO_THE_END}|{{0}}?+)"
_NAME = r'(?<=")(?:[^"]++|"")*+"?+'
# Whatever begins with a digit, in all spellings: 1.5e-3, 0xFF, 1_000, 2d. Digits within a word are not a number: t_1.
_NUMBER = r"(?<=\d)(?<![\w$#@]\d)(?:[\w.]++|(?<=[eE])[+-](?=\d))*+"
_BRACKETED = {"[": "]", "{": "}", "<": ">", "(": ")"}
_ORACLE_Q = "|".join(
    rf"{re.escape(opening)}[\s\S]*?(?:{re.escape(closing)}'|\Z)" for opening, closing in _BRACKETED.items()
)


def _prefixed(letters: str) -> str:
    """A quote directly behind one of these letters, which is not the end of a word: `like'x'` has no prefix."""
    return rf"(?<={_NOT_IN_WORD}[{letters}]')"


_COMMENT_DEPTH = 4


def _nested_comment(depth: int) -> str:
    """Aurora PostgreSQL and SQL Server nest block comments. `_end_of_comment` counts what is deeper."""
    inside = r"[^*/]++|\*(?!/)|/(?!\*)"
    nested = rf"{inside}|(?P<deep>/\*){_TO_THE_END}"
    for _ in range(depth):
        nested = rf"{inside}|/\*(?:{nested})*+(?:\*/|\Z)"
    return rf"(?<=/)\*(?:{nested})*+(?:\*/)?+"


_NESTED_COMMENT = _nested_comment(_COMMENT_DEPTH)
_COMMENT_DELIMITER = re.compile(r"/\*|\*/")

# Per engine: comments, literals (bound parameters among them), quoted names. The order decides.
_MYSQL_LINE_COMMENT = r"(?<=-)-(?=[\x00-\x20\x7f]|\Z)[^\n]*+|(?<=\#)[^\n]*+"  # two dashes and no space: two minus signs
_COMMENTS = {
    "postgresql": rf"{_LINE_COMMENT}|{_NESTED_COMMENT}",
    "mysql": rf"{_MYSQL_LINE_COMMENT}|{_BLOCK_COMMENT}",
    "oracle": rf"{_LINE_COMMENT}|{_BLOCK_COMMENT}",
    "sqlserver": rf"{_LINE_COMMENT}|{_NESTED_COMMENT}",
}
_UNCERTAIN_COMMENTS = _COMMENTS | {
    "oracle": rf"{_UNCERTAIN_LINE_COMMENT}|{_BLOCK_COMMENT}",
    "sqlserver": rf"{_UNCERTAIN_LINE_COMMENT}|{_NESTED_COMMENT}",
}
_ESCAPED = rf"{_prefixed('eE')}(?:[^'\\]++|\\[\s\S]|'')*+\\?+'?+"
_ORACLE_QUOTED = (
    rf"(?:{_prefixed('qQ')}|(?<={_NOT_IN_WORD}[nN][qQ]'))"
    rf"(?:{_ORACLE_Q}|(?P<q>[^ \t\r\n])[\s\S]*?(?:(?P=q)'|\Z))|{_QUOTED}|(?<=:)\w++"
)
_SQLSERVER_LITERALS = rf"{_QUOTED}|(?<=\$)\d[\d.,]*+"
_LITERALS = {
    "postgresql": rf"{_ESCAPED}|{_QUOTED}|(?<=\$)\d++",
    # Without ANSI_QUOTES, which Aurora leaves off, "…" is a literal too.
    "mysql": rf"{_BACKSLASHED.format(chr(39))}|{_BACKSLASHED.format(chr(34))}|(?<=\?)",
    "oracle": _ORACLE_QUOTED,
    "sqlserver": _SQLSERVER_LITERALS,
}
_QUOTED_LITERALS = {
    "postgresql": rf"{_ESCAPED}|{_QUOTED}",
    "mysql": rf"{_BACKSLASHED.format(chr(39))}|{_BACKSLASHED.format(chr(34))}",
    "oracle": _ORACLE_QUOTED.removesuffix(r"|(?<=:)\w++"),
    "sqlserver": _QUOTED,
}
_UNCERTAIN_LITERALS = _LITERALS | {
    "postgresql": rf"{_ESCAPED}|{_UNCERTAIN_QUOTED.format(chr(39))}|(?<=\$)\d++",
    "mysql": rf"{_UNCERTAIN_QUOTED.format(chr(39))}|{_UNCERTAIN_QUOTED.format(chr(34))}|(?<=\?)",
}
# QUOTED_IDENTIFIER decides what "…" is in SQL Server: behind or in front of a dot it is a name for certain.
_SQLSERVER_NAME = rf"(?P<maybe>{_NAME})"
_SQLSERVER_DOTTED = rf'(?<=[\w\]"]\."){_NAME}|{_NAME}(?=\.(?:["\[]|[^\W\d]))'
_NAMES = {
    "postgresql": _NAME,
    "mysql": r"(?<=`)(?:[^`]++|``)*+`?+",
    "oracle": _NAME,
    "sqlserver": rf"(?<=\[)(?:[^\]]++|\]\])*+\]?+|{_SQLSERVER_DOTTED}",
}
_DOLLAR_QUOTED = (
    rf"(?<!{'[' + _LETTER + '0-9$]'}\$)(?<=\$)"
    rf"(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*+)?+\$)(?P<body>[\s\S]*?)(?:\$(?P=tag)|\Z)"
)


class Patterns(dict[str, re.Pattern[str]]):
    """Patterns by engine or word, each compiled when it is first needed.

    All of them take 0.1 s of a cold start, and a deployment seldom has more than two engines.
    """

    def __init__(self, expressions: Mapping[str, str]) -> None:
        super().__init__()
        self.expressions = expressions

    def __missing__(self, key: str) -> re.Pattern[str]:
        pattern = self[key] = re.compile(self.expressions[key])
        return pattern


def _scanner(engine: str, comments: str, literals: str, first: str) -> str:
    maybe_name = f"|{_SQLSERVER_NAME}" if engine == "sqlserver" else ""
    dollar_quoted = f"|(?P<dollar>{_DOLLAR_QUOTED})" if engine == "postgresql" else ""
    return (
        rf"{first}(?:(?P<literal>{literals})|(?P<comment>{comments})"
        rf"|(?P<name>{_NAMES[engine]}){maybe_name}{dollar_quoted})"
    )


def _scanners(comments: dict[str, str], literals: dict[str, str], first: dict[str, str]) -> Patterns:
    return Patterns(
        {
            engine: _scanner(engine, comments[engine], rf"{_NUMBER}|{literals[engine]}", first[engine])
            for engine in ENGINES
        }
    )


SCANNERS = _scanners(_COMMENTS, _LITERALS, _FIRST)
# For texts that keep their names; those of SQL Server that are letters in brackets need no look. Two brackets do not
# end a name: `[a]]'b]` is one.
_FIRST_TO_REPLACE = _FIRST | {"sqlserver": r"(?:[-/'\"0-9$]|\[(?![^\W\d]*+\](?!\])))"}
_STRIPPERS = _scanners(_COMMENTS, _LITERALS, _FIRST_TO_REPLACE)
# The same with what is not certain: one match reaches from there to the end of the text.
_CERTAIN_STRIPPERS = _scanners(_UNCERTAIN_COMMENTS, _UNCERTAIN_LITERALS, _FIRST_TO_REPLACE)
# Quotes and comments alone: no numbers, no parameters, and of SQL Server's names in brackets those that hold a quote.
_FIRST_QUOTE = {engine: re.sub("0-9|[?:]", "", first) for engine, first in _FIRST.items()}
_FIRST_QUOTE["sqlserver"] = r"(?:[-/'\"]|\[(?![\w$#@ .]*+\](?!\])))"
QUOTES = Patterns(
    {
        engine: _scanner(engine, _COMMENTS[engine], _QUOTED_LITERALS[engine], first)
        for engine, first in _FIRST_QUOTE.items()
    }
)


def literal_scanners(number: str) -> Patterns:
    """Scanners of `plain` texts for literals, with this form of numbers, but for no parameters."""
    return Patterns({engine: rf"{_FIRST[engine]}(?:{number}|{_QUOTED_LITERALS[engine]})" for engine in ENGINES})


def code_scanners(number: str) -> Patterns:
    """The same for any text: for comments and names in quotes too."""
    return Patterns(
        {
            engine: _scanner(engine, _COMMENTS[engine], rf"{number}|{_QUOTED_LITERALS[engine]}", _FIRST[engine])
            for engine in ENGINES
        }
    )


_LITERAL_SCANNERS = Patterns({engine: rf"{_FIRST[engine]}(?:{_NUMBER}|{_LITERALS[engine]})" for engine in ENGINES})
# Where one of these stands, comments, quoted names or code have to be kept apart from literals.
_NOT_PLAIN = {
    "postgresql": re.compile(r"[\"]|\$(?!\d)|--|/\*"),
    "mysql": re.compile(r"[`#]|--|/\*"),
    "oracle": re.compile(r"[\"]|--|/\*"),
    "sqlserver": re.compile(r"[\"\[]|--|/\*"),
}
# What holds nothing of that but names that are words, which neither a hash nor redaction changes.
_PLAIN_BUT_FOR_NAMES = {
    "postgresql": re.compile(
        r"(?:[^\"'$/\\-]++|'[^'\\]*+'|\"[a-z_][a-z0-9_]*+\"(?!\")|\$(?=\d)|-(?!-)|/(?!\*))*+", re.ASCII
    ),
    "mysql": re.compile(r"(?:[^`\"'#/\\-]++|'[^'\\]*+'|\"[^\"\\]*+\"|`[A-Za-z_]\w*+`(?!`)|-(?!-)|/(?!\*))*+", re.ASCII),
    "oracle": re.compile(r"(?:[^\"'/-]++|(?<![qQ])'[^']*+'|\"[a-z_][a-z0-9_]*+\"(?!\")|-(?!-)|/(?!\*))*+"),
    "sqlserver": re.compile(r"(?:[^\"'\[/-]++|'[^']*+'|\[[A-Za-z_]\w*+\](?!\])|-(?!-)|/(?!\*))*+", re.ASCII),
}
_NAME_OR_COMMENT = re.compile(r"[\"]|--|/\*")
_UNCERTAIN = {"postgresql": "\\", "mysql": "\\", "oracle": "\r", "sqlserver": "\r"}
_NESTING = frozenset({"postgresql", "sqlserver"})

# Behind FROM, AS and the like as well only a name can stand in SQL Server.
_NAMING_WORDS = ("from", "join", "into", "update", "table", "as")
_SHORTEST_NAMING_WORD = min(map(len, _NAMING_WORDS))
_ENDS_OF_NAMING_WORDS = frozenset(end for word in _NAMING_WORDS for end in (word[-1], word[-1].upper()))
_BEHIND_NAMING_WORD = re.compile(rf"\b(?:{'|'.join(_NAMING_WORDS)})\Z")
_LOOK_BACK = 16  # characters

# Dollar quotes hold code directly behind AS or DO; how PostgreSQL's own two languages quote is known.
_CODE_DEPTH = 3  # code within code within code: what is deeper counts as a literal
_MAY_HOLD_CODE = re.compile(r"\b(?:do|function|procedure)\b", re.IGNORECASE)
_DO = re.compile(r"(?:\A|;)[\s(]*+do\b(?P<head>[^;$]*+)(?P<code>\$)?+(?P<tail>[^;]*+)", re.IGNORECASE)
_CREATE_FUNCTION = re.compile(
    r"(?:\A|;)[\s(]*+create\s++(?:or\s++replace\s++)?(?:function|procedure)\b(?P<text>[^;]*+)", re.IGNORECASE
)
_AS_CODE = re.compile(r"\bas\s*+(?P<code>\$)", re.IGNORECASE)
_LANGUAGE = re.compile(r"\blanguage\s*+(?P<name>'[^']*+'|\"[^\"]*+\"|\w++)", re.IGNORECASE)
_OWN_LANGUAGES = frozenset({"sql", "plpgsql"})

# What may stand before a statement's first word.
_BLANK = re.compile(r"(?:[\s(;]++|\*/)*+")
_COMMENT_HERE = {engine: re.compile(rf"[-/#](?:{comments})") for engine, comments in _COMMENTS.items()}
# The same for texts that are too long for more: in every engine, and not what MySQL may execute.
_PADDING = re.compile(r"(?:[\s(;]++|/\*(?!M?!)(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/|(?:--|\#)[^\r\n]*+(?=[\r\n]))*+")
_WORD = re.compile(r"[^\W\d][\w$]*+")
_WORD_OR_PARENTHESIS = re.compile(r"[()]|[^\W\d][\w$]*+")
_BEHIND_CTE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"})

# In front of MySQL's first quote: whether it stands behind a backslash shows whether the text is escaped.
_MYSQL_ESCAPED = re.compile(
    rf"(?:[^'\"\\`\#/-]++|\\(?!['\"])|[-/\#](?:{_COMMENTS['mysql']})|`(?:{_NAMES['mysql']})|[-/])*+\\['\"]"
)
_MYSQL_BARE_QUOTE = re.compile(r"(?<!\\)(?:\\\\)*+['\"]")
_MYSQL_EXECUTABLE_COMMENT = re.compile(r"/\*M?!\d*+")
# An executable comment is code or a comment, as the server's version decides: without quotes in it that is the same.
_MYSQL_UNCERTAIN_COMMENT = re.compile(r"/\*M?!(?!(?:[^'\"`\#/*\\-]|-(?!-)|/(?!\*)|\*(?!/))*+\*/)")
_MAX_ESCAPE_DEPTH = 4

# What stands before a quote and belongs to the literal: N'…', E'…', q'…', _utf8'…', U&'…'.
_PREFIXED = re.compile(r"(?:\b(?:_\w++|[bBxXnNeEqQ]|[nN][qQ])|\b[uU]&)(?=\?)")
_MAYBE_PREFIXED = re.compile(r"\?(?<=[\w&]\?)")

# SQL Server's EXECUTE takes words without quotes for text: `exec p Smith`. The first statement needs no EXECUTE.
_ARGUMENT = (
    r"(?:@\w++\s*+=\s*+)?+(?:[-+]?\?|@@?+[\w$#]++|\[(?:[^\]]|\]\]){,260}+\]|[^\W\d@][\w$#@]*+)(?:\s++out(?:put)?\b)?+"
)
_PROCEDURE = r"(?:[\w$#@]++|\[(?:[^\]]|\]\]){,260}+\]|\"(?:[^\"]|\"\"){,260}+\")"
_ARGUMENTS = rf"{_PROCEDURE}(?:\.++{_PROCEDURE})*+(?:;\?)?+\s*+(?P<arguments>{_ARGUMENT}(?:\s*+,\s*+{_ARGUMENT})*+)"
_SQLSERVER_WORDS = (
    "add|alter|backup|begin|bulk|checkpoint|close|commit|create|dbcc|deallocate|declare|delete|deny|disable|drop|enable"
    "|exec|execute|fetch|goto|grant|if|insert|kill|merge|open|print|raiserror|readtext|receive|reconfigure|restore"
    "|return|revert|revoke|rollback|save|select|send|set|setuser|shutdown|throw|truncate|update|updatetext|use"
    "|waitfor|while|with|writetext"
)
_EXECUTE = re.compile(rf"\bexec(?:ute)?\b\s*+(?:@\w++\s*+=\s*+)?+{_ARGUMENTS}", re.IGNORECASE)
_FIRST_CALL = re.compile(rf"\A[\s;]*+(?!(?:{_SQLSERVER_WORDS})\b){_ARGUMENTS}\s*+(?:;|\Z)", re.IGNORECASE)
_BARE_ARGUMENT = re.compile(
    rf"@\w++(?:\s*+=)?+|\s++out(?:put)?\b|(?P<bare>\[(?:[^\]]|\]\]){{,260}}+\]|\b(?!(?:{_SQLSERVER_WORDS}|null|default)\b)[^\W\d@][\w$#@]*+)",
    re.IGNORECASE,
)
# PostgreSQL's SET takes words without quotes for text as well: `set app.customer to Smith`.
_SET = re.compile(
    r"((?:\A|;)\s*+(?:alter\b(?:(?!\bset\b)[^;])*+)?+\bset\s++(?:(?:session|local)\s++)?+(?P<name>(?:[\w.]++|\"(?:[^\"]|\"\"){,260}+\")++)\s*+(?:=|to\b)\s*+)"
    r"(?P<words>[^\W\d][\w$]*+(?:\s*+,\s*+[^\W\d][\w$]*+)*+)",
    re.IGNORECASE,
)
# The same among the clauses of a function, of a setting of users, which has a dot.
_ROUTINE_SET = re.compile(
    r"(\bset\s++(?P<name>[\w\"]++\.[\w.\"]++)\s*+(?:=|to\b)\s*+)(?P<words>[^\W\d][\w$]*+(?:\s*+,\s*+[^\W\d][\w$]*+)*+)",
    re.IGNORECASE,
)
# Oracle's ALTER SESSION and ALTER SYSTEM take words for text as well; the values of these parameters are names.
_ORACLE_SET = re.compile(r"\balter\s++(?:session|system)\s++set\b(?P<parameters>[^;]*+)", re.IGNORECASE)
_ORACLE_PARAMETER = re.compile(
    r"(?P<head>(?P<name>[\w$#]++)\s*+=\s*+)(?P<value>\"[^\"]*+\"?+|[^\W\d][\w$#.]*+)", re.IGNORECASE
)
_ORACLE_SET_TO_NAMES = frozenset(
    {"current_schema", "container", "edition", "isolation_level", "constraint", "constraints", "default_collation"}
    | {"optimizer_mode", "statistics_level", "cursor_sharing", "scope", "audit_trail", "workarea_size_policy"}
    | {"row_archival", "parallel_degree_policy", "plsql_code_type", "remote_login_passwordfile", "recyclebin"}
)
_SET_TO_NAMES = frozenset({"search_path", "role", "session_authorization", "client_encoding", "default_tablespace"})
_SET_TO_KEYWORDS = frozenset({"on", "off", "true", "false", "yes", "no", "default", "none", "all", "replica", "origin"})
_SET_TO_KEYWORDS |= {"local", "ddl", "mod", "read", "write", "misc", "function", "notice", "warning", "error", "log"}

# What a hash does not distinguish. These look at a text without literals, in lower case, with single spaces.
_VALUE_WORD = re.compile(r"(?<!\bis )(?<!\bnot )\b(?:null|true|false)\b")
# `union select null, null` counts columns, a step of an injection: their number and place make another statement.
_PROBED_COLUMNS = re.compile(r"\bselect (?:(?:all|distinct) )?+(?:null|\?)(?: ?, ?(?:null|\?))++")
_NEEDLESS_SPACE = re.compile(r" (?:(?=\W)|(?<=\W ))")
_SIGN = re.compile(
    r"((?:[=(,<>*/%|+-]|\b(?:select|values|then|else|limit|offset|between|and|or|return|set)))[+-]++(?=\?)"
)
_POINT = re.compile(r"(?<![\w\"`\])?.])\.(?=\?)")  # .5 is a number like 0.5
_LIST = re.compile(r"\?(?:,\?)++")
_ROWS = re.compile(r"\(\?\)(?:,\(\?\))++")
_ANY_NAME = r"(?:\"[^\"]{,300}+\"|`[^`]{,300}+`|\[[^\]]{,300}+\]|[^\W\d][\w$#@]*+)"
# Names that drivers make: of savepoints and cursors any, of prepared statements those with digits in them.
_NUMBERED = r"(?=[\"`\[]?[\w$#@]*?\d)"
_NAMING = (
    *("savepoint", "release", "rollback", "save", "declare", "fetch", "move", "close", "open"),
    *("prepare", "execute", "deallocate", "drop prepare"),
)
_MADE_NAME = re.compile(
    rf"\A((?:savepoint|release(?: savepoint)?|rollback(?: work| transaction| tran)?(?: to)?(?: savepoint)?"
    rf"|save tran(?:saction)?|declare(?={' ?' + _ANY_NAME + ' ?'}[a-z ]*?\bcursor\b)"
    rf"|(?:fetch|move)(?:[^;]*?\b(?:from|in))?|close|open|prepare(?={' ?' + _ANY_NAME + ' ?'}(?:\(|as\b|from\b))"
    rf"|deallocate(?: prepare)?|drop prepare) ?)(?!(?:savepoint|to|work|transaction|tran|prepare|all)\b){_ANY_NAME}"
)
_NUMBERED_STATEMENT = re.compile(rf"\A(execute ?){_NUMBERED}{_ANY_NAME}")
_CURRENT_OF = re.compile(rf"(\bcurrent of ?){_ANY_NAME}")
_PLAIN_NAME = re.compile(r"[\w$#@]+(?: [\w$#@]+)*")
_DIGIT = re.compile(r"\d")
_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_CLOSING = {'"': '"', "`": "`", "[": "]"}
_NAME_WITHIN = 400  # characters: a made name stands at the beginning
# Aurora MySQL distinguishes the case of tables, their aliases and databases, of nothing else.
_MYSQL_BEHIND = "from|join|into|update|table|tables|truncate|insert|replace|delete|view|references"
# Where a statement begins so, names stand behind these too.
_MYSQL_BEHIND_TOO = {
    **dict.fromkeys(("create", "drop"), "database|schema"),
    **dict.fromkeys(("create index", "create unique", "create fulltext", "create spatial", "drop index"), "on"),
    **dict.fromkeys(("grant", "revoke"), "on"),
    **dict.fromkeys(("use", "describe", "desc", "handler"), "use|describe|desc|handler"),
    "rename": "to",
}
_NOT_A_TABLE = (
    r"(?!(?:dual|outfile|dumpfile|where|on|using|set|join|inner|cross|left|right|natural|straight_join|order|group|having"
    r"|limit|union|except|intersect|for|lock|partition|use|ignore|force|window|into|procedure|as|values?|select|offset|end"
    r"|then|else|when|and|or|like|in|is|table|tables|from|update|truncate|insert|replace|delete|view|references|read|write"
    r"|low_priority|to|with|default|add|drop|alter|modify|change|rename|engine|cascade|restrict|default|returning)\b)"
)
_MYSQL_NAME = rf"{_NOT_A_TABLE}[\w.$`]++"


def _mysql_tables(behind: str) -> str:
    """Names, with their aliases, behind one of these words.

    No statement has more than a few words between; without a limit a text of these words alone is read again and again.
    """
    return (
        rf"(?:{behind}) "
        r"(?:(?:table|tables|if|not|exists|only|ignore|low_priority|high_priority|delayed|quick|into|from) ){0,6}+"
        rf"(?P<names>{_MYSQL_NAME}(?: (?:as )?+{_MYSQL_NAME})?+(?: ?, ?{_MYSQL_NAME}(?: (?:as )?+{_MYSQL_NAME})?+)*+)"
    )


_ANYWHERE = ""
_MYSQL_TABLES = Patterns(
    {first: _mysql_tables(behind) for first, behind in {_ANYWHERE: _MYSQL_BEHIND, **_MYSQL_BEHIND_TOO}.items()}
)
# A derived table: what stands behind its parenthesis is its alias, unless a column's can stand there.
_MYSQL_DERIVED = re.compile(
    rf"\) ?(?:as )?+(?P<names>{_MYSQL_NAME})"
    r"(?=\Z| ?\)| (?:on|using|where|join|inner|cross|left|right|natural|straight_join|group|order|limit)\b)"
)
_WORD_OF_NAMES = re.compile(r"[\w.$`]++")
_COLUMN_BEHIND_FROM = re.compile(r"\b(?:extract|trim|substr|substring|mid) ?\([^()]*\Z")
_LONGEST_ARGUMENT = 100  # characters
# Within a word, or FOR UPDATE, ON DUPLICATE KEY UPDATE, ON DELETE CASCADE: no table follows.
_NOT_BEFORE_TABLES = re.compile(r"(?:[\w$.`]|\b(?:for|key|on) )\Z")


def leading_words(text: str, engine: str) -> tuple[str, ...]:
    """Up to three leading words of a statement in upper case: ("CREATE", "TABLE", "T_GL").

    Looks behind comments, parentheses and common table expressions; MySQL's executable comments count as code. Empty
    where the text begins with no word.
    """
    head = text[:CACHED_CHARACTERS]
    words = _leading_words(head, engine)
    if words == ("WITH",) or (not words and len(text) > len(head)):
        return _scan_leading_words(text, engine)
    return words


def statement_hash(text: str, engine: str) -> str:
    """16 hex digits that stay the same for a statement with other literals, layout, comments or list lengths.

    Values are NULL, TRUE and FALSE too, and the names that drivers make for savepoints, cursors and prepared
    statements. The case of names counts where the engine distinguishes it; SQL Server's collations are taken not to.
    """
    engine = known_engine(engine)
    bare = _strip(readable(text, engine), engine, encoded_names=True)
    return (_cached_shape_hash if len(bare) <= CACHED_CHARACTERS else _shape_hash)(bare, engine)


def without_literals(text: str, engine: str) -> str:
    """The statement with `?` for each literal and without comments: both hold what people typed.

    What only the session's settings would show to be a literal or not is removed too, if need be all that follows.
    """
    engine = known_engine(engine)
    known, certain = _certain(readable(text, engine), engine, text)
    bare = _strip(known, engine, certain=True)
    bare = (_cached_without_bare_words if len(bare) <= CACHED_CHARACTERS else _without_bare_words)(bare, engine)
    return bare if certain or bare.endswith("?") else f"{bare}?"


def _shape_hash(bare: str, engine: str) -> str:
    """The hash of a statement that has `?` for its literals."""
    if engine == "mysql" and "*/" in bare:
        bare = bare.replace("*/", " ")  # the end of an executable comment, which was read as code
    bare = " ".join(bare.split())
    plain = bare.lower()
    tables = ""
    if engine == "mysql" and plain != bare and len(plain) == len(bare):
        tables = "\0".join(_mysql_tables_in_mixed_case(bare, plain))
    plain = _NEEDLESS_SPACE.sub("", _with_values_alike(plain)).strip(";")
    if ".?" in plain:
        plain = _POINT.sub("", plain)
    if "-?" in plain or "+?" in plain:
        plain = _SIGN.sub(r"\1", plain)
    if "?,?" in plain:
        plain = _LIST.sub("?", plain)
    if "(?),(?" in plain:
        plain = _ROWS.sub("(?)", plain)
    return blake2b((plain + tables).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _without_bare_words(bare: str, engine: str) -> str:
    """A statement that has `?` for its literals with `?` for the words too that stand for text without quotes."""
    if engine == "sqlserver":
        bare = _FIRST_CALL.sub(_without_bare_arguments, _EXECUTE.sub(_without_bare_arguments, bare), count=1)
    elif engine == "postgresql":
        bare = _SET.sub(_without_bare_values, bare)
        if _CREATE_FUNCTION.search(bare):
            bare = _ROUTINE_SET.sub(_without_bare_values, bare)
    elif engine == "oracle":
        bare = _ORACLE_SET.sub(_without_parameters, bare)
    return bare


_cached_shape_hash = lru_cache(maxsize=_CACHED_SHAPES)(_shape_hash)
_cached_without_bare_words = lru_cache(maxsize=_CACHED_SHAPES)(_without_bare_words)


def word_set(listed: str) -> frozenset[str]:
    """Words that are given with blanks between them."""
    return frozenset(listed.split())


def contains_any(text: str, parts: Iterable[str]) -> bool:
    """Whether one of these parts is in the text: what nearly all texts are asked before anything costs more."""
    for part in parts:  # noqa: SIM110 a generator would cost as much again
        if part in text:
            return True
    return False


def beginning(text: str, length: int) -> str:
    """So many characters of a statement, from its first word on: comments in front hide nothing."""
    padding = _PADDING.match(text)
    start = padding.end() if padding else 0
    return text[start : start + length]


@lru_cache(maxsize=CACHED_STATEMENTS)
def _leading_words(head: str, engine: str) -> tuple[str, ...]:
    return _scan_leading_words(head, engine)


def _scan_leading_words(text: str, engine: str) -> tuple[str, ...]:
    engine = known_engine(engine)
    text = readable(text, engine)
    words: list[str] = []
    position = 0
    while len(words) < 3:
        word = _WORD.match(text, _skipped(text, position, engine))
        if word is None:
            break
        words.append(word[0].upper())
        position = word.end()
        if words == ["WITH"]:
            return _words_behind_cte(text[position:], engine)
    return tuple(words)


def _skipped(text: str, position: int, engine: str) -> int:
    """Where the blanks and comments end that begin at a position."""
    while True:
        blank = _BLANK.match(text, position)
        position = blank.end() if blank else position
        comment = _COMMENT_HERE[engine].match(text, position)
        if comment is None:
            return position
        position = _end_of_comment(comment, engine)


def _words_behind_cte(text: str, engine: str) -> tuple[str, ...]:
    """The main verb of a statement with common table expressions: the first verb outside their parentheses."""
    return next(((word,) for word in words_outside_parentheses(text, engine) if word in _BEHIND_CTE), ("WITH",))


def words_outside_parentheses(text: str, engine: str) -> Iterator[str]:
    """A statement's words in upper case, without those in parentheses, literals, comments and quoted names."""
    engine = known_engine(engine)
    depth = 0
    for token in _WORD_OR_PARENTHESIS.finditer(replaced(readable(text, engine), engine, SCANNERS[engine], _mark)):
        if token[0] == "(":
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif depth <= 0:
            yield token[0].upper()


def code_of(text: str, engine: str) -> str:
    """The text with `?` for each literal, dollar-quoted bodies among them, and a blank for each comment.

    Quoted names stay as they are. One scan, whatever the text.
    """
    engine = known_engine(engine)
    text = readable(text, engine)
    # Without quoted names and comments all matches are literals, so no decision for each of them.
    named = '"' in text or "`" in text or "[" in text
    commented = "--" in text or "/*" in text or "#" in text
    return replaced(text, engine, _STRIPPERS[engine], _code_part if named or commented else _mark)


def without_comments(text: str, engine: str) -> str:
    """The text with a blank for each comment."""
    engine = known_engine(engine)
    return replaced(readable(text, engine), engine, SCANNERS[engine], _uncommented_part)


def _mark(_match: re.Match[str]) -> str:
    return "?"


def known_engine(engine: str) -> str:
    return engine if engine in ENGINES else _OTHER_ENGINE


def readable(text: str, engine: str) -> str:
    """Undo what stands between Aurora MySQL's `commandText` and the statement: backslashes before quotes, at a depth
    that AWS does not document, and executable comments around code."""
    if engine != "mysql":
        return text
    text, _ = unescaped(text)
    return _MYSQL_EXECUTABLE_COMMENT.sub(" ", text) if "/*" in text else text


def unescaped(text: str) -> tuple[str, int]:
    """Aurora MySQL's `commandText` without its backslashes before quotes, and how often they were doubled."""
    for depth in range(_MAX_ESCAPE_DEPTH):
        # Outside a literal no backslash is valid: one before the first quote means that the text is escaped.
        if "\\" not in text or not _MYSQL_ESCAPED.match(text):
            return text, depth
        text = without_backslashes(text)
    return text, _MAX_ESCAPE_DEPTH


def without_backslashes(text: str) -> str:
    """The text with each character behind a backslash as it is; a last backslash, with nothing behind it, stays."""
    if "\\" not in text:
        return text
    ends_open = (len(text) - len(text.rstrip("\\"))) % 2
    return "\\".join([part.replace("\\", "") for part in text.split("\\\\")]) + "\\" * ends_open


def escaped(text: str, depth: int) -> str:
    """What `unescaped` undoes."""
    for _ in range(depth):
        text = text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    return text


def with_blank_executable_comments(text: str) -> str:
    """MySQL's executable comments as code, each character where it was; their ends stay."""
    return _MYSQL_EXECUTABLE_COMMENT.sub(lambda match: " " * len(match[0]), text) if "/*" in text else text


def _certain(known: str, engine: str, text: str) -> tuple[str, bool]:
    """The part of a readable text in which every quote is what it seems, and whether that is all of it."""
    if engine != "mysql" or ("/*" not in text and "\\" not in text):
        return known, True
    end = len(text)
    comment = _MYSQL_UNCERTAIN_COMMENT.search(text)
    if comment:
        end = comment.start()
    if "\\" in text and _MYSQL_ESCAPED.match(text):
        # An escaped text has a backslash before every quote, and an even number of them before none.
        bare = _MYSQL_BARE_QUOTE.search(text, 0, end)
        if bare:
            end = bare.start()
    return (known, True) if end == len(text) else (readable(text[:end], engine), False)


def _strip(text: str, engine: str, *, certain: bool = False, encoded_names: bool = False, depth: int = 0) -> str:
    uncertain = certain and _UNCERTAIN[engine] in text
    bare = None if uncertain else plain(text, engine)
    if bare is None:
        scanner = (_CERTAIN_STRIPPERS if uncertain else _STRIPPERS)[engine]
        code = code_positions(text) if engine == "postgresql" and "$" in text and depth < _CODE_DEPTH else frozenset()

        if engine == "postgresql" and not code and not _NAME_OR_COMMENT.search(text):
            return _without_prefixes(scanner.sub("?", text))

        def replacement(match: re.Match[str]) -> str:
            kind = match.lastgroup
            if kind == "literal":
                return "?"
            if kind == "name" or (kind == "maybe" and _is_name(match)):
                name = match[0]
                if not encoded_names:
                    return name
                return (_cached_name if len(name) < _CACHED_NAME else _encoded_name)(name, engine)
            if kind == "comment":
                return " "
            if kind == "maybe" or match.start() not in code:
                return "?"
            body = _strip(match["body"], engine, certain=certain, encoded_names=encoded_names, depth=depth + 1)
            return f"$${body}$$"

        bare = replaced(text, engine, scanner, replacement)
    return _without_prefixes(bare)


@lru_cache(maxsize=1)
def plain(text: str, engine: str) -> str | None:
    """Most statements: with `?` for each match of one scan, since nothing else is in them that has to be kept apart.

    A document asks for its signals, its hash, and then for its text.
    """
    if _NOT_PLAIN[engine].search(text) and not _PLAIN_BUT_FOR_NAMES[engine].fullmatch(text):
        return None
    return _LITERAL_SCANNERS[engine].sub("?", text)


def _without_prefixes(bare: str) -> str:
    return _PREFIXED.sub("", bare) if _MAYBE_PREFIXED.search(bare) else bare


def _code_part(match: re.Match[str]) -> str:
    return match[0] if match.lastgroup in ("name", "maybe") else " " if match.lastgroup == "comment" else "?"


def _uncommented_part(match: re.Match[str]) -> str:
    return " " if match.lastgroup == "comment" else match[0]


def replaced(text: str, engine: str, scanner: re.Pattern[str], replacement: Callable[[re.Match[str]], str]) -> str:
    """The text with everything that the scanner finds replaced, and comments in comments in comments as one."""
    if engine not in _NESTING or text.count("/*") <= _COMMENT_DEPTH:
        return scanner.sub(replacement, text)
    pieces: list[str] = []
    position = 0
    while position < len(text):
        for match in scanner.finditer(text, position):
            pieces += (text[position : match.start()], replacement(match))
            position = _end_of_comment(match, engine) if match.lastgroup == "comment" else match.end()
            if position != match.end():
                break
        else:
            pieces.append(text[position:])
            break
    return "".join(pieces)


def _end_of_comment(match: re.Match[str], engine: str) -> int:
    """Where a comment ends, however deep others are nested in it."""
    if engine not in _NESTING or match["deep"] is None:
        return match.end()
    depth = 0
    for delimiter in _COMMENT_DELIMITER.finditer(match.string, match.start()):
        depth += 1 if delimiter[0] == "/*" else -1
        if depth == 0:
            return delimiter.end()
    return len(match.string)


def _is_name(match: re.Match[str]) -> bool:
    """Whether SQL Server's "…" is a name whatever QUOTED_IDENTIFIER is."""
    text, start = match.string, match.start()
    if start < _SHORTEST_NAMING_WORD + 1 or not text[start - 1].isspace():
        return False
    if text[start - 2] not in _ENDS_OF_NAMING_WORDS and not text[start - 2].isspace():
        return False
    before = text[max(start - _LOOK_BACK, 0) : start].rstrip().lower()
    return before.endswith(_NAMING_WORDS) and _BEHIND_NAMING_WORD.search(before) is not None


def code_positions(text: str) -> frozenset[int]:
    """Where PostgreSQL's dollar quotes begin that hold code in a language whose quoting is known."""

    def masked(match: re.Match[str]) -> str:
        length = match.end() - match.start()
        if match.lastgroup == "dollar":
            return "$" + " " * (length - 1)
        return f"'{' ' * (length - 2)}'" if length > 1 and match.lastgroup == "literal" else " " * length

    if not _MAY_HOLD_CODE.search(text):
        return frozenset()

    # What is quoted is masked, so that a semicolon is the end of a statement.
    masked_text = replaced(text, "postgresql", QUOTES["postgresql"], masked)

    def is_own(language: re.Match[str]) -> bool:
        return text[language.start("name") : language.end("name")].strip("'\"").lower() in _OWN_LANGUAGES

    positions: set[int] = set()
    for do in _DO.finditer(masked_text):
        languages = [
            *_LANGUAGE.finditer(masked_text, *do.span("head")),
            *_LANGUAGE.finditer(masked_text, *do.span("tail")),
        ]
        if do["code"] and all(map(is_own, languages)):
            positions.add(do.start("code"))
    for create in _CREATE_FUNCTION.finditer(masked_text):
        languages = list(_LANGUAGE.finditer(masked_text, *create.span("text")))
        code = _AS_CODE.search(masked_text, *create.span("text"))
        if code and languages and all(map(is_own, languages)):
            positions.add(code.start("code"))
    return frozenset(positions)


def _encoded_name(name: str, engine: str) -> str:
    """A quoted name as a hash takes it: what lower case and other spacing would change is spelled in letters."""
    content = name[1:-1] if len(name) > 1 and name[-1] in '"`]' else name[1:]
    folded = content.lower()
    distinct = folded if engine == "sqlserver" else content
    if _PLAIN_NAME.fullmatch(content) and (engine in ("mysql", "sqlserver") or folded == content):
        return name
    spelled = distinct.encode("utf-8", "surrogatepass").hex().translate(_LETTERS)
    return f"{name[0]}{spelled}{'0' if _DIGIT.search(content) else ''}{_CLOSING[name[0]]}"


def _mysql_tables_in_mixed_case(bare: str, plain: str) -> Iterator[str]:
    """The names of tables and their aliases that are not in lower case; `plain` is the text `bare` in lower case."""
    patterns = [_MYSQL_TABLES[_ANYWHERE]]
    words = plain[:_NAME_WITHIN].split(" ", 2)
    for first in (words[0], " ".join(words[:2])):
        if first in _MYSQL_BEHIND_TOO:
            patterns.append(_MYSQL_TABLES[first])
    if "from (" in plain or "join (" in plain:
        patterns.append(_MYSQL_DERIVED)
    for pattern in patterns:
        for found in pattern.finditer(plain):
            start, end = found.span("names")
            if bare[start:end] != plain[start:end] and not _names_no_table(found):
                names = _WORD_OF_NAMES.findall(bare[start:end])
                yield from (name for name in names if name != name.lower() and name.lower() != "as")


def _names_no_table(found: re.Match[str]) -> bool:
    """Whether the word in front of names does not announce tables here: EXTRACT(YEAR FROM a), say."""
    start = found.start()
    if found.re is _MYSQL_DERIVED:
        return False
    before = found.string[max(start - _LONGEST_ARGUMENT, 0) : start]
    if _NOT_BEFORE_TABLES.search(before[-5:]):
        return True
    return found.string.startswith("from ", start) and _COLUMN_BEHIND_FROM.search(before) is not None


_cached_name = lru_cache(maxsize=CACHED_STATEMENTS)(_encoded_name)


def _with_values_alike(plain: str) -> str:
    if "null" in plain or "true" in plain or "false" in plain:
        if "select" in plain:
            plain = _PROBED_COLUMNS.sub(lambda match: match[0].replace("null", "nil"), plain)
        plain = _VALUE_WORD.sub("?", plain)
    if "<redacted>" in plain or "<secret>" in plain:
        plain = plain.replace("<redacted>", "?").replace("<secret>", "?")
    if plain.startswith(_NAMING):
        head, rest = plain[:_NAME_WITHIN], plain[_NAME_WITHIN:]
        plain = _NUMBERED_STATEMENT.sub(r"\1?", _MADE_NAME.sub(r"\1?", head)) + rest
    return _CURRENT_OF.sub(r"\1?", plain) if "current of" in plain else plain


def _without_bare_arguments(match: re.Match[str]) -> str:
    head = match.string[match.start() : match.start("arguments")]
    return head + _BARE_ARGUMENT.sub(lambda argument: "?" if argument["bare"] else argument[0], match["arguments"])


def _without_parameters(match: re.Match[str]) -> str:
    return _ORACLE_PARAMETER.sub(_without_parameter, match[0])


def _without_parameter(match: re.Match[str]) -> str:
    is_known = match["name"].lower() in _ORACLE_SET_TO_NAMES or match["value"].lower() in _SET_TO_KEYWORDS
    return match[0] if is_known else f"{match['head']}?"


def _without_bare_values(match: re.Match[str]) -> str:
    if match["name"].strip('"').lower() in _SET_TO_NAMES:
        return match[0]
    words = (word.strip() for word in match["words"].split(","))
    return match[1] + ", ".join(word if word.lower() in _SET_TO_KEYWORDS else "?" for word in words)

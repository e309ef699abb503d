"""SQL injection: what an application's statement shows when its input has become code."""

from __future__ import annotations

from daswatch.sql.signal_table.model import ALL, LITERAL, Pattern, Signal

INJECTION: tuple[Signal, ...] = (
    Signal(
        "tautology",
        "A comparison of constants as a further condition.",
        (
            Pattern(
                ALL, ("or", "and"), rf"\b(?:or|and)[ (]{{1,9}}{LITERAL}(?:[=<>]{{1,2}}| r?like ){LITERAL}(?![\w.(])"
            ),
        ),
        samples={
            "postgresql": ("select a from t where id = 4 and 2485=2486", "select a from t where n = '' or ''=''"),
            "mysql": ("select a from t where id = 4 and 4395 like 2233", "select a from t where n = '' oR(1)=(1)#'"),
            "oracle": ("select a from t where id = 7 and 7552=7553", "select a from t where n = 'x' or 'a'='a'"),
            "sqlserver": ("select a from t where id = 7 and 7552=7553", "select a from t where n = 'x' or 1=1--'"),
        },
        near_misses=dict.fromkeys(ALL, ("select a from t where 1=1 and b = 5", "select a from t where 1=0")),
    ),
)

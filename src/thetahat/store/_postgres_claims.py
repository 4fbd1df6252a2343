"""Claim points in PostgreSQL by one question, which the server answers by a function of the store.

A transaction of several statements costs both ends more for its questions and answers than for its
work, and other agents wait for its commit. The function does what ``Queue`` does within one
transaction, for the most frequent claim: the sweep runs, is the one that the agent knows, has no
runs in its queue, and has enough points. Otherwise it claims nothing, and ``Queue`` goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from thetahat.store._run_names import ADJECTIVES, NOUNS
from thetahat.store._run_writer import DEFAULTS

LOCK = 0x7468_6574_6168
"""The number of the store's advisory lock in its database."""
CHANGED, WAITING, FEW = "changed", "waiting", "few"
"""Why nothing is claimed: the sweep is not the known one, runs wait, or points are too few."""

_GIVEN = {
    "id": "_ids[_k]",
    "number": "_number",
    "name": "_name",
    "status": "'running'",
    "agent": "_agent",
    **dict.fromkeys(("created", "started", "heartbeat"), "_now"),
}
"""Columns of a run that its claim sets; the others are those of the point."""
_FUNCTION = """
CREATE OR REPLACE FUNCTION thetahat_claim_points(
    _sweep text, _text text, _plan text, _agent text, _now text, _ids text[]
) RETURNS SETOF runs LANGUAGE plpgsql AS $claim$
DECLARE
    _n integer := cardinality(_ids);
    _found text[];
    _point runs%ROWTYPE;
    _number bigint;
    _name text;
BEGIN
    -- Each statement after it sees what was committed before the lock was had.
    PERFORM pg_advisory_xact_lock_shared({lock});
    IF NOT EXISTS (SELECT FROM sweeps
                   WHERE id = _sweep AND state = 'running' AND text = _text AND plan = _plan) THEN
        _point.status := '{CHANGED}';
    ELSIF EXISTS (SELECT FROM runs WHERE sweep_id = _sweep AND status = 'queued') THEN
        _point.status := '{WAITING}';
    END IF;
    IF _point.status IS NOT NULL THEN
        RETURN NEXT _point;
        RETURN;
    END IF;
    -- JSON with the character NUL, which a column cannot hold, is for Python.
    WITH first_points AS MATERIALIZED (
        SELECT id, run FROM points WHERE sweep_id = _sweep
        ORDER BY id LIMIT _n FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM points WHERE id IN (SELECT id FROM first_points)
        AND (SELECT count(*) FROM first_points WHERE strpos(run, 'u0000') = 0) = _n
        RETURNING id, run
    )
    SELECT array_agg(run ORDER BY id) INTO _found FROM taken;
    IF _found IS NULL THEN
        _point.status := '{FEW}';
        RETURN NEXT _point;
        RETURN;
    END IF;
    FOR _k IN 1 .. _n LOOP
        _point := json_populate_record(NULL::runs, _found[_k]::json);
        _number := nextval('run_numbers');
        _name := coalesce(nullif(_point.name, ''), {name});
        LOOP
            RETURN QUERY INSERT INTO runs ({columns}) VALUES ({values})
                ON CONFLICT DO NOTHING RETURNING *;
            EXIT WHEN FOUND;
            -- What is taken gets another value; the number never is.
            IF EXISTS (SELECT FROM runs WHERE id = _ids[_k]) THEN
                _ids[_k] := 'r' || lpad(to_hex((random() * 268435455)::integer), 7, '0');
            ELSIF EXISTS (SELECT FROM runs WHERE name = _name) THEN
                _name := _name || '-' || _number;
            ELSE
                RAISE unique_violation USING MESSAGE = 'the number of a run is taken';
            END IF;
        END LOOP;
    END LOOP;
END
$claim$
"""


def claim_function(columns: Iterable[str]) -> str:
    """Return the statement that makes the function, or replaces it.

    Args:    columns: those of the table of runs.
    """
    values = {name: _GIVEN.get(name, _of_point(name)) for name in columns}
    return _FUNCTION.format(
        lock=LOCK,
        CHANGED=CHANGED,
        WAITING=WAITING,
        FEW=FEW,
        name=_run_name("_number"),
        columns=", ".join(f'"{name}"' for name in values),
        values=", ".join(values.values()),
    )


def _of_point(name: str) -> str:
    if name not in DEFAULTS:
        return f'_point."{name}"'
    default = DEFAULTS[name]
    literal = f"'{default}'" if isinstance(default, str) else str(default).lower()
    return f'coalesce(_point."{name}", {literal})'


def _run_name(number: str) -> str:
    """Return the expression of ``run_name``."""
    a, n = len(ADJECTIVES), len(NOUNS)
    adjective = f"(17 + 89 * (({number} - 1) % {a})) % {a} + 1"
    noun = f"(101 + 67 * ({number} - 1) + ({number} - 1) / {a}) % {n} + 1"
    return (
        f"('{{{','.join(ADJECTIVES)}}}'::text[])[{adjective}] || '-' ||"
        f" ('{{{','.join(NOUNS)}}}'::text[])[{noun}] || '-' || {number}"
    )


def claim_points(
    connection: Any, returned: str, given: Sequence[Any], ids: Sequence[str]
) -> list[tuple[Any, ...]] | str:
    """Claim as many points as there are ids; return the rows of their runs, or why it cannot.

    Args:    connection: of the driver, outside a transaction.
             returned: the columns that are returned, in SQL.
             given: the sweep, its text, its plan as JSON, the agent, and the time.
    """
    call = "thetahat_claim_points(%s, %s, %s, %s, %s, string_to_array(%s, ','))"
    query = f"SELECT id, status, {returned} FROM {call}"
    rows = connection.execute(query, (*given, ",".join(ids))).fetchall()
    if rows[0][0] is None:
        return rows[0][1]
    return [row[2:] for row in rows]

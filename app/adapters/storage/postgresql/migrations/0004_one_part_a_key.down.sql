-- The functions as they were.
DO $change$
DECLARE
    before CONSTANT text := pg_get_functiondef('record_verifications'::regproc);
    after CONSTANT text := replace(before, $was$
        SELECT array_agg((SELECT c.reference FROM caller AS c WHERE c.token = d.token) ORDER BY d.place) INTO callers
        FROM unnest(p_token) WITH ORDINALITY AS d (token, place);$was$, $is$
        WITH kept AS MATERIALIZED (SELECT c.token, c.reference FROM caller AS c WHERE c.token = ANY (c_token))
        SELECT array_agg(k.reference ORDER BY d.place) INTO callers
        FROM unnest(p_token) WITH ORDINALITY AS d (token, place) LEFT JOIN kept AS k ON k.token = d.token;$is$);
BEGIN
    IF after = before THEN
        RAISE EXCEPTION 'record_verifications is not the one this changes';
    END IF;
    EXECUTE after;
END $change$;


CREATE OR REPLACE FUNCTION stored_answers(keys bytea[]) RETURNS TABLE (
    draft bigint, key bytea, id bigint, at bigint, outcome text, reasons text, policy bigint, ordinal bigint,
    own_ordinal bigint, first_at bigint, first_channel text, first_place text, first_own boolean,
    own_first_at bigint, constants bytea
) LANGUAGE sql STABLE SET enable_nestloop = on AS $$
    SELECT NULL::bigint, m.key, t.id, t.at, t.outcome, t.reasons, t.policy, t.ordinal, t.own_ordinal, t.first_at,
        t.first_channel, t.first_place, t.first_own, t.own_first_at, m.constants
    FROM message AS m JOIN told AS t ON t.shard = m.fact_serial AND t.id = m.fact AND t.at = m.fact_at
    WHERE m.key = ANY (keys)
$$;

CREATE OR REPLACE FUNCTION adopt_messages(k_key bytea[], k_draft bigint[], stale bytea[]) RETURNS bigint[]
LANGUAGE plpgsql SET enable_nestloop = on AS $$
DECLARE
    known bigint[];
BEGIN
    IF (SELECT count(*) FROM message AS m WHERE m.key = ANY (stale)) < cardinality(stale) THEN
        RAISE EXCEPTION 'a message was forgotten at this moment' USING ERRCODE = 'serialization_failure';
    END IF;
    SELECT array_agg(DISTINCT k.draft) INTO known
    FROM unnest(k_key, k_draft) AS k (key, draft) JOIN unnest(stale) AS s (key) ON s.key = k.key;
    UPDATE message AS m
    SET fact = s.fact, fact_serial = s.fact_serial, fact_at = s.fact_at, constants = s.constants
    FROM (
        SELECT DISTINCT ON (k.draft) k.draft, t.fact, t.fact_serial, t.fact_at, t.constants
        FROM unnest(k_key, k_draft) WITH ORDINALITY AS k (key, draft, place)
        JOIN unnest(stale) AS u (key) ON u.key = k.key
        JOIN message AS t ON t.key = k.key
        ORDER BY k.draft, k.place
    ) AS s
    JOIN unnest(k_key, k_draft) AS n (key, draft) ON n.draft = s.draft
    WHERE m.key = n.key AND NOT m.key = ANY (stale);
    RETURN known;
END $$;

CREATE OR REPLACE FUNCTION make_month(moment timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    begins CONSTANT timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
    first_micro CONSTANT bigint := extract(epoch FROM begins)::bigint * 1000000;
    next_micro CONSTANT bigint := extract(epoch FROM begins + interval '1 month')::bigint * 1000000;
    name CONSTANT text := 'verification_' || to_char(begins, 'YYYY_MM');
BEGIN
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN FALSE;
    END IF;
    -- one at a time; only the lock of a table makes what another has just committed known
    LOCK TABLE verification_other IN ACCESS EXCLUSIVE MODE;
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN FALSE;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE verification INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format(
        'WITH moved AS (DELETE FROM verification_other WHERE at >= %s AND at < %s RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', first_micro, next_micro, name);
    EXECUTE format(
        'ALTER TABLE verification ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', name, first_micro, next_micro);
    RETURN TRUE;
END $$;

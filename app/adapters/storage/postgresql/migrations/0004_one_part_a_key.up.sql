-- Every statement of a verification asks one part for each of its keys, also where the tables stand in parts by hash
-- (app/adapters/storage/postgresql/shards.py): a list of keys as one condition would ask every part for every key. The
-- functions keep their names, because what they take and tell is the same.

DO $change$
DECLARE
    before CONSTANT text := pg_get_functiondef('record_verifications'::regproc);
    after CONSTANT text := replace(before, $was$
        WITH kept AS MATERIALIZED (SELECT c.token, c.reference FROM caller AS c WHERE c.token = ANY (c_token))
        SELECT array_agg(k.reference ORDER BY d.place) INTO callers
        FROM unnest(p_token) WITH ORDINALITY AS d (token, place) LEFT JOIN kept AS k ON k.token = d.token;$was$, $is$
        SELECT array_agg((SELECT c.reference FROM caller AS c WHERE c.token = d.token) ORDER BY d.place) INTO callers
        FROM unnest(p_token) WITH ORDINALITY AS d (token, place);$is$);
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
) LANGUAGE plpgsql STABLE SET enable_nestloop = on SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    known message;
    wanted bytea;
BEGIN
    FOREACH wanted IN ARRAY keys LOOP
        SELECT m.* INTO known FROM message AS m WHERE m.key = wanted;
        IF FOUND THEN
            RETURN QUERY SELECT NULL::bigint, known.key, t.id, t.at, t.outcome, t.reasons, t.policy, t.ordinal,
                t.own_ordinal, t.first_at, t.first_channel, t.first_place, t.first_own, t.own_first_at, known.constants
            FROM told AS t WHERE t.shard = known.fact_serial AND t.id = known.fact AND t.at = known.fact_at;
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION adopt_messages(k_key bytea[], k_draft bigint[], stale bytea[]) RETURNS bigint[]
-- joins are of arrays, as in record_verifications
LANGUAGE plpgsql SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    seen bigint;
    known bigint[];
    adoption record;
    source message;
    other bytea;
BEGIN
    SELECT count((SELECT TRUE FROM message AS m WHERE m.key = s.key)) INTO seen FROM unnest(stale) AS s (key);
    IF seen < cardinality(stale) THEN
        RAISE EXCEPTION 'a message was forgotten at this moment' USING ERRCODE = 'serialization_failure';
    END IF;
    SELECT array_agg(DISTINCT k.draft) INTO known
    FROM unnest(k_key, k_draft) AS k (key, draft) JOIN unnest(stale) AS s (key) ON s.key = k.key;
    FOR adoption IN
        SELECT (array_agg(k.key ORDER BY k.place) FILTER (WHERE s.key IS NOT NULL))[1] AS source,
            array_agg(k.key ORDER BY k.key) FILTER (WHERE s.key IS NULL) AS others
        FROM unnest(k_key, k_draft) WITH ORDINALITY AS k (key, draft, place)
        LEFT JOIN unnest(stale) AS s (key) ON s.key = k.key
        GROUP BY k.draft
        HAVING count(s.key) BETWEEN 1 AND count(*) - 1
    LOOP
        SELECT m.* INTO source FROM message AS m WHERE m.key = adoption.source;
        FOREACH other IN ARRAY adoption.others LOOP
            UPDATE message AS m
            SET fact = source.fact, fact_serial = source.fact_serial, fact_at = source.fact_at,
                constants = source.constants
            WHERE m.key = other;
        END LOOP;
    END LOOP;
    RETURN known;
END $$;

-- A month stands in as many parts as the states of labels do, if these are in parts.
CREATE OR REPLACE FUNCTION make_month(moment timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    begins CONSTANT timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
    first_micro CONSTANT bigint := extract(epoch FROM begins)::bigint * 1000000;
    next_micro CONSTANT bigint := extract(epoch FROM begins + interval '1 month')::bigint * 1000000;
    name CONSTANT text := 'verification_' || to_char(begins, 'YYYY_MM');
    parts integer;
BEGIN
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN FALSE;
    END IF;
    -- one at a time; only the lock of a table makes what another has just committed known
    LOCK TABLE verification_other IN ACCESS EXCLUSIVE MODE;
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN FALSE;
    END IF;
    SELECT count(*) INTO parts FROM pg_inherits WHERE inhparent = 'label_history'::regclass;
    EXECUTE format('CREATE TABLE %I (LIKE verification INCLUDING DEFAULTS INCLUDING CONSTRAINTS) %s', name,
        CASE WHEN parts > 0 THEN 'PARTITION BY HASH (serial)' ELSE '' END);
    FOR part IN 0 .. parts - 1 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
            name || '_' || to_char(part, 'FM000'), name, parts, part);
    END LOOP;
    EXECUTE format(
        'WITH moved AS (DELETE FROM verification_other WHERE at >= %s AND at < %s RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', first_micro, next_micro, name);
    EXECUTE format(
        'ALTER TABLE verification ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', name, first_micro, next_micro);
    RETURN TRUE;
END $$;

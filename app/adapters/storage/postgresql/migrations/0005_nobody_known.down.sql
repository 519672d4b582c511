-- Every batch is recorded in three statements, as it was.
DO $change$
DECLARE
    before CONSTANT text := pg_get_functiondef('record_verifications'::regproc);
    after CONSTANT text := replace(before, $was$
    IF cardinality(k_key) = 0 AND cardinality(c_token) = 0 THEN
        -- no messages and nobody who is known, as of most queries over the API: one statement, and the same rows
        RETURN QUERY
        WITH asked AS (
            SELECT d.*, count(*) OVER s AS number, row_number() OVER (s ORDER BY d.draft) AS turn
            FROM unnest(ids, p_at, p_serial, p_counted, p_channel, p_place, p_digest, p_policy, p_state, p_genuine,
                p_warn) WITH ORDINALITY
                AS d (id, at, serial, counted, channel, place, digest, policy, state, genuine, warn, draft)
            WINDOW s AS (PARTITION BY d.counted, d.serial)
        ), written AS (
            INSERT INTO label_history AS h (serial, count, first_at, first_channel, first_place, first_caller_count)
            SELECT a.serial, a.number, a.at, a.channel, a.place, 0 FROM asked AS a WHERE a.counted AND a.turn = 1
            ORDER BY a.serial
            ON CONFLICT (serial) DO UPDATE SET count = h.count + excluded.count
            RETURNING h.serial, h.count, h.first_at, h.first_channel, h.first_place
        ), worded AS (
            SELECT a.*, w.count - a.number + a.turn AS ordinal, w.first_at, w.first_channel, w.first_place,
                string_to_array(concat_ws(' ', a.state, CASE WHEN a.counted THEN count_outcomes(
                    w.count - a.number + a.turn, 0, FALSE, a.at - w.first_at, a.genuine, a.warn) END), ' ') AS words
            FROM asked AS a LEFT JOIN written AS w ON a.counted AND w.serial = a.serial
        ), decided AS MATERIALIZED (
            SELECT w.*, w.words[1] AS outcome, nullif(array_to_string(w.words[2:], ' '), '') AS reasons,
                CASE WHEN w.counted THEN 0::bigint END AS own_ordinal
            FROM worded AS w
        ), recorded AS (
            INSERT INTO verification
                (id, at, serial, ordinal, own_ordinal, outcome, reasons, channel, place, digest, policy)
            SELECT d.id, d.at, coalesce(d.serial, -d.id), d.ordinal, d.own_ordinal, d.outcome, d.reasons, d.channel,
                d.place, d.digest, d.policy
            FROM decided AS d
        )
        SELECT d.draft, NULL::bytea, d.id, d.at, d.outcome, d.reasons, d.policy, d.ordinal, d.own_ordinal, d.first_at,
            d.first_channel, d.first_place, FALSE, NULL::bigint, NULL::bytea
        FROM decided AS d;
        RETURN;
    END IF;

$was$, $is$
$is$);
BEGIN
    IF after = before THEN
        RAISE EXCEPTION 'record_verifications is not the one this changes';
    END IF;
    EXECUTE after;
END $change$;

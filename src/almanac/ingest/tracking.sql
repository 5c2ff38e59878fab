-- The statements that judge a batch by the tracking plan. Tables of `staging`: `entries` (what events of one project, name and kind are judged
-- by), `faults` (each different finding once), `verdicts` (one row for each line that something is wrong with).

-- name: names
SELECT DISTINCT project, name, cityHash64(project, name, kind) AS meant, kind = 'track' AND NOT startsWith(name, '$') AS tracked
FROM staging.lines
WHERE project IN ({projects:Array(String)}) AND kind != 'dead_letter' AND $unknown

-- name: texts
SELECT row, entry, if(reads, properties, '') AS text
FROM
(
    SELECT row, project, name, kind, properties
    FROM staging.lines
    WHERE project IN ({projects:Array(String)}) AND kind != 'dead_letter' AND $unknown
) AS line
INNER JOIN staging.entries AS entries
    ON entries.meant = cityHash64(line.project, line.name, line.kind)
WHERE judges

-- name: forgive
-- A copy of an event that is stored is a duplicate whatever is wrong with it: those that come after a copy which is not rejected.
ALTER TABLE staging.verdicts DELETE
WHERE line IN
(
    SELECT line.row
    FROM
    (
        SELECT row, key, (received_us, file, row) AS place
        FROM staging.lines
        WHERE row IN (SELECT line FROM staging.verdicts WHERE verdict_mode = 'reject')
    ) AS line
    INNER JOIN
    (
        SELECT key, min((received_us, file, row)) AS place
        FROM staging.lines
        WHERE kind != 'dead_letter'
            AND row NOT IN (SELECT line FROM staging.verdicts WHERE verdict_mode = 'reject')
            AND key IN (SELECT key FROM staging.lines WHERE row IN (SELECT line FROM staging.verdicts WHERE verdict_mode = 'reject'))
        GROUP BY key
    ) AS good ON good.key = line.key
    WHERE line.place > good.place
)

-- name: reject
-- As dead letters, under ids of their own: the event's id stays unknown, so that the mended event is not taken for a copy. Sent again by an
-- SDK it is the same letter; sent again by a replay it is another try, and waits again.
INSERT INTO staging.lines
SELECT
    line.* EXCEPT (letter_id) REPLACE (
        'dead_letter' AS kind,
        letter_id     AS event_id,
        '{}'          AS properties,
        ''            AS exact,
        reinterpretAsUInt128(
            if(
                startsWith(line.file, 'replay-'),
                sipHash128(line.project, letter_id, {batch:UInt64}),
                sipHash128(line.project, letter_id)
            )
        )             AS key,
        concat(
            '{"stage":"plan","reason":"against_plan","detail":', toJSONString(detail),
            ',"original":', toJSONString($original),
            '}'
        )             AS rest
    )
FROM
(
    SELECT *, concat('h:', lower(hex(sipHash128(project, event_id, 'against_plan')))) AS letter_id
    FROM staging.lines
    WHERE row IN (SELECT line FROM staging.verdicts WHERE verdict_mode = 'reject')
) AS line
INNER JOIN staging.verdicts AS verdicts ON verdicts.line = line.row
INNER JOIN staging.faults AS faults ON faults.number = verdicts.fault
SETTINGS output_format_json_escape_forward_slashes = 0

-- name: leave
ALTER TABLE staging.lines DELETE WHERE kind != 'dead_letter' AND row IN (SELECT line FROM staging.verdicts WHERE verdict_mode = 'reject')

-- name: checks
-- How many events each entry judged, and how many of them do not fit. A rejected line is no event of its kind any more.
SELECT project, name, judge, day, count() AS checked, countIf(wrong) AS failed
FROM
(
    SELECT
        project,
        name,
        toDate(time_received)                AS day,
        verdict_entry > 0                    AS wrong,
        if(wrong, verdict_entry, entry)      AS judge
    FROM (SELECT row, project, name, kind, time_received FROM staging.lines WHERE project IN ({projects:Array(String)}) AND $fresh) AS line
    LEFT ANY JOIN staging.verdicts AS verdicts ON verdicts.line = line.row
    LEFT ANY JOIN staging.entries AS entries
        ON entries.meant = cityHash64(line.project, line.name, line.kind)
)
WHERE judge > 0
GROUP BY project, name, judge, day
ORDER BY project, name, judge, day

-- name: violations
INSERT INTO plan_violations (project, event, property, rule, mode, version, day, count, last_seen)
SELECT project, name, property, rule, verdict_mode, verdict_version, toDate(time_received), count(), max(time_received)
FROM
(
    SELECT project, name, time_received, verdict_mode, verdict_version, broken, rules
    FROM (SELECT row, project, name, time_received FROM staging.lines WHERE project IN ({projects:Array(String)}) AND $fresh) AS line
    INNER JOIN staging.verdicts AS verdicts ON verdicts.line = line.row
    INNER JOIN staging.faults AS faults ON faults.number = verdicts.fault
)
ARRAY JOIN broken AS property, rules AS rule
GROUP BY project, name, property, rule, verdict_mode, verdict_version, toDate(time_received)

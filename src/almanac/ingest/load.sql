-- The statements of one batch. Holes: $source (the log lines), $kept (not of a project that is gone), $fresh (not known from another batch, and the first of its message id in this
-- one), $half (one of two halves of the messages, or all), $columnar (can be parsed by column), $channel, and of the tracking plan $violations, $plan_version, $judged. The tables of `staging` live in memory and hold one batch.

-- name: stage
-- Log lines as they are, with what identifies them and everything that can be said of a line by itself. It is said here and not in the
-- insert, which runs twice (once for each half): analysing these expressions takes 30 ms, as long as 4,000 events. The text of nested JSON
-- stays text until the insert: a line that the JSON column refuses would take the whole batch with it.
INSERT INTO staging.lines
WITH
    fromUnixTimestamp64Micro(received_us, 'UTC') AS received,
    -- A clock without a date ('10:00') or a lone year would be read as a day of some year: it is no time.
    length(client_time) < 8 OR position(client_time, ':') IN (2, 3) AS client_vague,
    length(sent_time) < 8 OR position(sent_time, ':') IN (2, 3) AS sent_vague,
    if(client_vague, NULL, parseDateTime64BestEffortOrNull(client_time, 6, 'UTC')) AS client_parsed,
    if(sent_vague, NULL, parseDateTime64BestEffortOrNull(sent_time, 6, 'UTC')) AS sent_parsed,
    -- Beyond these bounds a time is a mistake, and a day of it would not fit the Date type.
    if(client_parsed BETWEEN toDateTime64('1971-01-01', 6, 'UTC') AND toDateTime64('2100-01-01', 6, 'UTC'), client_parsed, NULL) AS client,
    if(sent_parsed BETWEEN toDateTime64('1971-01-01', 6, 'UTC') AND toDateTime64('2100-01-01', 6, 'UTC'), sent_parsed, NULL) AS sent,
    multiIf(
        client IS NULL, 'received',
        keep_time OR sent IS NULL OR abs(dateDiff('microsecond', sent, received)) <= {skew_us:Int64}, 'client',
        'corrected'
    ) AS origin,
    multiIf(
        origin = 'received', received,
        origin = 'client', assumeNotNull(client),
        -- Its clock is off by (received - sent): shift the event by as much.
        received - toIntervalMicrosecond(dateDiff('microsecond', assumeNotNull(client), assumeNotNull(sent)))
    ) AS moved,
    reinterpretAsUInt128(sipHash128(project, event_id)) AS whole_key,
    toUUIDOrDefault(event_id, toUUID('00000000-0000-0000-0000-000000000000')) AS uuid_given,
    toString(uuid_given) = event_id AS is_uuid,
    if(protocol(url) IN ('http', 'https'), url, '') AS web_url,
    lower(domainWithoutWWW(referrer)) AS from_host,
    lower(domainWithoutWWW(web_url)) AS own_host,
    if(from_host = own_host, '', from_host) AS other_host,
    -- What the address says of a campaign counts; what the sender names besides fills in the rest.
    decodeURLFormComponent(extractURLParameter(web_url, 'utm_source')) AS url_source,
    decodeURLFormComponent(extractURLParameter(web_url, 'utm_medium')) AS url_medium,
    decodeURLFormComponent(extractURLParameter(web_url, 'utm_campaign')) AS url_campaign,
    decodeURLFormComponent(extractURLParameter(web_url, 'utm_term')) AS url_term,
    decodeURLFormComponent(extractURLParameter(web_url, 'utm_content')) AS url_content,
    if(url_source != '' OR campaign = '', url_source, JSONExtractString(campaign, 'source')) AS best_source,
    if(url_medium != '' OR campaign = '', url_medium, JSONExtractString(campaign, 'medium')) AS best_medium,
    if(url_campaign != '' OR campaign = '', url_campaign, JSONExtractString(campaign, 'campaign')) AS best_campaign,
    if(url_term != '' OR campaign = '', url_term, JSONExtractString(campaign, 'term')) AS best_term,
    if(url_content != '' OR campaign = '', url_content, JSONExtractString(campaign, 'content')) AS best_content
SELECT
    *,
    rowNumberInAllBlocks()                                                                           AS row,
    _file                                                                                            AS file,
    whole_key                                                                                        AS key,
    toStartOfHour(received)                                                                          AS hour,
    least(greatest(moved, toDateTime64('1971-01-01', 6, 'UTC')), toDateTime64('2100-01-01', 6, 'UTC')) AS time,
    if(is_uuid, uuid_given, reinterpretAsUUID(whole_key))                                            AS id,
    if(is_uuid, '', event_id)                                                                        AS id_text,
    client                                                                                           AS time_client,
    sent                                                                                             AS time_sent,
    received                                                                                         AS time_received,
    origin                                                                                           AS time_origin,
    -- The JSON column drops nulls and empty objects, reads 2^70 as a float and the like; then the text is kept as well.
    if(match(properties, {inexact:String}), properties, '')                                          AS exact,
    own_host                                                                                         AS host,
    if(web_url = '', '', path(web_url))                                                              AS path,
    other_host                                                                                       AS referrer_host,
    best_source                                                                                      AS utm_source,
    best_medium                                                                                      AS utm_medium,
    best_campaign                                                                                    AS utm_campaign,
    best_term                                                                                        AS utm_term,
    best_content                                                                                     AS utm_content,
    $channel                                                                                         AS channel,
    -- A time that cannot be read stays as the text that it was.
    if(
        (client_time = '' OR client IS NOT NULL) AND (sent_time = '' OR sent IS NOT NULL),
        '',
        arrayStringConcat(arrayFilter(part -> part != '', [
            if(client_time = '' OR client IS NOT NULL, '', concat('"client_time":', toJSONString(client_time))),
            if(sent_time = '' OR sent IS NOT NULL, '', concat('"sent_time":', toJSONString(sent_time)))
        ]), ',')
    )                                                                                                AS unread,
    -- What is paid: as the sender says it, or Amplitude's way, price and quantity (without one: 1).
    if(multiSearchAny(properties, {revenue_words:Array(String)}),
        coalesce(
            JSONExtract(properties, {revenue_total:String}, 'Nullable(Float64)'),
            JSONExtract(properties, {revenue_price:String}, 'Nullable(Float64)')
                * ifNull(JSONExtract(properties, {revenue_quantity:String}, 'Nullable(Float64)'), 1),
            JSONExtract(properties, 'revenue', 'Nullable(Float64)'),
            JSONExtract(properties, 'total', 'Nullable(Float64)'),
            JSONExtract(properties, 'value', 'Nullable(Float64)')
        ),
        NULL
    )                                                                                                AS revenue,
    multiIf(
        NOT multiSearchAny(properties, {currency_words:Array(String)}), '',
        JSONExtractString(properties, {revenue_currency:String}) != '', JSONExtractString(properties, {revenue_currency:String}),
        JSONExtractString(properties, 'currency')
    )                                                                                                AS currency,
    -- The names in an object that can be parsed by column: it is readable, has no objects within, and no name with the separator.
    if(
        position(properties, '{', 2) = 0 AND position(properties, '\\u000') = 0,
        arrayStringConcat(JSONExtractKeys(properties), '\x01'),
        ''
    )                                                                                                AS form
FROM $source
WHERE $kept

-- name: keys
SELECT toUInt64(bitAnd(key, 18446744073709551615)) AS key FROM staging.lines WHERE $which

-- name: known
-- Which of the suspects are really there, from another batch: exactly, by the full key. A batch that is loaded again after a crash may have
-- left its own ids already.
INSERT INTO staging.known
SELECT DISTINCT key
FROM message_ids
WHERE key IN (SELECT key FROM staging.lines WHERE toUInt64(bitAnd(key, 18446744073709551615)) IN ({suspects:Array(UInt64)}))
    AND batch != {batch:UInt64}

-- name: agents
SELECT DISTINCT user_agent
FROM staging.lines
WHERE user_agent != '' AND NOT is_server AND user_agent NOT IN (SELECT text FROM staging.agents)

-- name: places
SELECT DISTINCT ip
FROM staging.lines
WHERE ip != '' AND NOT is_server AND ip NOT IN (SELECT address FROM staging.places)

-- name: events
-- The insert itself: what was staged, with what is known of user agents and addresses; the properties are parsed here, if they aren't yet.
INSERT INTO events
(
    project, event, day, person_hash, time, id, id_text, kind, distinct_id, user_id, anonymous_id, device_id, session_id, window_id,
    time_client, time_sent, time_received, time_origin, properties, properties_exact, groups, url, host, path, title, screen, referrer,
    referrer_host, utm_source, utm_medium, utm_campaign, utm_term, utm_content, channel, ip, country, region, city, user_agent, browser,
    browser_version, os, os_version, device, is_bot, library, library_version, protocol, is_server, context, flags, rest, revenue, currency,
    violations, plan_version
)
SELECT
    project,
    name,
    toDate(time),
    if(distinct_id = '', 0, cityHash64(distinct_id)),
    time,
    id,
    id_text,
    kind,
    distinct_id,
    if(user_id = distinct_id, '', user_id),
    if(anonymous_id = distinct_id, '', anonymous_id),
    if(device_id = distinct_id, '', device_id),
    session_id,
    window_id,
    time_client,
    time_sent,
    time_received,
    time_origin,
    parsed,
    exact,
    if(groups = '{}', map(), JSONExtract(groups, 'Map(String, String)')),
    url,
    host,
    path,
    title,
    screen,
    referrer,
    referrer_host,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_term,
    utm_content,
    channel,
    ip,
    place.country,
    place.region,
    place.city,
    user_agent,
    agents.browser,
    agents.browser_version,
    agents.os,
    agents.os_version,
    agents.device,
    agents.is_bot,
    library,
    library_version,
    protocol,
    is_server,
    context,
    flags,
    if(unread = '', rest, concat('{', unread, if(rest = '{}', '', ','), substring(rest, 2))),
    revenue,
    currency,
    $violations,
    $plan_version
FROM
(
    SELECT *, if(is_server, '', user_agent) AS agent
    FROM ($parsed)
) AS staged
LEFT ANY JOIN staging.agents AS agents ON agents.text = agent
LEFT ANY JOIN staging.places AS place ON place.address = if(staged.is_server, '', staged.ip)
$judged

-- name: parsed_one_by_one
SELECT *, properties::JSON(max_dynamic_paths = 256) AS parsed
FROM staging.lines
WHERE kind != 'dead_letter' AND $half AND $fresh

-- name: forms
SELECT form, count() AS times
FROM staging.lines
WHERE form != ''
GROUP BY form
ORDER BY times DESC, form
LIMIT 1000

-- name: columnar
SELECT row, properties
FROM staging.lines
WHERE kind != 'dead_letter' AND $half AND $fresh AND $columnar

-- name: how_many
SELECT count() FROM ($rows)

-- name: parsed_by_column
-- Both sides of the first half read the same rows in the same order; a row that met another one would be a wrong number in silence.
SELECT one.*, other.parsed
FROM
(
    SELECT *
    FROM staging.lines
    WHERE kind != 'dead_letter' AND $half AND $fresh AND $columnar
) AS one
PASTE JOIN (SELECT parsed, row AS same FROM $columns) AS other
WHERE throwIf(one.row != other.same, 'The rows of a batch are not in order.') = 0
UNION ALL
SELECT *, properties::JSON(max_dynamic_paths = 256) AS parsed
FROM staging.lines
WHERE kind != 'dead_letter' AND $half AND $fresh AND NOT $columnar

-- name: message_ids
INSERT INTO message_ids (key, project, batch, day)
-- The number of a batch is its time in microseconds: an id is remembered from when it was loaded, also that of an imported old event.
SELECT key, project, {batch:UInt64}, toDate(fromUnixTimestamp64Micro(toInt64({batch:UInt64}), 'UTC'))
FROM staging.lines
WHERE $fresh

-- name: dead_letters
INSERT INTO dead_letters (project, id, version, state, received, stage, reason, detail, original, protocol)
SELECT
    project,
    event_id,
    {batch:UInt64},
    'waiting',
    fromUnixTimestamp64Micro(received_us, 'UTC'),
    JSONExtractString(rest, 'stage'),
    JSONExtractString(rest, 'reason'),
    JSONExtractString(rest, 'detail'),
    JSONExtractString(rest, 'original'),
    protocol
FROM staging.lines
WHERE kind = 'dead_letter' AND $fresh AND NOT ($put_away)

-- name: edges
-- What every event of a person says again (same-event) is kept once.
INSERT INTO identity_edges (project, id, ordinal, source, target, how, at, batch)
SELECT
    project,
    reinterpretAsUUID(key),
    ordinal,
    JSONExtractString(edge, 1) AS edge_source,
    JSONExtractString(edge, 2) AS edge_target,
    JSONExtractString(edge, 3) AS edge_how,
    fromUnixTimestamp64Micro(received_us, 'UTC'),
    {batch:UInt64}
FROM
(
    SELECT *
    FROM staging.lines
    WHERE merges != '[]' AND kind != 'dead_letter' AND $fresh
)
ARRAY JOIN
    JSONExtractArrayRaw(merges) AS edge,
    arrayEnumerate(JSONExtractArrayRaw(merges)) AS ordinal
WHERE edge_how != 'same-event'
    OR (project, edge_source, edge_target) NOT IN
    (
        SELECT project, source, target
        FROM identity_edges
        WHERE how = 'same-event' AND project IN (SELECT project FROM staging.lines WHERE merges != '[]')
    )
ORDER BY received_us, file, row
LIMIT 1 BY project, edge_source, edge_target, edge_how, if(edge_how = 'same-event', (0, 0), (row, ordinal))

-- name: profiles
INSERT INTO profile_changes (project, subject, key_hash, key, property, op, value, time, id)
SELECT
    project,
    subject,
    cityHash64(owner),
    owner,
    tupleElement(change, 2),
    tupleElement(change, 1),
    tupleElement(change, 3),
    -- A change counts from when it happened; a clock that runs ahead must not win for ever.
    if(time_client IS NULL OR time_client > time_received, time_received, assumeNotNull(time_client)),
    reinterpretAsUUID(key)
FROM
(
    SELECT
        *,
        tupleElement(side, 2)                                                       AS document,
        if(tupleElement(side, 1), JSONExtractString(document, 'type'), 'person')    AS subject,
        if(tupleElement(side, 1), JSONExtractString(document, 'key'), distinct_id)  AS owner
    FROM
    (
        SELECT *
        FROM staging.lines
        WHERE (profile != '{}' OR group_profile != '{}') AND kind != 'dead_letter' AND $fresh
    )
    ARRAY JOIN arrayConcat(
        if(profile = '{}', [], [(false, profile)]),
        -- The changes of one group, or a list of groups' changes.
        arrayMap(
            one -> (true, one),
            multiIf(group_profile = '{}', [], startsWith(group_profile, '['), JSONExtractArrayRaw(group_profile), [group_profile])
        )
    ) AS side
)
ARRAY JOIN arrayConcat(
    arrayFlatten(arrayMap(
        part -> arrayMap(pair -> (part.1, pair.1, pair.2), JSONExtractKeysAndValuesRaw(part.2)),
        arrayFilter(
            part -> part.1 IN ('set', 'set_once', 'add', 'append', 'prepend', 'pre_insert', 'post_insert', 'union', 'remove'),
            JSONExtractKeysAndValuesRaw(document)
        )
    )),
    arrayMap(name -> ('unset', name, 'null'), JSONExtract(document, 'unset', 'Array(String)')),
    arrayMap(op -> (op, '', 'null'), arrayFilter(op -> JSONExtractBool(document, op), ['delete', 'clear_all']))
) AS change
WHERE owner != ''

-- name: rare
-- What this batch holds besides plain events, so that statements with nothing to do are left out.
SELECT
    countIf(kind = 'dead_letter'),
    countIf(merges != '[]'),
    countIf(profile != '{}' OR group_profile != '{}'),
    min(received_us),
    max(received_us)
FROM staging.lines

-- name: names
INSERT INTO event_names (project, event, first_seen, last_seen, count)
SELECT project, name, min(received), max(received), count()
FROM
(
    SELECT project, name, fromUnixTimestamp64Micro(received_us, 'UTC') AS received
    FROM staging.lines
    WHERE kind != 'dead_letter' AND $fresh
)
GROUP BY project, name

-- name: hours
INSERT INTO events_per_hour (project, event, hour, count)
SELECT project, name, happened, count()
FROM
(
    SELECT project, name, toStartOfHour(time) AS happened
    FROM staging.lines
    WHERE kind != 'dead_letter' AND $fresh
)
GROUP BY project, name, happened

-- name: outcome
-- Counted from the rows themselves, not from what the collectors said. Copies of one id may have come in different hours: the first counts.
SELECT
    project,
    hour,
    countIf(kind != 'dead_letter' AND taken)      AS stored,
    countIf(NOT taken)                            AS duplicate,
    countIf(kind = 'dead_letter' AND taken)       AS rejected
FROM (SELECT project, hour, kind, $fresh AND NOT ($again) AS taken FROM staging.lines)
GROUP BY project, hour

-- name: try
-- Everything that could fail in the insert, without inserting.
INSERT INTO FUNCTION null('properties JSON(max_dynamic_paths = 256)')
SELECT properties FROM staging.lines WHERE row BETWEEN {low:UInt64} AND {high:UInt64} AND $unknown

-- name: condemn
-- Under an id of its own: the event's id stays unknown, so that the mended event is not taken for a copy.
ALTER TABLE staging.lines
    UPDATE kind = 'dead_letter', rest = {letter:String}, event_id = {id:String}, key = reinterpretAsUInt128(sipHash128(project, {id:String}))
    WHERE row = {row:UInt64}

-- name: properties
-- The catalog of properties, exactly, from the events that were received in the time that the last batches span.
INSERT INTO event_properties (project, event, property, type, last_seen)
SELECT project, event, path, arrayJoin(types), seen
FROM
(
    SELECT project, event, max(time_received) AS seen, distinctJSONPathsAndTypes(properties) AS found
    FROM events
    WHERE time_received >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') AND time_received <= fromUnixTimestamp64Micro({until:Int64}, 'UTC')
    GROUP BY project, event
)
ARRAY JOIN mapKeys(found) AS path, mapValues(found) AS types

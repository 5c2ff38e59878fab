-- What the tracking plan found.
ALTER TABLE events ${on_cluster}
    ADD COLUMN violations LowCardinality(String) COMMENT 'what does not fit its plan, where the plan stamps: property and rule, such as total: type',
    ADD COLUMN plan_version UInt32 COMMENT 'version of the entry of the plan that judged it; 0: no entry was meant for it';

-- How many events each entry of a plan judged, and how many of them did not fit. day: of receipt, UTC.
CREATE TABLE plan_checks ${on_cluster}
(
    project LowCardinality(String),
    event   String,
    mode    LowCardinality(String),
    version UInt32,
    day     Date,
    checked SimpleAggregateFunction(sum, UInt64),
    failed  SimpleAggregateFunction(sum, UInt64)
)
ENGINE = ${engine}AggregatingMergeTree()
ORDER BY (project, day, event, mode, version)
SETTINGS non_replicated_deduplication_window = 1000;

-- What was wrong with them. An event with three faults counts in three rows.
CREATE TABLE plan_violations ${on_cluster}
(
    project   LowCardinality(String),
    event     String,
    property  String COMMENT 'path with dots, [] for an element of a list; empty: the properties as a whole',
    rule      LowCardinality(String) COMMENT 'the word of JSON Schema, or unplanned',
    mode      LowCardinality(String),
    version   UInt32,
    day       Date,
    count     SimpleAggregateFunction(sum, UInt64),
    last_seen SimpleAggregateFunction(max, DateTime64(6, 'UTC'))
)
ENGINE = ${engine}AggregatingMergeTree()
ORDER BY (project, day, event, property, rule, mode, version)
SETTINGS non_replicated_deduplication_window = 1000;

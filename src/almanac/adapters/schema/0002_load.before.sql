-- What the load knows besides the events.

-- Message ids of the last days, by which a message that is sent again is counted once. Small granules: a suspect is looked up by its key.
CREATE TABLE message_ids ${on_cluster}
(
    key     UInt128 COMMENT 'sipHash128 of project and message id',
    project LowCardinality(String),
    batch   UInt64,
    day     Date COMMENT 'when it was loaded'
)
ENGINE = ${engine}MergeTree()
PARTITION BY day
ORDER BY key
SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 512;

-- One row for each batch, project and hour of receipt. accepted is the collectors' own count, the others are the load's.
CREATE TABLE ledger ${on_cluster}
(
    project   LowCardinality(String),
    hour      DateTime('UTC'),
    batch     UInt64,
    accepted  Int64,
    stored    Int64,
    duplicate Int64,
    rejected  Int64
)
ENGINE = ${engine}MergeTree()
PARTITION BY toYYYYMM(hour)
ORDER BY (project, hour, batch)
SETTINGS non_replicated_deduplication_window = 1000;

-- What could not become an event, with the original. The row with the greatest version of an id counts.
CREATE TABLE dead_letters ${on_cluster}
(
    project  LowCardinality(String),
    id       String,
    version  UInt64,
    state    Enum8('waiting' = 1, 'replayed' = 2, 'discarded' = 3),
    received DateTime64(6, 'UTC'),
    stage    LowCardinality(String),
    reason   LowCardinality(String),
    detail   String CODEC(ZSTD(3)),
    original String CODEC(ZSTD(3)),
    protocol LowCardinality(String)
)
ENGINE = ${engine}ReplacingMergeTree(version)
ORDER BY (project, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- Who is who: statements of senders (and of people) that two ids are one person, in the order of their arrival.
CREATE TABLE identity_edges ${on_cluster}
(
    project  LowCardinality(String),
    id       UUID COMMENT 'the message that said so',
    ordinal  UInt16 COMMENT 'place within the message',
    source   String,
    target   String,
    how      LowCardinality(String) COMMENT 'identify, alias or merge',
    at       DateTime64(6, 'UTC') COMMENT 'when it was received',
    batch    UInt64
)
ENGINE = ${engine}MergeTree()
ORDER BY (project, at, id, ordinal)
SETTINGS non_replicated_deduplication_window = 1000;

-- Edges taken back, and put in force again: the latest row of an edge counts.
CREATE TABLE identity_undone ${on_cluster}
(
    project  LowCardinality(String),
    edge     String COMMENT 'id and ordinal of the edge',
    undone   Bool,
    at       DateTime64(6, 'UTC'),
    who      String
)
ENGINE = ${engine}MergeTree()
ORDER BY (project, edge, at);

-- The outcome of all edges in force: ids whose person is not themselves. Derived, and can be rebuilt from the edges.
CREATE TABLE persons ${on_cluster}
(
    project     LowCardinality(String),
    person_hash UInt64,
    person      UInt64,
    version     UInt64
)
ENGINE = ${engine}ReplacingMergeTree(version)
ORDER BY (project, person_hash);

CREATE DICTIONARY person_of ${on_cluster}
(
    project     String,
    person_hash UInt64,
    person      UInt64
)
PRIMARY KEY project, person_hash
SOURCE(CLICKHOUSE(QUERY 'SELECT project, person_hash, argMax(person, version) AS person FROM default.persons GROUP BY project, person_hash'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(0);

-- Changes of the properties of people and groups, never overwritten: a question reads the state as of any time.
CREATE TABLE profile_changes ${on_cluster}
(
    project  LowCardinality(String),
    subject  LowCardinality(String) COMMENT 'person, or the type of the group',
    key_hash UInt64 COMMENT 'cityHash64 of the distinct id or the key of the group',
    key      String CODEC(ZSTD(1)),
    property LowCardinality(String),
    op       Enum8('set' = 1, 'set_once' = 2, 'unset' = 3),
    value    String COMMENT 'JSON' CODEC(ZSTD(1)),
    time     DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ${engine}MergeTree()
ORDER BY (project, subject, property, key_hash, time)
SETTINGS non_replicated_deduplication_window = 1000;

-- The catalog of names. Aggregated, rebuilt from the events when asked.
CREATE TABLE event_names ${on_cluster}
(
    project    LowCardinality(String),
    event      String,
    first_seen SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    last_seen  SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    count      SimpleAggregateFunction(sum, UInt64)
)
ENGINE = ${engine}AggregatingMergeTree()
ORDER BY (project, event)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE event_properties ${on_cluster}
(
    project   LowCardinality(String),
    event     String,
    property  String,
    type      LowCardinality(String),
    last_seen SimpleAggregateFunction(max, DateTime64(6, 'UTC'))
)
ENGINE = ${engine}AggregatingMergeTree()
ORDER BY (project, event, property, type)
SETTINGS non_replicated_deduplication_window = 1000;

-- Events by hour: for live counts. A rollup, never the truth.
CREATE TABLE events_per_hour ${on_cluster}
(
    project LowCardinality(String),
    event   LowCardinality(String),
    hour    DateTime('UTC'),
    count   SimpleAggregateFunction(sum, UInt64)
)
ENGINE = ${engine}AggregatingMergeTree()
PARTITION BY toYYYYMM(hour)
ORDER BY (project, event, hour)
SETTINGS non_replicated_deduplication_window = 1000;

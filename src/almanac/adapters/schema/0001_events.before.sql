-- The events. One row an accepted event; the truth, of which everything else can be rebuilt.
--
-- Order: a question reads one project, mostly a few event names and some days, and groups by person; within a day the rows of a person
-- lie together. The message id makes the key of a row unique, so that a merge would drop a row that was inserted twice; nothing relies on
-- it: the load removes duplicates before the insert. The deduplication window counts parts: one batch may hold all 1548 months of 1971 to 2099.
CREATE TABLE events ${on_cluster}
(
    project          LowCardinality(String),
    event            LowCardinality(String),
    day              Date,
    person_hash      UInt64 COMMENT 'cityHash64 of distinct_id, before any merge; 0 without one',
    time             DateTime64(6, 'UTC') COMMENT 'when it happened, corrected for the clock of the sender' CODEC(Delta, ZSTD(1)),
    id               UUID COMMENT 'the message id, or 128 bits of a hash of it when it is no UUID',

    id_text          String COMMENT 'the message id when it is no UUID' CODEC(ZSTD(1)),
    kind             LowCardinality(String),
    distinct_id      String CODEC(ZSTD(1)),
    user_id          String COMMENT 'as sent; empty when it is the distinct_id' CODEC(ZSTD(1)),
    anonymous_id     String CODEC(ZSTD(1)),
    device_id        String CODEC(ZSTD(1)),
    session_id       String CODEC(ZSTD(1)),
    window_id        String CODEC(ZSTD(1)),

    time_client      Nullable(DateTime64(6, 'UTC')) COMMENT 'what the sender said' CODEC(Delta, ZSTD(1)),
    time_sent        Nullable(DateTime64(6, 'UTC')) CODEC(Delta, ZSTD(1)),
    time_received    DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    time_origin      Enum8('client' = 1, 'corrected' = 2, 'received' = 3),

    properties       JSON(max_dynamic_paths = 256) CODEC(ZSTD(1)),
    properties_exact String COMMENT 'the original text where the JSON column cannot keep it to the letter' CODEC(ZSTD(1)),
    groups           Map(LowCardinality(String), String) CODEC(ZSTD(1)),

    url              String CODEC(ZSTD(1)),
    host             LowCardinality(String),
    path             String CODEC(ZSTD(1)),
    title            String CODEC(ZSTD(1)),
    screen           LowCardinality(String),
    referrer         String CODEC(ZSTD(1)),
    referrer_host    LowCardinality(String),
    utm_source       LowCardinality(String),
    utm_medium       LowCardinality(String),
    utm_campaign     LowCardinality(String),
    utm_term         LowCardinality(String),
    utm_content      LowCardinality(String),
    channel          LowCardinality(String),

    ip               String CODEC(ZSTD(1)),
    country          LowCardinality(String),
    region           LowCardinality(String),
    city             LowCardinality(String),
    user_agent       LowCardinality(String),
    browser          LowCardinality(String),
    browser_version  LowCardinality(String),
    os               LowCardinality(String),
    os_version       LowCardinality(String),
    device           LowCardinality(String),
    is_bot           Bool,

    library          LowCardinality(String),
    library_version  LowCardinality(String),
    protocol         LowCardinality(String),
    is_server        Bool,
    context          String COMMENT 'what the sender said of the circumstances, as JSON' CODEC(ZSTD(1)),
    flags            LowCardinality(String) COMMENT 'integrations, consent and other switches of the sender, as JSON',
    rest             String COMMENT 'what has no home of its own, as JSON' CODEC(ZSTD(1)),

    revenue          Nullable(Float64) COMMENT 'lifted from revenue, total or value of the properties' CODEC(ZSTD(1)),
    currency         LowCardinality(String),

    INDEX received time_received TYPE minmax GRANULARITY 1
)
ENGINE = ${engine}ReplacingMergeTree()
PARTITION BY toYYYYMM(day)
ORDER BY (project, event, day, person_hash, time, id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 8192;

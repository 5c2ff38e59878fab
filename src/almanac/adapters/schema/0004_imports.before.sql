-- What became of the lines of each piece of the log that an import wrote. The books know projects and hours only, where other senders'
-- events are too.
CREATE TABLE imported_segments ${on_cluster}
(
    segment   String COMMENT 'its file name: the writer''s name and a number that grows',
    batch     UInt64,
    stored    UInt64,
    duplicate UInt64,
    rejected  UInt64
)
ENGINE = ${engine}MergeTree()
ORDER BY (segment, batch)
SETTINGS non_replicated_deduplication_window = 1000;

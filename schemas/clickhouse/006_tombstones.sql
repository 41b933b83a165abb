-- What stands in the place of a row that was erased: its leaf in the evidence, so that every root can still be computed.
-- The salt went with the row, so nobody can test a guess at the row against it. schemas/README.md has the form.
CREATE TABLE IF NOT EXISTS {{.DB}}.tombstones{{.On}}
(
    source       LowCardinality(String),
    topic        LowCardinality(String),
    partition    Int32,
    offset       Int64,
    row_table    LowCardinality(String) COMMENT 'raw_rows, event_rows, alert_rows or dead_letter_rows',
    ordinal      UInt32 COMMENT 'place among the rows of the offset in that table, in the order of the evidence',
    batch_id     FixedString(16),
    batch_time   DateTime64(3, 'UTC'),
    leaf         FixedString(32) COMMENT 'hash of salt and row',
    ticket       String,
    ground       String COMMENT 'why it precedes a hold, empty where there was none',
    approvers    String COMMENT 'separated by spaces',
    ledger_index UInt64 COMMENT 'of the erasure in the evidence log; without it a tombstone is a finding',
    stored_at    DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{.Engine "tombstones"}}
PARTITION BY toYYYYMM(batch_time)
ORDER BY (source, topic, partition, offset, row_table, ordinal)
SETTINGS {{.Pinned}};

-- Batches whose rows and tombstones are not those that the receipt counts. Empty on a healthy system.
DROP VIEW IF EXISTS {{.DB}}.batch_findings{{.On}};
CREATE VIEW IF NOT EXISTS {{.DB}}.batch_findings{{.On}} SQL SECURITY INVOKER AS
SELECT
    source, topic, partition, first_offset, last_offset, attempt, lower(hex(b.batch_id)) AS batch, b.events AS events_expected,
    e.n + t.events AS events_found, b.alerts AS alerts_expected, a.n + t.alerts AS alerts_found
FROM {{.DB}}.batches AS b
LEFT JOIN (SELECT batch_id, count() AS n FROM {{.DB}}.event_rows GROUP BY batch_id) AS e ON e.batch_id = b.batch_id
LEFT JOIN (SELECT batch_id, count() AS n FROM {{.DB}}.alert_rows GROUP BY batch_id) AS a ON a.batch_id = b.batch_id
LEFT JOIN
(
    SELECT batch_id, uniqExactIf((offset, ordinal), row_table = 'event_rows') AS events,
        uniqExactIf((offset, ordinal), row_table = 'alert_rows') AS alerts
    FROM {{.DB}}.tombstones GROUP BY batch_id
) AS t ON t.batch_id = b.batch_id
WHERE events_found != events_expected OR alerts_found != alerts_expected;

-- What people did: with cases, and with borderwatch itself. Rows are only added; the state of a case is what its rows add up
-- to, so nothing that somebody did can be edited away.
CREATE TABLE IF NOT EXISTS {{.DB}}.actions{{.On}}
(
    action_id    FixedString(16) COMMENT 'random',
    time         DateTime64(3, 'UTC'),
    who          LowCardinality(String),
    roles        LowCardinality(String) COMMENT 'separated by spaces',
    channel      LowCardinality(String) COMMENT 'page, api or process',
    action       LowCardinality(String) COMMENT 'take, comment, acknowledge, confirm, close, reopen, seen, or the name of an operation',
    subject      String COMMENT 'what it was done to: a case id, an alert id, a name',
    done         Bool COMMENT 'false where it was refused',
    detail       String COMMENT 'JSON',
    ledger_index Int64 COMMENT 'leaf of the evidence log, -1 where no log was reachable',
    stored_at    DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{.Engine "actions"}}
PARTITION BY toYYYYMM(time)
ORDER BY (subject, time, action_id)
SETTINGS {{.Pinned}};

-- Lists of the console ask for a stretch of batch times, for one case or for one alert.
ALTER TABLE {{.DB}}.alert_rows{{.On}} ADD INDEX IF NOT EXISTS batch_range batch_time TYPE minmax GRANULARITY 1;
ALTER TABLE {{.DB}}.alert_rows{{.On}} ADD INDEX IF NOT EXISTS case_filter case_id TYPE bloom_filter(0.01) GRANULARITY 1;
ALTER TABLE {{.DB}}.alert_rows{{.On}} ADD INDEX IF NOT EXISTS alert_filter alert_id TYPE bloom_filter(0.01) GRANULARITY 1;
ALTER TABLE {{.DB}}.event_rows{{.On}} ADD INDEX IF NOT EXISTS batch_range batch_time TYPE minmax GRANULARITY 1;

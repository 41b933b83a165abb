-- Tables. Every row carries the id of the batch it was written with; the views of 002 show a row once the receipt of its
-- batch is there. decisions.md explains keys, types and codecs.

CREATE TABLE IF NOT EXISTS {{.DB}}.event_rows{{.On}}
(
    source               LowCardinality(String) COMMENT 'cluster id and epoch: kafka:<cluster-id>/<epoch>',
    topic                LowCardinality(String),
    partition            Int32,
    offset               Int64,
    batch_id             LowCardinality(FixedString(16)),
    batch_time           DateTime64(3, 'UTC'),
    bundle               LowCardinality(String) COMMENT 'digest of the bundle that judged',
    kafka_time           DateTime64(3, 'UTC'),
    feed                 LowCardinality(String),
    scope                LowCardinality(String) COMMENT 'identity scope: feeds that deliver copies of the same records share one',
    event_id             String,
    content              FixedString(16) COMMENT 'digest of what the source said',
    time                 DateTime64(3, 'UTC'),
    seq                  Int64 COMMENT '-1 where the feed does not number its events',
    source_ip            LowCardinality(String) COMMENT 'an address, or the name of a cloud service',
    actor_id             LowCardinality(String),
    actor_kind           {{enum "actor_kind"}},
    actor_via            LowCardinality(String) COMMENT 'list, members separated by NUL; unknown = not given',
    actor_employer_country LowCardinality(String),
    actor_employer_entity LowCardinality(String),
    actor_home_country   LowCardinality(String),
    actor_groups         LowCardinality(String) COMMENT 'list, members separated by NUL; unknown = not given',
    actor_covered_person {{enum "answer"}},
    actor_employment     {{enum "employment"}},
    session_id           String,
    session_mfa          {{enum "answer"}},
    declared_office      LowCardinality(String),
    declared_physical    LowCardinality(String),
    presence_badge       LowCardinality(String),
    presence_device      LowCardinality(String),
    presence_client      LowCardinality(String),
    location_country     LowCardinality(String) COMMENT 'candidate countries joined with |, or any',
    location_verdict     {{enum "location_verdict"}},
    location_reason      LowCardinality(String),
    location_expected    {{enum "expectation"}},
    location_confidence  {{enum "confidence"}},
    location_address_only Bool,
    location_contested   Bool,
    location_evidence    LowCardinality(String) COMMENT 'kind=place, separated by spaces',
    network_asn          UInt32,
    network_org          LowCardinality(String),
    network_kind         {{enum "network_kind"}},
    action               {{enum "action"}},
    outcome              {{enum "outcome"}},
    dataset              LowCardinality(String),
    system               LowCardinality(String),
    subject_regions      LowCardinality(String) COMMENT 'words joined with a comma; unknown = missing, empty = known to be empty',
    classes              LowCardinality(String),
    categories           LowCardinality(String),
    form                 {{enum "data_form"}},
    storage_country      LowCardinality(String),
    more_items           String COMMENT 'JSON array of the data items beyond the first',
    exporter_entity      LowCardinality(String),
    subjects             Int64 COMMENT '-1 where unknown',
    records              Int64 COMMENT '-1 where unknown',
    bytes                Int64 COMMENT '-1 where unknown',
    dest_system          LowCardinality(String),
    dest_country         LowCardinality(String),
    dest_entity          LowCardinality(String),
    approval_id          LowCardinality(String),
    approval_scope       LowCardinality(String),
    approval_until       DateTime64(3, 'UTC') COMMENT '1970-01-01 where not given',
    approval_state       {{enum "approval_state"}},
    ticket_id            LowCardinality(String),
    justification        String,
    mechanism            {{enum "mechanism"}},
    gateway_id           LowCardinality(String),
    gateway_decision     {{enum "decision"}},
    added                LowCardinality(String) COMMENT 'fields that only the reference files gave, separated by spaces',
    differs              LowCardinality(String) COMMENT 'field=what the source said where the reference says otherwise, separated by NUL',
    verdict              {{enum "verdict"}},
    severity             {{enum "severity"}},
    alerts               UInt16,
    matched              LowCardinality(String) COMMENT 'rule:outcome:severity[:shadow][:item=n][:missing], separated by spaces',
    near                 LowCardinality(String) COMMENT 'rule:fields whose conditions were false, separated by spaces',
    near_total           UInt16,
    INDEX time_range time TYPE minmax GRANULARITY 1,
    INDEX actor_filter actor_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {{.Engine "event_rows"}}
PARTITION BY toYYYYMM(batch_time)
ORDER BY (source, topic, partition, offset)
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.raw_rows{{.On}}
(
    source        LowCardinality(String),
    topic         LowCardinality(String),
    partition     Int32,
    offset        Int64,
    batch_id      LowCardinality(FixedString(16)),
    batch_time    DateTime64(3, 'UTC'),
    kafka_time    DateTime64(3, 'UTC'),
    key           String,
    value         String CODEC(ZSTD(1)),
    header_keys   Array(LowCardinality(String)),
    header_values Array(String),
    nulls         UInt32 COMMENT 'bit 0: null key, 1: null value, 2+i: null value of header i'
)
ENGINE = {{.Engine "raw_rows"}}
PARTITION BY toYYYYMM(batch_time)
ORDER BY (source, topic, partition, offset)
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.alert_rows{{.On}}
(
    source               LowCardinality(String),
    topic                LowCardinality(String),
    partition            Int32,
    offset               Int64,
    batch_id             LowCardinality(FixedString(16)),
    batch_time           DateTime64(3, 'UTC'),
    bundle               LowCardinality(String),
    alert_id             FixedString(16),
    case_id              FixedString(16),
    case_kind            {{enum "case_kind"}},
    rule_id              LowCardinality(String),
    outcome              {{enum "verdict"}},
    severity             {{enum "severity"}},
    shadow               Bool,
    rules                LowCardinality(String) COMMENT 'rule ids, separated by spaces',
    missing              LowCardinality(String) COMMENT 'field names, separated by spaces',
    exceptions           LowCardinality(String) COMMENT 'id=ticket, separated by NUL',
    why                  String,
    feed                 LowCardinality(String),
    scope                LowCardinality(String),
    event_id             String,
    content              FixedString(16),
    time                 DateTime64(3, 'UTC'),
    kafka_time           DateTime64(3, 'UTC'),
    actor_id             LowCardinality(String),
    actor_kind           {{enum "actor_kind"}},
    actor_employer_entity LowCardinality(String),
    actor_employer_country LowCardinality(String),
    session_id           String,
    source_ip            LowCardinality(String),
    location_country     LowCardinality(String),
    location_verdict     {{enum "location_verdict"}},
    location_reason      LowCardinality(String),
    location_expected    {{enum "expectation"}},
    location_confidence  {{enum "confidence"}},
    location_evidence    LowCardinality(String),
    network_asn          UInt32,
    network_org          LowCardinality(String),
    network_kind         {{enum "network_kind"}},
    action               {{enum "action"}},
    access_outcome       {{enum "outcome"}},
    data_item            UInt16 COMMENT 'index of the data item that decided; its values are in the data columns',
    dataset              LowCardinality(String),
    system               LowCardinality(String),
    subject_regions      LowCardinality(String),
    classes              LowCardinality(String),
    categories           LowCardinality(String),
    form                 {{enum "data_form"}},
    storage_country      LowCardinality(String),
    records              Int64,
    dest_system          LowCardinality(String),
    dest_country         LowCardinality(String),
    dest_entity          LowCardinality(String),
    approval_id          LowCardinality(String),
    ticket_id            LowCardinality(String),
    gateway_decision     {{enum "decision"}}
)
ENGINE = {{.Engine "alert_rows"}}
PARTITION BY toYYYYMM(batch_time)
ORDER BY (source, topic, partition, offset, rule_id)
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.dead_letter_rows{{.On}}
(
    source        LowCardinality(String),
    topic         LowCardinality(String),
    partition     Int32,
    offset        Int64,
    batch_id      LowCardinality(FixedString(16)),
    batch_time    DateTime64(3, 'UTC'),
    kafka_time    DateTime64(3, 'UTC'),
    feed          LowCardinality(String),
    code          LowCardinality(String),
    reason        String,
    field         String,
    position      Int64 COMMENT 'byte offset in the value, -1 where unknown',
    size          UInt32 COMMENT 'bytes of the value',
    key           String,
    value         String CODEC(ZSTD(1)),
    header_keys   Array(LowCardinality(String)),
    header_values Array(String),
    nulls         UInt32
)
ENGINE = {{.Engine "dead_letter_rows"}}
PARTITION BY toYYYYMM(batch_time)
ORDER BY (source, topic, partition, offset)
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.receipts{{.On}}
(
    source            LowCardinality(String),
    topic             LowCardinality(String),
    partition         Int32,
    first_offset      Int64,
    last_offset       Int64,
    attempt           UInt16 COMMENT '0, or the number of the repair',
    batch_id          FixedString(16),
    supersedes        Array(FixedString(16)) COMMENT 'batches of the same range that this one replaces',
    batch_time        DateTime64(3, 'UTC'),
    bundle            LowCardinality(String),
    schema            UInt16,
    events            UInt32,
    raw               UInt32,
    alerts            UInt32,
    dead_letters      UInt32,
    control           UInt32,
    compacted         UInt32,
    input_digest      FixedString(32) COMMENT 'over offset, timestamp, key, value and headers of every record',
    judged_digest     FixedString(32) COMMENT 'over the verdicts in offset order',
    ledger_index      UInt64,
    worker            LowCardinality(String),
    stored_at         DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'clock of the server; no evidence'
)
ENGINE = {{.Engine "receipts"}}
PARTITION BY toYYYYMM(batch_time)
ORDER BY (source, topic, partition, first_offset, attempt)
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.bundles{{.On}}
(
    digest    String,
    manifest  String CODEC(ZSTD(3)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{.Engine "bundles"}}
ORDER BY digest
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.bundle_parts{{.On}}
(
    digest    String,
    content   String CODEC(ZSTD(3)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{.Engine "bundle_parts"}}
ORDER BY digest
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.activations{{.On}}
(
    source       LowCardinality(String),
    topic        LowCardinality(String),
    partition    Int32,
    from_offset  Int64 COMMENT 'first offset that the bundle judged',
    bundle       String,
    ledger_index UInt64,
    stored_at    DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{.Engine "activations"}}
ORDER BY (source, topic, partition, from_offset)
SETTINGS {{.Pinned}};

CREATE TABLE IF NOT EXISTS {{.DB}}.notices{{.On}}
(
    notice_id    FixedString(16) COMMENT 'of kind, subject and offsets',
    kind         LowCardinality(String),
    subject      String,
    severity     {{enum "severity"}},
    source       LowCardinality(String),
    topic        LowCardinality(String),
    partition    Int32,
    first_offset Int64 COMMENT '-1 where the notice is not about offsets',
    last_offset  Int64,
    ledger_index UInt64,
    time         DateTime64(3, 'UTC'),
    why          String,
    stored_at    DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {{.Engine "notices"}}
PARTITION BY toYYYYMM(time)
ORDER BY (kind, time)
SETTINGS {{.Pinned}};

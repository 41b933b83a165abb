-- Views: what people query. They run with the rights of whoever asks.

-- One row per batch that counts: it has a receipt and no later batch of the same range replaces it.
CREATE VIEW IF NOT EXISTS {{.DB}}.batches{{.On}} SQL SECURITY INVOKER AS
SELECT * FROM {{.DB}}.receipts
WHERE batch_id NOT IN (SELECT arrayJoin(supersedes) FROM {{.DB}}.receipts WHERE notEmpty(supersedes))
LIMIT 1 BY batch_id;

-- One row per Kafka offset.
CREATE VIEW IF NOT EXISTS {{.DB}}.events{{.On}} SQL SECURITY INVOKER AS
SELECT
    time, event_id, feed, scope, nullIf(e.seq, -1) AS seq, verdict, severity, alerts,
    actor_id, actor_kind, {{list "e.actor_via"}} AS actor_via, actor_employer_country, actor_employer_entity, actor_home_country,
    {{list "e.actor_groups"}} AS actor_groups, actor_covered_person, actor_employment, session_id, session_mfa, source_ip,
    declared_office, declared_physical, presence_badge, presence_device, presence_client,
    location_country, splitByChar('|', e.location_country) AS location_countries, location_verdict, location_reason,
    location_expected, location_confidence, location_address_only, location_contested,
    {{words "e.location_evidence"}} AS location_evidence, network_asn, network_org, network_kind,
    action, outcome, dataset, system, {{set "e.subject_regions"}} AS subject_regions, {{set "e.classes"}} AS classes,
    {{set "e.categories"}} AS categories, form, storage_country, more_items, exporter_entity,
    nullIf(e.subjects, -1) AS subjects, nullIf(e.records, -1) AS records, nullIf(e.bytes, -1) AS bytes,
    dest_system, dest_country, dest_entity, approval_id, approval_scope,
    nullIf(e.approval_until, toDateTime64(0, 3, 'UTC')) AS approval_until, approval_state, ticket_id, justification, mechanism,
    gateway_id, gateway_decision, {{words "e.added"}} AS added, {{list "e.differs"}} AS differs,
    {{words "e.matched"}} AS matched, {{words "e.near"}} AS near, near_total, bundle,
    source, topic, partition, offset, kafka_time, batch_time, lower(hex(e.content)) AS content, lower(hex(e.batch_id)) AS batch
FROM {{.DB}}.event_rows AS e
WHERE {{visible}};

-- One row per event, however many feeds delivered it. What the source said is equal in all copies; where copies were
-- judged differently the most severe verdict is shown, and all that goes with it comes from that copy.
CREATE VIEW IF NOT EXISTS {{.DB}}.distinct_events{{.On}} SQL SECURITY INVOKER AS
WITH {{rank "verdict"}} AS rank
SELECT
    time, event_id, scope, count() AS copies, {{range most "verdict" "severity" "alerts" "feed"}}{{.}}, {{end}}
    actor_id, {{range most "actor_kind" "actor_via" "actor_employer_country" "actor_employer_entity" "actor_home_country" "actor_groups" "actor_covered_person" "actor_employment"}}{{.}}, {{end}}
    {{range most "session_id" "session_mfa" "source_ip" "declared_office" "declared_physical"}}{{.}}, {{end}}
    {{range most "location_country" "location_countries" "location_verdict" "location_reason" "location_expected" "location_confidence" "location_evidence"}}{{.}}, {{end}}
    {{range most "network_asn" "network_org" "network_kind"}}{{.}}, {{end}}
    action, {{range most "outcome" "dataset" "system" "subject_regions" "classes" "categories" "form" "storage_country" "more_items" "exporter_entity" "subjects" "records" "bytes"}}{{.}}, {{end}}
    {{range most "dest_system" "dest_country" "dest_entity" "approval_id" "approval_scope" "approval_until" "approval_state" "ticket_id" "justification" "mechanism" "gateway_id" "gateway_decision"}}{{.}}, {{end}}
    {{range most "added" "differs" "matched" "near" "near_total" "bundle" "source" "topic" "partition" "offset" "kafka_time" "batch_time"}}{{.}}, {{end}}
    content
FROM {{.DB}}.events AS e
GROUP BY scope, event_id, content, time, actor_id, action;

-- One row per alert id: copies of an event that came through several feeds raise one alert.
CREATE VIEW IF NOT EXISTS {{.DB}}.alerts{{.On}} SQL SECURITY INVOKER AS
WITH {{rank "outcome"}} AS rank
SELECT
    time, lower(hex(alert_id)) AS alert_id, rule_id, {{range most "outcome" "severity" "shadow"}}{{.}}, {{end}}
    actor_id, {{range most "actor_kind" "actor_employer_entity" "actor_employer_country" "session_id" "source_ip"}}{{.}}, {{end}}
    {{range most "location_country" "location_verdict" "location_reason" "location_expected" "location_confidence"}}{{.}}, {{end}}
    argMax({{words "e.location_evidence"}}, rank) AS location_evidence, {{range most "network_asn" "network_org" "network_kind"}}{{.}}, {{end}}
    action, {{range most "access_outcome" "data_item" "dataset" "system"}}{{.}}, {{end}}
    argMax({{set "e.subject_regions"}}, rank) AS subject_regions, argMax({{set "e.classes"}}, rank) AS classes,
    argMax({{set "e.categories"}}, rank) AS categories, {{range most "form" "storage_country"}}{{.}}, {{end}}
    argMax(nullIf(e.records, -1), rank) AS records, {{range most "dest_system" "dest_country" "dest_entity" "approval_id" "ticket_id" "gateway_decision"}}{{.}}, {{end}}
    argMax(e.why, rank) AS why, argMax({{words "e.rules"}}, rank) AS rules, argMax({{words "e.missing"}}, rank) AS missing,
    argMax(arrayMap(x -> splitByChar('=', x)[1], {{list "e.exceptions"}}), rank) AS exceptions,
    argMax(arrayMap(x -> substring(x, position(x, '=') + 1), {{list "e.exceptions"}}), rank) AS tickets,
    lower(hex(argMax(e.case_id, rank))) AS case_id, {{range most "case_kind" "bundle" "feed"}}{{.}}, {{end}}
    count() AS copies, event_id, scope, lower(hex(content)) AS content,
    {{range most "source" "topic" "partition" "offset" "kafka_time" "batch_time"}}{{.}}, {{end}}
    max(e.batch_time) AS last_copy
FROM {{.DB}}.alert_rows AS e
WHERE {{visible}}
GROUP BY alert_id, rule_id, scope, event_id, content, time, actor_id, action;

-- One row per case: what a person works on. Suppressed and shadow alerts open none.
CREATE VIEW IF NOT EXISTS {{.DB}}.cases{{.On}} SQL SECURITY INVOKER AS
SELECT
    case_id, any(a.case_kind) AS kind, max(a.severity) AS severity, arraySort(groupUniqArray(a.rule_id)) AS rules,
    if(kind = 'gap', '', any(a.actor_id)) AS actor_id, uniqExact(a.actor_id) AS actors,
    arraySort(groupUniqArray(20)(a.location_country)) AS countries, arraySort(groupUniqArray(20)(a.feed)) AS feeds,
    arraySort(groupUniqArray(20)(a.system)) AS systems, arraySort(groupUniqArray(20)(a.dataset)) AS datasets,
    min(a.time) AS first_seen, max(a.time) AS last_seen, count() AS alerts,
    uniqExact(a.scope, a.event_id, a.content) AS events, argMax(a.why, (a.severity, a.time, a.alert_id)) AS why
FROM {{.DB}}.alerts AS a
WHERE a.outcome IN ('unknown', 'alert', 'error') AND NOT a.shadow
GROUP BY case_id;

-- Records that could not be read. Their bytes are in dead_letter_rows, which only the accounts that need them may read.
CREATE VIEW IF NOT EXISTS {{.DB}}.dead_letters{{.On}} SQL SECURITY INVOKER AS
SELECT kafka_time, source, topic, partition, offset, feed, code, reason, field, nullIf(d.position, -1) AS position, size, batch_time
FROM {{.DB}}.dead_letter_rows AS d
WHERE {{visible}};

-- What each feed and data set leaves open, as shares of its events: the less is unknown, the fewer gap cases.
CREATE VIEW IF NOT EXISTS {{.DB}}.coverage{{.On}} SQL SECURITY INVOKER AS
SELECT
    feed, dataset, count() AS events, countIf(verdict = 'unknown') / events AS unjudged,
    {{range shares}}countIf(location_verdict = '{{.}}') / events AS location_{{.}},
    {{end}}arrayFilter(x -> x.2 > 0, [{{range $i, $m := missing}}{{if $i}}, {{end}}
        ('{{$m.Field}}', countIf({{$m.Condition}}) / events){{end}}]) AS missing,
    countIf(notEmpty(differs)) / events AS contradicted, topK(3)(location_reason) AS reasons
FROM {{.DB}}.event_rows
WHERE {{visible}}
GROUP BY feed, dataset;

-- Batches whose rows are not those that the receipt counts. Empty on a healthy system.
CREATE VIEW IF NOT EXISTS {{.DB}}.batch_findings{{.On}} SQL SECURITY INVOKER AS
SELECT
    source, topic, partition, first_offset, last_offset, attempt, lower(hex(b.batch_id)) AS batch, b.events AS events_expected,
    e.n AS events_found, b.alerts AS alerts_expected, a.n AS alerts_found
FROM {{.DB}}.batches AS b
LEFT JOIN (SELECT batch_id, count() AS n FROM {{.DB}}.event_rows GROUP BY batch_id) AS e ON e.batch_id = b.batch_id
LEFT JOIN (SELECT batch_id, count() AS n FROM {{.DB}}.alert_rows GROUP BY batch_id) AS a ON a.batch_id = b.batch_id
WHERE events_found != events_expected OR alerts_found != alerts_expected;

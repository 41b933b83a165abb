-- Notices are found by questions over stored rows. The time and until of one that is about a stretch of batch times are
-- part of its id; until is 1970-01-01 for one that is about offsets.

ALTER TABLE {{.DB}}.notices{{.On}} ADD COLUMN IF NOT EXISTS until DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC') AFTER time;

-- One row per kind and subject of notices: what a person works on. Redrives are the operators' own doing and open none.
CREATE VIEW IF NOT EXISTS {{.DB}}.notice_cases{{.On}} SQL SECURITY INVOKER AS
SELECT
    lower(hex(left(SHA256(concat(n.kind, '\0', n.subject)), 16))) AS case_id, kind, subject, max(n.severity) AS severity,
    uniqExact(n.notice_id) AS notices, min(n.time) AS first_seen, max(greatest(n.time, n.until)) AS last_seen,
    argMax(n.why, (n.time, n.notice_id)) AS why
FROM {{.DB}}.notices AS n
WHERE kind NOT IN ('redrive_begun', 'redriven')
GROUP BY kind, subject;

-- Which feeds number their events, and how many numbers are missing between the lowest and the highest that is stored.
CREATE VIEW IF NOT EXISTS {{.DB}}.feed_sequences{{.On}} SQL SECURITY INVOKER AS
SELECT
    source, topic, feed, count() AS events, countIf(e.seq >= 0) AS numbered,
    if(numbered = 0, NULL, minIf(e.seq, e.seq >= 0)) AS lowest, if(numbered = 0, NULL, maxIf(e.seq, e.seq >= 0)) AS highest,
    uniqExactIf(e.seq, e.seq >= 0) AS numbers, if(numbered = 0, NULL, highest - lowest + 1 - numbers) AS missing
FROM {{.DB}}.event_rows AS e
WHERE {{visible}}
GROUP BY source, topic, feed;

-- What the roots of a batch's leaf are computed with: schemas/README.md has the form of a row's evidence.

ALTER TABLE {{.DB}}.event_rows{{.On}} ADD COLUMN IF NOT EXISTS
    salt FixedString(16) COMMENT 'hashed before the row in its leaf; goes with the row when that is erased' CODEC(NONE);

ALTER TABLE {{.DB}}.dead_letter_rows{{.On}} ADD COLUMN IF NOT EXISTS
    salt FixedString(16) COMMENT 'hashed before the row in its leaf; goes with the row when that is erased' CODEC(NONE);

ALTER TABLE {{.DB}}.receipts{{.On}} MODIFY COLUMN
    input_digest FixedString(32) COMMENT 'Merkle root over the records of the batch';

ALTER TABLE {{.DB}}.receipts{{.On}} MODIFY COLUMN
    judged_digest FixedString(32) COMMENT 'SHA-256 over the Merkle roots of events, alerts and dead letters';

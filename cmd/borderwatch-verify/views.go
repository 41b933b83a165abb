package main

import (
	"context"
	"fmt"

	"borderwatch/consumers/ledger"
)

// views compares what the operator's views show with what the log says that there is. A view can hide rows even where its
// text is right: by a row policy, or by what the tables behind it were made to say.
func (v *verification) views(ctx context.Context) error {
	for _, c := range v.sortedChains() {
		if c.last < c.first || len(v.unreceipted) > 0 {
			continue // what has no receipt is not shown yet
		}
		span := c.span()
		for _, x := range []struct {
			view, column string
			want         int64
		}{{"events", "offset", c.events}, {"dead_letters", "offset", c.letters}, {"batches", "first_offset", c.batches}} {
			var shown uint64
			err := v.conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s.%s WHERE source = $1 AND topic = $2 AND partition = $3 AND %s BETWEEN $4 AND $5", v.db, x.view, x.column),
				span.Key.Source, span.Key.Topic, span.Key.Partition, span.First, span.Last).Scan(&shown)
			if err != nil {
				return fmt.Errorf("view %s: %w", x.view, err)
			}
			if int64(shown) != x.want {
				v.report.find("view_hides", span, nil, "the view %s shows %d rows, recorded are %d", x.view, shown, x.want)
			}
		}
		if err := v.hiddenAlerts(ctx, span); err != nil {
			return fmt.Errorf("view alerts: %w", err)
		}
	}
	return nil
}

// hiddenAlerts counts alerts of the table that the view does not show.
func (v *verification) hiddenAlerts(ctx context.Context, span ledger.Span) error {
	var hidden uint64
	var first, last int64
	err := v.conn.QueryRow(ctx, fmt.Sprintf(`SELECT count(), min(offset), max(offset) FROM %[1]s.alert_rows
		WHERE source = $1 AND topic = $2 AND partition = $3 AND offset BETWEEN $4 AND $5
		AND lower(hex(alert_id)) NOT IN (SELECT alert_id FROM %[1]s.alerts)`, v.db),
		span.Key.Source, span.Key.Topic, span.Key.Partition, span.First, span.Last).Scan(&hidden, &first, &last)
	if err == nil && hidden > 0 {
		span.First, span.Last = first, last
		v.report.find("view_hides", span, nil, "the view alerts does not show %d alerts that are stored", hidden)
	}
	return err
}

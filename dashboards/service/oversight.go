package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	"borderwatch/schemas/casework"
)

// Dimensions are what charts tell alerts apart by.
var Dimensions = []string{"verdict", "severity", "country", "rule"}

// Chart is a number of alerts over time.
type Chart struct {
	Dimension string           `json:"dimension"`
	From      time.Time        `json:"from"`
	To        time.Time        `json:"to"`
	Bucket    time.Duration    `json:"bucket_ns"`
	Points    []casework.Point `json:"points"`
}

// The size of charts.
const (
	chartBuckets = 48
	chartPoints  = 5000
)

// Chart counts alerts over time by one of Dimensions.
func (s *Service) Chart(ctx context.Context, p Person, dimension string, since time.Duration) (Chart, error) {
	if err := s.permit(ctx, p, ReadCharts, dimension); err != nil {
		return Chart{}, err
	}
	if !slices.Contains(Dimensions, dimension) {
		return Chart{}, fmt.Errorf("%w: dimension is one of %v", ErrInvalid, Dimensions)
	}
	since = bounded(since)
	now := s.p.Now().UTC()
	c := Chart{Dimension: dimension, To: now, Bucket: bucket(since)}
	c.From = now.Add(-since).Truncate(c.Bucket)
	var err error
	if c.Points, err = s.p.Charts.AlertsOverTime(ctx, dimension, c.From, c.Bucket, chartPoints); c.Points == nil {
		c.Points = []casework.Point{}
	}
	return c, err
}

// bucket is the round stretch of time nearest to a 48th.
func bucket(since time.Duration) time.Duration {
	for _, b := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
		if since/b <= chartBuckets {
			return b
		}
	}
	return 7 * 24 * time.Hour
}

// Notices lists what no single event shows; kind "" lists all.
func (s *Service) Notices(ctx context.Context, p Person, kind string, since time.Duration) ([]casework.Notice, error) {
	if err := s.permit(ctx, p, ListNotices, kind); err != nil {
		return nil, err
	}
	return s.notices(ctx, kind, since)
}

func (s *Service) notices(ctx context.Context, kind string, since time.Duration) ([]casework.Notice, error) {
	list, err := s.p.Notices.NoticeRows(ctx, kind, s.p.Now().Add(-bounded(since)), MaxListed)
	if list == nil {
		list = []casework.Notice{}
	}
	return list, err
}

// Access is how the partner reaches the data without the console.
type Access struct {
	HTTP     string   `json:"clickhouse_http"` // address, "" where it is not told
	Native   string   `json:"clickhouse_native"`
	Account  string   `json:"account"`
	Verifier string   `json:"verifier_key"` // public key of the evidence log
	Queries  []Saved  `json:"questions"`
	Notes    []string `json:"notes"`
}

// Saved is a question that is often asked.
type Saved struct {
	Words string `json:"words"`
	Query string `json:"query"`
}

// PartnerPage is what the independent partner begins with.
type PartnerPage struct {
	Access
	Suppressed []casework.Alert  `json:"suppressed"`
	Silent     []casework.Notice `json:"silent_feeds"`
	Notices    []casework.Notice `json:"notices"`
	Log        string            `json:"log"`
	Size       uint64            `json:"size"`
	Checkpoint string            `json:"checkpoint"` // "" where the log cannot be reached
}

// Partner returns what the partner begins with.
func (s *Service) Partner(ctx context.Context, p Person) (PartnerPage, error) {
	if err := s.permit(ctx, p, ReadPartner, ""); err != nil {
		return PartnerPage{}, err
	}
	page := PartnerPage{Access: s.p.Partner}
	suppressed, err := s.alerts(ctx, AlertQuery{Since: 30 * 24 * time.Hour, Outcome: "suppressed", Limit: 50})
	if err != nil {
		return PartnerPage{}, err
	}
	page.Suppressed = suppressed.Alerts
	if page.Notices, err = s.notices(ctx, "", 30*24*time.Hour); err != nil {
		return PartnerPage{}, err
	}
	page.Silent = []casework.Notice{}
	for _, n := range page.Notices {
		if n.Kind == "silent_feed" {
			page.Silent = append(page.Silent, n)
		}
	}
	if s.p.Witness == nil {
		return page, nil
	}
	limited, cancel := context.WithTimeout(ctx, witnessPatience)
	defer cancel()
	text, err := s.p.Witness.Checkpoint(limited)
	if err != nil {
		s.p.Log.Warn("the evidence log cannot be reached", "error", err)
		return page, nil
	}
	page.Checkpoint = string(text)
	page.Log, page.Size, err = checkpoint(text)
	return page, err
}

// OperationsPage is how the machinery is.
type OperationsPage struct {
	Feeds       []casework.FeedState       `json:"feeds"`
	DeadLetters []casework.DeadLetterCount `json:"dead_letters"`
	InForce     []casework.InForce         `json:"in_force"`
	Notices     []casework.Notice          `json:"notices"`
}

// Operations tells how fresh feeds are, what could not be read and which bundle judges where.
func (s *Service) Operations(ctx context.Context, p Person) (page OperationsPage, err error) {
	if err := s.permit(ctx, p, ReadOperations, ""); err != nil {
		return page, err
	}
	now := s.p.Now()
	day := now.Add(-24 * time.Hour)
	if page.Feeds, err = s.p.Notices.Feeds(ctx, day, now); err != nil {
		return page, err
	}
	if page.DeadLetters, err = s.p.Proofs.DeadLetterCounts(ctx, day, MaxListed); err != nil {
		return page, err
	}
	stretches, err := s.p.Bundles.InForce(ctx)
	if err != nil {
		return page, err
	}
	page.InForce = latest(stretches)
	page.Notices, err = s.notices(ctx, "", DefaultSince)
	return page, err
}

// latest keeps the last stretch of each partition.
func latest(list []casework.InForce) []casework.InForce {
	at := map[string]int{}
	var out []casework.InForce
	for _, f := range list {
		key := fmt.Sprintf("%s/%d", f.Topic, f.Partition)
		if i, ok := at[key]; ok {
			out[i] = f
			continue
		}
		at[key] = len(out)
		out = append(out, f)
	}
	return out
}

// Actions lists what people did, the latest first.
func (s *Service) Actions(ctx context.Context, p Person, since time.Duration) ([]casework.Action, error) {
	if err := s.permit(ctx, p, ListActions, ""); err != nil {
		return nil, err
	}
	list, err := s.p.Actions.Actions(ctx, s.p.Now().Add(-bounded(since)), MaxListed)
	if list == nil {
		list = []casework.Action{}
	}
	return list, err
}

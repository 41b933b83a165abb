package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

type expireFlags struct {
	config configFlags
	policy string
	yes    bool
}

func newExpire() *cobra.Command {
	var f expireFlags
	cmd := &cobra.Command{
		Use:   "expire MONTH --config FILE --policy TEXT",
		Short: "Drop the bytes of a month's records when their time is over, on record",
		Long: `expire drops the bytes of all records of a month (202601, by the time at which they
were judged) from ClickHouse. Events, alerts and dead letters stay, and so do their
proofs; the records cannot be proved or judged again any more. The evidence log says
so before it happens (retention/v1), with the policy that it follows.

A month on which a hold of the configuration is (erase.holds) is kept. The account
needs the role bw_erase. Without --yes nothing is done.`,
		Example: `  borderwatch expire 202601 --config erase.yaml --policy "raw records: 9 months (DPO-7)" --yes`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	f.config.register(cmd)
	cmd.Flags().StringVar(&f.policy, "policy", "", "which rule says so; it is recorded (required)")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "drop them")
	return cmd
}

// expirable refuses a month in which a batch could still be stored: a takeover keeps the time at which it was judged.
func expirable(month string, now time.Time) (uint32, error) {
	start, err := time.Parse("200601", month)
	if err != nil {
		return 0, fmt.Errorf("%.20q is not a month like 202601", month)
	}
	if open := start.AddDate(0, 1, 0).Add(ledger.SaltKeyLife); now.Before(open) {
		return 0, fmt.Errorf("records of %s may still be stored; it can be dropped from %s on", month, open.Format(time.DateOnly))
	}
	n, err := strconv.ParseUint(month, 10, 32)
	return uint32(n), err
}

func (f *expireFlags) run(ctx context.Context, word string, stdout io.Writer) error {
	month, err := expirable(word, time.Now())
	if err != nil {
		return usageError{err}
	}
	leaf := ledger.Retention{Table: "raw_rows", Month: word, By: operator(), Policy: f.policy, Time: time.Now().UTC().Truncate(time.Millisecond)}
	if err := leaf.Validate(); err != nil {
		return usageError{err}
	}
	loaded, err := f.config.load(eraseNeeds)
	if err != nil {
		return err
	}
	if f.config.print {
		return printConfig(stdout, loaded)
	}
	s, err := openReader(ctx, loaded)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := unheld(ctx, s, month, loaded.Erase.Holds); err != nil {
		return err
	}
	rows, err := s.RawMonth(ctx, month)
	switch {
	case err != nil:
		return err
	case rows == 0 || !f.yes:
		_, err := fmt.Fprintf(stdout, "%d records of %s would be dropped; --yes does it.\n", rows, word)
		return err
	}
	leaf.Rows = int64(rows)
	if err := f.drop(ctx, s, &loaded.Ledger, leaf, month); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%d records of %s dropped.\n", rows, word)
	return err
}

// drop records it first: a crash in between leaves a leaf about records that are still there, which is no finding.
func (f *expireFlags) drop(ctx context.Context, s *store.Store, cfg *config.Ledger, leaf ledger.Retention, month uint32) error {
	history, done, err := openHistory(ctx, cfg)
	if err != nil {
		return err
	}
	if _, err = history.Append(ctx, leaf); err != nil {
		err = fmt.Errorf("record it; nothing was dropped: %w", err)
	} else {
		err = s.DropRawMonth(ctx, month)
	}
	return errors.Join(err, done())
}

func unheld(ctx context.Context, s *store.Store, month uint32, holds []config.Hold) error {
	for _, h := range holds {
		if ended(h, time.Now()) {
			continue
		}
		n, err := s.HeldIn(ctx, month, h.Actors, h.Datasets, h.Classes)
		if err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("%d records of %d are under the hold %s (%s): the month is kept", n, month, h.Name, h.Reason)
		}
	}
	return nil
}

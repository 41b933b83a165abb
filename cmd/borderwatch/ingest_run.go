package main

import (
	"context"
	"errors"
	"log/slog"

	"borderwatch/cmd/borderwatch/config"
)

// runIngest runs a worker until ctx ends, which is no error, or until it has caught up. Ended before that it returns
// the error of ctx, so that a script does not take the end for everything being stored.
func runIngest(ctx context.Context, loaded *config.Loaded, untilCaughtUp bool, log *slog.Logger) error {
	if err := loaded.ReadSecrets(); err != nil {
		return usageError{err}
	}
	err := work(ctx, loaded.Config, untilCaughtUp, log)
	if !untilCaughtUp && errors.Is(err, context.Canceled) {
		return nil // stopped while it was still starting
	}
	if untilCaughtUp && ctx.Err() != nil {
		log.Warn("stopped before everything was stored; the next run goes on from here")
	}
	return err
}

func work(ctx context.Context, cfg config.Config, untilCaughtUp bool, log *slog.Logger) error {
	w, err := openWorker(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer w.close()
	return w.run(ctx, untilCaughtUp)
}

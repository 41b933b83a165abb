package main

import (
	"context"
	"log/slog"

	"borderwatch/cmd/borderwatch/config"
)

// runIngest runs a worker until ctx ends, which is no error, or until it has caught up.
func runIngest(ctx context.Context, loaded *config.Loaded, untilCaughtUp bool, log *slog.Logger) error {
	if err := loaded.ReadSecrets(); err != nil {
		return usageError{err}
	}
	w, err := openWorker(ctx, loaded.Config, log)
	if err != nil {
		return err
	}
	defer w.close()
	return w.run(ctx, untilCaughtUp)
}

package main

import (
	"context"
	"errors"
	"log/slog"

	"borderwatch/cmd/borderwatch/config"
)

// errNotWired ends a worker of a build without the pipeline.
var errNotWired = errors.New("this build has no pipeline yet: only --print-config works")

// runIngest runs a worker until ctx ends.
func runIngest(_ context.Context, _ *config.Loaded, _ bool, _ *slog.Logger) error {
	return errNotWired
}

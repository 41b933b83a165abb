package drain_test

import (
	"context"
	"testing"

	"borderwatch/consumers/drain"
)

func TestStopping(t *testing.T) {
	if drain.Stopping(t.Context()) != nil {
		t.Error("a context that knows nothing of a stop tells of one")
	}
	stopping := make(chan struct{})
	ctx, cancel := context.WithCancel(drain.With(t.Context(), stopping))
	defer cancel()
	select {
	case <-drain.Stopping(ctx):
		t.Error("stops before it is asked to")
	default:
	}
	close(stopping)
	<-drain.Stopping(ctx)
	if ctx.Err() != nil {
		t.Error("what runs is ended")
	}
}

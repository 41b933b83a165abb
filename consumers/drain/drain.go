// Package drain tells operations that are tried again for as long as it takes that their process is stopping: what runs
// may finish, what has failed is not tried again. A deadline would say something else: it ends what runs as well, and
// leaves an insert's outcome unknown that a moment later would have been known.
package drain

import "context"

type key struct{}

// With returns a context that ends with ctx, and whose operations are not tried again once stopping is closed.
func With(ctx context.Context, stopping <-chan struct{}) context.Context {
	return context.WithValue(ctx, key{}, stopping)
}

// Stopping is closed when a failed operation is to be given up. It is nil, and so never closed, where nobody asked for that.
func Stopping(ctx context.Context) <-chan struct{} {
	stopping, _ := ctx.Value(key{}).(<-chan struct{})
	return stopping
}

package pipeline_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"borderwatch/consumers/bundle"
)

// Bundles change while records arrive. Records are judged and stored while the next bundle is compiled and put in force,
// every record is judged once, by the bundle of its batch, and of the batches in a partition at most the one that is open
// when a bundle comes into force is still judged by the one before.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const partitions, reloads = 2, 3
	r := newRig(t)
	l := r.lane(t, partitions, nil)
	w := l.start(parts{})
	flow := func() { l.produce(traffic(30, partitions)...) }
	flow()
	l.caughtUp(w)

	// A reload does not go on before the worker has stored all that arrived since it began: it holds up nothing. Then the
	// bundle changes with records on their way.
	r.bundles.OnActivate = func(context.Context, *bundle.Bundle) error {
		flow()
		l.caughtUp(w)
		flow()
		return nil
	}
	file := filepath.Join("packs", "eu", "EU-101.yaml")
	for i := range reloads {
		before := r.bundles.Current().Digest
		edit(t, r.bundleDir, file, fmt.Sprintf("id: EU-101\ntitle: %s", reloadTitle(i)), fmt.Sprintf("id: EU-101\ntitle: %s", reloadTitle(i+1)))
		if err := r.bundles.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		inForce := l.ends()
		for range 4 {
			flow()
		}
		l.caughtUp(w)
		for partition, end := range inForce {
			late := l.scalar("SELECT count() FROM %[1]s.receipts WHERE topic = $1 AND partition = $2 AND bundle = $3 AND last_offset >= $4", l.topic, partition, before, end)
			if late > 1 {
				t.Errorf("partition %d: %d batches that ended after offset %d were judged by the old bundle, want one at most", partition, late, end)
			}
		}
	}
	l.check(w)
	if n := l.scalar("SELECT uniqExact(bundle) FROM %[1]s.events WHERE topic = $1", l.topic); n != reloads+1 {
		t.Errorf("%d bundles judged, want %d", n, reloads+1)
	}
	if n := l.scalar("SELECT count() FROM %[1]s.activations WHERE topic = $1", l.topic); n != partitions*(reloads+1) {
		t.Errorf("%d activations are recorded, want one of every bundle in every partition", n)
	}
}

// reloadTitle is the title of a rule after n changes.
func reloadTitle(n int) string {
	const shipped = "Restricted EU user data opened from a country that is not approved"
	if n == 0 {
		return shipped
	}
	return fmt.Sprintf("%s (%d)", shipped, n)
}

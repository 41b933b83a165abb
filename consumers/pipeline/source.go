package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errReplaced says that a topic was deleted and made again while its partitions were read: it is another source now.
var errReplaced = errors.New("the topic was deleted and made again")

// source names a topic of the worker's cluster.
func (w *Worker) source(ctx context.Context, topic string) (string, error) {
	return Source(ctx, w.broker, topic, w.cfg.Epoch)
}

// Namer tells the ids that tell one cluster and topic from another of the same name.
type Namer interface {
	ClusterID(ctx context.Context) (string, error)
	TopicIDs(ctx context.Context, topics ...string) (map[string]string, error)
}

// Source names a topic such that one that is deleted and made again is another source: its offsets start over. The epoch
// takes the place of the topic's id at brokers that have none (before Kafka 2.8).
func Source(ctx context.Context, client Namer, topic string, epoch int) (string, error) {
	cluster, err := client.ClusterID(ctx)
	if err != nil {
		return "", fmt.Errorf("cluster id: %w", err)
	}
	ids, err := client.TopicIDs(ctx, topic)
	if err != nil {
		return "", fmt.Errorf("id of topic %s: %w", topic, err)
	}
	id, known := ids[topic]
	switch {
	case ids == nil:
		id = strconv.Itoa(epoch)
	case !known:
		// A broker may learn of a topic later than the one that assigned it.
		return "", fmt.Errorf("id of topic %s: the broker does not know the topic", topic)
	}
	return "kafka:" + cluster + "/" + id, nil
}

// awaitSource asks until there is an answer. Its error is the end of ctx.
func (w *Worker) awaitSource(ctx context.Context, topic string) (source string, err error) {
	err = w.retry(ctx, "source", func(ctx context.Context) error {
		source, err = w.source(ctx, topic)
		return err
	}, always)
	return source, err
}

// sameSource checks that the topic is still the one that the partition was assigned of. Topic ids never come back, so
// what was fetched before a good answer was fetched from that very topic. Offsets alone would not show it: the new log
// may be as long as the old one.
func (p *partition) sameSource(ctx context.Context) error {
	now, err := p.worker.source(ctx, p.key.Topic)
	if err != nil {
		return err
	}
	if now != p.key.Source {
		return fmt.Errorf("%w: %s was %s and is %s", errReplaced, p.key.Topic, p.key.Source, now)
	}
	return nil
}

// unlessReplaced returns why a partition has to stop, or that its topic is another one now, which explains whatever was
// found in the log.
func (p *partition) unlessReplaced(ctx context.Context, stop error) error {
	if err := p.sameSource(ctx); err != nil {
		return err
	}
	return stop
}

// A commit carries the ledger index of its batch and the source, so that whoever finds it knows whether it belongs to
// this very topic and to this ledger.
func commitMetadata(index uint64, source string) string {
	return strconv.FormatUint(index, 10) + " " + source
}

// committedSource returns the source that a commit was made for, "" for one that was not made by a worker.
func committedSource(metadata string) string {
	index, source, _ := strings.Cut(metadata, " ")
	if _, err := strconv.ParseUint(index, 10, 64); err != nil {
		return ""
	}
	return source
}

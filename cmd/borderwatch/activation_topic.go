package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
	"borderwatch/rules/release"
)

// activationTopicConfig keeps the last activation of every environment for good.
var activationTopicConfig = map[string]string{"cleanup.policy": "compact"}

// activationPartition is the one partition of the topic: activations have an order.
const activationPartition = 0

// activationTopic is the compacted topic on which rules activate announces what is to go live: the key is the environment,
// the value the signed statement. The files are fetched from the archive by the digest in it. It belongs to one goroutine.
type activationTopic struct {
	client      *kafka.Client
	fetcher     *kafka.Fetcher
	archive     bundle.Archive
	topic       string
	environment string

	next   int64 // first offset that was not read yet
	signed []byte
	parts  []bundle.Part // of signed, once they are fetched
}

func newActivationTopic(client *kafka.Client, archive bundle.Archive, topic, environment string) (*activationTopic, error) {
	fetcher, err := client.NewFetcher(kafka.FetchConfig{MaxBytes: 4 << 20, MaxBatch: 4 << 20, MaxWait: 100 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	return &activationTopic{client: client, fetcher: fetcher, archive: archive, topic: topic, environment: environment}, nil
}

// String names the topic and the environment.
func (a *activationTopic) String() string {
	return "topic " + a.topic + ", environment " + a.environment
}

// Candidate implements bundle.Origin: the last activation of the environment.
func (a *activationTopic) Candidate(ctx context.Context, _ *release.Release) (bundle.Candidate, error) {
	if err := a.read(ctx); err != nil {
		return bundle.Candidate{}, fmt.Errorf("activations: %w", err)
	}
	if a.signed == nil {
		return bundle.Candidate{}, fmt.Errorf("the topic %s has no activation for the environment %s; borderwatch rules activate makes one", a.topic, a.environment)
	}
	if a.parts == nil {
		signed, err := release.Parse(a.signed)
		if err != nil {
			return bundle.Candidate{}, err
		}
		if a.parts, err = bundle.FetchParts(ctx, a.archive, signed.Statement().Content); err != nil {
			return bundle.Candidate{}, err
		}
	}
	return bundle.Candidate{Parts: a.parts, Signed: a.signed}, nil
}

// read takes up all that was written to the topic since it was read last.
func (a *activationTopic) read(ctx context.Context) error {
	marks, err := a.client.Watermarks(ctx, a.topic)
	if err != nil {
		return err
	}
	if len(marks) != 1 {
		return fmt.Errorf("topic %s has %d partitions; activations have an order and need exactly one", a.topic, len(marks))
	}
	if a.next > marks[0].HighWatermark {
		return errors.New("the topic was made anew: it ends before what was read of it")
	}
	for a.next = max(a.next, marks[0].LogStart); a.next < marks[0].HighWatermark; {
		chunk, err := a.fetcher.Fetch(ctx, a.topic, activationPartition, a.next)
		if err != nil {
			return err
		}
		for i := range chunk.Records {
			if r := &chunk.Records[i]; string(r.Key) == a.environment && !bytes.Equal(r.Value, a.signed) {
				a.signed, a.parts = bytes.Clone(r.Value), nil
			}
		}
		idle := chunk.Next == a.next
		a.next = chunk.Next
		chunk.Release()
		if idle {
			return nil // a broker that restarts; the rest comes with the next look
		}
	}
	return nil
}

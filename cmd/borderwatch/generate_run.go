package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"borderwatch/cmd/borderwatch/traffic"
	"borderwatch/consumers/kafka"
)

// pace is the shortest pause between two bursts of records.
const pace = 50 * time.Millisecond

// recordSink takes records. write copies what it keeps; close writes what is still waiting.
type recordSink interface {
	write(ctx context.Context, r *traffic.Record) error
	close(ctx context.Context) error
}

// flusher is a sink that can be told to write what waits before a pause.
type flusher interface {
	flush(ctx context.Context) error
}

// generation is one run of generate.
type generation struct {
	generator *traffic.Generator
	sink      recordSink
	manifest  *manifest
	events    uint64 // 0: until the context ends
	rate      float64
	paced     bool

	made    uint64
	planted map[traffic.Label]int
}

// run makes records until there are enough or ctx ends; the end of ctx is no error.
func (g *generation) run(ctx context.Context) error {
	g.planted = make(map[traffic.Label]int)
	started := time.Now()
	var r traffic.Record
	for ; g.events == 0 || g.made < g.events; g.made++ {
		if g.paced {
			due := started.Add(time.Duration(float64(g.made) / g.rate * float64(time.Second)))
			if err := g.pause(ctx, time.Until(due)); err != nil {
				return ignoreEnd(ctx, err)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		g.generator.Next(&r)
		if err := g.sink.write(ctx, &r); err != nil {
			return ignoreEnd(ctx, err)
		}
		if r.Label == "" {
			continue
		}
		g.planted[r.Label]++
		if err := g.manifest.write(&r); err != nil {
			return err
		}
	}
	return nil
}

// ignoreEnd drops errors that come from being told to stop.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// pause waits until the next record is due, having written what is there.
func (g *generation) pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	if f, ok := g.sink.(flusher); ok {
		if err := f.flush(ctx); err != nil {
			return err
		}
	}
	timer := time.NewTimer(max(wait, pace))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// summary counts what was made.
func (g *generation) summary() string {
	labels := make([]string, 0, len(g.planted))
	total := 0
	for label, n := range g.planted {
		labels = append(labels, fmt.Sprintf("%s %d", label, n))
		total += n
	}
	slices.Sort(labels)
	if total == 0 {
		return fmt.Sprintf("%d records, none planted", g.made)
	}
	return fmt.Sprintf("%d records, %d planted: %s", g.made, total, strings.Join(labels, ", "))
}

// fileSink writes one record a line.
type fileSink struct {
	files []*os.File
	feeds map[string]*bufio.Writer
}

func newFileSink(native, cloudTrail string, stdout io.Writer) (*fileSink, error) {
	s := &fileSink{feeds: make(map[string]*bufio.Writer)}
	for feed, name := range map[string]string{traffic.FeedNative: native, traffic.FeedCloudTrail: cloudTrail} {
		if name == "" {
			continue
		}
		if name == "-" {
			s.feeds[feed] = bufio.NewWriter(stdout)
			continue
		}
		file, err := os.Create(name)
		if err != nil {
			return nil, errors.Join(err, s.close(context.Background()))
		}
		s.files = append(s.files, file)
		s.feeds[feed] = bufio.NewWriterSize(file, 256<<10)
	}
	return s, nil
}

func (s *fileSink) write(_ context.Context, r *traffic.Record) error {
	w := s.feeds[r.Feed]
	if _, err := w.Write(r.Value); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

func (s *fileSink) close(context.Context) error {
	var errs []error
	for _, w := range s.feeds {
		errs = append(errs, w.Flush())
	}
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// kafkaBurst is how many records are produced at once at most.
const kafkaBurst = 2000

// kafkaSink produces records in bursts, in order for each actor.
type kafkaSink struct {
	client   *kafka.Client
	producer *kafka.Producer
	topics   map[string]string // by feed
	waiting  map[string][]kafka.Message
	count    int
}

func (s *kafkaSink) open(ctx context.Context, partitions int) error {
	s.waiting = make(map[string][]kafka.Message)
	for _, topic := range s.topics {
		if topic == "" {
			continue
		}
		if partitions > 0 {
			if err := s.client.EnsureTopic(ctx, topic, partitions, nil); err != nil {
				return err
			}
		}
		if _, err := s.client.Probe(ctx, topic); err != nil {
			return err
		}
	}
	var err error
	s.producer, err = s.client.NewProducer(kafka.ProducerConfig{Compression: "lz4"})
	return err
}

func (s *kafkaSink) write(ctx context.Context, r *traffic.Record) error {
	m := kafka.Message{Key: slices.Clone(r.Key), Value: slices.Clone(r.Value), Time: r.Time}
	s.waiting[r.Feed] = append(s.waiting[r.Feed], m)
	if s.count++; s.count >= kafkaBurst {
		return s.flush(ctx)
	}
	return nil
}

func (s *kafkaSink) flush(ctx context.Context) error {
	for feed, messages := range s.waiting {
		if len(messages) == 0 {
			continue
		}
		if _, err := s.producer.Produce(ctx, s.topics[feed], messages); err != nil {
			return err
		}
		s.waiting[feed] = messages[:0]
	}
	s.count = 0
	return nil
}

func (s *kafkaSink) close(ctx context.Context) error {
	defer s.client.Close()
	return s.flush(ctx)
}

// manifest is the file that says what was planted; nil writes nothing.
type manifest struct {
	file *os.File
	buf  *bufio.Writer
}

// planting is one line of the manifest.
type planting struct {
	EventID string        `json:"event_id"`
	Time    time.Time     `json:"time"`
	Feed    string        `json:"feed"`
	Actor   string        `json:"actor_id"`
	Label   traffic.Label `json:"label"`
}

func createManifest(name string) (*manifest, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &manifest{f, bufio.NewWriter(f)}, nil
}

func (m *manifest) write(r *traffic.Record) error {
	if m == nil {
		return nil
	}
	return json.NewEncoder(m.buf).Encode(planting{r.EventID, r.Time, r.Feed, string(r.Key), r.Label})
}

func (m *manifest) close() error {
	if m == nil {
		return nil
	}
	return errors.Join(m.buf.Flush(), m.file.Close())
}

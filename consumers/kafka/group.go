package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// GroupConfig describes a consumer group membership. ID and Topics are
// required.
type GroupConfig struct {
	ID     string
	Topics []string

	// SessionTimeout, default 30 s, is how long a member may be silent. It is
	// also how long a member that died, or lost its coordinator, holds up the
	// next generation.
	SessionTimeout time.Duration
	// RebalanceTimeout, default 60 s, bounds the drain at the end of a
	// generation. It must exceed the longest insert by 10 s: a member that
	// drains sends no heartbeats, and one that is late is fenced.
	RebalanceTimeout  time.Duration
	HeartbeatInterval time.Duration // default 3 s
	Backoff           time.Duration // default 1 s, after a failed join
	WatchInterval     time.Duration // default 5 s: how soon new partitions are noticed
}

// Group is a member of a consumer group. Call Next in a loop; a generation's
// partitions are this member's own until its Done channel closes.
type Group struct {
	client *Client
	cfg    GroupConfig

	mu      sync.Mutex
	members *kafkago.ConsumerGroup // nil before the first Next and after Close
	current *Generation
	closed  bool

	// known holds the partitions per topic seen before the current
	// generation's join; only the generation's watcher touches it after that.
	known map[string]int
}

// Position is a committed place in a partition.
type Position struct {
	Offset   int64  // next offset to read; -1 when nothing was committed
	Metadata string // what the commit carried along
}

// Generation is one assignment of partitions. Its work must stop when Done
// closes; until Release, or the group's next call of Next or Close, the group
// waits for it.
type Generation struct {
	ID       int
	MemberID string
	// Assignments maps topic and partition to the committed position.
	Assignments map[string]map[int]Position

	group    *Group
	done     chan struct{}
	released chan struct{}
	release  sync.Once
}

// NewGroup returns a member that joins at the first call of Next.
func (c *Client) NewGroup(cfg GroupConfig) (*Group, error) {
	if cfg.ID == "" || len(cfg.Topics) == 0 {
		return nil, errors.New("kafka: a group needs an id and topics")
	}
	orElse(&cfg.SessionTimeout, 30*time.Second)
	orElse(&cfg.RebalanceTimeout, 60*time.Second)
	orElse(&cfg.HeartbeatInterval, 3*time.Second)
	orElse(&cfg.Backoff, time.Second)
	orElse(&cfg.WatchInterval, 5*time.Second)
	if cfg.HeartbeatInterval*3 > cfg.SessionTimeout {
		return nil, fmt.Errorf("kafka: a heartbeat every %v is too rare for a session timeout of %v, a third at most",
			cfg.HeartbeatInterval, cfg.SessionTimeout)
	}
	return &Group{client: c, cfg: cfg}, nil
}

// Next releases the current generation and waits for the next one. Passing
// troubles, such as a coordinator that is still starting on a new cluster,
// are retried until ctx ends; refused access and an invalid configuration are
// returned.
func (g *Group) Next(ctx context.Context) (*Generation, error) {
	for {
		gen, err := g.once(ctx)
		if err == nil {
			return gen, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, ErrGroupClosed) || !rejoinable(err) {
			return nil, fmt.Errorf("kafka: group %s: %w", g.cfg.ID, err)
		}
		g.client.retried("join", err)
	}
}

// once makes one attempt; the library waits between its own.
func (g *Group) once(ctx context.Context) (*Generation, error) {
	members, err := g.join(ctx)
	if err != nil {
		return nil, err
	}
	next, err := members.Next(ctx)
	if err != nil {
		return nil, err
	}
	return g.begin(ctx, next)
}

// rejoinable reports whether joining again may help. The fencing errors,
// final for a commit, are the ordinary way to learn of a rebalance here.
func rejoinable(err error) bool {
	var code kafkago.Error
	if errors.As(err, &code) {
		return !permanent(code) || code == kafkago.FencedInstanceID
	}
	return retriable(context.Background(), err)
}

// join releases the current generation and returns the library's member,
// which is made at the first call.
func (g *Group) join(ctx context.Context) (*kafkago.ConsumerGroup, error) {
	members, err := g.free()
	if members != nil || err != nil {
		return members, err
	}
	known, err := g.client.partitionCounts(ctx, g.cfg.Topics)
	if err != nil {
		return nil, errors.Join(err, sleep(ctx, g.cfg.Backoff))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrGroupClosed
	}
	members, err = kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: g.cfg.ID, Topics: g.cfg.Topics, Brokers: g.client.cfg.Brokers, Dialer: g.client.dialer,
		SessionTimeout: g.cfg.SessionTimeout, RebalanceTimeout: g.cfg.RebalanceTimeout,
		HeartbeatInterval: g.cfg.HeartbeatInterval, JoinGroupBackoff: g.cfg.Backoff,
		// Starting at the end loses what arrives before the first commit.
		StartOffset: kafkago.FirstOffset,
		Timeout:     g.client.cfg.DialTimeout,
	})
	if err != nil {
		return nil, err
	}
	g.members, g.known = members, known
	return members, nil
}

// free releases the current generation.
func (g *Group) free() (*kafkago.ConsumerGroup, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrGroupClosed
	}
	if g.current != nil {
		g.current.Release()
		g.current = nil
	}
	return g.members, nil
}

// begin wraps a generation, with the committed positions and their metadata.
func (g *Group) begin(ctx context.Context, next *kafkago.Generation) (*Generation, error) {
	gen := &Generation{
		ID: int(next.ID), MemberID: next.MemberID, group: g,
		done: make(chan struct{}), released: make(chan struct{}),
	}
	// The library ends the generation when this function returns, and joins
	// again only after that: a drain is waited for, an early release gives up.
	next.Start(func(genCtx context.Context) {
		select {
		case <-genCtx.Done():
		case <-gen.released:
		}
		close(gen.done)
		<-gen.released
	})
	next.Start(g.watch)
	positions, err := g.positions(ctx, next.Assignments)
	if err != nil {
		gen.Release()
		return nil, err
	}
	gen.Assignments = positions
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		gen.Release()
		return nil, ErrGroupClosed
	}
	g.current = gen
	g.client.counters.Rebalances.Add(1)
	return gen, nil
}

// watch returns, which ends the generation, when a topic's partitions are no
// longer those seen before its join. The library's own watcher first looks
// after the join: it misses partitions that were added in between for good.
func (g *Group) watch(ctx context.Context) {
	tick := time.NewTicker(g.cfg.WatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A short question to the transport's cached metadata; an error is no
		// news about partitions.
		counts, err := g.client.partitionCounts(ctx, g.cfg.Topics)
		if err == nil && !maps.Equal(counts, g.known) {
			g.known = counts
			return
		}
	}
}

// partitionCounts returns the number of partitions per topic, 0 for a topic
// that does not exist yet.
func (c *Client) partitionCounts(ctx context.Context, topics []string) (map[string]int, error) {
	meta, err := c.metadata(ctx, topics...)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int, len(topics))
	for _, t := range meta.Topics {
		if t.Error != nil && !errors.Is(t.Error, ErrUnknownTopic) && !errors.Is(t.Error, kafkago.LeaderNotAvailable) {
			return nil, fmt.Errorf("topic %q: %w", t.Name, t.Error)
		}
		counts[t.Name] = len(t.Partitions)
	}
	return counts, nil
}

// positions reads what is committed for the assigned partitions. The
// library's generation knows the offsets, but not their metadata.
func (g *Group) positions(ctx context.Context, assigned map[string][]kafkago.PartitionAssignment) (map[string]map[int]Position, error) {
	ask := make(map[string][]int, len(assigned))
	out := make(map[string]map[int]Position, len(assigned))
	total := 0
	for topic, partitions := range assigned {
		out[topic] = make(map[int]Position, len(partitions))
		for _, p := range partitions {
			ask[topic] = append(ask[topic], p.ID)
			out[topic][p.ID] = Position{Offset: -1}
			total++
		}
	}
	if total == 0 {
		return out, nil // an idle member; an empty request would ask for all topics
	}
	committed, err := g.Committed(ctx, ask)
	if err != nil {
		return nil, err
	}
	for topic, partitions := range committed {
		for id, position := range partitions {
			if _, ok := out[topic][id]; ok {
				out[topic][id] = position
			}
		}
	}
	return out, nil
}

// Committed returns what the group has committed of the given partitions, by
// whichever member. A partition without a commit is left out.
func (g *Group) Committed(ctx context.Context, partitions map[string][]int) (map[string]map[int]Position, error) {
	var res *kafkago.OffsetFetchResponse
	err := g.client.retry(ctx, "committed offsets", func(ctx context.Context) (err error) {
		res, err = g.client.api.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: g.cfg.ID, Topics: partitions})
		if err == nil {
			err = offsetFetchError(res)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("committed offsets: %w", err)
	}
	out := make(map[string]map[int]Position, len(res.Topics))
	for topic, answers := range res.Topics {
		out[topic] = make(map[int]Position, len(answers))
		for _, p := range answers {
			if p.CommittedOffset >= 0 {
				out[topic][p.Partition] = Position{Offset: p.CommittedOffset, Metadata: p.Metadata}
			}
		}
	}
	return out, nil
}

func offsetFetchError(res *kafkago.OffsetFetchResponse) error {
	if res.Error != nil {
		return res.Error
	}
	for topic, partitions := range res.Topics {
		for _, p := range partitions {
			if p.Error != nil {
				return fmt.Errorf("%s[%d]: %w", topic, p.Partition, p.Error)
			}
		}
	}
	return nil
}

// Close leaves the group, releasing the current generation: its work must
// have ended. A join in flight can hold it up for the session timeout; then
// ctx cuts the wait short, and the membership ends in the background.
func (g *Group) Close(ctx context.Context) error {
	g.mu.Lock()
	members, current := g.members, g.current
	g.members, g.current, g.closed = nil, nil, true
	g.mu.Unlock()
	if members == nil {
		return nil
	}
	left := make(chan error, 1)
	go func() { left <- members.Close() }()
	if current != nil {
		// Released before it has ended, the library would join once more.
		select {
		case <-current.done:
		case <-ctx.Done():
		}
		current.Release()
	}
	select {
	case err := <-left:
		return err
	case <-ctx.Done():
		return fmt.Errorf("kafka: leaving group %s: %w", g.cfg.ID, ctx.Err())
	}
}

// Done closes when the generation ends: by a rebalance, a lost session, new
// partitions, or Release.
func (g *Generation) Done() <-chan struct{} { return g.done }

// Release says that the generation's work has ended. Before Done closed it
// ends the generation, and the group rebalances. It may be called repeatedly.
func (g *Generation) Release() { g.release.Do(func() { close(g.released) }) }

// Commit makes offset, the next one to read, the partition's position and
// returns when the coordinator has stored it. The coordinator refuses it with
// ErrFenced when this generation is over and another one has begun. It may be
// called while the generation drains.
func (g *Generation) Commit(ctx context.Context, topic string, partition int, offset int64, metadata string) error {
	if _, ok := g.Assignments[topic][partition]; !ok {
		return fmt.Errorf("kafka: commit %s[%d]: %w", topic, partition, ErrNotAssigned)
	}
	c := g.group.client
	err := c.retry(ctx, "commit", func(ctx context.Context) error {
		return g.commit(ctx, topic, kafkago.OffsetCommit{Partition: partition, Offset: offset, Metadata: metadata})
	})
	if err == nil {
		c.counters.Commits.Add(1)
		return nil
	}
	var code kafkago.Error
	if errors.As(err, &code) && fencing(code) {
		c.counters.Fenced.Add(1)
		err = fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return fmt.Errorf("kafka: commit %s[%d] at %d in generation %d: %w", topic, partition, offset, g.ID, err)
}

// commit makes one attempt.
func (g *Generation) commit(ctx context.Context, topic string, commit kafkago.OffsetCommit) error {
	res, err := g.group.client.api.OffsetCommit(ctx, &kafkago.OffsetCommitRequest{
		GroupID: g.group.cfg.ID, GenerationID: g.ID, MemberID: g.MemberID,
		Topics: map[string][]kafkago.OffsetCommit{topic: {commit}},
	})
	if err != nil {
		return err
	}
	for _, p := range res.Topics[topic] {
		if p.Partition == commit.Partition {
			return p.Error
		}
	}
	return errors.New("the coordinator's answer does not mention the partition")
}

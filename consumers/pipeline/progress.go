package pipeline

import (
	"fmt"
	"maps"
	"sync"

	"borderwatch/consumers/kafka"
)

// Progress tells which partitions a worker has, how far each is stored, and which have stopped. It is safe for
// concurrent use.
type Progress struct {
	mu     sync.Mutex
	joined bool
	held   map[place]bool // partitions of the present generation
	next   map[place]int64
	fails  map[place]error // why a partition that starts over failed last
	halts  map[place]error
}

type place struct {
	topic     string
	partition int32
}

func newProgress() *Progress {
	return &Progress{next: map[place]int64{}, fails: map[place]error{}, halts: map[place]error{}}
}

func (p *Progress) assigned(assignments map[string]map[int]kafka.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined, p.held = true, map[place]bool{}
	for topic, partitions := range assignments {
		for id := range partitions {
			p.held[place{topic, int32(id)}] = true
		}
	}
}

// Holds tells whether the partition is assigned to this worker, halted or not.
func (p *Progress) Holds(topic string, partition int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[place{topic, partition}]
}

func (p *Progress) revoked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined, p.held = false, nil
	clear(p.fails)
	clear(p.halts)
}

func (p *Progress) reached(topic string, partition int32, next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next[place{topic, partition}] = next
	delete(p.fails, place{topic, partition})
}

func (p *Progress) failed(topic string, partition int32, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails[place{topic, partition}] = err
}

func (p *Progress) halted(topic string, partition int32, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halts[place{topic, partition}] = err
}

// Ready says why the worker is not doing its whole job: it is in no group, or a partition has stopped or starts over.
func (p *Progress) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.joined {
		return fmt.Errorf("no partitions assigned yet")
	}
	for at, err := range p.halts {
		return fmt.Errorf("partition %d of topic %s stopped: %w", at.partition, at.topic, err)
	}
	for at, err := range p.fails {
		return fmt.Errorf("partition %d of topic %s starts over: %w", at.partition, at.topic, err)
	}
	return nil
}

// Stored returns the first offset of each partition that this worker has not stored yet.
func (p *Progress) Stored(topic string) map[int32]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[int32]int64{}
	for at, next := range p.next {
		if at.topic == topic {
			out[at.partition] = next
		}
	}
	return out
}

// Halts returns the partitions that have stopped and why.
func (p *Progress) Halts() map[string]error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]error{}
	for at, err := range maps.All(p.halts) {
		out[fmt.Sprintf("%s[%d]", at.topic, at.partition)] = err
	}
	return out
}

// missing returns the high watermarks that this worker has not reached, and the reason where a partition below its own has
// stopped.
func (p *Progress) missing(targets map[string][]kafka.Watermark) (map[string][]kafka.Watermark, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]kafka.Watermark{}
	for topic, marks := range targets {
		for _, m := range marks {
			at := place{topic, int32(m.Partition)}
			if next, ok := p.next[at]; ok && next >= m.HighWatermark {
				continue
			}
			if err := p.halts[at]; err != nil {
				return nil, err
			}
			out[topic] = append(out[topic], m)
		}
	}
	return out, nil
}

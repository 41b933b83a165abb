package pipeline_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/pipeline"
)

// TestFaults makes every step of delivery fail in every way, at a broker in this process and at Apache Kafka, then ends
// worker processes in seeded ways. After each run it holds all invariants; at the end it tells what became of all records.
func TestFaults(t *testing.T) {
	t.Parallel()
	var sum tally
	t.Run("all", func(t *testing.T) {
		t.Run("embedded broker", func(t *testing.T) {
			t.Parallel()
			newRig(t).faultTable(t, &sum)
		})
		t.Run("Apache Kafka", func(t *testing.T) {
			t.Parallel()
			newApacheRig(t).faultTable(t, &sum)
		})
		t.Run("processes", func(t *testing.T) {
			onDemand(t)
			t.Parallel()
			seededRuns(t, runs(t, 4), &sum)
		})
	})
	t.Logf("%v", &sum)
}

// faultTable runs a lane for each step and each way in which it fails.
func (r *rig) faultTable(t *testing.T, sum *tally) {
	for _, step := range deliverySteps {
		for _, f := range faults {
			t.Run(step+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				l := r.lane(t, 1, nil)
				sum.count(t, l, func() string { return r.kind() + ", " + step + " " + f.name })
				l.produce(traffic(150, 1)...)
				crashed := make(chan struct{})
				n := int64(1)
				if step != "activation" {
					n = 2 // of the second batch: the first is whole
				}
				w := l.start(parts{around: f.once(step, n, func() { close(crashed) }), config: pipeline.Config{StopGrace: time.Millisecond}})
				if f.crash {
					select {
					case <-crashed:
					case <-time.After(patience):
						t.Fatal("the step was never reached")
					}
					w.stop()
					w = l.start(parts{})
				}
				l.caughtUp(w)
				l.check(w)
			})
		}
	}
}

// trouble is one thing that happens to the worker processes of a lane while records arrive. It says in words what it did.
type trouble func(p *processes, random *rand.Rand) string

var troubles = []trouble{killAtPoint, killAtPoint, killAnywhere, freeze, rebalance, killClickHouse, restartBroker}

// seededRuns makes n runs of worker processes, alternately at a broker in this process and at Apache Kafka where there is
// one. All that a run does follows from its seed; what then happens when depends on the machine as well.
func seededRuns(t *testing.T, n int, sum *tally) {
	first := firstSeed(t)
	server := embeddedtest.FreshClickHouse(t, embedded.ClickHouseConfig{})
	server.Supervise(t)
	rigs := []*rig{rigWith(t, embeddedtest.Broker(t, embedded.BrokerConfig{}).Addrs(), server)}
	if err := embedded.KafkaAvailable(); err == nil || os.Getenv(embeddedtest.RequireEnv) == "1" {
		rigs = append(rigs, newApacheRigWith(t, server))
	} else {
		t.Logf("Apache Kafka is not available, all runs take the embedded broker: %v", err)
	}
	for i := range n {
		seed := first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rigs[seed%uint64(len(rigs))]
			random := rand.New(rand.NewPCG(seed, 0))
			l := r.lane(t, 1+random.Int32N(3), nil)
			p := l.processes()
			done := []string{fmt.Sprintf("run %d, seed %d, %s, %d partitions", i+1, seed, r.kind(), len(l.ends()))}
			sum.count(t, l, func() string { return strings.Join(done, ", ") })
			for range 1 + random.IntN(3) {
				done = append(done, troubles[random.IntN(len(troubles))](p, random))
				p.evictAll()
			}
			w := l.start(parts{})
			l.caughtUp(w)
			l.check(w)
		})
	}
}

// arrive produces some records.
func (p *processes) arrive(random *rand.Rand) {
	for range 1 + random.IntN(4) {
		p.produce(traffic(30+random.IntN(40), len(p.ends()))...)
	}
}

// at is a random point in time, within half a second.
func at(random *rand.Rand) <-chan time.Time {
	return time.After(time.Duration(random.IntN(500)) * time.Millisecond)
}

func killAtPoint(p *processes, random *rand.Rand) string {
	d := death{Step: deliverySteps[random.IntN(len(deliverySteps))], After: random.IntN(2) == 0, N: 1 + random.Int64N(3)}
	p.arrive(random)
	child := p.start(d)
	p.arrive(random)
	select {
	case <-child.ended:
		return d.String()
	case <-time.After(2 * time.Second): // not every step comes so often
		child.kill()
		return d.String() + " was not reached, kill"
	}
}

func killAnywhere(p *processes, random *rand.Rand) string {
	child := p.start(death{})
	p.arrive(random)
	<-at(random)
	child.kill()
	return "kill"
}

// freeze stops a worker, lets another one take over, and lets the first go on.
func freeze(p *processes, random *rand.Rand) string {
	zombie := p.start(death{})
	p.arrive(random)
	<-at(random)
	zombie.signal(syscall.SIGSTOP)
	p.evict(zombie.member)
	other := p.start(death{})
	p.arrive(random)
	<-at(random)
	zombie.signal(syscall.SIGCONT)
	p.arrive(random)
	<-at(random)
	zombie.kill()
	other.kill()
	return "freeze and thaw"
}

func rebalance(p *processes, random *rand.Rand) string {
	first := p.start(death{})
	p.arrive(random)
	second := p.start(death{})
	p.arrive(random)
	<-at(random)
	first.kill()
	p.evict(first.member)
	p.arrive(random)
	<-at(random)
	second.kill()
	return "rebalance"
}

func killClickHouse(p *processes, random *rand.Rand) string {
	child := p.start(death{})
	p.arrive(random)
	<-at(random)
	p.rig.server.Kill()
	p.arrive(random)
	<-at(random)
	child.kill()
	eventually(p.t, "ClickHouse is back", func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		return p.rig.conn.Ping(ctx) == nil
	})
	return "kill ClickHouse"
}

// restartBroker kills Apache Kafka and starts it again. A broker in this process cannot be killed.
func restartBroker(p *processes, random *rand.Rand) string {
	if p.rig.apache == nil {
		return killAnywhere(p, random)
	}
	child := p.start(death{})
	p.arrive(random)
	<-at(random)
	p.rig.restartBroker(p.t)
	p.arrive(random)
	<-at(random)
	child.kill()
	return "restart the broker"
}

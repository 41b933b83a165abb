package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/pprof/profile"
)

// meter measures processor time and memory of this process and of others between two moments.
type meter struct {
	others  map[string]int // pid by name
	started time.Time
	own     time.Duration
	before  map[string]time.Duration
	samples bytes.Buffer
}

// measurement is what a meter found.
type measurement struct {
	wall     time.Duration
	own      time.Duration
	others   map[string]time.Duration
	resident int64                    // the most this process ever held
	stages   map[string]time.Duration // processor time of this process by stage
}

func startMeter(others map[string]int) (*meter, error) {
	m := &meter{others: others, before: map[string]time.Duration{}}
	for name, pid := range others {
		m.before[name] = processTime(pid)
	}
	m.started, m.own = time.Now(), ownTime()
	return m, pprof.StartCPUProfile(&m.samples)
}

func (m *meter) stop() { pprof.StopCPUProfile() }

// finish ends the measurement. The stages are the process's time, split in the proportion of the profile's samples.
func (m *meter) finish(keep string) (*measurement, error) {
	found := &measurement{wall: time.Since(m.started), own: ownTime() - m.own, others: map[string]time.Duration{}, resident: peakMemory()}
	m.stop()
	for name, pid := range m.others {
		found.others[name] = processTime(pid) - m.before[name]
	}
	if keep != "" {
		if err := os.WriteFile(keep, m.samples.Bytes(), 0o600); err != nil {
			return nil, err
		}
	}
	p, err := profile.ParseData(m.samples.Bytes())
	if err != nil {
		return nil, fmt.Errorf("CPU profile: %w", err)
	}
	found.stages = stageTimes(p, found.own)
	return found, nil
}

// stageOf maps the names of functions to stages. Of a stack the first function from the leaf that is listed decides, and
// of several entries the first that fits.
var stageOf = []struct{ part, stage string }{
	{".appendCell", "evidence"},
	{".appendRow", "evidence"},
	{"store.(*leaves)", "evidence"},
	{"store.(*tree)", "evidence"},
	{"access.(*Event).ContentDigest", "content digest"},
	{"consumers/decode.", "decode"},
	{"consumers/enrich.", "enrich"},
	{"rules/engine.", "evaluate"},
	{"store.(*wire)", "insert"},
	{"store.(*Store)", "insert"},
	{"ch-go", "insert"},
	{"consumers/store.", "columns"},
	{"kafka.(*decompressor)", "decompress"},
	{"consumers/kafka.", "fetch"},
	{"segmentio/kafka-go", "fetch"},
	{"consumers/ledger.", "ledger"},
	{"tessera", "ledger"},
	{"consumers/pipeline.", "pipeline"},
	{"runtime.gcBgMarkWorker", "garbage collector"},
	{"runtime.bgsweep", "garbage collector"},
	{"runtime.mcall", "scheduler"},
	{"runtime.mstart", "scheduler"},
}

func stageTimes(p *profile.Profile, total time.Duration) map[string]time.Duration {
	counts := map[string]int64{}
	var all int64
	for _, s := range p.Sample {
		counts[stageOfStack(s)] += s.Value[0]
		all += s.Value[0]
	}
	times := map[string]time.Duration{}
	for stage, n := range counts {
		times[stage] = time.Duration(float64(total) * float64(n) / float64(all))
	}
	return times
}

func stageOfStack(s *profile.Sample) string {
	for _, location := range s.Location {
		for _, line := range location.Line {
			if line.Function == nil {
				continue
			}
			for _, row := range stageOf {
				if strings.Contains(line.Function.Name, row.part) {
					return row.stage
				}
			}
		}
	}
	return "other"
}

// ownTime is the processor time, user and system, of this process so far.
func ownTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// clockTick is the unit of processor times in /proc: USER_HZ, 100 on every Linux.
const clockTick = time.Second / 100

// processTime is the processor time of another process, 0 where the system does not tell (it does on Linux).
func processTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick
}

// peakMemory is the most memory that this process had resident, in bytes, 0 where the system does not tell.
func peakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseInt(fields[0], 10, 64)
	return kb << 10
}

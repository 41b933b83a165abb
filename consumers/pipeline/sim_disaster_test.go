package pipeline

import (
	"slices"
	"time"
)

// disaster is one of the things that are not the answer to a call.
func (w *world) disaster() {
	switch n := w.random.IntN(100); {
	case n < 30:
		w.produce()
	case n < 45 && w.owner != nil:
		w.kill(w.owner)
	case n < 52 && w.owner != nil:
		w.step("stop process %d", w.owner.id)
		w.owner.stopping = true
		w.owner.frozen = false
		w.owner.cancel()
	case n < 64 && w.owner != nil:
		w.owner.frozen = w.random.IntN(2) == 0
		w.step("process %d lost its session, frozen %v", w.owner.id, w.owner.frozen)
		w.owner = nil
	case n < 72:
		w.thaw()
	case n < 82:
		w.bundle = w.rig.bundles[w.random.IntN(len(w.rig.bundles))]
		w.step("bundle %.8s", w.bundle.Digest)
	case n < 88:
		w.retention()
	case n < 91:
		w.recreate()
	case n < 93:
		d := time.Duration(1+w.random.IntN(30)) * time.Hour
		w.step("%v pass", d)
		time.Sleep(d)
	default:
		w.sleep()
	}
}

// meanwhile is what may happen to the store once nobody lives who remembers what it acknowledged, and nothing is under way.
func (w *world) meanwhile() {
	if len(w.late) > 0 || slices.ContainsFunc(w.processes, func(p *process) bool { return !p.dead }) {
		return
	}
	switch w.random.IntN(16) {
	case 0, 1, 2:
		w.forget()
	case 3:
		w.losePart()
	case 4:
		w.alterPart()
	}
}

// alterPart changes rows of a batch without a receipt, none more and none less.
func (w *world) alterPart() {
	for i, b := range slices.Backward(w.store.blocks) {
		if !w.store.receipt(b.source, b.first, b.last) {
			w.step("the part of %d-%d in %s is altered", b.first, b.last, b.table)
			w.store.blocks[i].root[0]++
			w.excused = true
			return
		}
	}
}

// losePart takes away what the last insert of a batch without a receipt left, as a power loss does where acknowledged parts
// are not yet on disk. Its token is still remembered, so the same insert brings nothing back.
func (w *world) losePart() {
	for i, b := range slices.Backward(w.store.blocks) {
		if !w.store.receipt(b.source, b.first, b.last) {
			w.step("the part of %d-%d in %s is lost", b.first, b.last, b.table)
			w.store.blocks = slices.Delete(w.store.blocks, i, i+1)
			w.excused = true
			return
		}
	}
}

// kill ends a process like kill -9: of what it has under way some happens, now or later, and some never does.
func (w *world) kill(p *process) {
	w.step("kill process %d", p.id)
	w.mu.Lock()
	p.dead = true
	var dying []*call
	w.pending = slices.DeleteFunc(w.pending, func(c *call) bool {
		if c.process == p {
			dying = append(dying, c)
		}
		return c.process == p
	})
	w.mu.Unlock()
	for _, c := range dying {
		if c.kind != reading {
			switch w.random.IntN(3) {
			case 0:
				err := c.run()
				w.step("dying %s %v", c.name, err != nil)
			case 1:
				w.late = append(w.late, effect{c.name, c.run})
			}
		}
		c.done <- errKilled
	}
	p.cancel()
	if w.owner == p {
		w.owner = nil
	}
	w.meanwhile()
}

func (w *world) thaw() {
	for _, p := range w.processes {
		if p.frozen && !p.ended {
			w.step("process %d thaws", p.id)
			p.frozen = false
			return
		}
	}
}

package impact

// set is a set of 64-bit hashes: open addressing, at most half full.
type set struct {
	slots []uint64
	n     int
	zero  bool // 0 marks a free slot
}

func (s *set) len() int { return s.n }

// add reports whether the hash was not there.
func (s *set) add(h uint64) bool {
	if h == 0 {
		was := s.zero
		s.zero = true
		return !was
	}
	if 2*(s.n+1) > len(s.slots) {
		s.grow()
	}
	if !s.insert(h) {
		return false
	}
	s.n++
	return true
}

func (s *set) insert(h uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		switch s.slots[at] {
		case 0:
			s.slots[at] = h
			return true
		case h:
			return false
		}
	}
}

func (s *set) grow() {
	old := s.slots
	s.slots = make([]uint64, max(1024, 2*len(old)))
	for _, h := range old {
		if h != 0 {
			s.insert(h)
		}
	}
}

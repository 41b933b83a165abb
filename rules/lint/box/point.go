package box

import "math/bits"

// Point names an atom of a field. Two boxes of which one contains the other have one in common.
type Point struct{ Dim, Atom int }

// maxKey is how many atoms the side of a box may have by which it is looked up.
const maxKey = 64

// Key returns the atoms of the narrowest side of a box that is no set, false where that side is wide.
func (s *Space) Key(b *Box) ([]Point, bool) {
	var best *side
	least := maxKey + 1
	for i := range b.sides {
		o := &b.sides[i]
		if n := o.allowed.count(); !s.dims[o.dim].sets && n < least {
			best, least = o, n
		}
	}
	if best == nil {
		return nil, false
	}
	points := make([]Point, 0, least)
	for i, w := range best.allowed {
		for ; w != 0; w &= w - 1 {
			points = append(points, Point{best.dim, i<<6 + bits.TrailingZeros64(w)})
		}
	}
	return points, true
}

// Corner returns one atom of each side that is no set. Whatever contains the box contains all of them, so a box that has
// a Key and contains b has one of them in it.
func (s *Space) Corner(b *Box) []Point {
	var points []Point
	for i := range b.sides {
		o := &b.sides[i]
		if s.dims[o.dim].sets {
			continue
		}
		for j, w := range o.allowed {
			if w != 0 {
				points = append(points, Point{o.dim, j<<6 + bits.TrailingZeros64(w)})
				break
			}
		}
	}
	return points
}

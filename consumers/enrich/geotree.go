package enrich

import (
	"errors"
	"fmt"
)

// maxGeoNetworks bounds the networks of a database; the largest published ones have about twenty million.
const maxGeoNetworks = 1 << 26

// checkTree refuses a search tree that cannot be walked to its end: one with a cycle, or with nodes shared so often that
// a small file stands for an unbounded number of networks. Sharing as such is allowed: databases reach the IPv4 part by
// several ways.
//
// Source of the layout: MaxMind DB File Format Specification 2.0, "Binary Search Tree Section".
func checkTree(data []byte, nodes, recordSize uint) error {
	if recordSize != 24 && recordSize != 28 && recordSize != 32 {
		return fmt.Errorf("damaged: records of %d bits", recordSize)
	}
	if nodes == 0 || nodes > uint(len(data))/(recordSize/4) {
		return fmt.Errorf("damaged: %d nodes in %d bytes", nodes, len(data))
	}
	const open = ^uint32(0)
	networks := make([]uint32, nodes) // below a node; 0 is not visited yet
	stack := []uint{0}
	for len(stack) > 0 {
		node := stack[len(stack)-1]
		sum, pending := uint64(0), false
		networks[node] = open
		for side := range uint(2) {
			child := treeRecord(data, node, side, recordSize)
			switch {
			case child >= nodes:
				sum++
			case networks[child] == open:
				return errors.New("damaged: its tree has a cycle")
			case networks[child] == 0:
				stack, pending = append(stack, child), true
			default:
				sum += uint64(networks[child])
			}
			if pending {
				break
			}
		}
		if pending {
			continue
		}
		if sum > maxGeoNetworks {
			return fmt.Errorf("damaged: more than %d networks", maxGeoNetworks)
		}
		networks[node] = uint32(sum)
		stack = stack[:len(stack)-1]
	}
	return nil
}

// treeRecord reads the left (0) or right (1) record of a node.
func treeRecord(data []byte, node, side, recordSize uint) uint {
	b := data[node*recordSize/4:]
	switch recordSize {
	case 24:
		b = b[side*3:]
		return uint(b[0])<<16 | uint(b[1])<<8 | uint(b[2])
	case 28:
		if side == 0 {
			return uint(b[3]>>4)<<24 | uint(b[0])<<16 | uint(b[1])<<8 | uint(b[2])
		}
		return uint(b[3]&15)<<24 | uint(b[4])<<16 | uint(b[5])<<8 | uint(b[6])
	}
	b = b[side*4:]
	return uint(b[0])<<24 | uint(b[1])<<16 | uint(b[2])<<8 | uint(b[3])
}

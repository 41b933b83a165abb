// Package enrichtest makes small location databases for tests.
package enrichtest

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Record is what a database says of a prefix. Nested writes country.iso_code, else the flat country_code.
type Record struct {
	Country string
	Nested  bool
	ASN     uint32
	Org     string
}

// Database encodes records as a file in MaxMind's DB format 2.0 with 32-bit records and an IPv6 tree.
// Overlapping prefixes are not supported.
func Database(records map[string]Record) []byte {
	var (
		data  []byte
		nodes = [][2]int{{-1, -1}} // -1 is empty, other negative values are -2 minus an offset in data
	)
	prefixes := make([]string, 0, len(records))
	for p := range records {
		prefixes = append(prefixes, p)
	}
	slices.Sort(prefixes)
	for _, text := range prefixes {
		p := netip.MustParsePrefix(text)
		bits, address := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() {
			var low [16]byte
			copy(low[12:], address[12:])
			bits, address = bits+96, low
		}
		node := 0
		for i := range bits {
			side := address[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[node][side] = -2 - len(data)
				break
			}
			if nodes[node][side] < 0 {
				nodes = append(nodes, [2]int{-1, -1})
				nodes[node][side] = len(nodes) - 1
			}
			node = nodes[node][side]
		}
		data = append(data, records[text].encode()...)
	}
	return assemble(nodes, data)
}

func assemble(nodes [][2]int, data []byte) []byte {
	var out []byte
	for _, n := range nodes {
		for _, v := range n {
			switch {
			case v == -1:
				v = len(nodes)
			case v < -1:
				v = len(nodes) + 16 + (-2 - v)
			}
			out = binary.BigEndian.AppendUint32(out, uint32(v))
		}
	}
	out = append(out, make([]byte, 16)...)
	out = append(out, data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	out = append(out, 0xe0|9)
	out = append(append(out, text("binary_format_major_version")...), number(2, 5)...)
	out = append(append(out, text("binary_format_minor_version")...), number(0, 5)...)
	out = append(append(out, text("build_epoch")...), number(1_700_000_000, 9)...)
	out = append(append(out, text("database_type")...), text("Test-Country")...)
	out = append(append(out, text("description")...), 0xe0)
	out = append(append(out, text("ip_version")...), number(6, 5)...)
	out = append(append(out, text("languages")...), 0x00, 0x04)
	out = append(append(out, text("node_count")...), number(uint32(len(nodes)), 6)...)
	return append(append(out, text("record_size")...), number(32, 5)...)
}

func (r Record) encode() []byte {
	fields := byte(0)
	var b []byte
	if r.Country != "" {
		fields++
		if r.Nested {
			b = append(append(b, text("country")...), 0xe1)
			b = append(append(b, text("iso_code")...), text(r.Country)...)
		} else {
			b = append(append(b, text("country_code")...), text(r.Country)...)
		}
	}
	if r.ASN != 0 {
		fields += 2
		b = append(append(b, text("autonomous_system_number")...), number(r.ASN, 6)...)
		b = append(append(b, text("autonomous_system_organization")...), text(r.Org)...)
	}
	return append([]byte{0xe0 | fields}, b...)
}

func text(s string) []byte {
	if len(s) < 29 {
		return append([]byte{0x40 | byte(len(s))}, s...)
	}
	return append([]byte{0x40 | 29, byte(len(s) - 29)}, s...)
}

// number encodes an unsigned integer: type 5 is 16 bits, 6 is 32, 9 is 64 (an extended type).
func number(n uint32, kind byte) []byte {
	size := map[byte]byte{5: 2, 6: 4, 9: 8}[kind]
	b := binary.BigEndian.AppendUint64(nil, uint64(n))[8-size:]
	if kind > 7 {
		return append([]byte{size, kind - 7}, b...)
	}
	return append([]byte{kind<<5 | size}, b...)
}

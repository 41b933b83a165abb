package enrich

import (
	"bytes"
	"fmt"
	"net/netip"
	"path"
	"strings"

	"github.com/gaissmai/bart"

	"borderwatch/schemas/access"
)

// Lists are the public address lists: which kinds of network an address belongs to, and in which country a cloud says
// that a prefix of its own lies.
type lists struct {
	kinds *bart.Table[kindSet] // once sealed, a prefix also has the kinds of the prefixes around it
	cloud *bart.Table[access.Country]
}

func newLists() lists {
	return lists{kinds: new(bart.Table[kindSet]), cloud: new(bart.Table[access.Country])}
}

// kindSet is a bit set of access.NetworkKind.
type kindSet uint16

// precedence orders the kinds of an address that is in several lists: what hides a person best counts. A Tor exit in a
// hosting centre is a Tor exit.
var precedence = [...]access.NetworkKind{access.NetworkTor, access.NetworkVPN, access.NetworkRelay, access.NetworkProxy,
	access.NetworkHosting, access.NetworkService, access.NetworkMobile, access.NetworkResidential}

func (s kindSet) first() access.NetworkKind {
	for _, k := range precedence {
		if s&(1<<k) != 0 {
			return k
		}
	}
	return access.NetworkUnknown
}

// readList reads one entry {name, file, kind, source, checked} and the address list it names. Kind cloud is a CSV of
// prefix,country as clouds publish it (RFC 8805); its prefixes count as hosting.
func (b *builder) readList(o object) {
	o.only("name", "file", "kind", "source", "checked")
	o.required("name")
	kinds := append([]string{"cloud"}, access.NetworkKinds.Words()[2:]...) // corporate is for the operator's own sites
	word := kinds[o.oneOf("kind", kinds)]
	o.day("checked")
	file := o.required("file")
	if file == "" {
		return
	}
	data, ok := b.files[file]
	name := file
	if !ok {
		name = path.Join(path.Dir(o.path), file)
		data, ok = b.files[name]
	}
	if !ok {
		o.fail(o.at("file"), nearest(file, b.fileNames), "file: there is no %q in the bundle", file)
		return
	}
	b.used[name] = true
	kind := access.NetworkHosting
	if word != "cloud" {
		i, _ := access.NetworkKinds.Parse(word)
		kind = access.NetworkKind(i)
	}
	n, problems := b.lists.read(name, data, kind, word == "cloud")
	*o.problems = append(*o.problems, problems...)
	if n == 0 && len(problems) == 0 {
		*o.problems = append(*o.problems, Problem{Path: name, Message: "the list is empty", Severity: Warning})
	}
}

// maxListProblems is how many bad lines of one list are reported one by one.
const maxListProblems = 20

// read adds the prefixes of a list: one CIDR or address a line, # starts a comment; in a cloud list a comma and the
// country follow, further columns are ignored.
func (l *lists) read(file string, data []byte, kind access.NetworkKind, cloud bool) (n int, problems []Problem) {
	bad := 0
	for line := 1; len(data) > 0; line++ {
		row, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		why := l.row(string(row), kind, cloud, &n)
		if why == "" {
			continue
		}
		if bad++; bad <= maxListProblems {
			problems = append(problems, Problem{Path: file, Line: line, Column: 1, Message: why, Severity: Error})
		}
	}
	if bad > maxListProblems {
		problems = append(problems, Problem{Path: file, Severity: Error, Message: fmt.Sprintf("%d further lines are bad", bad-maxListProblems)})
	}
	return n, problems
}

func (l *lists) row(row string, kind access.NetworkKind, cloud bool, n *int) (why string) {
	row, _, _ = strings.Cut(row, "#")
	if row = strings.TrimSpace(row); row == "" {
		return ""
	}
	text, rest, columns := strings.Cut(row, ",")
	if columns != cloud {
		return fmt.Sprintf("%q: a cloud list has lines of prefix,country, any other list only a prefix a line", clip(row))
	}
	p, why := parsePrefix(strings.TrimSpace(text))
	if why != "" {
		return fmt.Sprintf("%q %s", clip(text), why)
	}
	if cloud {
		code, _, _ := strings.Cut(rest, ",")
		c, ok := access.ParseCountry(strings.TrimSpace(code))
		if !ok && strings.TrimSpace(code) != "" { // RFC 8805: an empty country is a prefix without a place
			return fmt.Sprintf("%q is not an ISO 3166-1 alpha-2 country code", clip(code))
		}
		l.cloud.Insert(p, c)
	}
	l.kinds.Modify(p, func(s kindSet, _ bool) (kindSet, bool) { return s | 1<<kind, false })
	*n++
	return ""
}

// seal gives every prefix the kinds of those around it, so that one look-up of the longest prefix finds them all.
func (l *lists) seal() {
	sealed := new(bart.Table[kindSet])
	for p, kinds := range l.kinds.All() {
		for _, outer := range l.kinds.Supernets(p) {
			kinds |= outer
		}
		sealed.Insert(p, kinds)
	}
	l.kinds = sealed
}

func (l *lists) find(ip netip.Addr) (access.NetworkKind, access.Country) {
	kinds, ok := l.kinds.Lookup(ip)
	if !ok {
		return access.NetworkUnknown, 0
	}
	country, _ := l.cloud.Lookup(ip)
	return kinds.first(), country
}

// parsePrefix reads a CIDR or a single address; why says what is wrong with it.
func parsePrefix(s string) (p netip.Prefix, why string) {
	if !strings.Contains(s, "/") {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return p, "is not an address or CIDR prefix"
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), ""
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, "is not an address or CIDR prefix"
	case p.Masked() != p:
		return p, "has bits behind its length; the prefix is " + p.Masked().String()
	case p.Addr().Is4In6():
		return p, "is an IPv4 prefix in IPv6 form; write it as IPv4"
	}
	return p, ""
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

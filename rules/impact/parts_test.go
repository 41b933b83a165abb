package impact_test

import (
	"fmt"
	"strings"
	"testing"

	"borderwatch/rules/impact"
	"borderwatch/rules/release"
)

func file(path, text string) release.Part {
	return release.NewPart(release.RoleFile, path, []byte(text))
}

const roster = "format: borderwatch/roster/v1\npeople:\n  - {id: u-1, kind: employee}\n  - {id: u-2, kind: vendor, from: 2026-01-01}\n"

// TestWhatIsNoChange: files, order, comments, layout and the signed statement decide nothing.
func TestWhatIsNoChange(t *testing.T) {
	before := []release.Part{file("a.yaml", roster), file("list.txt", "192.0.2.0/24\n198.51.100.0/24\n")}
	after := []release.Part{
		file("list.txt", "# of today\n198.51.100.0/24 # second\n192.0.2.0/24\n"), release.NewPart(release.RoleSigned, "release", []byte("x")),
		file("b.yml", "# who\nformat: borderwatch/roster/v1\nversion: 7\npeople:\n- from: '2026-01-01'\n  kind: vendor\n  id: u-2\n"),
		file("c.yml", "format: borderwatch/roster/v1\npeople:\n- {kind: employee, id: u-1}\n"),
	}
	parts, err := impact.CompareParts(before, after)
	if err != nil || len(parts) != 0 {
		t.Errorf("%+v, %v", parts, err)
	}
}

// TestChangedParts names the entry and what it lost and gained.
func TestChangedParts(t *testing.T) {
	groups := func(members string) release.Part {
		return file("g.yaml", "format: borderwatch/groups/v1\ngroups:\n  - {name: home, members: ["+members+"]}\n")
	}
	for _, test := range []struct {
		name          string
		before, after release.Part
		want          string
	}{
		{"another end", file("a.yaml", roster), file("a.yaml", strings.Replace(roster, "vendor,", "vendor, until: 2026-12-31,", 1)),
			"roster 0 0 1: people u-2 from 2026-01-01 changed [until: nothing → 2026-12-31]"},
		{"a leaver", file("a.yaml", roster), file("a.yaml", strings.Replace(roster, "  - {id: u-1, kind: employee}\n", "", 1)), "roster 0 1 0: people u-1 removed []"},
		{"group", groups("DE, FR, GB"), groups("CH, DE, {code: GB, until: 2031-12-27}"),
			"groups 0 0 1: groups home changed [members: - FR, - GB, + CH, + {code: GB, until: 2031-12-27}]"},
		{"nested", file("r.yaml", "format: borderwatch/rule/v1\nid: R-1\nwhen:\n  action: read\n  any:\n    - ticket.id missing: true\n"),
			file("r.yaml", "format: borderwatch/rule/v1\nid: R-1\nwhen:\n  action not: read\n  any:\n    - session.mfa: no\n"),
			"rules 0 0 1: R-1 changed [when action: read → nothing when any: - {ticket.id missing: true}, + {session.mfa: no} when action not: nothing → read]"},
		{"database", release.NewPart(release.RoleGeoIP, "a.mmdb", []byte("1")), release.NewPart(release.RoleGeoIP, "b.mmdb", []byte("2")),
			"location databases 0 0 1: geoip changed [sha256:6b86b273ff34… → sha256:d4735e3a265e…]"},
		{"list", file("l.csv", "192.0.2.0/24,DE\n"), file("l.csv", "192.0.2.0/24,FR\n"),
			"address lists 0 0 1: l.csv changed [1 fewer, 1 more: - 192.0.2.0/24,DE, + 192.0.2.0/24,FR]"},
	} {
		parts, err := impact.CompareParts([]release.Part{test.before}, []release.Part{test.after})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var got []string
		for _, p := range parts {
			for _, e := range p.Entries {
				got = append(got, fmt.Sprintf("%s %d %d %d: %s %s %v", p.Part, p.Added, p.Removed, p.Changed, e.Key, e.Change, e.Details))
			}
		}
		if strings.Join(got, "\n") != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, strings.Join(got, "\n"), test.want)
		}
	}
}

// TestManyChangedEntries lists so many and counts the rest; of a long list it names the first.
func TestManyChangedEntries(t *testing.T) {
	var people, lines strings.Builder
	people.WriteString("format: borderwatch/roster/v1\npeople:\n")
	for i := range impact.MaxEntries + 10 {
		fmt.Fprintf(&people, "  - {id: u-%03d}\n", i)
		fmt.Fprintf(&lines, "192.0.2.%d/32\n", i)
	}
	parts, err := impact.CompareParts([]release.Part{file("l.txt", "")}, []release.Part{file("p.yaml", people.String()), file("l.txt", lines.String())})
	if err != nil {
		t.Fatal(err)
	}
	if p := parts[0]; p.Added != impact.MaxEntries+10 || len(p.Entries) != impact.MaxEntries || p.More != 10 {
		t.Errorf("%d added, %d listed, %d more", p.Added, len(p.Entries), p.More)
	}
	if d := parts[1].Entries[0].Details[0]; !strings.HasPrefix(d, "0 fewer, 210 more: + 192.0.2.0/32") || !strings.HasSuffix(d, "+ 198 more") {
		t.Error(d)
	}
}

// FuzzCompareParts: whatever the files are, the comparison ends, and a bundle does not differ from itself.
func FuzzCompareParts(f *testing.F) {
	f.Add(roster, "format: borderwatch/rule/v1\nid: R-1\nwhen: {action: [read, *x]}\n")
	f.Add("a: &a [*a]", "---\n- 1\n---\nformat: [")
	f.Add("format: borderwatch/groups/v1\ngroups: [{name: x, members: [{a: {b: [c]}}]}]", "format: borderwatch/groups/v1\ngroups: [{name: x, members: y}, {name: x}]")
	f.Fuzz(func(t *testing.T, before, after string) {
		a, b := []release.Part{file("a.yaml", before)}, []release.Part{file("a.yaml", after)}
		if _, err := impact.CompareParts(a, b); err != nil {
			return
		}
		if same, err := impact.CompareParts(b, b); err != nil || len(same) != 0 {
			t.Errorf("%q differs from itself: %+v, %v", after, same, err)
		}
	})
}

package release_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"borderwatch/rules/release"
)

func archive(t testing.TB, parts []release.Part) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := release.WriteArchive(&out, parts); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const goldenArchive = "6b51eca83d1683fc32337fc4b177d245b15697ab945507cc428791c19a8f495f"

func TestArchiveIsCanonical(t *testing.T) {
	parts := small.parts()
	data := archive(t, parts)
	if !bytes.Equal(data, archive(t, reversed(parts))) {
		t.Error("the order of files shows in the archive")
	}
	if !bytes.Equal(data, archive(t, append(small.parts(), release.NewPart(release.RoleSigned, "release", []byte("signed"))))) {
		t.Error("the signed statement is in the archive")
	}
	got, err := release.ReadArchive(data)
	if err != nil || release.Digest(got) != release.Digest(parts) {
		t.Fatalf("read again: %v", err)
	}
	for _, p := range got {
		if p.Role == release.RoleFile && string(p.Data) != small[p.Path] {
			t.Errorf("%s has other bytes", p.Path)
		}
		if p.Role == release.RoleGeoIP && p.Data != nil {
			t.Error("the location database is in the archive")
		}
	}
	// The very bytes, so that neither another platform nor another version of Go can move them unseen.
	if got := release.NewPart("", "", data).Digest; got != goldenArchive {
		t.Errorf("the archive's SHA-256 is %s, was %s", got, goldenArchive)
	}
}

func TestArchiveRefusesEveryChange(t *testing.T) {
	data := archive(t, small.parts())
	for i := range data {
		changed := slices.Clone(data)
		changed[i] ^= 0x41
		// The name of a location database is a fact of the manifest alone: changed, it is another bundle.
		if parts, err := release.ReadArchive(changed); err == nil && release.Digest(parts) == release.Digest(small.parts()) {
			t.Fatalf("byte %d changed, and read as the same bundle", i)
		}
	}
	for _, test := range []struct {
		name, words string
		data        []byte
	}{
		{"empty", "not a whole bundle archive: it ends before manifest: half-written, or cut off", nil},
		{"cut off in a header", "", data[:700]},
		{"cut off between files", "", data[:1536]},
		{"something added", "not a whole bundle archive: not in canonical form: bytes outside the files were changed or added", append(slices.Clone(data), 0)},
	} {
		_, err := release.ReadArchive(test.data)
		if !errors.Is(err, release.ErrArchive) {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.words != "" {
			want(t, err, test.words)
		} else if !strings.Contains(err.Error(), "half-written, or cut off") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for i := 0; i < len(data); i += 7 {
		if _, err := release.ReadArchive(data[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes are read", i, len(data))
		}
	}
}

func TestPathsThatLeaveTheFolder(t *testing.T) {
	for _, path := range []string{"../rule.yaml", "/etc/rule.yaml", "a\nb.yaml", `a\b.yaml`, ""} {
		var out bytes.Buffer
		if err := release.WriteArchive(&out, []release.Part{release.NewPart(release.RoleFile, path, nil)}); err == nil {
			t.Errorf("%q is in an archive", path)
		}
	}
}

func FuzzReadArchive(f *testing.F) {
	f.Add(archive(f, small.parts()))
	f.Add(archive(f, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, err := release.ReadArchive(data)
		if err != nil {
			return
		}
		if !bytes.Equal(archive(t, parts), data) {
			t.Error("two archives of the same parts")
		}
	})
}

func FuzzParse(f *testing.F) {
	s := newSite(f)
	first := sign(f, about(f, small.parts(), noon, nil), nil, s.author, s.approver)
	first.Activate(noon)
	f.Add(first.Text())
	f.Add(sign(f, about(f, small.parts(), noon, first), first, s.author).Text())
	f.Add([]byte("borderwatch-release/v1\n\n— a AAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := release.Parse(text)
		if err != nil {
			return
		}
		if got := r.Text(); !bytes.Equal(got, text) {
			t.Errorf("%q is written as %q", text, got)
		}
	})
}

func TestStatementText(t *testing.T) {
	s := about(t, small.parts(), noon, nil)
	s.Author, s.Previous, s.Impact = "u-1", strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	const golden = "testdata/statement.txt"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(s.Text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if s.Text() != string(text) {
		t.Errorf("the statement is\n%s, want\n%s", s.Text(), text)
	}
	if _, err := release.ParseStatement(s.Text()); err != nil {
		t.Error(err)
	}
	for _, test := range []struct{ old, new, words string }{
		{"borderwatch-release/v1", "borderwatch-release/v2", `line 1: "borderwatch-release/v2", want borderwatch-release/v1`},
		{"environment test\n", "", `line 2: want "environment …"`},
		{"time 2026-11-24T12:00:00.000Z", "time noon", `line 15: "noon" is not a time like 2006-01-02T15:04:05.000Z`},
		{"author u-1\n", "author u-1\nauthor u-2\n", `line 14: want "time …"`},
		{"impact sha256:cd", "impact sha256:CD", ""},
	} {
		_, err := release.ParseStatement(strings.Replace(s.Text(), test.old, test.new, 1))
		if !errors.Is(err, release.ErrStatement) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%q: %v, want %s", test.new, err, test.words)
		}
	}
}

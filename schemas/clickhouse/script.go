package clickhouse

import (
	"fmt"
	"io"
	"strings"
)

// WriteScript writes what Migrate does on a server without anything of ours as a file for clickhouse-client, with example
// statements for the accounts of each role as comments: for operators who review or run such statements by hand. Every
// statement can be repeated.
func WriteScript(w io.Writer, opt Options) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	s := script{w: w}
	s.comment("The ClickHouse schema of borderwatch, version %d. It needs ClickHouse %s or newer.", Version, MinServer)
	s.statements(opt.Layout.preparation())
	for _, m := range list {
		statements, err := m.statements(opt.Layout)
		if err != nil {
			return err
		}
		s.comment("\n%s", m.Name)
		s.statements(append(statements, m.record(opt.Layout)))
	}
	if opt.Roles {
		s.comment("\nRoles, their limits and their grants")
		s.statements(RoleStatements(opt.Layout))
		s.comment("\nAccounts are yours to make. One for each role, say:")
		for _, statement := range AccountExamples(opt.Layout) {
			s.comment("%s;", statement)
		}
	}
	return s.err
}

// AccountExamples are statements that make an account of each role, with <password> where yours goes. The settings
// profile binds the limits of the role to the account.
func AccountExamples(l Layout) []string {
	var out []string
	for _, r := range Roles(l) {
		statement := fmt.Sprintf("CREATE USER %s%s IDENTIFIED WITH sha256_password BY '<password>' DEFAULT ROLE %s",
			strings.TrimPrefix(r.Name, "bw_"), l.on(), r.Name)
		if r.profile() != "" {
			statement += fmt.Sprintf(" SETTINGS PROFILE '%s'", r.Name)
		}
		out = append(out, statement)
	}
	return out
}

// script writes statements and keeps the first error.
type script struct {
	w   io.Writer
	err error
}

func (s *script) comment(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for line := range strings.Lines(text) {
		prefix := "-- "
		if line == "\n" {
			prefix = ""
		}
		s.write(prefix + line)
	}
	s.write("\n")
}

func (s *script) statements(list []string) {
	for _, statement := range list {
		s.write(statement + ";\n")
	}
}

func (s *script) write(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

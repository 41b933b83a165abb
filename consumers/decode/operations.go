package decode

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"borderwatch/schemas/access"
)

// The tables of operations: which touch user data, and how. They are text so that auditors can read them.
var (
	//go:embed operations_aws.txt
	awsText string
	//go:embed operations_gcp.txt
	gcpText string
)

var (
	awsOperations = sync.OnceValue(func() *operations { return mustOperations(awsText) })
	gcpOperations = sync.OnceValue(func() *operations { return mustOperations(gcpText) })
)

// operation is what the table says of one operation.
type operation struct {
	pattern string
	action  access.Action
	data    bool     // touches user data
	dataset []string // where the record names the data sets, tried in order
	dest    string   // where it names the destination of a copy or grant, "" for nowhere
}

// operations is a table, by service.
type operations struct {
	exact    map[string]map[string]*operation
	patterns map[string][]*operation
}

// find returns what the table says of an operation, nil where it is not listed: then nobody knows whether it touches user
// data. An exact name goes before patterns, and of these the first in the table counts.
func (o *operations) find(service, name string) *operation {
	if op := o.exact[service][name]; op != nil {
		return op
	}
	for _, op := range o.patterns[service] {
		if glob(op.pattern, name) {
			return op
		}
	}
	return nil
}

// glob matches a pattern in which * stands for any text.
func glob(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(part):], more
	}
}

// mustOperations reads an embedded table. A mistake in it is one of ours, and a test reads both.
func mustOperations(text string) *operations {
	o, err := readOperations(text)
	if err != nil {
		panic("decode: table of operations: " + err.Error())
	}
	return o
}

// readOperations reads lines of
//
//	services  operations  action  data-set  [destination]
//
// where services and operations are separated by commas, an operation may hold *, and data-set is "none" for an
// operation without user data, "?" for one whose record does not name the data set, or the members that name it,
// separated by |.
func readOperations(text string) (*operations, error) {
	o := &operations{exact: map[string]map[string]*operation{}, patterns: map[string][]*operation{}}
	line := 0
	for text := range strings.Lines(text) {
		line++
		text, _, _ = strings.Cut(text, "#")
		column := strings.Fields(text)
		if len(column) == 0 {
			continue
		}
		if len(column) < 4 || len(column) > 5 {
			return nil, fmt.Errorf("line %d: want 4 or 5 columns, have %d", line, len(column))
		}
		op, err := newOperation(column[2:])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		for service := range strings.SplitSeq(column[0], ",") {
			for pattern := range strings.SplitSeq(column[1], ",") {
				if err := o.add(service, pattern, op); err != nil {
					return nil, fmt.Errorf("line %d: %w", line, err)
				}
			}
		}
	}
	return o, nil
}

// newOperation reads the columns action, data-set and destination.
func newOperation(column []string) (operation, error) {
	action, ok := access.Actions.Parse(column[0])
	if !ok || action == 0 {
		return operation{}, fmt.Errorf("%q is no action", column[0])
	}
	op := operation{action: access.Action(action), data: column[1] != "none"}
	if op.data && column[1] != "?" {
		op.dataset = strings.Split(column[1], "|")
	}
	if len(column) > 2 {
		op.dest = column[2]
	}
	return op, nil
}

func (o *operations) add(service, pattern string, op operation) error {
	op.pattern = pattern
	if strings.Contains(pattern, "*") {
		o.patterns[service] = append(o.patterns[service], &op)
		return nil
	}
	if o.exact[service][pattern] != nil {
		return fmt.Errorf("%s %s is listed twice", service, pattern)
	}
	if o.exact[service] == nil {
		o.exact[service] = map[string]*operation{}
	}
	o.exact[service][pattern] = &op
	return nil
}

// verbs tell what an operation that no table lists probably does. They never say that it touches no user data.
var verbs = [...]struct {
	prefix string
	action access.Action
}{
	{"BatchGet", access.ActionRead}, {"Get", access.ActionRead}, {"Head", access.ActionView}, {"Read", access.ActionRead},
	{"Download", access.ActionDownload}, {"List", access.ActionList}, {"Describe", access.ActionView},
	{"Search", access.ActionQuery}, {"Query", access.ActionQuery}, {"Scan", access.ActionQuery}, {"Select", access.ActionQuery},
	{"Export", access.ActionExport}, {"Copy", access.ActionCopy}, {"Replicate", access.ActionReplicate},
	{"Create", access.ActionWrite}, {"Insert", access.ActionWrite}, {"Put", access.ActionWrite}, {"Write", access.ActionWrite},
	{"Update", access.ActionWrite}, {"Patch", access.ActionWrite}, {"Modify", access.ActionWrite},
	{"Delete", access.ActionDelete}, {"Decrypt", access.ActionDecrypt}, {"SetIam", access.ActionGrant},
	{"Share", access.ActionGrant}, {"Add", access.ActionWrite}, {"Start", access.ActionOther}, {"Stop", access.ActionOther},
}

// guess is the action of an operation that is not listed, by its verb.
func guess(name string) access.Action {
	for i := range verbs {
		v := &verbs[i]
		if len(name) >= len(v.prefix) && strings.EqualFold(name[:len(v.prefix)], v.prefix) {
			return v.action
		}
	}
	return access.ActionUnknown
}

package realdata_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

type object = map[string]any

// nativeEvent is a native record of the given members. The event id comes from the bytes of the source, so a line that
// the source has twice stays one event.
func nativeEvent(t testing.TB, feed string, source []byte, at time.Time, members object) []byte {
	t.Helper()
	sum := sha256.Sum256(source)
	members["schema"], members["event_id"], members["time"] = "bw/access/v1", hex.EncodeToString(sum[:12]), at.UTC().Format("2006-01-02T15:04:05.000Z")
	from, _ := members["source"].(object)
	if from == nil {
		from = object{}
	}
	from["feed"] = feed
	members["source"] = from
	value, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func parseTime(t testing.TB, layout, text string) time.Time {
	t.Helper()
	at, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

type edit struct {
	Time                 string
	Channel, User        string
	IsAnonymous, IsRobot bool
	Added                int64
}

// edits are the edits of a public encyclopedia: somebody who is not registered is named by the address.
func edits(t testing.TB) [][]byte {
	lines := textLines(t, "druid-wikiticker/*.json.gz")
	out := make([][]byte, len(lines))
	for i, line := range lines {
		var e edit
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		actor, from := object{"id": e.User, "kind": "subject"}, object{}
		switch {
		case e.IsAnonymous:
			actor["kind"], from["ip"] = "anonymous", e.User
		case e.IsRobot:
			actor["kind"] = "service"
		}
		out[i] = nativeEvent(t, "edits", line, parseTime(t, time.RFC3339, e.Time), object{
			"source": from, "actor": actor, "action": "write", "outcome": "success",
			"data": object{"dataset": strings.TrimPrefix(e.Channel, "#"), "system": "wiki", "classes": []string{"public"}, "subject_regions": []string{}, "bytes": max(e.Added, 0)},
		})
	}
	return out
}

var webLine = regexp.MustCompile(`^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) .*?" (\d+) (\d+|-) `)

// webReads are the lines of a web server's log.
func webReads(t testing.TB) [][]byte {
	lines := textLines(t, "elastic-examples-apache/apache_logs.gz")
	out := make([][]byte, len(lines))
	for i, line := range lines {
		m := webLine.FindSubmatch(line)
		if m == nil {
			t.Fatalf("line %d is no line of a web server: %.80q", i+1, line)
		}
		data := object{"dataset": "website", "system": "web", "classes": []string{"public"}, "subject_regions": []string{}}
		if n, err := strconv.Atoi(string(m[6])); err == nil {
			data["bytes"] = n
		}
		out[i] = nativeEvent(t, "web", line, parseTime(t, "02/Jan/2006:15:04:05 -0700", string(m[3])), object{
			"source": object{"ip": string(m[1])}, "actor": object{"id": "anonymous", "kind": "anonymous"},
			"action": webAction(string(m[4])), "outcome": webOutcome(string(m[5])), "data": data,
		})
	}
	return out
}

func webAction(method string) string {
	switch method {
	case "GET", "HEAD":
		return "read"
	case "POST", "PUT":
		return "write"
	}
	return "other"
}

func webOutcome(status string) string {
	switch {
	case status == "401", status == "403":
		return "denied"
	case status[0] == '2', status[0] == '3':
		return "success"
	}
	return "failure"
}

var pythonMember = regexp.MustCompile(`'(\w+)': '([^']*)'`)

// python reads the text members of a dictionary as Python prints it.
func python(text string) map[string]string {
	members := map[string]string{}
	for _, m := range pythonMember.FindAllStringSubmatch(text, -1) {
		members[m[1]] = m[2]
	}
	return members
}

var bucketActions = map[string]string{"HeadBucket": "view", "ListObjects": "list", "PutObject": "write"}

// bucketReads are the accesses to a bucket that was left open on purpose.
func bucketReads(t testing.TB) [][]byte {
	rows, err := csv.NewReader(bytes.NewReader(read(t, glob(t, "otrf-security-datasets/AWS_S3_HoneyBucketLogs.csv")[0]))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, row := range rows[1:] {
		who, request := python(row[3]), python(row[4])
		actor := object{"id": who["accountId"]}
		if who["accountId"] == "ANONYMOUS_PRINCIPAL" {
			actor = object{"id": "anonymous", "kind": "anonymous"}
		}
		out = append(out, nativeEvent(t, "bucket", []byte(strings.Join(row, "\x00")), parseTime(t, time.RFC3339, row[7]), object{
			"source": object{"ip": row[9]}, "actor": actor, "action": bucketActions[row[1]], "outcome": "success",
			"data": object{"dataset": request["bucketName"], "system": "s3", "classes": []string{"public"}, "subject_regions": []string{}},
		}))
	}
	return out
}

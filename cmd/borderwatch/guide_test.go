package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	guideBlock = regexp.MustCompile("(?s)```(yaml|yml|sh)\n(.*?)```")
	guideKey   = regexp.MustCompile(`"(u-\d+)\+\.\.\."`)
	guideDay   = regexp.MustCompile(`\b20\d\d-\d\d-\d\d\b`)
)

// guide does what the compliance guide says, in its order: its rule files go into rules/, the activation policy beside
// them, and every command is run as it is written. guideToday is the guide's today; all days are moved with it.
func guide(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: guide README")
	}
	ts.Check(os.MkdirAll(ts.MkAbs("rules"), 0o700))
	keys := map[string]string{}
	files := 0
	for _, block := range guideBlock.FindAllStringSubmatch(ts.ReadFile(args[0]), -1) {
		switch text := block[2]; block[1] {
		case "yaml":
			files++
			name := filepath.Join("rules", string(rune('a'+files))+".yaml")
			ts.Check(os.WriteFile(ts.MkAbs(name), []byte(moveDays(text)), 0o600))
		case "yml":
			text = guideKey.ReplaceAllStringFunc(text, func(s string) string { return `"` + keys[guideKey.FindStringSubmatch(s)[1]] + `"` })
			ts.Check(os.WriteFile(ts.MkAbs("activation-policy.yaml"), []byte(text), 0o600))
		default:
			for line := range strings.Lines(text) {
				words := strings.Fields(line)
				ts.Check(ts.Exec(words[0], words[1:]...))
				if words[2] == "keygen" {
					keys[words[3]] = strings.TrimSpace(ts.ReadFile("stdout"))
				}
			}
		}
	}
	if files != 2 || len(keys) != 2 {
		ts.Fatalf("%d files and %d keys in the guide", files, len(keys))
	}
}

// guideToday is the first day of the exception in the guide.
const guideToday = "2026-12-01"

// moveDays moves every day in a text such that guideToday becomes today.
func moveDays(text string) string {
	from, err := time.Parse(time.DateOnly, guideToday)
	if err != nil {
		panic(err)
	}
	by := time.Now().UTC().Truncate(24 * time.Hour).Sub(from)
	return guideDay.ReplaceAllStringFunc(text, func(day string) string {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return day
		}
		return at.Add(by).Format(time.DateOnly)
	})
}

// forge writes a file to a topic as whoever may write there could: forge topic key file.
func forge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: forge topic key file")
	}
	send(ts, &kgo.Record{Topic: args[0], Key: []byte(args[1]), Value: []byte(ts.ReadFile(args[2]))})
}

// produceNow writes the lines of a file to a topic, NOW in them being the time of now and EARLIER two
// hours before: producenow topic file.
func produceNow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: producenow topic file")
	}
	const layout = "2006-01-02T15:04:05.000Z"
	now := time.Now().UTC()
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		text := strings.NewReplacer("NOW", now.Format(layout), "EARLIER", now.Add(-2*time.Hour).Format(layout)).Replace(strings.TrimSpace(line))
		send(ts, &kgo.Record{Topic: args[0], Value: []byte(text), Timestamp: now})
	}
}

func send(ts *testscript.TestScript, record *kgo.Record) {
	client, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("BROKER")))
	ts.Check(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ts.Check(client.ProduceSync(ctx, record).FirstErr())
}

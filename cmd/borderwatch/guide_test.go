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
	guideFile  = regexp.MustCompile("`(rules/[^`]+\\.yaml)`")
	guideKey   = regexp.MustCompile(`"(u-\d+)\+\.\.\."`)
	guideDay   = regexp.MustCompile(`\b20\d\d-\d\d-\d\d\b`)
)

// guide does what the compliance guide says, in its order and beside the source: its rule files go where the text before
// them says, the activation policy beside the folder, and every command is run as it is written. guideToday is the
// guide's today; all days of its files are moved with it.
func guide(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: guide README")
	}
	ts.Check(os.Symlink(filepath.Dir(filepath.Dir(args[0])), ts.MkAbs("borderwatch")))
	keys := map[string]string{}
	files := 0
	readme := ts.ReadFile(args[0])
	for _, block := range guideBlock.FindAllStringSubmatchIndex(readme, -1) {
		switch text := readme[block[4]:block[5]]; readme[block[2]:block[3]] {
		case "yaml":
			files++
			names := guideFile.FindAllStringSubmatch(readme[:block[0]], -1)
			ts.Check(os.WriteFile(ts.MkAbs(names[len(names)-1][1]), []byte(moveDays(text)), 0o600))
		case "yml":
			text = guideKey.ReplaceAllStringFunc(text, func(s string) string { return `"` + keys[guideKey.FindStringSubmatch(s)[1]] + `"` })
			ts.Check(os.WriteFile(ts.MkAbs("activation-policy.yaml"), []byte(text), 0o600))
		default:
			for line := range strings.Lines(text) {
				words := strings.Fields(line)
				ts.Check(ts.Exec(words[0], words[1:]...))
				if len(words) > 3 && words[2] == "keygen" {
					keys[words[3]] = strings.TrimSpace(ts.ReadFile("stdout"))
				}
			}
		}
	}
	if files != 2 || len(keys) != 3 {
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

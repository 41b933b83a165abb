package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
	"borderwatch/schemas/alert"
)

// redriveHeader links a redriven record to its dead letter: topic/partition/offset.
const redriveHeader = "borderwatch-redrive"

type redriveFlags struct {
	config configFlags
	value  string
	reason string
	source string
	again  bool
}

func newRedrive() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "redrive TOPIC PARTITION OFFSET --config FILE --reason TEXT",
		Short: "Produce a dead letter again, corrected or as it was, and record that",
		Long: `redrive produces a dead letter to the partition it came from, with the corrected
value of --value or, once its adapter or limits were mended, as it was. Key,
headers and time stay, and the header ` + redriveHeader + ` names the dead letter.
deadletters shows where it went and what became of it there.

A dead letter is redriven once; --again redrives it once more. The configuration
names the account of a worker (role bw_ingest). Where it names a ledger by its URL,
the redrive is a leaf in the evidence log before it happens.`,
		Example: `  borderwatch deadletters show --config console.yaml access-events 3 51877 --bytes > record.json
  borderwatch redrive --config ingest.yaml access-events 3 51877 --value record.json --reason "SEC-812: country was spelt out"`,
		Args: usageArgs(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := placeOf(args)
			if err != nil {
				return usageError{err}
			}
			return f.run(cmd.Context(), at, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f.config.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.value, "value", "", "the corrected value, from this `file` (- for standard input); without it the value is as it was")
	flags.StringVar(&f.reason, "reason", "", "why, and by which ticket; it is stored (required)")
	flags.BoolVar(&f.again, "again", false, "redrive what was redriven before")
	sourceFlag(cmd, &f.source)
	return cmd
}

func (f *redriveFlags) run(ctx context.Context, at store.Place, stdin io.Reader, stdout io.Writer) error {
	loaded, err := f.config.load(config.NeedClickHouse | config.NeedKafka)
	if err != nil {
		return err
	}
	if f.config.print {
		return printConfig(stdout, loaded)
	}
	if strings.TrimSpace(f.reason) == "" {
		return usageError{errors.New("--reason is required: what was wrong, and the ticket")}
	}
	s, err := openReader(ctx, loaded)
	if err != nil {
		return err
	}
	defer s.Close()
	letter, err := f.letter(ctx, s, at)
	if err != nil {
		return err
	}
	r := redrive{letter: letter, store: s, reason: f.reason, by: operator(), epoch: loaded.Kafka.Epoch}
	if loaded.Ledger.URL != "" {
		if r.ledger, err = ledgerClient(loaded.Ledger); err != nil {
			return usageError{err}
		}
	}
	if err := f.message(stdin, int64(loaded.Limits.MessageBytes), &r); err != nil {
		return usageError{err}
	}
	if r.client, err = kafka.New(kafkaConfig(loaded.Kafka)); err != nil {
		return usageError{err}
	}
	defer r.client.Close()
	to, err := r.run(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "Redriven to %s[%d]@%d.\n", to.Topic, to.Partition, to.Offset)
	return err
}

// letter is the dead letter, unless it was redriven before.
func (f *redriveFlags) letter(ctx context.Context, s *store.Store, at store.Place) (*store.StoredDeadLetter, error) {
	letter, err := findLetter(ctx, s, at, f.source)
	if err != nil {
		return nil, err
	}
	fate, err := s.Fate(ctx, letter)
	if err != nil {
		return nil, err
	}
	if fate.Begun+len(fate.Redriven) > 0 && !f.again {
		return nil, fmt.Errorf("%s[%d]@%d: %s; use --again to redrive it once more", at.Topic, at.Partition, at.Offset,
			printable(strings.Join(fateLines(&fate), "; ")))
	}
	return letter, nil
}

// message builds what is produced. The time stays, because exceptions compare it with the event's own.
func (f *redriveFlags) message(stdin io.Reader, limit int64, r *redrive) (err error) {
	key, value, headers := r.letter.Record()
	if f.value != "" {
		if value, err = readValue(f.value, stdin, limit); err != nil {
			return err
		}
		r.corrected = string(value) != r.letter.Value
	}
	r.message = kafka.Message{Key: key, Value: value, Time: r.letter.KafkaTime}
	for _, h := range headers {
		if string(h.Key) != redriveHeader {
			r.message.Headers = append(r.message.Headers, kafka.Header(h))
		}
	}
	link := store.Place{Topic: r.letter.Topic, Partition: r.letter.Partition, Offset: r.letter.Offset}
	r.message.Headers = append(r.message.Headers, kafka.Header{Key: []byte(redriveHeader), Value: []byte(link.String())})
	return nil
}

// readValue refuses what a worker would refuse for its size.
func readValue(name string, stdin io.Reader, limit int64) ([]byte, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--value: %w", err)
		}
		defer file.Close()
		in = file
	}
	value, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("--value %s: %w", name, err)
	case len(value) == 0:
		return nil, fmt.Errorf("--value %s is empty", name)
	case int64(len(value)) > limit:
		return nil, fmt.Errorf("--value %s is larger than limits.message_bytes, %d", name, limit)
	}
	return value, nil
}

// redrive is one dead letter on its way back.
type redrive struct {
	letter    *store.StoredDeadLetter
	message   kafka.Message
	corrected bool
	reason    string
	by        string
	epoch     int
	store     *store.Store
	client    *kafka.Client
	ledger    *ledger.Client // nil where the log is in the process of a worker, which alone may write to it
}

// run produces the record between two notices. A crash after the first leaves a fate that is uncertain and says so; a
// record is never produced without a trace.
func (r *redrive) run(ctx context.Context) (store.Place, error) {
	d := r.letter
	if err := r.sameTopic(ctx); err != nil {
		return store.Place{}, err
	}
	producer, err := r.client.NewProducer(kafka.ProducerConfig{})
	if err != nil {
		return store.Place{}, err
	}
	if err := r.store.InsertNotice(ctx, r.notice(store.NoticeRedriveBegun, "attempt "+rand.Text())); err != nil {
		return store.Place{}, fmt.Errorf("record the beginning of the redrive; nothing was produced: %w", err)
	}
	if err := r.record(ctx); err != nil {
		return store.Place{}, fmt.Errorf("record the redrive in the ledger; nothing was produced: %w", err)
	}
	placed, err := producer.ProduceTo(ctx, d.Topic, int(d.Partition), []kafka.Message{r.message})
	if err != nil {
		return store.Place{}, fmt.Errorf("nobody knows whether the record was produced; look for the header %s before you try --again: %w", redriveHeader, err)
	}
	to := store.Place{Topic: d.Topic, Partition: d.Partition, Offset: placed[0].Offset}
	if err := r.store.InsertNotice(ctx, r.notice(store.NoticeRedriven, to.String())); err != nil {
		return to, fmt.Errorf("the record is at %s[%d]@%d and that could not be recorded: %w", to.Topic, to.Partition, to.Offset, err)
	}
	return to, nil
}

// record puts the redrive into the evidence log before it happens.
func (r *redrive) record(ctx context.Context) error {
	if r.ledger == nil {
		return nil
	}
	at := store.Place{Topic: r.letter.Topic, Partition: r.letter.Partition, Offset: r.letter.Offset}
	_, err := r.ledger.Append(ctx, ledger.Admin{Action: "redrive", Subject: at.String(), By: r.by, Note: oneLine(r.reason),
		Digest: sha256.Sum256(r.message.Value), Time: time.Now().UTC().Truncate(time.Millisecond)})
	return err
}

// oneLine fits a reason into a line of the log; the notice has all of it.
func oneLine(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) <= most {
		return s
	}
	return strings.TrimSpace(strings.ToValidUTF8(s[:most], ""))
}

// sameTopic asks, before anything is recorded, whether this is the topic that the dead letter came from.
func (r *redrive) sameTopic(ctx context.Context) error {
	report, err := r.client.Probe(ctx, r.letter.Topic)
	if err != nil {
		return err
	}
	here, err := pipeline.Source(ctx, r.client, r.letter.Topic, r.epoch)
	if err != nil {
		return err
	}
	if here != r.letter.Source {
		return fmt.Errorf("the dead letter is from %s, and the topic of this configuration is %s: another cluster, or a topic made again",
			r.letter.Source, here)
	}
	if n := len(report.Topics[r.letter.Topic]); int(r.letter.Partition) >= n {
		return fmt.Errorf("topic %s has no partition %d, only %d of them", r.letter.Topic, r.letter.Partition, n)
	}
	return nil
}

func (r *redrive) notice(kind, subject string) store.Notice {
	d, what := r.letter, "as it was"
	if r.corrected {
		what = fmt.Sprintf("corrected, sha256:%x", sha256.Sum256(r.message.Value))
	}
	return store.Notice{
		Kind: kind, Subject: subject, Severity: alert.Info, Source: d.Source, Topic: d.Topic, Partition: d.Partition,
		First: d.Offset, Last: d.Offset, Time: time.Now(), Text: fmt.Sprintf("%s; by %s, %s", r.reason, r.by, what),
	}
}

// operator names who runs the command.
func operator() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/store"
	"borderwatch/rules/release"
)

func newRulesActivate() *cobra.Command {
	var flags configFlags
	var format string
	cmd := &cobra.Command{
		Use:   "activate FILE --config CONFIG",
		Short: "Announce a signed archive to the workers",
		Long: `activate checks the signatures as a worker does, stores the archive in ClickHouse
under its digest with the report of its impact (FILE.impact.json, where one was
signed), and writes the signed statement to the topic bundle.topic of
the configuration. Workers take it up within bundle.reload, each partition from
its next batch on; from which offset is in the table activations.

It uses the workers' configuration: kafka, clickhouse and bundle.`,
		Example: `  borderwatch rules activate bundle.tar --config ingest.yaml`,
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := flags.load(config.NeedKafka | config.NeedClickHouse)
			if err != nil {
				return err
			}
			if flags.print {
				return printConfig(cmd.OutOrStdout(), loaded)
			}
			if loaded.Bundle.Policy == "" || loaded.Bundle.Topic == "" {
				return usageError{errors.New("bundle.policy and bundle.topic are required: the workers' own")}
			}
			if err := loaded.ReadSecrets(); err != nil {
				return usageError{err}
			}
			a := activation{cfg: loaded.Config, file: args[0], format: format}
			return a.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags.register(cmd)
	formatFlag(cmd, &format, formatText, formatJSON)
	return cmd
}

// activation is one archive on its way to the workers.
type activation struct {
	cfg    config.Config
	file   string
	format string

	policy *release.Policy
	parts  []bundle.Part
	signed *release.Release
	impact *impactFile // nil where none was signed
	kafka  *kafka.Client
	store  *store.Store
}

// activated is what activate says.
type activated struct {
	Content     string    `json:"content"` // digest of what was built
	Bundle      string    `json:"bundle"`  // digest with the signed statement, as rows will name it
	Environment string    `json:"environment"`
	Topic       string    `json:"topic"`
	Offset      int64     `json:"offset"`
	Time        time.Time `json:"time"`
	Signers     []string  `json:"signers"`
}

func (a *activation) run(ctx context.Context, stdout io.Writer) error {
	if err := a.read(ctx); err != nil {
		return err
	}
	if err := a.open(ctx); err != nil {
		return err
	}
	defer a.kafka.Close()
	defer a.store.Close()
	signers, err := a.check(ctx)
	if err != nil {
		return fmt.Errorf("%s may not go live: %w", a.file, err)
	}
	a.signed.Activate(time.Now())
	all := append(a.parts, release.NewPart(release.RoleSigned, bundle.SignedPath, a.signed.Text()))
	if err := bundle.Keep(ctx, a.store, all); err != nil {
		return err
	}
	if a.impact != nil {
		if err := bundle.KeepReport(ctx, a.store, all, a.impact.text); err != nil {
			return err
		}
	}
	done := activated{Content: release.Digest(a.parts), Bundle: release.Digest(all), Environment: a.policy.Environment,
		Topic: a.cfg.Bundle.Topic, Time: a.signed.Activated()}
	for _, s := range signers {
		done.Signers = append(done.Signers, s.Role+" "+s.Name)
	}
	if done.Offset, err = a.announce(ctx); err != nil {
		return err
	}
	// What was approved counts from now on: the next release takes that over from this file.
	if err := replaceFile(a.file+bundle.SignedSuffix, a.signed.Text(), 0o644); err != nil {
		return fmt.Errorf("the bundle is announced, but %s%s could not be written: %w", a.file, bundle.SignedSuffix, err)
	}
	if a.format == formatJSON {
		return writeJSON(stdout, done)
	}
	_, err = fmt.Fprintf(stdout, "Announced to the workers of %s: content sha256:%s, in rows as bundle %s\n", done.Environment, done.Content, done.Bundle)
	return err
}

// read takes the archive with its location databases, its statement and the policy, and makes sure that workers can use it.
func (a *activation) read(ctx context.Context) (err error) {
	if a.policy, err = readPolicy(a.cfg.Bundle.Policy); err != nil {
		return err
	}
	candidate, err := bundleFile(a.file, a.cfg.Bundle).Candidate(ctx, nil)
	if err != nil {
		return err
	}
	if candidate.Signed == nil {
		return fmt.Errorf("%s: %w", a.file, bundle.ErrUnsigned)
	}
	if a.signed, err = release.Parse(candidate.Signed); err != nil {
		return fmt.Errorf("%s%s: %w", a.file, bundle.SignedSuffix, err)
	}
	a.parts = candidate.Parts
	if a.impact, err = signedImpact(a.file, "", a.signed.Statement()); err != nil {
		return err
	}
	_, err = bundle.Compile(a.parts)
	return err
}

func (a *activation) open(ctx context.Context) (err error) {
	options, err := storeOptions(a.cfg.ClickHouse)
	if err != nil {
		return err
	}
	if a.kafka, err = kafka.New(kafkaConfig(a.cfg.Kafka)); err != nil {
		return err
	}
	if a.store, err = store.New(options); err != nil {
		return err
	}
	if _, err := a.kafka.Probe(ctx); err != nil {
		return err
	}
	return a.store.Check(ctx)
}

// check refuses what workers would refuse, as far as it can be known from here.
func (a *activation) check(ctx context.Context) ([]release.Signer, error) {
	at := release.Context{Now: time.Now(), Base: func(content string) ([]release.Part, error) {
		return bundle.FetchParts(ctx, a.store, content)
	}}
	var err error
	if at.Live, err = a.live(ctx); err != nil {
		return nil, err
	}
	if at.Live != nil && at.Live.Statement().Text() == a.signed.Statement().Text() {
		return nil, errors.New("it is live already")
	}
	return a.policy.Verify(a.parts, a.signed, at)
}

// live is what was announced last, else what judged last, nil where there is neither. It makes the topic where there is
// none.
func (a *activation) live(ctx context.Context) (*release.Release, error) {
	if err := a.kafka.EnsureTopic(ctx, a.cfg.Bundle.Topic, 1, activationTopicConfig); err != nil {
		return nil, err
	}
	topic, err := newActivationTopic(a.kafka, a.store, a.cfg.Bundle.Topic, a.policy.Environment)
	if err != nil {
		return nil, err
	}
	if err := topic.read(ctx); err != nil {
		return nil, err
	}
	if topic.signed != nil {
		return release.Parse(topic.signed)
	}
	last, ok, err := a.store.LastBundle(ctx)
	if err != nil || !ok {
		return nil, err
	}
	return bundle.FetchRelease(ctx, a.store, last)
}

// announce writes the signed statement to the topic.
func (a *activation) announce(ctx context.Context) (offset int64, err error) {
	producer, err := a.kafka.NewProducer(kafka.ProducerConfig{})
	if err != nil {
		return 0, err
	}
	placed, err := producer.ProduceTo(ctx, a.cfg.Bundle.Topic, activationPartition,
		[]kafka.Message{{Key: []byte(a.policy.Environment), Value: a.signed.Text()}})
	if err != nil {
		return 0, err
	}
	return placed[0].Offset, nil
}

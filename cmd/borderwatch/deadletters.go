package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/store"
)

type letterFlags struct {
	config configFlags
	topic  string
	code   string
	source string
	limit  int
	json   bool
	bytes  bool
}

func newDeadLetters() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use:   "deadletters --config FILE",
		Short: "List the records that could not be read, where and why, and what became of them",
		Long: `deadletters lists the latest records that no adapter could read: place, reason,
field, the bytes around the position, and the fate of each: open, or where it was
redriven to and what became of it there. Bytes that are no printable ASCII are
shown as <0A>.

The configuration names an account that may read dead letters (role bw_api).`,
		Example: `  borderwatch deadletters --config console.yaml --topic access-events --code duplicate_key
  borderwatch deadletters show --config console.yaml access-events 3 51877
  borderwatch deadletters show --config console.yaml access-events 3 51877 --bytes > record.json`,
		Args: usageArgs(unknownCommand),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.limit < 1 {
				return usageError{fmt.Errorf("--limit %d: at least 1", f.limit)}
			}
			return f.run(cmd.Context(), cmd.OutOrStdout(), func(ctx context.Context, s *store.Store) ([]store.StoredDeadLetter, error) {
				return s.DeadLetters(ctx, f.topic, f.code, f.limit)
			})
		},
		SuggestionsMinimumDistance: 2,
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.topic, "topic", "", "only those of this `topic`")
	cmd.Flags().StringVar(&f.code, "code", "", "only those with this `code`, such as duplicate_key")
	cmd.Flags().IntVar(&f.limit, "limit", 20, "list at most this many, the latest")
	cmd.AddCommand(newDeadLettersShow())
	return cmd
}

func newDeadLettersShow() *cobra.Command {
	var f letterFlags
	cmd := &cobra.Command{
		Use:   "show TOPIC PARTITION OFFSET --config FILE",
		Short: "Show one dead letter, or with --bytes write exactly its bytes",
		Args:  usageArgs(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := placeOf(args)
			if err != nil {
				return usageError{err}
			}
			return f.run(cmd.Context(), cmd.OutOrStdout(), func(ctx context.Context, s *store.Store) ([]store.StoredDeadLetter, error) {
				letter, err := findLetter(ctx, s, at, f.source)
				if err != nil {
					return nil, err
				}
				return []store.StoredDeadLetter{*letter}, nil
			})
		},
	}
	f.register(cmd)
	sourceFlag(cmd, &f.source)
	return cmd
}

func (f *letterFlags) register(cmd *cobra.Command) {
	f.config.register(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object a line, keys and values in base64")
	cmd.Flags().BoolVar(&f.bytes, "bytes", false, "write the bytes of the value and nothing else; there must be one dead letter")
}

func sourceFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "source", "", "the cluster and epoch of the topic, such as kafka:abc/1, where several have that position")
}

// placeOf reads TOPIC PARTITION OFFSET.
func placeOf(args []string) (store.Place, error) {
	partition, err := strconv.ParseInt(args[1], 10, 32)
	if err != nil || partition < 0 {
		return store.Place{}, fmt.Errorf("partition %q is not a number from 0", args[1])
	}
	offset, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil || offset < 0 {
		return store.Place{}, fmt.Errorf("offset %q is not a number from 0", args[2])
	}
	return store.Place{Topic: args[0], Partition: int32(partition), Offset: offset}, nil
}

// run shows the dead letters that ask returns.
func (f *letterFlags) run(ctx context.Context, stdout io.Writer, ask func(context.Context, *store.Store) ([]store.StoredDeadLetter, error)) error {
	loaded, err := f.config.load(config.NeedClickHouse)
	if err != nil {
		return err
	}
	if f.config.print {
		return printConfig(stdout, loaded)
	}
	s, err := openReader(ctx, loaded)
	if err != nil {
		return err
	}
	defer s.Close()
	letters, err := ask(ctx, s)
	if err != nil {
		return err
	}
	if f.bytes {
		return writeBytes(stdout, letters)
	}
	for i := range letters {
		fate, err := s.Fate(ctx, &letters[i])
		if err != nil {
			return err
		}
		if err := showLetter(stdout, &letters[i], &fate, f.json); err != nil {
			return err
		}
	}
	return f.footer(stdout, len(letters))
}

// footer says that there are none, or that there may be more.
func (f *letterFlags) footer(w io.Writer, shown int) (err error) {
	switch {
	case f.json:
	case shown == 0:
		_, err = fmt.Fprintln(w, "No dead letters.")
	case shown == f.limit:
		_, err = fmt.Fprintf(w, "\nThe latest %d; there may be more: --limit\n", shown)
	}
	return err
}

// openReader opens the store of a command that asks questions. The caller closes it.
func openReader(ctx context.Context, loaded *config.Loaded) (*store.Store, error) {
	if err := loaded.ReadSecrets(); err != nil {
		return nil, usageError{err}
	}
	options, err := storeOptions(loaded.ClickHouse)
	if err != nil {
		return nil, usageError{err}
	}
	s, err := store.New(options)
	if err != nil {
		return nil, usageError{err}
	}
	if err := s.Check(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// findLetter returns the dead letter of a position.
func findLetter(ctx context.Context, s *store.Store, at store.Place, source string) (*store.StoredDeadLetter, error) {
	letters, err := s.DeadLettersAt(ctx, at.Topic, at.Partition, at.Offset)
	if err != nil {
		return nil, err
	}
	var sources []string
	for i := range letters {
		if letters[i].Source == source || source == "" && len(letters) == 1 {
			return &letters[i], nil
		}
		sources = append(sources, letters[i].Source)
	}
	switch {
	case len(letters) == 0:
		return nil, fmt.Errorf("there is no dead letter at %s partition %d offset %d", at.Topic, at.Partition, at.Offset)
	case source == "":
		return nil, usageError{fmt.Errorf("several topics have had that position, say which by --source: %q", sources)}
	}
	return nil, usageError{fmt.Errorf("--source %q has no dead letter there; these have: %q", source, sources)}
}

func writeBytes(w io.Writer, letters []store.StoredDeadLetter) error {
	switch {
	case len(letters) != 1:
		return usageError{fmt.Errorf("--bytes wants one dead letter, there are %d: use deadletters show", len(letters))}
	case isTerminal(w):
		return usageError{errors.New("the bytes of a record that nobody could read do not belong on a terminal: write them to a file")}
	}
	_, err := io.WriteString(w, letters[0].Value)
	return err
}

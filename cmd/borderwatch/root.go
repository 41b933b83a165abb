package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/embedded"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "borderwatch",
		Short: "Show that personal data is opened only where that is allowed",
		Long: `borderwatch reads every data-access event from Kafka, decides where the access
really came from, judges it by the rules that compliance wrote, and stores event,
verdict and alerts in ClickHouse with evidence that an independent partner can
verify.`,
		Args:          usageArgs(unknownCommand),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newUp(), newBench(), newIngest(), newLedger(), newConsole(), newMigrate(), newCoverage(), newDeadLetters(), newRedrive(), newErase(), newExpire(), newRules(), newGenerate(), newHealth(), newVersion())
	return root
}

// unknownCommand refuses an argument of the root command and names the commands that look like it.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "; see " + cmd.CommandPath() + " --help"
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		hint = ", did you mean " + strings.Join(like, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q%s", args[0], hint)
}

// usageArgs marks what check refuses as a mistake in the command line.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// configFlags are the flags of every command that reads the configuration.
type configFlags struct {
	file  string
	set   []string
	print bool
}

func (f *configFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "config", "c", "", "read the configuration from this YAML `file`")
	flags.StringArrayVar(&f.set, "set", nil, "set one `key=value` of the configuration (repeatable), such as log.level=debug")
	flags.BoolVar(&f.print, "print-config", false, "print the effective configuration, secrets masked, and exit")
}

// otherVariables are read by consumers/embedded and are no keys of the configuration.
var otherVariables = []string{embedded.CacheEnv, embedded.LibraryEnv, embedded.AcceptUnpinnedEnv}

// load reads the configuration from file, environment and flags.
func (f *configFlags) load(needs config.Needs) (*config.Loaded, error) {
	loaded, err := config.Load(config.Options{
		File: f.file, Environ: os.Environ(), Set: f.set, Needs: needs, OtherVariables: otherVariables,
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	return loaded, nil
}

func printConfig(w io.Writer, loaded *config.Loaded) error {
	text, err := loaded.YAML()
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// newLogger returns the process's logger; cfg was validated.
func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

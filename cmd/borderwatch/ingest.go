package main

import (
	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
)

// ingestNeeds are the sections a worker cannot do without.
const ingestNeeds = config.NeedKafka | config.NeedTopics | config.NeedClickHouse | config.NeedRules | config.NeedLedger

func newIngest() *cobra.Command {
	var flags configFlags
	var untilCaughtUp bool
	cmd := &cobra.Command{
		Use:   "ingest --config FILE",
		Short: "Judge and store the events of a Kafka cluster: a production worker",
		Long: `ingest reads the topics of the configuration as a member of a consumer group,
judges every event by the bundle and stores it in ClickHouse. Start as many
workers as there are partitions.

The configuration comes from the defaults, the file, BORDERWATCH_ environment
variables and --set flags, the later ones winning. --print-config shows the
result and where each value came from, with secrets masked.`,
		Example: `  borderwatch ingest --config /etc/borderwatch/ingest.yaml
  borderwatch ingest --config ingest.yaml --print-config
  borderwatch ingest --config ingest.yaml --set log.level=debug --until-caught-up`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load(ingestNeeds)
			if err != nil {
				return err
			}
			if flags.print {
				return printConfig(cmd.OutOrStdout(), loaded)
			}
			return runIngest(cmd.Context(), loaded, untilCaughtUp, newLogger(loaded.Log, cmd.ErrOrStderr()))
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&untilCaughtUp, "until-caught-up", false,
		"end once everything up to the high watermarks of the start is stored")
	return cmd
}

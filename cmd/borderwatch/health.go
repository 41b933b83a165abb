package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

// healthTimeout is longer than the checks behind /readyz may take.
const healthTimeout = 2 * checkTimeout

// maxHealthBody bounds what is read of an answer.
const maxHealthBody = 64 << 10

func newHealth() *cobra.Command {
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a running borderwatch whether it does its work",
		Long: `health asks http://127.0.0.1:9370/readyz, or the URL it is given, and prints the
answer. It ends with 0 where that is 200 and with 1 otherwise: a health check for
images that have no other program.`,
		Example: `  borderwatch health
  borderwatch health http://127.0.0.1:9371/livez`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			url := "http://127.0.0.1:9370/readyz"
			if len(args) == 1 {
				url = args[0]
			}
			return askHealth(cmd.Context(), url, cmd.OutOrStdout())
		},
	}
}

func askHealth(ctx context.Context, url string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usageError{err}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(out, io.LimitReader(response.Body, maxHealthBody)); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

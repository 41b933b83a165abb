package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
	tlogwitness "borderwatch/consumers/witness"
)

// upWitness stands for the partner's witness. It has the folder of its own that a partner would have elsewhere.
type upWitness struct {
	witness  *tlogwitness.Witness
	listener net.Listener
}

// openWitness makes the keys of log and witness, once, and has every checkpoint cosigned.
func (u *local) openWitness(ctx context.Context, cfg *config.Config) (_ *upWitness, err error) {
	logKey, err := u.ledgerKey(cfg.Ledger.Dir)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(u.home.dir, "witness")
	secret, err := witnessKey(dir)
	if err != nil {
		return nil, err
	}
	w := &upWitness{}
	if w.witness, err = tlogwitness.Open(tlogwitness.Options{Dir: dir, Secret: secret, Logs: []string{logKey}, Log: u.log}); err != nil {
		return nil, err
	}
	if w.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, w.witness.Close())
	}
	cfg.Ledger.Serve.Witnesses = []config.Witness{{URL: "http://" + w.listener.Addr().String(), Key: w.witness.PublicKey()}}
	return w, nil
}

// startWitness serves until stop is called: after the log was closed, whose last checkpoint wants to be cosigned.
func (u *local) startWitness(ctx context.Context, cfg *config.Config) (stop func(), err error) {
	w, err := u.openWitness(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := errors.Join(w.witness.Run(ctx, w.listener), w.witness.Close()); err != nil {
			u.log.Error("witness", "error", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// ledgerKey is the public key of the log, whose key is made now if it would be made at its first start.
func (u *local) ledgerKey(dir string) (string, error) {
	public := filepath.Join(dir, "verifier.pub")
	text, err := os.ReadFile(public)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return strings.TrimSpace(string(text)), err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return ledger.GenerateKey(filepath.Join(dir, "signing.key"), "borderwatch/"+strings.ToLower(rand.Text()[:16]))
}

// witnessKey is the secret key of the witness, made once.
func witnessKey(dir string) (string, error) {
	file := filepath.Join(dir, "witness.key")
	text, err := os.ReadFile(file)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return strings.TrimSpace(string(text)), err
	}
	secret, _, err := note.GenerateKey(rand.Reader, "partner.example/witness")
	if err != nil {
		return "", fmt.Errorf("key of the witness: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return secret, replaceFile(file, []byte(secret+"\n"), 0o600)
}

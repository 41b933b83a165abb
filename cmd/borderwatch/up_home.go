package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/store"
	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
	"borderwatch/rules/release"
	schema "borderwatch/schemas/clickhouse"
)

// The ClickHouse accounts of up. Each has a role's rights and a password of its own.
const (
	accountIngest  = "bw_ingest"
	accountAPI     = "bw_api"
	accountMigrate = "bw_migrate"
	accountPartner = "bw_partner"
	accountVerify  = "bw_partner_verify"
	accountErase   = "bw_erase"
)

// home is the folder in which up keeps everything.
type home struct {
	dir   string
	lock  *flock.Flock
	state homeState
}

// homeState is what one up hands to the next.
type homeState struct {
	Ports     map[string]int    `json:"ports"`
	Passwords map[string]string `json:"passwords"`
	Cursor    store.Cursor      `json:"cursor"` // alerts shown so far
}

// openHome takes the folder for this process. fresh empties it first, but for the bundle, which a person may have edited.
func openHome(dir string, fresh bool) (*home, error) {
	if dir == "" {
		cache, err := embedded.CacheDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(cache, "up")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	h := &home{dir: dir, lock: flock.New(filepath.Join(dir, "lock"))}
	switch ok, err := h.lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	case !ok:
		return nil, fmt.Errorf("another borderwatch up uses %s: stop it, or give this one a --dir of its own", dir)
	}
	if fresh {
		for _, name := range []string{"clickhouse", "broker", "ledger", "witness", "state.json"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("start over: %w", err)
			}
		}
	}
	return h, h.load()
}

func (h *home) stateFile() string { return filepath.Join(h.dir, "state.json") }

func (h *home) load() error {
	data, err := os.ReadFile(h.stateFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(data, &h.state); err != nil {
			return fmt.Errorf("%s: %w; up --fresh starts over", h.stateFile(), err)
		}
	}
	if h.state.Ports == nil {
		h.state.Ports = map[string]int{}
	}
	if h.state.Passwords == nil {
		h.state.Passwords = map[string]string{}
	}
	for _, account := range []string{accountIngest, accountAPI, accountMigrate, accountPartner, accountVerify, accountErase} {
		if h.state.Passwords[account] == "" {
			h.state.Passwords[account] = rand.Text()
		}
	}
	return nil
}

// save writes the state such that a crash leaves the old or the new one.
func (h *home) save() error {
	data, err := json.MarshalIndent(h.state, "", "  ")
	if err != nil {
		return err
	}
	next := h.stateFile() + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, h.stateFile())
}

func (h *home) close() error { return errors.Join(h.save(), h.lock.Unlock()) }

// accounts are the users of the embedded server, with the rights that borderwatch migrate grants elsewhere.
func (h *home) accounts() []embedded.User {
	var users []embedded.User
	for _, role := range schema.Roles(schema.Layout{}) {
		u := embedded.User{Name: role.Name, Password: h.state.Passwords[role.Name], Grants: role.Grants, Settings: role.Settings,
			Constraints: map[string]embedded.Constraint{}}
		for name, limit := range role.Limits {
			u.Constraints[name] = embedded.Constraint{Min: limit.Min, Max: limit.Max, ReadOnly: limit.Fixed}
		}
		users = append(users, u)
	}
	return users
}

// bundle lays out the shipped rules and the example company once. A file that is there is left as it is: people edit it.
func (h *home) bundle() (string, error) {
	dir := filepath.Join(h.dir, "bundle")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	next := dir + ".next"
	if err := os.RemoveAll(next); err != nil {
		return "", err
	}
	shipped := map[string]fs.FS{"packs": packs.Files, "company": examples.Files}
	for _, name := range slices.Sorted(maps.Keys(shipped)) {
		if err := os.CopyFS(filepath.Join(next, name), shipped[name]); err != nil {
			return "", fmt.Errorf("lay out the bundle: %w", err)
		}
	}
	return dir, os.Rename(next, dir)
}

// developmentKey makes the key that signs the bundle of up, once, and the policy that takes it.
func (h *home) developmentKey() (policy, key string, err error) {
	policy, key = filepath.Join(h.dir, "development-policy.yaml"), filepath.Join(h.dir, "development.key")
	if _, err := os.Stat(policy); err == nil {
		return policy, key, nil
	}
	if err := os.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	public, err := createSigningKey("development", key)
	if err != nil {
		return "", "", err
	}
	text := fmt.Sprintf("# One key that stands for author and approver: for borderwatch up, never for production.\n"+
		"format: %s\nenvironment: development\ndevelopment: true\nkeys:\n  - {person: development, key: %q}\n", release.FormatPolicy, public)
	return policy, key, replaceFile(policy, []byte(text), 0o600)
}

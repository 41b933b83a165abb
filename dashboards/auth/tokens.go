package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"borderwatch/dashboards/service"
)

// MaxTokenLife is the longest that an API token is good for.
const MaxTokenLife = 90 * 24 * time.Hour

// tokenPrefix lets scanners for leaked secrets find tokens.
const tokenPrefix = "bwt_"

// Token is an API token without its secret.
type Token struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"` // whose it is
	Label   string         `json:"label"`
	Roles   []service.Role `json:"roles"`
	Created time.Time      `json:"created"`
	Expires time.Time      `json:"expires"`
	Local   bool           `json:"local"` // of a user of the users' file: the roles there bound those of the token
	Hash    string         `json:"hash"`  // SHA-256, hexadecimal
}

// Tokens keeps API tokens in a file, hashed.
type Tokens struct {
	path string
	mu   sync.Mutex
	list []Token
}

// OpenTokens reads the file of tokens; one that is not there is made with the first token. "" keeps them in memory.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	if path == "" {
		return t, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	if err := json.Unmarshal(text, &t.list); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", path, err)
	}
	return t, nil
}

// maxTokens of one person.
const maxTokens = 20

// ErrTokens is returned where a token cannot be made as asked for.
var ErrTokens = errors.New("a token is good for at most 90 days, has some of your own roles and a label, and nobody has more than 20")

// Make makes a token and returns its secret, which is told this once.
func (t *Tokens) Make(id *Identity, label string, roles []service.Role, life time.Duration, now time.Time) (Token, string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = slices.DeleteFunc(t.list, func(x Token) bool { return now.After(x.Expires) })
	mine := 0
	for _, x := range t.list {
		if x.Name == id.Name {
			mine++
		}
	}
	foreign := slices.ContainsFunc(roles, func(r service.Role) bool { return !id.Has(r) })
	if life <= 0 || life > MaxTokenLife || foreign || len(roles) == 0 || label == "" || len(label) > 100 || mine >= maxTokens {
		return Token{}, "", ErrTokens
	}
	secret := tokenPrefix + rand.Text()
	token := Token{ID: rand.Text()[:12], Name: id.Name, Label: label, Roles: roles, Created: now.UTC(), Expires: now.Add(life).UTC(),
		Local: id.Local, Hash: digest(secret)}
	t.list = append(t.list, token)
	if err := t.save(); err != nil {
		t.list = t.list[:len(t.list)-1]
		return Token{}, "", err
	}
	return token, secret, nil
}

// Revoke ends a token of somebody's, false where there is none.
func (t *Tokens) Revoke(name, id string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.list, func(x Token) bool { return x.Name == name && x.ID == id })
	if i < 0 {
		return false, nil
	}
	t.list = slices.Delete(t.list, i, i+1)
	return true, t.save()
}

// Of lists somebody's tokens that are good.
func (t *Tokens) Of(name string, now time.Time) []Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []Token{}
	for _, x := range t.list {
		if x.Name == name && now.Before(x.Expires) {
			x.Hash = ""
			out = append(out, x)
		}
	}
	return out
}

func (t *Tokens) find(secret string, now time.Time) (Token, bool) {
	if !strings.HasPrefix(secret, tokenPrefix) {
		return Token{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	hash := digest(secret) // of a random secret: comparing hashes tells nothing by its time
	i := slices.IndexFunc(t.list, func(x Token) bool { return x.Hash == hash && now.Before(x.Expires) })
	if i < 0 {
		return Token{}, false
	}
	return t.list[i], true
}

func (t *Tokens) save() error {
	if t.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(t.list, "", "  ")
	if err != nil {
		return err
	}
	next := t.path + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return os.Rename(next, t.path)
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

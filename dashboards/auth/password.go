package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// cost of a password hash: the second recommended option of RFC 9106, section 4.
type cost struct {
	time, memory uint32 // passes, KiB
	threads      uint8
}

var defaultCost = cost{time: 3, memory: 64 << 10, threads: 4}

const (
	saltBytes   = 16
	keyBytes    = 32
	minPassword = 12
	maxPassword = 1024
)

// maxCost bounds what a hash of the users' file can make this process do.
var maxCost = cost{time: 16, memory: 1 << 20, threads: 16}

// ErrWeakPassword is returned for a password that is too short or too long.
var ErrWeakPassword = fmt.Errorf("a password has %d to %d bytes", minPassword, maxPassword)

// HashPassword returns the argon2id hash of a password in the PHC string format.
func HashPassword(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", ErrWeakPassword
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	c := defaultCost
	key := argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.time, c.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// hash is a parsed PHC string.
type hash struct {
	cost
	salt, key []byte
}

var errHash = errors.New("is no argon2id hash; borderwatch console password makes one")

func parseHash(text string) (h hash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); n != 3 || err != nil {
		return h, errHash
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, keyErr = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case saltErr != nil || keyErr != nil || len(h.salt) < 8 || len(h.key) < 16:
		return h, errHash
	case h.time < 1 || h.threads < 1 || h.memory < 8<<10 || h.time > maxCost.time || h.memory > maxCost.memory || h.threads > maxCost.threads:
		return h, fmt.Errorf("asks for m=%d,t=%d,p=%d, outside of what is accepted", h.memory, h.time, h.threads)
	}
	return h, nil
}

func (h *hash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// nobody's hash is compared with where no user has the name, so that the time of an answer does not tell who exists.
var nobody = hash{cost: defaultCost, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
